"""What a run of four departments leaves behind, put together from the real byte forms without a running member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from ledger.blocks.block import Block, BlockHeader, payload_root, proposal_signing_bytes
from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.blocks.envelope import Envelope
from ledger.blocks.log import BlockRecord, ExecutedBlock
from ledger.consensus.messages import CommitInfo, Justification, QuorumCertificate, VoteData, genesis_certificate
from ledger.crypto.suites import ED25519_SHA256
from ledger.encoding import Canonical, decode
from ledger.identifiers import Digest, Height
from ledger.members.calendar import parse_day
from ledger.members.validators import ValidatorSet
from ledger.proofs.bundle import build_bundle
from ledger.proofs.policy import make_policy
from ledger.storage.frames import Frame, FrameChain, FrameKind, first_link
from scenarios.evidence.checks import Acknowledged, Bundle, Evidence, Planted, run_checks
from scenarios.evidence.forms import EvidenceError
from scenarios.evidence.journal import read_journal
from scenarios.evidence.network import read_genesis, read_working_days
from tests.proofs.memory_ledger import (
    APPROVAL,
    BLOCK_MS,
    IDENTIFIER,
    OTHER_RESPONSIBILITY,
    RESPONSIBILITY,
    TYPE,
    MemoryLedger,
    issue,
)
from tests.proofs.small_network import MARKET_REGULATION, PUBLIC_SECURITY, REGISTRAR, cosign, found, key

T = TypeVar("T", bound=Canonical)

GENESIS = found()
VALIDATORS = ValidatorSet.of_genesis(GENESIS)
CODES = {founder.credit_code: founder.code for founder in GENESIS.founders}
NODES = tuple(CODES[validator.credit_code] for validator in VALIDATORS.validators)
LAST = NODES[-1]
"""The node whose journal is spoilt; ties between journals go to the first, so the others speak for the ledger."""

TYPE_DEFINED_BEFORE = 103


class RecordedLedger(MemoryLedger):
    """A ledger in memory that also keeps the frames of a member which saw every proposal, vote and checkpoint."""

    def __init__(self) -> None:
        super().__init__(GENESIS)
        genesis_record = decode(BlockRecord, self.entries[0])
        self.frames = [executed_frame(genesis_record, ())]
        self.certificate = genesis_certificate(GENESIS.chain)
        self._voted = CommitInfo(
            height=0, block=Digest(GENESIS.chain), payload_root=Digest(bytes(32)), time_ms=GENESIS.created_ms
        )

    def execute(
        self, *envelopes: Envelope, time_ms: int | None = None, carried: QuorumCheckpoint | None = None
    ) -> None:
        """Propose, vote for and execute one block with these envelopes, which carries this checkpoint."""
        block = self.propose(*envelopes, time_ms=time_ms, carried=carried)
        _, execution = self.put_block(block.header, block.payload)
        self.frames.append(executed_frame(execution.record, execution.results))

    def propose(
        self, *envelopes: Envelope, time_ms: int | None = None, carried: QuorumCheckpoint | None = None
    ) -> Block:
        """Return the next block, certified by a quorum and kept in the journal. It is not executed here."""
        payload = [envelope.encode() for envelope in envelopes]
        height = self.state.height + 1
        header = BlockHeader(
            chain=Digest(GENESIS.chain),
            epoch=0,
            round=height,
            height=height,
            parent=Digest(self.parent),
            author=height % len(NODES),
            justification=Justification(parent_qc=self.certificate, timeout_certificate=None).encode(),
            payload_root=payload_root(payload),
            payload_count=len(payload),
            checkpoint=carried,
            time_ms=self.state.time_ms + BLOCK_MS if time_ms is None else time_ms,
        )
        author = key(GENESIS.name, NODES[header.author], "consensus")
        signature = author.sign(proposal_signing_bytes(header.id))
        block = Block(header=header, suite=ED25519_SHA256, signature=signature, payload=tuple(payload))
        self.frames.append(Frame(FrameKind.BLOCK, Height(height), block.encode()))
        vote = VoteData(
            epoch=0,
            round=header.round,
            block=header.id,
            parent_round=header.round - 1,
            parent=header.parent,
            commit=self._voted,
        )
        self.certificate = certify(vote)
        self._voted = CommitInfo(
            height=height, block=header.id, payload_root=header.payload_root, time_ms=header.time_ms
        )
        return block

    def finish(self) -> None:
        """Let an empty block commit the last executed one, and keep the last checkpoint."""
        self.propose()
        self.frames.append(certificate_frame(self.certificate))
        self.frames.append(checkpoint_frame(self.view().checkpoint))


@dataclass
class SmallRun:
    """A run's evidence, each node's journal still as frames, so that a test can spoil one of them."""

    journals: dict[str, list[Frame]]
    evidence: Evidence
    spoil_bytes: Callable[[bytes], bytes] = field(default=lambda data: data)
    """What happens to the bytes of the last node's journal."""

    def read(self) -> Evidence:
        """Return the evidence with the journals read from their bytes."""
        self.evidence.journals, self.evidence.unreadable = [], []
        for node, frames in self.journals.items():
            data = encode_frames(frames)
            try:
                data = self.spoil_bytes(data) if node == LAST else data
                self.evidence.journals.append(read_journal(node, data, chain=GENESIS.chain))
            except EvidenceError as error:
                self.evidence.unreadable.append(str(error))
        return self.evidence

    def failed(self) -> set[str]:
        """Return the names of the checks that do not hold."""
        return {result.name for result in run_checks(self.read()) if not result.ok}

    def spoil(self, kind: FrameKind, height: int, change: Callable[[bytes], bytes | None], node: str = LAST) -> None:
        """Replace the payload of the one frame of this kind and height, or drop the frame where `change` gives None."""
        (place,) = [i for i, frame in enumerate(self.journals[node]) if (frame.kind, frame.height) == (kind, height)]
        payload = change(self.journals[node][place].payload)
        self.journals[node][place : place + 1] = [] if payload is None else [Frame(kind, Height(height), payload)]


