"""Looking for data: the data items of the catalogue by text, owner, sharing and theme."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from ledger.registers.catalogue import DataItem, data_item_key
from ledger.registers.ownership import owner_of
from nodes.gateway import catalogue_schemas as schemas
from nodes.gateway import forms
from nodes.gateway.asking import Limit, Node, ask, member_of, page_path
from nodes.gateway.conditional import etag_of, not_modified
from nodes.gateway.node_view import NodeView
from nodes.gateway.routes.documented import problems
from nodes.index import queries
from nodes.index.texts import words_of

router = APIRouter(tags=["catalogue"])

_BEFORE_ALL = queries.Found(-1, "")


class _Wanted(NamedTuple):
    """What a data item must be besides what its texts say; None for what does not matter."""

    owner: str | None
    sharing: int | None
    classification: str | None
    theme: str | None

    def fits(self, item: DataItem, node: NodeView) -> bool:
        """Return whether the item counts and is wanted."""
        metadata = item.metadata
        return (
            item.counts
            and self.sharing in (None, metadata.sharing.type)
            and self.classification in (None, metadata.classification)
            and self.theme in (None, metadata.class_code)
            and self.owner in (None, owner_of(item, node.state))
        )


@router.get(
    "/catalogue/data-items",
    operation_id="search_data_items",
    summary="Data items with these words in their names, abstract or fields",
    response_model=schemas.FoundPage,
    responses={
        304: {"description": "It is as it was"},
        **problems("not_found", "invalid_parameter", "index_behind", "index_unavailable"),
    },
)
async def search_data_items(
    request: Request,
    node: Node,
    text: Annotated[str, Query(max_length=100, description="words, all of which must be somewhere; 许可 is one")] = "",
    department: Annotated[str | None, Query(max_length=40, description="the owner: `AY`, or its credit code")] = None,
    sharing: Annotated[
        Literal["1", "2", "3"] | None, Query(description="1 unconditional, 2 conditional, 3 not shared")
    ] = None,
    classification: Annotated[Literal["basic", "theme", "department"] | None, Query()] = None,
    theme: Annotated[str | None, Query(max_length=200, description="code within the classification")] = None,
    cursor: Annotated[str, Query(pattern="^[01]:[0-9A-Z-]{1,80}$", description="from `next`")] = "",
    limit: Limit = 50,
) -> Response:
    """Of data items that count: approved, not withdrawn. As of the last executed block.

    Upper and lower case, full and half width are the same. Names come before everything else.
    """
    owner = None if department is None else member_of(node, department)
    wanted = _Wanted(owner, None if sharing is None else int(sharing), classification, theme)
    rank, _, name = cursor.partition(":")
    after = queries.Found(int(rank), name) if cursor else _BEFORE_ALL
    found = await ask(node, queries.data_items_with, words_of(text), after)
    hits = list(islice(_fitting(node, found, wanted), limit + 1))
    last = hits[limit - 1][0] if len(hits) > limit else None
    page = schemas.FoundPage(
        items=[_form(node, item) for _, item in hits[:limit]],
        next=None if last is None else page_path(request, f"{last.rank}:{last.data_item}"),
        as_of=forms.head(node),
    )
    # When it was read is not part of what it says.
    etag = etag_of(page.model_dump_json(exclude={"as_of"}).encode())
    if (response := not_modified(request, etag)) is not None:
        return response
    return JSONResponse(page.model_dump(), headers={"ETag": etag})


def _fitting(node: NodeView, found: list[queries.Found], wanted: _Wanted) -> Iterator[tuple[queries.Found, DataItem]]:
    for hit in found:
        item = node.state.get(data_item_key(hit.data_item), DataItem)
        if item is not None and wanted.fits(item, node):
            yield hit, item


def _form(node: NodeView, item: DataItem) -> schemas.FoundItem:
    metadata = item.metadata
    sharing = metadata.sharing
    return schemas.FoundItem(
        id=item.id,
        name_en=metadata.name_en,
        name_zh=metadata.name_zh,
        department=forms.department(node, owner_of(item, node.state)),
        classification=metadata.classification,
        theme=metadata.class_code,
        abstract=metadata.abstract,
        sharing=schemas.SharingTerms(type=sharing.type, condition=sharing.condition, mode=sharing.mode),
        open=metadata.openness.open,
        update_cycle=metadata.update_cycle,
        fields=[
            schemas.OfferedField(name=field.name, type=field.type, length=field.length)
            for field in metadata.information_items
        ],
        revision=item.revision,
    )
