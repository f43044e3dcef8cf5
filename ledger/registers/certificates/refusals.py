"""Codes 96 to 127."""

from __future__ import annotations

from ledger.blocks.refusals import RefusalCode


class CertificatesRefusal(RefusalCode):
    """Codes 96 to 127: a record about certificates or their types.

    What an issue must fulfil is checked from the identifier outwards, and the first failure is the result: shape
    (IDENTIFIER_SHAPE), its own check character (IDENTIFIER_CHECK_CHARACTER), the credit codes in it
    (CREDIT_CODE_CHECK_CHARACTER), its issuer (FOREIGN_ISSUER), its type (UNKNOWN_TYPE, TYPE_NOT_OWN, TYPE_RETIRED, and
    RESPONSIBILITY_NOT_APPROVED of the type's responsibility), its use (IDENTIFIER_USED), the dates, what it replaces.
    """

    IDENTIFIER_SHAPE = (
        96,
        "the identifier or type code is not put together as GB/T 36904 says",
        "compose it of root, type code, issuer, serial, version and check character",
    )
    IDENTIFIER_CHECK_CHARACTER = (
        97,
        "the last character of the identifier is not the check character of the rest",
        "compute ISO/IEC 7064 MOD 37,36 over type code, issuer, serial and version",
    )
    CREDIT_CODE_CHECK_CHARACTER = (
        98,
        "a credit code inside the identifier or type code is wrong, although the identifier's own check character fits",
        "correct the credit code, then compute the identifier's check character again",
    )
    FOREIGN_ISSUER = (
        99,
        "the identifier names another department as the issuer than the one that signs",
        "let the department that is named sign, or name the department that signs",
    )
    UNKNOWN_TYPE = (100, "the identifier's type was never defined", "define the type first")
    TYPE_NOT_OWN = (
        101,
        "the type belongs to another department than the one that signs",
        "ask the department responsible for the type to issue the certificate",
    )
    TYPE_RETIRED = (102, "no more certificates of the type are issued", "use the type that came in its place")
    TYPE_DEFINED_BEFORE = (103, "the type is defined already", "use it, or define another number")
    BAD_TERM = (104, "the term is neither open nor a number of years, months or days", "write it as PnY, PnM or PnD")
    BAD_DATE = (
        105,
        "a day is in no calendar, is not written as YYYY-MM-DD, or a term from it ends beyond the year 9999",
        "correct the day",
    )
    IDENTIFIER_USED = (106, "a certificate with this identifier was issued before", "choose a new serial")
    VERSION_NOT_NEXT = (
        107,
        "the version is neither 001 nor one more than that of the replaced certificate with the same serial",
        "use version 001, or the next one for the same serial",
    )
    UNKNOWN_CERTIFICATE = (108, "no certificate with this identifier was issued", "check the identifier")
    NOT_THE_ISSUER = (
        109,
        "the signing department neither issued the certificate nor has the issuer's function now",
        "ask the department that is responsible for the certificate's type",
    )
    REPLACES_OTHER_TYPE = (
        110,
        "the certificate to be replaced is of another type",
        "replace it by one of its own type",
    )
    ILLEGAL_STATE_CHANGE = (
        111,
        "the certificate's status at the block's time does not allow this operation",
        "read the status; what is withdrawn, cancelled, revoked or replaced stays so",
    )
    CONTENT_NOT_NEXT = (
        112,
        "a change must number the content's revision one higher than the newest",
        "read the certificate and send the change again",
    )
