"""The canonical JSON of proofs is that of another implementation of RFC 8785, character for character."""

from __future__ import annotations

import pytest
import rfc8785

from ledger.errors import DecodeError
from ledger.proofs.bundle import FieldPart
from ledger.proofs.canonical_json import parse
from ledger.proofs.inclusion import EntryProof


def test_every_character_is_written_as_by_another_implementation() -> None:
    """All of Unicode but the halves of surrogate pairs, which no JSON can say."""
    for first in range(0, 0x110000, 0x800):
        text = "".join(chr(code) for code in range(first, first + 0x800) if not 0xD800 <= code < 0xE000)
        assert FieldPart(name=text).print() == rfc8785.dumps({"name": text})
    with pytest.raises(DecodeError):
        FieldPart(name="\ud800").print()


@pytest.mark.parametrize("index", [0, 1, 2**31, 2**53 - 1])
def test_numbers_are_written_exactly_up_to_the_largest_that_json_can_say(index: int) -> None:
    """One more is refused on reading, as it is by the other implementation on writing."""
    proof = EntryProof(entry=b"\0\xff", index=index, path=())
    assert proof.print() == rfc8785.dumps({"entry": "AP8=", "index": index, "path": []})
    assert parse(EntryProof, proof.print()) == proof
    with pytest.raises(DecodeError):
        parse(EntryProof, b'{"entry":"AP8=","index":9007199254740992,"path":[]}')
    with pytest.raises(rfc8785.CanonicalizationError):
        rfc8785.dumps(2**53)
