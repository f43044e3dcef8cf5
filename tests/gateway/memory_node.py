"""A node for the tests of the gateway: real execution, log, proofs and index in one process, without consensus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from ledger.blocks.block import Block
from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.blocks.envelope import Envelope
from ledger.blocks.genesis import Genesis
from ledger.blocks.record import Record
from ledger.blocks.refusals import EnvelopeRefusal, RecordRefusal
from ledger.consensus.effects import Executed
from ledger.crypto.signatures import Signer, verify_batch
from ledger.crypto.sparse_tree import SparseTree, StateProof
from ledger.encoding import decode
from ledger.identifiers import CreditCode, EnvelopeId, Height
from ledger.proofs.notes import note_of
from ledger.proofs.policy import parse_policy
from ledger.proofs.tools_policy import make_tools_policy
from ledger.replica import EnvelopeStatus, NotAdmittedError, PoolFullError, Receipt
from ledger.replica.admission import signing_key
from ledger.state.store import key_digest
from ledger.validation.envelopes import prepare_envelope
from nodes.gateway.node_view import PeerStatus
from nodes.gateway.progress import Progress
from nodes.index import QueryIndex
from nodes.network import policy_of
from nodes.observe import Gauges, NodeMetrics
from tests.proofs import small_network
from tests.proofs.memory_ledger import MemoryLedger, MemoryView
from tests.proofs.small_network import GOVERNMENT_SERVICES, MEMBERS, Member, key

POOL_MAX = 3


@cache
def _genesis() -> Genesis:
    """Return the genesis; made once, because checking its keys takes a while."""
    return small_network.found()


@dataclass
class AttestedView(MemoryView):
    """The ledger as of a checkpoint that blocks have followed."""

    tree: SparseTree

    def prove(self, key: bytes) -> StateProof:
        return self.tree.prove(key_digest(key))

    def history(self, key: bytes) -> Sequence[tuple[int, int]]:
        return [place for place in super().history(key) if place[0] < self.checkpoint.size]


class MemoryNode(MemoryLedger):
    """A ledger with a pool, an index and everything else that a gateway asks for; blocks come when a test says so."""

    def __init__(self, folder: Path) -> None:
        super().__init__(_genesis())
        self.me = GOVERNMENT_SERVICES.credit_code
        self.path = folder / "index.db"
        self.index = QueryIndex.open(self.path, chain=self.genesis.chain, journal_height=Height(0))
        self.progress = Progress()
        self.metrics = NodeMetrics(self._gauges)
        self.index.on_indexed = lambda _, counts: self.metrics.count_records(counts)
        self.attested: AttestedView | None = None
        self.executed: list[Executed] = []
        self.pool: dict[EnvelopeId, bytes] = {}
        self.reasons: list[str] = []
        self._places: dict[EnvelopeId, tuple[Height, int, int, bytes]] = {}

    # What tests do.

    def raw(self, member: Member, *records: Record) -> bytes:
        """Return the bytes of an envelope."""
        return self.sign(member, *records).encode()

    def execute(self, *envelopes: Envelope, time_ms: int | None = None) -> None:
        """Execute a block and wait until the index has it."""
        payload = tuple(envelope.encode() for envelope in envelopes)
        header, first = self.next_header(payload, time_ms), len(self.entries)
        block, execution = self.put_block(header, payload)
        for number, found in enumerate(block.envelopes):
            place = (execution.height, first + number, header.time_ms, execution.results[number])
            self._places.setdefault(found.id, place)
            self.pool.pop(found.id, None)
        effect = Executed(
            height=execution.height,
            block=Block(header=header, suite=1, signature=bytes(64), payload=payload),
            record=execution.record,
            results=execution.results,
            entries=execution.entries,
            first_index=first,
            touched=execution.touched,
            touched_by_deadlines=execution.touched_by_deadlines,
        )
        self.executed.append(effect)
        self.index.executed(effect)
        self.index.flush()
        self.progress.advance()

    def execute_pool(self) -> None:
        """Execute a block of all that waits."""
        self.execute(*(decode(Envelope, raw) for raw in list(self.pool.values())))

    def cosign(self) -> None:
        """Let everybody cosign the log as it stands."""
        view = self.view()
        self.attested = AttestedView(self, view.checkpoint, view.tree_values, self.state.tree)
        self.progress.advance()

    def forget(self) -> None:
        """Forget where envelopes stand, as a member does with old ones."""
        self._places.clear()

    def close(self) -> None:
        """End streams and close the index."""
        self.progress.close()
        self.index.close()

    # What the gateway asks (`nodes.gateway.node_view.NodeView`).

    @property
    def checkpoint(self) -> QuorumCheckpoint | None:
        return None if self.attested is None else self.attested.checkpoint

    def log_note(self) -> str | None:
        if (view := self.attested) is None:
            return None
        public, signature = view.log_signature
        return note_of(view.validators, view.checkpoint, log_public=public, log_signature=signature)

    def policy(self) -> str:
        return policy_of(self.genesis, self.state.validators)

    def tools_policy(self) -> str:
        policy = parse_policy(self.policy())
        return make_tools_policy(policy, {code: f"http://{code}.test" for code, _ in policy.cosigners})

    @property
    def log_signer(self) -> Signer | None:
        return key(self.genesis.name, "BM", "log")

    def cosigned_sizes(self) -> Sequence[int]:
        return [] if self.attested is None else [self.attested.checkpoint.size]

    def own_note(self, size: int) -> str | None:
        if (view := self.attested) is None or size != view.checkpoint.size:
            return None
        index = view.validators.index_of(self.me)
        assert index is not None
        alone = msgspec.structs.replace(view.checkpoint, cosignatures=(view.checkpoint.cosignatures[index],))
        public, signature = view.log_signature
        return note_of(view.validators, alone, log_public=public, log_signature=signature)

    def submit(self, raw: bytes) -> EnvelopeId:
        """Admit an envelope by the rules that its execution would apply."""
        prepared = prepare_envelope(raw, self.genesis.chain)
        if None in prepared.records:
            raise NotAdmittedError(RecordRefusal.MALFORMED_RECORD)
        public = signing_key(prepared.envelope.header, self.state)
        if not verify_batch([(public, prepared.id, prepared.envelope.signature)])[0]:
            raise NotAdmittedError(EnvelopeRefusal.BAD_SIGNATURE)
        if len(self.pool) >= POOL_MAX:
            raise PoolFullError("the pool is full")
        self.pool[prepared.id] = raw
        return prepared.id

    def status_of(self, envelope: EnvelopeId) -> EnvelopeStatus:
        if envelope in self.pool:
            return EnvelopeStatus("pooled", None)
        if (place := self._places.get(envelope)) is None:
            return EnvelopeStatus("unknown", None)
        covered = self.checkpoint is not None and place[0] <= self.checkpoint.height
        return EnvelopeStatus("receipt" if covered else "committed", place[0])

    def receipt(self, envelope: EnvelopeId) -> Receipt | None:
        note, checkpoint = self.log_note(), self.checkpoint
        if self.status_of(envelope).stage != "receipt" or note is None or checkpoint is None:
            return None
        height, index, time_ms, results = self._places[envelope]
        path = self.log.inclusion_path(index, checkpoint.size)
        return Receipt(envelope, height, time_ms, index, results, self.entries[index], path, checkpoint, note)

    def peers(self) -> Sequence[PeerStatus]:
        others = [member for member in MEMBERS if member.votes and member.credit_code != self.me]
        return [PeerStatus(member.code, CreditCode(member.credit_code), True) for member in others]

    def why_not_ready(self) -> Sequence[str]:
        return self.reasons

    def _gauges(self) -> Gauges:
        return Gauges(
            height=int(self.state.height),
            checkpoint_height=0 if self.checkpoint is None else self.checkpoint.height,
            round=int(self.state.height),
            pool_envelopes=len(self.pool),
            peers_connected=3,
            peers_expected=3,
            journal_bytes=12_345,
            index_height=int(self.index.height),
            index_failed=bool(self.index.failure),
            frames_dropped={"AY": 2},
            sync_times_s=(0.003,),
        )
