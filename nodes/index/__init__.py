"""The query index: what happened to what, and when. SQLite, behind the journal.

A cache and never the truth. It may be behind, it may be deleted at any time, and nothing that is signed depends on it.
One thread writes, one transaction a block; others read at the same time (write-ahead log).
"""

from nodes.index.database import IndexLockedError, IndexUnavailableError, QueryIndex
from nodes.index.queries import Change, IndexedBlock, IndexedEnvelope, IndexedRecord

__all__ = [
    "Change",
    "IndexLockedError",
    "IndexUnavailableError",
    "IndexedBlock",
    "IndexedEnvelope",
    "IndexedRecord",
    "QueryIndex",
]
