"""A tlog-proof is one text: what is written is read, and nothing that is spelled otherwise is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.encoding import decode
from ledger.errors import DecodeError, OversizeError
from ledger.proofs.tlog_proof import EXTRA_BYTES_MAX, PROOF_BYTES_MAX, ProofExtra, parse_tlog_proof, prove_entry
from tests.proofs.proven_log import ISSUE_INDEX, proven_log

GOLDEN = Path(__file__).parent / "golden"
LOG = proven_log(4)
PROOF = LOG.quorum_proof
TEXT = PROOF.text()


def test_the_proof_of_the_test_network_has_these_bytes() -> None:
    """A change of the form would end what other tools read of us."""
    assert (GOLDEN / "issue.tlog-proof").read_text(encoding="utf-8") == TEXT


def test_a_proof_says_what_it_was_made_from() -> None:
    """Index, path, checkpoint and what is carried for our own verifiers come back."""
    assert parse_tlog_proof(TEXT) == PROOF
    assert PROOF.index == ISSUE_INDEX
    assert PROOF.checkpoint.size == LOG.ledger.log.size
    assert PROOF.extra is not None
    extra = decode(ProofExtra, PROOF.extra)
    assert extra.entry == LOG.ledger.entries[ISSUE_INDEX]
    assert extra.record is not None
    assert extra.record.record == LOG.ledger.envelopes[ISSUE_INDEX].records[1]


def test_a_proof_without_extra_has_no_such_line() -> None:
    """As the specification says: the line is omitted."""
    bare = replace(PROOF, extra=None)
    assert bare.text().startswith(f"c2sp.org/tlog-proof@v1\nindex {ISSUE_INDEX}\n")
    assert parse_tlog_proof(bare.text()) == bare


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tlog-proof@v1", "tlog-proof@v2", "first line"),
        ("tlog-proof@v1", "tlog-proof@v1\n", "index"),
        ("\nindex 8\n", "\nindex 08\n", "index"),
        ("\nindex 8\n", "\nindex -8\n", "index"),
        ("\nindex 8\n", "\nindex +8\n", "index"),
        ("\nindex 8\n", "\nindex  8\n", "index"),
        ("\nindex 8\n", "\nindex 80000000000000000000\n", "index"),
        ("\nindex 8\n", "\n", "index"),
        ("\nextra ", "\nextra  ", "base64"),
        ("\nextra ", "\nExtra ", "index"),
        ("\nextra l", "\nextra \nextra l", "base64"),
        ("=\n\n", "=\n", "not base64: 'mulu.test"),
        ("=\n\n", "\n\n", "base64"),
        ("\n\n", "\nAAAA\n\n", "3 bytes"),
        ("\n\n", "\n" + 64 * ("A" * 43 + "=\n") + "\n", "hashes lead to no root"),
        ("\n\n", "\r\n\n", "base64"),
    ],
)
def test_another_form_is_refused(old: str, new: str, message: str) -> None:
    """Other versions, other spellings of numbers and of base64, lines that are missing or too many."""
    assert old in TEXT
    with pytest.raises(DecodeError, match=message):
        parse_tlog_proof(TEXT.replace(old, new, 1))


def test_an_oversize_proof_or_extra_is_not_parsed() -> None:
    """The size is looked at first, and so is that of what the proof carries."""
    with pytest.raises(OversizeError):
        parse_tlog_proof("A" * (PROOF_BYTES_MAX + 1))
    with pytest.raises(OversizeError):
        parse_tlog_proof(replace(PROOF, extra=bytes(EXTRA_BYTES_MAX + 1)).text())


@pytest.mark.parametrize(("index", "position"), [(-1, None), (10, None), (8, 3), (8, -1), (9, 0)])
def test_what_is_not_there_cannot_be_proven(index: int, position: int | None) -> None:
    """Neither an entry beyond the checkpoint nor a record beyond the envelope."""
    with pytest.raises(ValueError, match="none"):
        prove_entry(LOG.view, index, PROOF.checkpoint.text(), position=position)


@given(st.integers(min_value=0, max_value=len(TEXT) - 1), st.characters(codec="utf-8"))
def test_a_changed_character_is_refused_or_printed_again(position: int, character: str) -> None:
    """No two texts are one proof."""
    changed = TEXT[:position] + character + TEXT[position + 1 :]
    try:
        proof = parse_tlog_proof(changed)
    except DecodeError:
        return
    assert proof.text() == changed


@given(st.text(max_size=300))
def test_any_text_is_a_proof_or_a_decode_error(text: str) -> None:
    """Nothing else escapes."""
    for candidate in (text, f"c2sp.org/tlog-proof@v1\n{text}", f"c2sp.org/tlog-proof@v1\nindex 0\n{text}"):
        with pytest.raises(DecodeError):
            parse_tlog_proof(candidate)
