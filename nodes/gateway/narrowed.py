"""Lists of what the state has under a prefix, narrowed to what is wanted of it, in pages.

No index knows every way to narrow a list, so that values are looked at one after the other. The work for one page has a
bound all the same: a page may end before it is full, and the one that follows goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from ledger.encoding import Canonical
from nodes.gateway.asking import ask
from nodes.gateway.node_view import NodeView
from nodes.index import queries

T = TypeVar("T", bound=Canonical)

LOOKED_AT_MAX = 2_000
"""Values that are looked at for one page: ten times as many as a full one has, and some 10 ms of work."""


async def narrowed(
    node: NodeView,
    kind: type[T],
    prefix: bytes,
    keep: Callable[[T], bool],
    *,
    cursor: str,
    limit: int,
    within: str = "",
) -> tuple[list[T], str | None]:
    """Return up to `limit` values that are kept, ascending by key, and the cursor of what comes after them.

    Args:
        prefix: Of the state keys; a cursor is the rest of a key, after which the page begins, or empty.
        within: What the rests of keys begin with.

    Returns:
        The cursor is None if nothing that is kept comes after. It may lead to nothing, where that was not looked at.
    """
    keys = await ask(node, queries.keys, prefix + within.encode(), prefix + cursor.encode(), LOOKED_AT_MAX + 1)
    page: list[T] = []
    last = prefix
    for key in keys[:LOOKED_AT_MAX]:
        value = cast(T, node.state.values[key])
        assert isinstance(value, kind)
        if not keep(value):
            continue
        if len(page) == limit:
            return page, _rest(last, prefix)
        page.append(value)
        last = key
    return page, _rest(keys[LOOKED_AT_MAX - 1], prefix) if len(keys) > LOOKED_AT_MAX else None


def _rest(key: bytes, prefix: bytes) -> str:
    return key.removeprefix(prefix).decode()
