"""Who answers, and what its codes mean."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from nodes.cli import program_version
from nodes.gateway import forms, schemas
from nodes.gateway.asking import Node
from nodes.gateway.problems import KINDS, ProblemError
from nodes.gateway.routes.documented import problems

router = APIRouter(tags=["node"])


@router.get(
    "/node",
    operation_id="get_node",
    summary="The node and its network",
    response_model=schemas.NodeForm,
    responses=problems(),
)
async def get_node(node: Node) -> schemas.NodeForm:
    """Whose node it is, how far it is, and whom it is connected with."""
    reasons = list(node.why_not_ready())
    genesis, validators, checkpoint = node.genesis, node.state.validators, node.checkpoint
    return schemas.NodeForm(
        department=forms.department(node, node.me),
        network=genesis.name,
        origin=genesis.origin,
        chain=genesis.chain.hex(),
        version=program_version(),
        engine=genesis.parameters.engine,
        head=forms.head(node),
        log_size=node.log.size,
        checkpoint_height=None if checkpoint is None else checkpoint.height,
        quorum=validators.quorum,
        validators=len(validators),
        peers=[
            schemas.PeerForm(code=peer.code, credit_code=peer.credit_code, connected=peer.connected)
            for peer in node.peers()
        ],
        ready=not reasons,
        why_not_ready=reasons,
    )


@router.get(
    "/problems",
    operation_id="list_problems",
    summary="All codes of problems",
    response_model=list[schemas.ProblemKind],
    responses=problems(),
)
async def list_problems() -> list[schemas.ProblemKind]:
    """Every code that the gateway answers with or that a record can be refused with."""
    return [schemas.ProblemKind(code=code, **kind._asdict()) for code, kind in sorted(KINDS.items())]


@router.get(
    "/problems/{code}",
    operation_id="get_problem",
    summary="What one code means",
    response_model=schemas.ProblemKind,
    responses=problems("not_found", "invalid_parameter"),
)
async def get_problem(code: Annotated[str, Path(max_length=60)]) -> schemas.ProblemKind:
    """Where the `type` of a problem leads."""
    if (kind := KINDS.get(code)) is None:
        raise ProblemError("not_found", "no problem has this code")
    return schemas.ProblemKind(code=code, **kind._asdict())