def record_run(
    extra: Callable[[RecordedLedger], None] = lambda ledger: None,
) -> RecordedLedger:
    """Return a ledger of five blocks, after which `extra` may execute more: a certificate, and two wrong records."""
    ledger = RecordedLedger()
    ledger.execute(ledger.sign(MARKET_REGULATION, RESPONSIBILITY), ledger.sign(PUBLIC_SECURITY, OTHER_RESPONSIBILITY))
    ledger.execute(ledger.sign(REGISTRAR, APPROVAL))
    ledger.execute(ledger.sign(MARKET_REGULATION, TYPE), carried=ledger.view().checkpoint)
    ledger.execute(ledger.sign(MARKET_REGULATION, TYPE, issue(), TYPE))
    ledger.execute()
    extra(ledger)
    ledger.finish()
    return ledger


@cache
def _good_run() -> SmallRun:
    return run_of(record_run())


def good_run() -> SmallRun:
    """Return a run for which every check holds, to be spoilt at will."""
    return deepcopy(_good_run())


def run_of(ledger: RecordedLedger) -> SmallRun:
    """Return the run that leaves this ledger in all journals, all of it acknowledged and the errors planted."""
    acknowledged = [
        Acknowledged(envelope=ledger.envelopes[index].header.id, height=height, log_index=index, results=results)
        for height, index, results in _executed(ledger)
    ]
    issued = acknowledged[4]
    replayed = acknowledged[0].envelope
    planted = [
        Planted("type_defined_before", TYPE_DEFINED_BEFORE, "execution", issued.envelope, 0, ""),
        Planted("type_defined_before", TYPE_DEFINED_BEFORE, "execution", issued.envelope, 2, ""),
        Planted("replayed_envelope", 0, "gateway", replayed, 0, "replayed_envelope"),
        Planted("wrong_chain", 0, "gateway", bytes(32), 0, "wrong_chain"),
    ]
    now_ms = ledger.state.time_ms + 1_000
    evidence = Evidence(
        signers=read_genesis(GENESIS.encode()),
        journals=(),
        acknowledged=acknowledged,
        planted=planted,
        planted_expected={"type_defined_before": 2, "replayed_envelope": 1, "wrong_chain": 1},
        bundles=[Bundle("licence.json", build_bundle(ledger.view(), IDENTIFIER), now_ms)],
        bundle_types_expected=1,
        policy=make_policy(VALIDATORS, GENESIS.founders, parse_day("2027-12-31")),
        calendar=read_working_days(GENESIS.encode()),
    )
    return SmallRun({node: list(ledger.frames) for node in NODES}, evidence)


def _executed(ledger: RecordedLedger) -> Sequence[tuple[int, int, bytes]]:
    """Return height, log index and results of each envelope on the ledger."""
    found, index = [], 1
    for frame in ledger.frames:
        if frame.kind is FrameKind.EXECUTED and frame.height:
            for results in decode(ExecutedBlock, frame.payload).results:
                found.append((int(frame.height), index, results))
                index += 1
            index += 1
    return found


def certify(vote: VoteData, voters: Sequence[int] = (0, 1, 3)) -> QuorumCertificate:
    """Return the certificate of these validators' votes."""
    message = vote.signing_bytes(GENESIS.chain)
    signatures = [key(GENESIS.name, NODES[voter], "consensus").sign(message) for voter in voters]
    return QuorumCertificate(vote=vote, voters=tuple(voters), signatures=b"".join(signatures))


def checkpoint_over(root: bytes, *, size: int, height: int) -> QuorumCheckpoint:
    """Return a checkpoint that all validators cosigned, whether or not any log has this root."""
    return cosign(GENESIS, size, Digest(root), height=height, time_ms=GENESIS.created_ms)


def executed_frame(record: BlockRecord, results: Sequence[bytes]) -> Frame:
    """Return the frame of an executed height."""
    executed = ExecutedBlock(results=tuple(results), record=record)
    return Frame(FrameKind.EXECUTED, Height(record.height), executed.encode())


def certificate_frame(certificate: QuorumCertificate) -> Frame:
    """Return the frame of a certificate, at the height that it certifies."""
    commit = certificate.vote.commit
    return Frame(FrameKind.QUORUM_CERTIFICATE, Height(commit.height + 1 if commit else 0), certificate.encode())


def checkpoint_frame(checkpoint: QuorumCheckpoint) -> Frame:
    """Return the frame of a checkpoint."""
    return Frame(FrameKind.CHECKPOINT, Height(checkpoint.height), checkpoint.encode())


def encode_frames(frames: Sequence[Frame]) -> bytes:
    """Return the bytes of a journal with these frames."""
    chain = FrameChain(first_link(GENESIS.chain))
    return b"".join(chain.encode(frame) for frame in frames)


def rewrite(kind: type[T], change: Callable[[T], T]) -> Callable[[bytes], bytes]:
    """Return the change of a payload that decodes it, changes it, and encodes it again."""
    return lambda payload: change(decode(kind, payload)).encode()
