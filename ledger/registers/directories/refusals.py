"""Codes 64 to 95, but for those that stand in `ledger.registers.shared` because another register uses them too."""

from __future__ import annotations

from ledger.blocks.refusals import RefusalCode


class DirectoriesRefusal(RefusalCode):
    """Codes 64 to 95: a record about responsibilities, data items, systems or tables."""

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
    UNKNOWN_SYSTEM = (71, "the system was never published", "publish the system, or name none")
    SCHEMA_HASH = (73, "the schema hash is not that of the columns", "compute it from the columns that are sent")
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
