"""Codes 128 to 159."""

from __future__ import annotations

from ledger.blocks.refusals import RefusalCode


class SharingRefusal(RefusalCode):
    """Codes 128 to 159: a record about requests, grants, deliveries or objections.

    The order of checks is the same for all: what the record names must be there, its status must allow the step, the
    data item must count where the step needs that, the department must be one that may take it, and then the record's
    own fields are looked at, in their order.
    """

    PURPOSE_MISSING = (128, "the request states no purpose", "say what the data is for")
    LEGAL_BASIS_MISSING = (
        129,
        "the data item is not shared, and the request names no law that allows it nevertheless",
        "name the law or the decision",
    )
    OWN_DATA_ITEM = (130, "the department owns the data item itself", "use it without a request")
    MODE_NOT_OFFERED = (
        131,
        "the data item is shared in another mode; verification goes with any",
        "ask in the mode of the catalogue, or for verification",
    )
    BAD_LAST_DAY = (
        132,
        "the last day is not written as YYYY-MM-DD, is in no calendar, or is past at the block's time",
        "correct the day",
    )
    TERM_TOO_LONG = (133, "the last day is later than the terms of sharing allow", "ask for less, and renew in time")
    ID_USED = (134, "a request or an objection with this id was made before", "choose an id that was never used")
    UNSAFE_RECIPIENT_KEY = (
        135,
        "the recipient key is a point of small order, to which nothing can be sealed",
        "generate the key with a standard library",
    )
    UNKNOWN_REQUEST = (136, "no request with this id was made", "check the id")
    REQUEST_NOT_OPEN = (
        137,
        "the request was granted, refused or withdrawn before",
        "nothing; what was answered stands",
    )
    NOT_THE_REQUESTER = (138, "another department made the request or the objection", "let that department speak")
    OWN_REQUEST = (
        139,
        "nobody decides upon its own request or objection, the directory authority neither",
        "wait for the owner of the data item",
    )
    BEYOND_REQUEST = (
        140,
        "the grant has fields, rows or days that were not asked for",
        "grant what was asked for, or less",
    )
    UNKNOWN_GRANT = (141, "no grant with this id was given", "check the id; it is that of the request")
    GRANT_ENDED = (142, "the grant was revoked, or another came in its place", "request anew, or use the newer grant")
    GRANT_EXPIRED = (143, "the block's day is later than the grant's last day", "ask for a renewal")
    NO_LONGER_SHARED = (
        144,
        "the data item is not shared any more, and the grant was not given by the directory authority",
        "request anew, with a legal basis",
    )
    NOT_RENEWABLE = (
        145,
        "what is to be renewed is not a grant of this department for this data item, or it has ended",
        "request anew, without naming it",
    )
    TABLE_OF_OTHER_ITEM = (
        146,
        "the table was withdrawn or holds another data item than the one granted",
        "name a table of the data item",
    )
    SCHEMA_NOT_CURRENT = (
        147,
        "the delivery's schema hash is not that of the table's newest revision",
        "publish the table as it is now, then deliver",
    )
    SCHEMA_DRIFTED = (
        148,
        "the table's schema in its database was reported to differ from the published one",
        "publish the table as it is now, then deliver",
    )
    VOLUME_EXCEEDED = (
        149,
        "the delivery has more rows than the grant has left; a verification has exactly one",
        "deliver what is left, or ask for a renewal",
    )
    DELIVERY_NOT_NEXT = (150, "deliveries of a grant are numbered 1, 2, 3 and so on", "read the grant; use the next")
    DELIVERY_OPEN = (
        151,
        "the delivery before was neither acknowledged nor rejected",
        "wait until the requester has answered it",
    )
    UNKNOWN_DELIVERY = (152, "the grant has no delivery with this number", "check grant and number")
    DELIVERY_SETTLED = (153, "the delivery was acknowledged or rejected before", "nothing; the earlier word stands")
    RECEIPT_MISMATCH = (
        154,
        "commitment or digest of the stream differ from those of the delivery",
        "acknowledge what was received, or reject it",
    )
    UNKNOWN_OBJECTION = (155, "no objection with this id was raised", "check the id")
    OBJECTION_NOT_OPEN = (156, "the objection was answered before", "nothing; the earlier answer stands")
    NOT_DISPUTABLE = (
        157,
        "only what the owner of the data item has refused or rejected can be disputed, once",
        "wait for the answer; that of the directory authority is final",
    )
    NO_DRIFT = (158, "the schema hash is the published one, and no other was reported", "nothing; deliver")
