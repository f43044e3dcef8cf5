"""What `mulu verify` says of a tlog-proof: established, refuted or not established, and why."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ledger.blocks.checkpoint import checkpoint_text, cosignature_line, cosigned_bytes
from ledger.crypto import edwards
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import SigningKey, verify_signature
from ledger.encoding import decode
from ledger.proofs.notes import SignatureLine, parse_note
from ledger.proofs.statement import Verdict
from ledger.proofs.tlog_proof import ProofExtra, TlogProof
from ledger.proofs.verify_entry import verify_entry
from nodes.measurements.crafted_signatures import SMALL_ORDER_POINTS
from tests.proofs.proven_log import (
    ISSUE_INDEX,
    NOW_MS,
    VALID_UNTIL,
    ProvenLog,
    proven_log,
    spoilt,
    spoilt_quorum,
    turned,
    with_lines,
)

LOG = proven_log(7)
DAY_MS = 86_400_000


def verdict_of(proof: TlogProof, log: ProvenLog = LOG, policy: str | None = None, now_ms: int = NOW_MS) -> Verdict:
    return verify_entry(proof.text().encode(), (policy or log.policy).encode(), now_ms=now_ms).verdict


@pytest.mark.parametrize("validators", [4, 7, 53])
def test_the_issue_of_a_certificate_is_established(validators: int) -> None:
    """Under the network's policy, by a quorum of all; and under the policy for tools, by those whom it names."""
    log = proven_log(validators)
    for proof, policy in ((log.quorum_proof, log.policy), (log.tools_proof, log.tools_policy)):
        statement = verify_entry(proof.text().encode(), policy.encode(), now_ms=NOW_MS)
        assert statement.exit_code == 0, statement.reason
        shown = statement.as_json()
        assert json.loads(json.dumps(shown)) == shown
        assert shown["record"] == {"kind": "certificates.issue", "position": 1, "result": "accepted"}
        assert shown["department"] == "Market Regulation (市场监督管理局, AY)"
        assert shown["log_index"] == ISSUE_INDEX
        assert len(shown["signers"]) == proof.text().count("\n— ") - 1
        assert "certificates.issue" in statement.as_text()


def test_a_record_that_was_refused_is_never_established() -> None:
    """It is on the ledger, and what it states is not."""
    statement = verify_entry(
        LOG.proof(LOG.quorum_proof.checkpoint, position=0).text().encode(), LOG.policy.encode(), now_ms=NOW_MS
    )
    assert (statement.exit_code, statement.established) == (3, False)
    assert "refused: type_defined_before" in statement.reason


def test_an_entry_is_established_without_a_record() -> None:
    """An envelope's entry says who sealed it and what came of it; that of a block says when."""
    note = LOG.quorum_proof.checkpoint
    envelope = verify_entry(LOG.proof(note, position=None).text().encode(), LOG.policy.encode(), now_ms=NOW_MS)
    assert envelope.exit_code == 0
    assert envelope.as_json()["results"] == ["type_defined_before", "accepted", "type_defined_before"]
    assert "what the records of the envelope say: the proof carries none" in envelope.not_checked
    block = verify_entry(LOG.proof(note, 9, None).text().encode(), LOG.policy.encode(), now_ms=NOW_MS)
    assert block.exit_code == 0
    assert block.as_json()["block"] == {"height": 4, "time": "2025-09-15T08:04:00.000+08:00"}


def test_what_was_changed_is_never_established() -> None:
    """Path, index, root, size, origin and log line; and cosignatures that are too few, doubled, redated or forged."""
    for name, proof in (*spoilt(LOG, LOG.quorum_proof), *spoilt_quorum(LOG, LOG.quorum_proof)):
        assert verdict_of(proof) is not Verdict.ESTABLISHED, name


@pytest.mark.parametrize(
    ("change", "exit_code"),
    [
        ("one cosigner too few", 4),
        ("one cosigner twice", 4),
        ("a cosigner's name with a key that came with the proof", 4),
        ("a cosignature with another time", 3),
    ],
)
def test_a_quorum_that_does_not_count_gets_the_right_code(change: str, exit_code: int) -> None:
    """Who is missing proves nothing; a signature by a known key that does not verify is a forgery."""
    proof = dict(spoilt_quorum(LOG, LOG.quorum_proof))[change]
    assert verify_entry(proof.text().encode(), LOG.policy.encode(), now_ms=NOW_MS).exit_code == exit_code


