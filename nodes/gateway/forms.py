"""From the ledger's values to the gateway's forms."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from enum import Enum
from typing import Any

import msgspec

from ledger.blocks.refusals import ACCEPTED
from ledger.crypto.merkle import LogTree, leaf_hash
from ledger.members.departments import Department, department_key
from ledger.proofs import statement
from ledger.registers import code_of
from ledger.replica import Receipt
from nodes.gateway import schemas
from nodes.gateway.node_view import NodeView
from nodes.index import Change, IndexedBlock, IndexedEnvelope, IndexedRecord


def moment(node: NodeView, height: int, time_ms: int) -> schemas.Moment:
    """Return a block's height and time, as the network's clock shows it."""
    offset = node.genesis.parameters.utc_offset_hours
    return schemas.Moment(height=height, time=statement.Moment(height, time_ms, offset).iso())


def head(node: NodeView) -> schemas.Moment:
    """Return the last executed block."""
    return moment(node, node.state.height, node.state.time_ms)


def department(node: NodeView, credit_code: str) -> schemas.DepartmentName:
    """Return what people call a department; only its code if it is no member."""
    member = node.state.get(department_key(credit_code), Department)
    return schemas.DepartmentName(
        credit_code=credit_code,
        code=member.code if member else "",
        name_en=member.name_en if member else "",
        name_zh=member.name_zh if member else "",
    )


def result(code: int) -> schemas.Result:
    """Return what a record's code says."""
    if code == ACCEPTED:
        return schemas.Result(number=ACCEPTED, code="accepted")
    refusal = code_of(code)
    return schemas.Result(number=code, code=refusal.label, cause=refusal.cause, next_step=refusal.next_step)


def inclusion(log: LogTree, index: int, size: int) -> schemas.InclusionProof:
    """Return the proof that entry `index` is in the log of `size` entries.

    Raises:
        ValueError: The log is not that large, or has no such entry.
    """
    return schemas.InclusionProof(
        index=index,
        size=size,
        path=schemas.hexes(log.inclusion_path(index, size)),
        leaf_hash=log.leaf(index).hex(),
        root=log.root(size).hex(),
    )


def receipt(node: NodeView, found: Receipt) -> schemas.ReceiptForm:
    """Return a receipt as JSON has it."""
    return schemas.ReceiptForm(
        envelope=found.envelope.hex(),
        height=found.height,
        time=moment(node, found.height, found.time_ms).time,
        log_index=found.index,
        results=[result(code) for code in found.results],
        entry=base64_of(found.entry),
        inclusion=schemas.InclusionProof(
            index=found.index,
            size=found.checkpoint.size,
            leaf_hash=leaf_hash(found.entry).hex(),
            path=schemas.hexes(found.path),
            root=found.checkpoint.root.hex(),
        ),
        checkpoint=found.note,
    )


def block(node: NodeView, found: IndexedBlock) -> schemas.BlockForm:
    """Return a block as JSON has it."""
    author = node.state.validators.validators[found.author]
    return schemas.BlockForm(
        recorded=moment(node, found.height, found.time_ms),
        block=found.block_id.hex(),
        parent=found.parent.hex(),
        round=found.round,
        author=department(node, author.credit_code),
        state_root=found.state_root.hex(),
        first_index=found.first_index,
        log_size=found.log_size,
        envelopes=found.envelopes,
        records=found.records,
        accepted=found.accepted,
        deadlines=found.deadlines,
    )


def envelope(node: NodeView, found: IndexedEnvelope, records: Iterable[IndexedRecord]) -> schemas.EnvelopeInBlock:
    """Return an envelope of a block as JSON has it."""
    return schemas.EnvelopeInBlock(
        envelope=found.id.hex(),
        position=found.position,
        log_index=found.log_index,
        department=department(node, found.department),
        key_id=found.key_id,
        sequence=found.sequence,
        records=[schemas.RecordForm(kind=record.kind, result=result(record.code)) for record in records],
    )


def change(node: NodeView, found: Change) -> dict[str, Any]:
    """Return the members of a `ChangeForm`."""
    return {
        "kind": found.kind,
        "department": None if found.department is None else department(node, found.department),
        "recorded": moment(node, found.height, found.time_ms),
        "envelope": None if found.envelope is None else found.envelope.hex(),
        "log_index": found.log_index,
        "position": None if found.number < 0 else found.number,
    }


def readable(value: Any) -> Any:
    """Return a canonical value as JSON has it: objects by field name, bytes in hexadecimal."""
    if isinstance(value, msgspec.Struct):
        return {name: readable(getattr(value, name)) for name in value.__struct_fields__ if name != "version"}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [readable(part) for part in value]
    return value


def base64_of(data: bytes) -> str:
    """Return bytes in base64 with padding."""
    return base64.b64encode(data).decode()
