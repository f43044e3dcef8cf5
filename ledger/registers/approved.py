"""What the catalogue says of a data item by the directory authority's word, while a newer revision waits for it."""

from __future__ import annotations

from ledger.registers.catalogue import ApprovedMetadata, DataItem, DataItemMetadata, approved_metadata_key
from ledger.registers.ownership import Values


def approved_metadata(item: DataItem, values: Values) -> DataItemMetadata:
    """Return what the approved revision of a data item that has one says; a revision that waits is its owner's word."""
    if item.approved_revision != item.revision:
        kept = values.get(approved_metadata_key(item.id), ApprovedMetadata)
        if kept is not None and kept.revision == item.approved_revision:
            return kept.metadata
    # Where none is kept of it, no revision since has said anything else.
    return item.metadata