def test_lines_by_unknown_keys_are_passed_over() -> None:
    """As signed-note says: they prove nothing, neither for nor against, wherever they stand."""
    stranger = SignatureLine("witness.example/w1", b"\x01\x02\x03\x04", bytes(72))
    lines = LOG.quorum_proof.checkpoint.lines
    assert verdict_of(with_lines(LOG.quorum_proof, (stranger, *lines, stranger))) is Verdict.ESTABLISHED
    namesake = stranger._replace(name=lines[-1].name)
    assert verdict_of(with_lines(LOG.quorum_proof, (*lines, namesake))) is Verdict.ESTABLISHED


def test_more_than_a_quorum_counts_too() -> None:
    """C2SP knows no surplus; every line by a known key must verify all the same."""
    surplus = LOG.proof(LOG.note(*range(7)))
    assert verdict_of(surplus) is Verdict.ESTABLISHED
    bad = surplus.checkpoint.lines[-1]._replace(signature=turned(surplus.checkpoint.lines[-1].signature))
    assert verdict_of(with_lines(surplus, (*surplus.checkpoint.lines[:-1], bad))) is Verdict.REFUTED


def test_a_policy_of_another_network_or_past_its_day_cannot_say() -> None:
    """Keys of strangers prove nothing, and neither does a policy that its holder was to renew."""
    other = proven_log(7, "another.test.example")
    statement = verify_entry(LOG.quorum_proof.text().encode(), other.policy.encode(), now_ms=NOW_MS)
    assert (statement.exit_code, statement.established) == (4, None)
    last_ms = (VALID_UNTIL + 1) * DAY_MS - 8 * 3_600_000 - 1
    for policy in (LOG.policy, LOG.tools_policy):
        proof = LOG.proof(LOG.note(*range(7)))
        assert verdict_of(proof, policy=policy, now_ms=last_ms) is Verdict.ESTABLISHED
        late = verify_entry(proof.text().encode(), policy.encode(), now_ms=last_ms + 1)
        assert late.exit_code == 4
        assert "until 2027-12-31" in late.reason


def test_an_envelope_of_another_network_is_refuted() -> None:
    """A log may hold what was signed for another one; under our policy that is no statement of this network."""
    other = LOG.policy.replace(f"# chain {LOG.ledger.genesis.chain.hex()}", f"# chain {'0' * 64}")
    statement = verify_entry(LOG.quorum_proof.text().encode(), other.encode(), now_ms=NOW_MS)
    assert statement.exit_code == 4
    assert "chain" in statement.reason


@pytest.mark.parametrize("part", ["record", "position", "path", "entry"])
def test_what_the_proof_carries_is_not_trusted(part: str) -> None:
    """Nobody has signed `extra`: another record, place, path or entry in it is found out."""
    proof = LOG.quorum_proof
    assert proof.extra is not None
    extra = decode(ProofExtra, proof.extra)
    assert extra.record is not None
    fields = {"entry": extra.entry, "record": extra.record}
    record = {"record": extra.record.record, "position": extra.record.position, "path": extra.record.path}
    if part == "record":
        record["record"] = LOG.ledger.envelopes[ISSUE_INDEX].records[0]
    elif part == "position":
        record["position"] = 0
    elif part == "path":
        record["path"] = tuple(map(turned, extra.record.path))
    else:
        fields["entry"] = LOG.ledger.entries[ISSUE_INDEX - 2]
    fields["record"] = type(extra.record)(**record)
    changed = replace(proof, extra=ProofExtra(**fields).encode())
    assert verdict_of(changed) is Verdict.REFUTED


def test_a_foreign_proof_without_its_entry_cannot_be_read_here() -> None:
    """Other tools are given the entry beside the proof; this reader says so instead of guessing."""
    for extra in (None, b"something else"):
        bare = verify_entry(replace(LOG.quorum_proof, extra=extra).text().encode(), LOG.policy.encode(), now_ms=NOW_MS)
        assert (bare.exit_code, bare.established) == (4, None)


def torsioned(seed: bytes, message: bytes) -> bytes:
    """Return a signature that ZIP-215 accepts and OpenSSL refuses: R has a part of small order."""
    secret = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & ((1 << 254) - 8) | 1 << 254
    nonce = edwards.encode_point(edwards.add(edwards.multiply(7, edwards.BASE_POINT), SMALL_ORDER_POINTS[1]))
    public = SigningKey.from_seed(seed).public
    challenge = int.from_bytes(hashlib.sha512(nonce + public + message).digest(), "little")
    return nonce + ((7 + challenge * secret) % edwards.GROUP_ORDER).to_bytes(32, "little")


