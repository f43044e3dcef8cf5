"""Who owns what: one department for each thing, found through its leading responsibility."""

from __future__ import annotations

import pytest

from ledger.errors import InvariantBrokenError
from ledger.registers.catalogue import DataItem, data_item_key
from ledger.registers.ownership import ground, owner_of
from tests.registers.catalogue import catalogued
from tests.state.small_ledger import HOUSING


def test_a_data_item_belongs_to_whoever_has_its_leading_responsibility() -> None:
    """Before any reorganisation that is who published it."""
    state = catalogued().state
    item = state.get(data_item_key("AN-01-D1"), DataItem)
    assert item is not None
    assert owner_of(item, state) == item.owner == HOUSING


def test_nothing_rests_on_what_was_never_published() -> None:
    """No rule lets that happen, so that whoever meets it is broken."""
    with pytest.raises(InvariantBrokenError, match="AN-99"):
        ground("AN-99", catalogued().state)
