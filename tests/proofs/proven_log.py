"""A log with a certificate in it, its proofs and its policies, for any number of departments; and proofs gone wrong."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from ledger.blocks.checkpoint import NOTE_COSIGNATURE, cosignature_line, cosigned_bytes, key_hash, log_line
from ledger.crypto.hashing import sha256
from ledger.identifiers import CreditCode, Digest
from ledger.members.calendar import Day, parse_day
from ledger.proofs.notes import SignatureLine, SignedCheckpoint, parse_note
from ledger.proofs.policy import make_policy, parse_policy
from ledger.proofs.tlog_proof import TlogProof, prove_entry
from ledger.proofs.tools_policy import WITNESSES_MAX, make_tools_policy, tools_threshold
from tests.proofs.memory_ledger import MemoryLedger, MemoryView, ledger_with_certificate
from tests.proofs.small_network import CREATED_MS, found, key, members_with

VALID_UNTIL: Day = parse_day("2027-12-31")
NOW_MS = CREATED_MS + 600_000

ISSUE_INDEX, ISSUE_POSITION = 8, 1
"""Where the ledger has the issue of the certificate: the second of three records of which two are refused."""


@dataclass(frozen=True)
class ProvenLog:
    """The ledger of one network, and who signs for it."""

    ledger: MemoryLedger
    view: MemoryView
    policy: str
    tools_policy: str

    def note(self, *indices: int, log: int = 0) -> SignedCheckpoint:
        """Return the checkpoint with the line of the log key of one validator and the cosignatures of others."""
        validators, checkpoint = self.view.validators, self.view.checkpoint
        text = SignedCheckpoint(origin=validators.origin, size=checkpoint.size, root=checkpoint.root, lines=()).body
        signer = key(self.ledger.genesis.name, self.code(log), "log")
        lines = [log_line(validators.origin, signer.public, signer.sign(text.encode()))]
        for index in indices:
            signed = checkpoint.cosignatures[index]
            public = validators.validators[index].cosigner
            lines.append(cosignature_line(validators.cosigner_name(index), public, signed.time_s, signed.signature))
        return parse_note(text + "\n" + "".join(f"{line}\n" for line in lines))

    def code(self, index: int) -> str:
        """Return the short code of a validator."""
        codes = {founder.credit_code: founder.code for founder in self.ledger.genesis.founders}
        return codes[self.view.validators.validators[index].credit_code]

    def proof(
        self, note: SignedCheckpoint, index: int = ISSUE_INDEX, position: int | None = ISSUE_POSITION
    ) -> TlogProof:
        """Return the proof of an entry, by default that of the certificate's issue, under a note."""
        return prove_entry(self.view, index, note.text(), position=position)

    @property
    def quorum_proof(self) -> TlogProof:
        """The proof that a bundle's checkpoint would go with: a quorum of all departments."""
        return self.proof(self.note(*range(self.view.validators.quorum)))

    @property
    def tools_proof(self) -> TlogProof:
        """The proof for the tools' policy, by the last of the named, whom a quorum in order would leave out."""
        named = range(min(len(self.view.validators), WITNESSES_MAX))
        return self.proof(self.note(*named[-tools_threshold(len(self.view.validators)) :], log=named[-1]))


@cache
def proven_log(validators: int, name: str = "mulu.test.example") -> ProvenLog:
    """Return the log of a network with so many validators."""
    genesis = found(name, members_with(validators))
    ledger = ledger_with_certificate(genesis)
    view = ledger.view()
    policy = make_policy(view.validators, genesis.founders, VALID_UNTIL)
    urls = {CreditCode(v.credit_code): f"https://gateway.example/{v.credit_code}" for v in view.validators.validators}
    return ProvenLog(ledger, view, policy, make_tools_policy(parse_policy(policy), urls))


def spoilt(log: ProvenLog, proof: TlogProof) -> Iterator[tuple[str, TlogProof]]:
    """Yield the proof changed in ways that no verifier may accept; each keeps the form of a proof."""
    note = proof.checkpoint
    yield "another index", replace(proof, index=proof.index ^ 1)
    yield "a path without its last hash", replace(proof, path=proof.path[:-1])
    yield "a path with one hash more", replace(proof, path=(*proof.path, Digest(sha256(b"more"))))
    yield "a turned bit in the path", replace(proof, path=(turned(proof.path[0]), *proof.path[1:]))
    yield "another root, signatures as they were", with_note(proof, replace(note, root=turned(note.root)))
    yield "another size, signatures as they were", with_note(proof, replace(note, size=note.size + 1))
    yield "another origin, signatures as they were", with_note(proof, replace(note, origin=note.origin[:-1] + "x"))
    lines = note.lines
    yield "no line of the log", with_lines(proof, lines[1:])
    bad_log = lines[0]._replace(signature=turned(lines[0].signature))
    yield "a log's line that does not verify", with_lines(proof, (bad_log, *lines[1:]))
    stranger = key("a stranger", "log")
    text = note.body.encode()
    own_key = parse_note(note.body + "\n" + log_line(note.origin, stranger.public, stranger.sign(text)) + "\n").lines
    yield "a log's line by a key that came with the proof", with_lines(proof, (*own_key, *lines[1:]))


def spoilt_quorum(log: ProvenLog, proof: TlogProof) -> Iterator[tuple[str, TlogProof]]:
    """Yield the proof, which has cosignatures by no more than are needed, with one that does not count."""
    note, lines = proof.checkpoint, proof.checkpoint.lines
    yield "one cosigner too few", with_lines(proof, lines[:-1])
    yield "one cosigner twice", with_lines(proof, (*lines[:-1], lines[1]))
    later = lines[-1]._replace(signature=int(NOW_MS).to_bytes(8, "big") + lines[-1].signature[8:])
    yield "a cosignature with another time", with_lines(proof, (*lines[:-1], later))
    stranger = key("a stranger", "cosigner")
    name = lines[-1].name
    time_s = NOW_MS // 1000
    forged = SignatureLine(
        name,
        key_hash(name, NOTE_COSIGNATURE, stranger.public),
        time_s.to_bytes(8, "big") + stranger.sign(cosigned_bytes(note.body, time_s)),
    )
    yield "a cosigner's name with a key that came with the proof", with_lines(proof, (*lines[:-1], forged))


def with_note(proof: TlogProof, note: SignedCheckpoint) -> TlogProof:
    """Return the proof under another checkpoint."""
    return replace(proof, checkpoint=note)


def with_lines(proof: TlogProof, lines: tuple[SignatureLine, ...]) -> TlogProof:
    """Return the proof with other signature lines."""
    return with_note(proof, replace(proof.checkpoint, lines=lines))


def turned(data: bytes) -> Digest:
    """Return the bytes with the lowest bit of the last turned."""
    return Digest(data[:-1] + bytes([data[-1] ^ 1]))


def as_case(name: str, log: ProvenLog, proof: TlogProof, policy: str, entry: bytes | None = None) -> dict[str, str]:
    """Return a case as the programs in `tests/foreign/go` read it; the entry is that of the issue if not given."""
    entry = log.ledger.entries[ISSUE_INDEX] if entry is None else entry
    parts = {"entry": entry, "proof": proof.text().encode(), "policy": policy.encode()}
    return {"name": name, **{part: base64.b64encode(data).decode() for part, data in parts.items()}}