@pytest.mark.parametrize("line", [0, 3], ids=["log", "cosigner"])
def test_a_line_that_only_zip215_accepts_does_not_count(line: int) -> None:
    """What leaves the network must verify with plain OpenSSL, or other people's tools would refuse it."""
    proof = LOG.quorum_proof
    lines = list(proof.checkpoint.lines)
    purpose = "log" if line == 0 else "cosigner"
    seed = sha256(f"{LOG.ledger.genesis.name}/{LOG.code(max(line - 1, 0))}/{purpose}".encode())
    time = lines[line].signature[:8] if line else b""
    body = proof.checkpoint.body
    message = cosigned_bytes(body, int.from_bytes(time, "big")) if line else body.encode()
    signature = torsioned(seed, message)
    verify_signature(SigningKey.from_seed(seed).public, message, signature)
    lines[line] = lines[line]._replace(signature=time + signature)
    assert verdict_of(with_lines(proof, tuple(lines))) is Verdict.REFUTED


@pytest.mark.parametrize("length", [0, 8, 63, 64, 71, 73, 80])
def test_a_line_of_another_length_does_not_count(length: int) -> None:
    """A cosignature has 72 bytes and a log's line 64; a known key with another length is no line of these types."""
    proof = LOG.quorum_proof
    lines = proof.checkpoint.lines
    short = lines[-1]._replace(signature=bytes(length) or b"\x00")
    assert verdict_of(with_lines(proof, (*lines[:-1], short))) is Verdict.REFUTED


def test_a_time_beyond_63_bits_does_not_count() -> None:
    """C2SP tlog-cosignature: the time must not exceed 2^63 - 1, even where the signature over it is right."""
    checkpoint = LOG.quorum_proof.checkpoint
    validator = LOG.view.validators.validators[0]
    signer = SigningKey.from_seed(sha256(f"{LOG.ledger.genesis.name}/{LOG.code(0)}/cosigner".encode()))
    for time_s, verdict in ((2**63 - 1, Verdict.ESTABLISHED), (2**63, Verdict.REFUTED)):
        name = LOG.view.validators.cosigner_name(0)
        text = checkpoint_text(checkpoint.origin, checkpoint.size, checkpoint.root)
        line = cosignature_line(name, validator.cosigner, time_s, signer.sign(cosigned_bytes(text, time_s)))
        (late,) = parse_note(f"{text}\n{line}\n").lines
        lines = (checkpoint.lines[0], late, *checkpoint.lines[2:])
        assert verdict_of(with_lines(LOG.quorum_proof, lines)) is verdict


def test_every_statement_follows_the_published_schema() -> None:
    """docs/mulu.entry-statement-1.schema.json: of what is good, refused, changed, foreign and unreadable."""
    path = Path(__file__).resolve().parents[2] / "docs" / "mulu.entry-statement-1.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    note = LOG.quorum_proof.checkpoint
    proofs = [LOG.quorum_proof, LOG.proof(note, position=0), LOG.proof(note, 9, None)]
    proofs += [proof for _, proof in (*spoilt(LOG, LOG.quorum_proof), *spoilt_quorum(LOG, LOG.quorum_proof))]
    texts = [*(proof.text().encode() for proof in proofs), b"", b"c2sp.org/tlog-proof@v1\n\xff", b"{}"]
    verdicts = set()
    for text in texts:
        statement = verify_entry(text, LOG.policy.encode(), now_ms=NOW_MS)
        validator.validate(statement.as_json())
        verdicts.add(statement.verdict)
    assert verdicts == set(Verdict)
    shown = verify_entry(texts[0], LOG.policy.encode(), now_ms=NOW_MS).as_json()
    for wrong in ({"verdict": "valid"}, {"remark": 1}, {"reason": "none"}, {"log_index": None}, {"not_checked": []}):
        assert not validator.is_valid({**shown, **wrong})


TEXT = LOG.quorum_proof.text().encode()


@given(st.integers(min_value=0, max_value=len(TEXT) - 1), st.integers(min_value=0, max_value=255))
def test_a_changed_byte_never_gives_a_traceback_nor_another_fact(position: int, byte: int) -> None:
    """A proof that still stands after a byte was changed states what it stated before."""
    changed = TEXT[:position] + bytes([byte]) + TEXT[position + 1 :]
    statement = verify_entry(changed, LOG.policy.encode(), now_ms=NOW_MS)
    if statement.established:
        original = verify_entry(TEXT, LOG.policy.encode(), now_ms=NOW_MS)
        assert statement.entry == original.entry
    assert statement.exit_code in (0, 3, 4)
