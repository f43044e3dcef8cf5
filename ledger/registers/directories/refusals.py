"""Codes 64 to 95."""

from __future__ import annotations

from ledger.blocks.refusals import RefusalCode


class DirectoriesRefusal(RefusalCode):
    """Codes 64 to 95: a record about responsibilities, data items, systems or tables."""

    NOT_THE_OWNER = (64, "another department owns what has this id", "choose another id, or ask its owner")
    REVISION_NOT_NEXT = (
        65,
        "a publication must number its revision one higher than the newest, and the first 1",
        "read the newest revision and publish the one after it",
    )
    REVISION_NOT_NEWEST = (
        66,
        "an approval must name the newest revision",
        "read the newest revision and approve that one",
    )
    APPROVED_BEFORE = (67, "this revision is approved already", "nothing; the earlier approval stands")
    WITHDRAWN = (68, "it was withdrawn", "publish under a new id")
    UNKNOWN_DATA_ITEM = (69, "the data item was never published", "publish the data item, or name another")
    DATA_ITEM_NOT_APPROVED = (
        70,
        "no revision of the data item was approved by the directory authority, or it was withdrawn",
        "ask the directory authority for approval",
    )
    UNKNOWN_SYSTEM = (71, "the system was never published", "publish the system, or name none")
    UNKNOWN_TABLE = (72, "the table was never published", "name a published table")
    SCHEMA_HASH = (73, "the schema hash is not that of the columns", "compute it from the columns that are sent")
    UNKNOWN_INFORMATION_ITEM = (
        74,
        "a column names an information item that the data item does not have",
        "correct the name, or publish a revision of the data item first",
    )
    REPEATED_NAME = (75, "a list names the same thing twice", "leave out one of them")
    CONDITION_MISSING = (
        76,
        "conditional sharing states no condition, or refused sharing no law",
        "state it, or share without condition",
    )
    CONDITION_NOT_ALLOWED = (
        77,
        "unconditional sharing states a condition",
        "leave the condition empty, or share conditionally",
    )
