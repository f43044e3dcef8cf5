"""Codes 32 to 63."""

from __future__ import annotations

from ledger.blocks.refusals import RefusalCode


class MembersRefusal(RefusalCode):
    """Codes 32 to 63: a record about members and their keys."""

    KEY_NUMBER_USED = (32, "the department has used this key number before", "choose a number that was never used")
    PUBLIC_KEY_USED = (33, "the public key is registered already, here or elsewhere", "generate a key of its own")
    UNSAFE_KEY = (
        34,
        "the public key is not canonical, of small order, or outside the prime-order group",
        "generate the key with a standard library",
    )
    NO_POSSESSION = (
        35,
        "the proof of possession does not verify for this key, department, number and network",
        "sign the proof again with the new key",
    )
    UNKNOWN_ENVELOPE_KEY = (36, "the department has no key with this number", "name one of its own keys")
    KEY_REVOKED_BEFORE = (37, "the key is revoked already", "nothing; the earlier revocation stands")
    LAST_KEY = (38, "the department would have no key left to speak with", "add a new key first, then revoke this one")
    TOO_MANY_KEYS = (39, "the department has 256 keys that are not revoked", "revoke those that no gateway uses")
