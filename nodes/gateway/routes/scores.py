"""How departments compare in sharing: score-cards and the league table."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from ledger.registers.catalogue import DATA_ITEMS
from ledger.registers.sharing.duties import BREACHES
from ledger.registers.sharing.figures import SCORES, THE_AUTHORITY
from ledger.registers.sharing.queries import league_table, score_card
from nodes.gateway import forms, sharing_forms
from nodes.gateway import sharing_schemas as schemas
from nodes.gateway.asking import Node, ask, member_of
from nodes.gateway.listed_reader import ListedReader, list_keys
from nodes.gateway.node_view import NodeView
from nodes.gateway.routes.documented import problems

router = APIRouter(prefix="/sharing/scores", tags=["sharing"])


@router.get(
    "",
    operation_id="get_league_table",
    summary="The score-cards of all departments, the best first",
    response_model=schemas.LeagueTable,
    responses=problems("index_behind", "index_unavailable"),
)
async def get_league_table(node: Node) -> schemas.LeagueTable:
    """By the share of answers in time, open breaches, breaches, rejected deliveries, rows served, credit code."""
    reader = await _reader(node)
    authority = score_card(reader, THE_AUTHORITY, node.state.time_ms)
    return schemas.LeagueTable(
        items=_ranked(node, reader),
        authority=sharing_forms.score(node, authority, None),
        as_of=forms.head(node),
    )


@router.get(
    "/{department}",
    operation_id="get_score_card",
    summary="The score-card of one department",
    response_model=schemas.ScorePage,
    responses=problems("not_found", "invalid_parameter", "index_behind", "index_unavailable"),
)
async def get_score_card(
    department: Annotated[
        str, Path(max_length=40, description=f"`AY`, its credit code, or `{THE_AUTHORITY}` for that role as such")
    ],
    node: Node,
) -> schemas.ScorePage:
    """With its rank in the league table."""
    holder = department if department == THE_AUTHORITY else member_of(node, department)
    reader = await _reader(node)
    ranked = (form for form in _ranked(node, reader) if form.department and form.department.credit_code == holder)
    score = next(ranked, None)
    if score is None:
        score = sharing_forms.score(node, score_card(reader, holder, node.state.time_ms), None)
    return schemas.ScorePage(score=score, as_of=forms.head(node))


async def _reader(node: NodeView) -> ListedReader:
    return ListedReader(node.state, await ask(node, list_keys, (DATA_ITEMS, BREACHES, SCORES)))


def _ranked(node: NodeView, reader: ListedReader) -> list[schemas.ScoreForm]:
    cards = league_table(reader, node.state.time_ms)
    return [sharing_forms.score(node, card, rank) for rank, card in enumerate(cards, start=1)]
