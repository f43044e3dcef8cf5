"""Proofs of the log and of the state, for whoever checks for himself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ledger.blocks.log import BlockRecord
from ledger.encoding import decode, encode
from ledger.proofs.notes import note_of
from nodes.gateway import forms, schemas
from nodes.gateway.asking import Node
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import ProblemError
from nodes.gateway.routes.documented import problems

router = APIRouter(prefix="/proofs", tags=["proofs"])

SIZE_MAX = (1 << 63) - 1


@router.get(
    "/inclusion",
    operation_id="prove_inclusion",
    summary="That an entry is in the log",
    response_model=schemas.InclusionProof,
    responses=problems("invalid_parameter", "no_checkpoint"),
)
async def prove_inclusion(
    node: Node,
    index: Annotated[int, Query(ge=0, le=SIZE_MAX)],
    size: Annotated[
        int | None, Query(ge=1, le=SIZE_MAX, description="of the log; that of `/checkpoint` if absent")
    ] = None,
) -> schemas.InclusionProof:
    """RFC 9162, section 2.1.3. Its root is worth something only if a checkpoint states it."""
    try:
        return forms.inclusion(node.log, index, _checkpoint_size(node) if size is None else size)
    except ValueError as error:
        raise ProblemError("invalid_parameter", str(error)) from error


@router.get(
    "/consistency",
    operation_id="prove_consistency",
    summary="That an older log is the beginning of a newer one",
    response_model=schemas.ConsistencyProof,
    responses=problems("invalid_parameter", "no_checkpoint"),
)
async def prove_consistency(
    node: Node,
    old: Annotated[int, Query(ge=1, le=SIZE_MAX)],
    new: Annotated[int | None, Query(ge=1, le=SIZE_MAX, description="that of `/checkpoint` if absent")] = None,
) -> schemas.ConsistencyProof:
    """RFC 9162, section 2.1.4."""
    new = _checkpoint_size(node) if new is None else new
    try:
        return schemas.ConsistencyProof(
            old=old,
            new=new,
            path=schemas.hexes(node.log.consistency_path(old, new)),
            old_root=node.log.root(old).hex(),
            new_root=node.log.root(new).hex(),
        )
    except ValueError as error:
        raise ProblemError("invalid_parameter", str(error)) from error


@router.get(
    "/state",
    operation_id="prove_state",
    summary="That the state holds a value, or none, under a key",
    response_model=schemas.StateProofForm,
    responses=problems("invalid_parameter", "no_checkpoint"),
)
async def prove_state(
    node: Node,
    key: Annotated[
        str,
        Query(
            min_length=1,
            max_length=400,
            description="a state key as text, for example `directories/responsibility/AY-01`, or `hex:` and its bytes",
        ),
    ],
) -> schemas.StateProofForm:
    """As of the newest checkpoint with a quorum, which is some moments behind the last block."""
    if (attested := node.attested) is None:
        raise ProblemError("no_checkpoint", "a proof of the state rests on a checkpoint")
    try:
        raw = bytes.fromhex(key[4:]) if key.startswith("hex:") else key.encode()
    except ValueError as error:
        raise ProblemError("invalid_parameter", "what follows `hex:` is not hexadecimal") from error
    checkpoint, last = attested.checkpoint, attested.checkpoint.size - 1
    block = attested.entry(last)
    record = decode(BlockRecord, block)
    value = attested.value_bytes(raw)
    public, signature = attested.log_signature
    return schemas.StateProofForm(
        key=raw.hex(),
        value=None if value is None else forms.base64_of(value),
        proof=forms.base64_of(encode(attested.prove(raw))),
        state_root=record.state_root.hex(),
        block=forms.base64_of(block),
        inclusion=forms.inclusion(node.log, last, checkpoint.size),
        checkpoint=note_of(attested.validators, checkpoint, log_public=public, log_signature=signature),
        as_of=forms.moment(node, record.height, record.time_ms),
    )


def _checkpoint_size(node: NodeView) -> int:
    if node.checkpoint is None:
        raise ProblemError("no_checkpoint", "give the sizes, or ask again once there is a checkpoint")
    return node.checkpoint.size
