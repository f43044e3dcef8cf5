"""What an executed block puts into the index: a pure function from the effect to rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from ledger.blocks.envelope import Envelope
from ledger.blocks.refusals import ACCEPTED
from ledger.consensus.effects import Executed
from ledger.encoding import decode
from ledger.registers import RULEBOOK
from ledger.registers.directories.records import PublishDataItem
from nodes.index.schema import NO_RECORD
from nodes.index.texts import searchable

Row = tuple[Any, ...]

KINDS = frozenset(str(kind.__struct_config__.tag) for kind in RULEBOOK.rules)
"""Tags of all kinds of record, for example `certificates.issue`."""

PUBLICATION = str(PublishDataItem.__struct_config__.tag)

_read_array: Any = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_read_text: Any = msgspec.msgpack.Decoder(str).decode


class BlockRows(NamedTuple):
    """The rows of one block, by table, each in the order of the table's columns."""

    block: Row
    entries: list[Row]
    envelopes: list[Row]
    records: list[Row]
    history: list[Row]
    texts: list[Row]
    counts: Mapping[tuple[str, int], int]
    """How many records of each kind got each code; the kind is empty where the bytes are no known record."""


def rows_of(effect: Executed) -> BlockRows:
    """Return the rows of an executed block. Time O(size of the block)."""
    header, record, height = effect.block.header, effect.record, int(effect.height)
    envelopes: list[Row] = []
    records: list[Row] = []
    # A deadline acts before the first record and belongs to none.
    history: list[Row] = [(key, height, NO_RECORD, NO_RECORD) for keys in effect.touched_by_deadlines for key in keys]
    texts: list[Row] = []
    counts: Counter[tuple[str, int]] = Counter()
    for position, raw in enumerate(effect.block.payload):
        envelope, codes = decode(Envelope, raw), effect.results[position]
        said = envelope.header
        envelopes.append(
            (
                height,
                position,
                effect.first_index + position,
                said.id,
                said.department,
                said.key_id,
                said.sequence,
                codes,
            )
        )
        for number, (statement, code) in enumerate(zip(envelope.records, codes, strict=True)):
            kind = kind_of(statement)
            records.append((height, position, number, kind, code))
            counts[kind or "", code] += 1
            history += [(key, height, position, number) for key in effect.touched[position][number]]
            if kind == PUBLICATION and code == ACCEPTED:
                published = decode(PublishDataItem, statement)
                texts.append((published.id, height, position, number, *searchable(published)))
    block = (
        height,
        record.block,
        record.parent,
        record.time_ms,
        header.round,
        header.author,
        record.state_root,
        effect.first_index,
        len(envelopes),
        len(records),
        sum(count for (_, code), count in counts.items() if code == ACCEPTED),
        len(record.deadlines),
    )
    entries = [(effect.first_index + offset, height, entry) for offset, entry in enumerate(effect.entries)]
    return BlockRows(block, entries, envelopes, records, history, texts, counts)


def kind_of(record: bytes) -> str | None:
    """Return the tag of an encoded record, or None if it is of no known kind. The rest is not looked at."""
    try:
        kind = _read_text(_read_array(record)[0])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, IndexError):
        return None
    return kind if kind in KINDS else None
