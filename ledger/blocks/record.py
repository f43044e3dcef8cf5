"""A record: one statement of a department, for example "issue this certificate"."""

from __future__ import annotations

from typing import ClassVar

from ledger.crypto.hashing import Tag
from ledger.crypto.merkle import tagged_leaf_hash
from ledger.encoding import Canonical
from ledger.identifiers import Digest
from ledger.limits import RECORD_BYTES_MAX


class Record(Canonical):
    """Base of every register's records. The tag is `<register>.<verb>`, for example `certificates.issue`."""

    size_max: ClassVar[int] = RECORD_BYTES_MAX


def record_leaf(record: bytes) -> Digest:
    """Return the 32-byte leaf of an encoded record in its envelope's tree of records."""
    return tagged_leaf_hash(Tag.RECORD, record)
