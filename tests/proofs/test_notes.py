"""A checkpoint note: what C2SP prints is read, and what is read is printed the same."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks.checkpoint import (
    checkpoint_text,
    cosigned_bytes,
    key_hash,
    log_line,
    parse_verifier_key,
    verifier_key,
)
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import verify_strict
from ledger.errors import DecodeError, OversizeError
from ledger.members.validators import ValidatorSet
from ledger.proofs.notes import NOTE_BYTES_MAX, note_of, note_without_log, parse_note
from tests.proofs.small_network import CREATED_MS, cosign, found, key

GOLDEN = Path(__file__).parent / "golden"
GENESIS = found()
VALIDATORS = ValidatorSet.of_genesis(GENESIS)
ROOT = sha256(b"a log")
LOG = key(GENESIS.name, "BM", "log")
CHECKPOINT = cosign(GENESIS, 1042, ROOT, height=7, time_ms=CREATED_MS)
NOTE = note_of(
    VALIDATORS,
    CHECKPOINT,
    log_public=LOG.public,
    log_signature=LOG.sign(checkpoint_text(GENESIS.origin, 1042, ROOT).encode()),
    cosignatures_max=3,
)


def test_the_note_of_the_test_network_has_these_bytes() -> None:
    """A change of the form would end what other tools read of us."""
    assert (GOLDEN / "note.txt").read_text(encoding="utf-8") == NOTE


def test_the_cosignature_example_of_c2sp_is_read_and_printed_again() -> None:
    """The example of tlog-cosignature: a log's line of 64 bytes and a witness's of 72 that begins with its time."""
    text = (GOLDEN / "c2sp_cosignature_example.txt").read_text(encoding="utf-8")
    note = parse_note(text)
    assert (note.origin, note.size) == ("example.com/behind-the-sofa", 20852163)
    assert [(line.name, len(line.signature)) for line in note.lines] == [
        ("example.com/behind-the-sofa", 64),
        ("witness.example.com/w1", 72),
    ]
    assert int.from_bytes(note.lines[1].signature[:8], "big") == 1679315147
    assert note.text() == text


def test_the_lines_of_a_note_verify_as_c2sp_says() -> None:
    """The log signs the text, a cosigner signs the time and the text; each line names its key by a short hash."""
    note = parse_note(NOTE)
    log, *cosignatures = note.lines
    assert log.name == note.origin
    assert log.key_hash == key_hash(note.origin, 0x01, LOG.public)
    verify_strict(LOG.public, note.body.encode(), log.signature)
    assert len(cosignatures) == 3
    for index, line in enumerate(cosignatures):
        public = VALIDATORS.validators[index].cosigner
        assert line.name == VALIDATORS.cosigner_name(index)
        assert line.key_hash == key_hash(line.name, 0x04, public)
        time_s = int.from_bytes(line.signature[:8], "big")
        verify_strict(public, cosigned_bytes(note.body, time_s), line.signature[8:])


def test_a_node_without_a_log_key_shows_what_the_others_have_signed() -> None:
    """The same text and cosignatures, and no line of the log: an observer claims nothing of its own."""
    note, shown = parse_note(NOTE), parse_note(note_without_log(VALIDATORS, CHECKPOINT))
    assert shown.body == note.body
    assert shown.lines[:3] == note.lines[1:]
    assert len(shown.lines) == len(VALIDATORS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n1042\n", "\n01042\n", "log size"),
        ("\n1042\n", "\n-1\n", "log size"),
        ("\n1042\n", "\n1042\nan extension\n", "3 lines"),
        ("\n1042\n", "\n", "3 lines"),
        ("=\n\n", "\n\n", "base64"),
        ("\n\n", "\n", "empty line"),
        ("— ", "- ", "signature line"),
        ("— ", "—  ", "signature line"),
        ("\n1042\n", "\r\n1042\n", "control character"),
        (GENESIS.origin, "", "origin"),
    ],
)
def test_another_form_is_refused(old: str, new: str, message: str) -> None:
    """Extension lines, leading zeros, loose base64 and other line ends are no part of this ledger's notes."""
    changed = NOTE.replace(old, new, 1)
    assert changed != NOTE
    with pytest.raises(DecodeError, match=message):
        parse_note(changed)


def test_a_note_without_its_last_line_end_is_refused() -> None:
    """A torn file is not a shorter note."""
    with pytest.raises(DecodeError):
        parse_note(NOTE[:-1])


def test_an_oversize_note_is_not_parsed() -> None:
    """The size is looked at first."""
    with pytest.raises(OversizeError):
        parse_note("—" * (NOTE_BYTES_MAX + 1))


@given(st.integers(min_value=0, max_value=len(NOTE) - 1), st.characters(codec="utf-8"))
def test_a_changed_character_is_refused_or_printed_again(position: int, character: str) -> None:
    """No two texts are one note."""
    changed = NOTE[:position] + character + NOTE[position + 1 :]
    try:
        note = parse_note(changed)
    except DecodeError:
        return
    assert note.text() == changed


def test_the_published_note_of_go_verifies_by_its_published_key() -> None:
    """The example of golang.org/x/mod/sumdb/note: a key of type 0x01, its hash, and a line over the text."""
    name, kind, public = parse_verifier_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert (name, kind) == ("PeterNeumann", 0x01)
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signed = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    blob = base64.b64decode(signed)
    assert blob[:4] == key_hash(name, kind, public)
    verify_strict(public, text.encode(), blob[4:])
    assert log_line(name, public, blob[4:]) == f"— PeterNeumann {signed}"


@pytest.mark.parametrize(
    "vkey",
    [
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sigsum.org+e4ade967+AZuUY6B08pW3QVHu8uvsrxWPcAv9nykap2Nb4oxCee+r",
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    ],
)
def test_published_keys_are_read_and_printed_again(vkey: str) -> None:
    """Of two logs and of a witness: name, key hash and type are what their owners say."""
    assert verifier_key(*parse_verifier_key(vkey)) == vkey


@pytest.mark.parametrize(
    ("vkey", "message"),
    [
        ("", "not a verifier key"),
        ("name", "not a verifier key"),
        ("sum.golang.org+033de0ae", "not a verifier key"),
        ("+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "not a verifier key"),
        ("sum golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "not a verifier key"),
        ("sum.golang.org+033DE0AE+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "not a verifier key"),
        ("sum.golang.org+33de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "not a verifier key"),
        ("sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "hash"),
        ("sum.golang.com+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "hash"),
        ("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn9", "base64|hash"),
        ("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAA=", "31 bytes"),
        ("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn", "base64"),
        ("sum.golang.org+033de0ae+", "not a verifier key"),
    ],
)
def test_what_is_no_verifier_key_is_refused(vkey: str, message: str) -> None:
    """Another name, hash or key than each other, another length, another spelling."""
    with pytest.raises(DecodeError, match=message):
        parse_verifier_key(vkey)
