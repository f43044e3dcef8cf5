"""One whole member without I/O: what comes in are events and the time, what goes out are effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ledger.blocks.checkpoint import (
    QuorumCheckpoint,
)
from ledger.blocks.genesis import Genesis
from ledger.blocks.log import BlockRecord, ExecutedBlock
from ledger.consensus.certificates import Verifier, VerifyStrict
from ledger.consensus.cosigning import OwnCosignatures
from ledger.consensus.effects import (
    Append,
    Effect,
    Executed,
)
from ledger.consensus.engine import Engine, Timing
from ledger.consensus.events import Event, MessageReceived, PeerConnected, PeerDisconnected, TimerFired
from ledger.consensus.jolteon import Jolteon
from ledger.consensus.leader import LeaderChoice, Reputation
from ledger.consensus.messages import EnvelopeBatch, Proposal
from ledger.consensus.safety import Safety
from ledger.consensus.solo import Solo
from ledger.crypto.merkle import LogTree
from ledger.crypto.signatures import Signer, verify_batch, verify_strict
from ledger.errors import InvalidInputError, InvariantBrokenError
from ledger.identifiers import CreditCode, Digest, EnvelopeId, Height
from ledger.members.founding import NodeSigners
from ledger.members.validators import ValidatorSet
from ledger.replica.admission import is_unused, known_key
from ledger.replica.attested import AttestedView
from ledger.replica.cache import MemberCache, RememberingVerifier
from ledger.replica.history import BlockArchive, History
from ledger.replica.intake import SPREAD_AGAIN_TIMER, SPREAD_TIMER, Intake
from ledger.replica.notary import Notary, Receipt
from ledger.replica.signatures import SLOW_CHECKS_MAX, SignatureChecks
from ledger.state.prepared import PreparedBlock, VerifyBatch
from ledger.state.store import State
from ledger.storage.frames import Frame, FrameKind
from ledger.storage.safety_slots import SlotsRead


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What one member may choose without the others."""

    archive: BlockArchive | None = None
    """Where committed blocks are read from; None keeps them in memory."""
    leaders: Callable[[ValidatorSet], LeaderChoice] = Reputation
    """Must be the same at all members: it decides which proposals are valid."""
    remembers_signatures: bool = True
    """Whether what was verified at admission is not verified again; turned off to measure what that saves."""


@dataclass(frozen=True, slots=True)
class EnvelopeStatus:
    """How far an envelope has come."""

    stage: Literal["pooled", "committed", "receipt", "expired", "unknown"]
    """`expired` only once a quorum checkpoint covers a height beyond its valid-until without it."""
    height: Height | None
    """Of the block that holds it."""


class Replica:
    """One member: pool, engine, execution, log, checkpoints, catch-up.

    `recover` comes first and once, then `start`, then events and submissions in any order.
    """

    def __init__(
        self,
        *,
        genesis: Genesis,
        me: CreditCode | None,
        signers: NodeSigners | None,
        verify: VerifyBatch = verify_batch,
        strict: VerifyStrict = verify_strict,
        shared: MemberCache | None = None,
        options: Options | None = None,
    ) -> None:
        """Begin at the genesis.

        Args:
            me: The department whose node this is; None, or one without a vote, for an observer.
            signers: Its keys; None for an observer.
            verify, strict: The two rules of acceptance for signatures (`ledger.crypto.signatures`).
            shared: One cache for several members in one process; results are the same without it.

        Raises:
            ValueError: The engine that the genesis names is not known.
        """
        self._options = options or Options()
        self._cache = shared or MemberCache()
        self._verify: VerifyBatch = (
            RememberingVerifier(verify, self._cache) if self._options.remembers_signatures else verify
        )
        self._strict = strict
        self._signatures = SignatureChecks(self._verify, strict, self._cache)
        self._genesis = genesis
        self.validators = ValidatorSet.of_genesis(genesis)
        self._me = self.validators.index_of(me) if me is not None else None
        self._signers = signers
        self.history = History(genesis, verify=self._verify, cache=self._cache, archive=self._options.archive)
        safety = self._make_safety()
        self._notary = Notary(
            self.history,
            self.validators,
            signer=self.log_signer,
            cosigned=safety.cosigned if safety is not None else OwnCosignatures(),
        )
        self._intake = Intake(
            self.history,
            chain=self.validators.chain,
            base_timeout_ms=genesis.parameters.base_timeout_ms,
            strict=strict,
            signatures=self._signatures,
            cache=self._cache,
        )
        self.pool = self._intake.pool
        self._recovering = False
        self._executed_again: list[Effect] = []
        self._on_executed: Callable[[Executed], object] = self._executed_again.append
        founded = ExecutedBlock(results=(), record=self.history.head).encode()
        self._unjournaled: dict[int, Append] = {0: Append(Frame(FrameKind.EXECUTED, Height(0), founded))}
        """Executions that the journal does not hold yet. The genesis record is the first frame of every journal."""
        self.engine = self._make_engine(safety)

    def _make_safety(self) -> Safety | None:
        if self._me is None or self._signers is None:
            return None
        return Safety(
            validators=self.validators,
            me=self._me,
            consensus=self._signers.consensus,
            cosigner=self._signers.cosigner,
        )

    def _make_engine(self, safety: Safety | None) -> Engine:
        timing = Timing.of(self._genesis.parameters)
        verifier = Verifier(self.validators, batch=self._verify, strict=self._strict, cache=self._cache)
        name = self._genesis.parameters.engine
        if name == "jolteon":
            return Jolteon(
                verifier=verifier,
                safety=safety,
                leaders=self._options.leaders(self.validators),
                timing=timing,
                created_ms=self._genesis.created_ms,
                application=self,
                cache=self._cache,
            )
        if name == "solo":
            return Solo(
                validators=self.validators,
                safety=safety,
                timing=timing,
                created_ms=self._genesis.created_ms,
                application=self,
            )
        raise ValueError(f"engine {name!r} is not known; jolteon and solo are")

    # What can be read

    @property
    def state(self) -> State:
        """The state as of the newest executed block. For reading."""
        return self.history.state

    @property
    def log(self) -> LogTree:
        """The tree over the leaf hashes of all entries. For reading."""
        return self.history.log

    @property
    def height(self) -> Height:
        """Of the newest executed block."""
        return self.history.state.height

    @property
    def head(self) -> BlockRecord:
        """Block record of the newest executed block."""
        return self.history.head

    @property
    def checkpoint(self) -> QuorumCheckpoint | None:
        """The largest checkpoint with a quorum that this member has executed as far as it reaches."""
        return self.engine.checkpoint

    @property
    def attested(self) -> AttestedView | None:
        """This member as of that checkpoint; None before the first, and for an observer, which has no log key."""
        checkpoint = self.checkpoint
        return None if checkpoint is None else self._notary.attested(checkpoint)

    def inclusion(self, index: int, size: int) -> tuple[Digest, ...]:
        """Return the inclusion path of log entry `index` in the tree of `size` entries.

        Raises:
            ValueError: The log is not that large.
        """
        return self.log.inclusion_path(index, size)

    def receipt(self, envelope: EnvelopeId) -> Receipt | None:
        """Return the receipt of an envelope committed recently; None until a quorum checkpoint covers it."""
        checkpoint = self.checkpoint
        return None if checkpoint is None else self._notary.receipt(envelope, checkpoint)

    def status_of(self, envelope: EnvelopeId) -> EnvelopeStatus:
        """Return what this member can say of an envelope; of older committed ones the index knows more."""
        placement, checkpoint = self.history.placement(envelope), self.checkpoint
        if placement is not None:
            covered = checkpoint is not None and placement.index < checkpoint.size
            return EnvelopeStatus("receipt" if covered else "committed", placement.height)
        if envelope in self.pool:
            return EnvelopeStatus("pooled", None)
        valid_until = self._intake.valid_until(envelope)
        if valid_until is not None and checkpoint is not None and checkpoint.height > valid_until:
            return EnvelopeStatus("expired", None)
        return EnvelopeStatus("unknown", None)

    def log_note(self) -> str | None:
        """Return the newest quorum checkpoint as a signed note; None before the first checkpoint.

        The log line is added because the root has been compared with the own log (`Engine.checkpoint`).
        """
        checkpoint = self.checkpoint
        return None if checkpoint is None else self._notary.note(checkpoint)

    @property
    def log_signer(self) -> Signer | None:
        """The key for what this member says alone about its log; None for an observer, which has none."""
        return None if self._signers is None else self._signers.log

    @property
    def cosigned_sizes(self) -> list[int]:
        """Log sizes that this member has cosigned of late, newest first."""
        return self._notary.cosigned_sizes

    def own_note(self, size: int) -> str | None:
        """Return this member's own word on the log at `size`: its log line and its cosignature, as a signed note.

        None if it has not cosigned that size, or so long ago that it is not kept, or if the root is not that of its
        log: what was cosigned before a restart is compared once the log has been rebuilt as far.
        """
        return self._notary.own_note(size)

    # Life

    def expect(self, block: PreparedBlock) -> None:
        """Take a block that was prepared ahead from the journal's bytes, so that `recover` finds it ready."""
        self._cache.blocks.put(block)

    def recover(
        self,
        frames: Iterable[Frame],
        slots: SlotsRead,
        on_executed: Callable[[Executed], object] | None = None,
    ) -> list[Effect]:
        """Rebuild everything from the journal's frames and the safety slots (P21, P22).

        Args:
            on_executed: Gets the `Executed` of every block that is executed again, oldest first, for caches beside the
                member: a long journal's do not fit into memory together.

        Returns:
            What nobody was given: the same, if there is no `on_executed`.

        Raises:
            DecodeError: A frame or the safety record is not what its kind says: it belongs to another network.
            InvariantBrokenError: The journal's blocks give another result than they gave before.
        """
        self._recovering = True
        self._on_executed = on_executed or self._executed_again.append
        self.engine.recover(self._compared(frames), slots)
        self._recovering = False
        executed, self._executed_again = self._executed_again, []
        return executed

    def _compared(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield the frames; each kept execution is compared with the new one when its turn comes (I9)."""
        for frame in frames:
            if frame.kind is FrameKind.EXECUTED:
                again = self._unjournaled.pop(frame.height, None)
                if again is not None and again.frame.payload != frame.payload:
                    raise InvariantBrokenError(
                        f"executing height {frame.height} again gives {again.frame.payload.hex()}; "
                        f"the journal has {frame.payload.hex()} (I9)"
                    )
            yield frame

    def start(self, now_ms: int) -> list[Effect]:
        """Begin to take part. What the journal lacks of the executed blocks, the genesis included, comes first."""
        unjournaled, self._unjournaled = list(self._unjournaled.values()), {}
        return [*unjournaled, *self.engine.start(now_ms)]

    def pause(self, reason: str) -> None:
        """Sign nothing until `resume`, for a reason of the node's own; read, take envelopes and follow as before."""
        self.engine.pause(reason)

    def resume(self, now_ms: int) -> list[Effect]:
        """Take part again; return what the node must do, in this order."""
        return self.engine.resume(now_ms)

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """Take one event; return what the node must do, in this order.

        Raises:
            InvalidInputError: The sender broke the protocol. The member is unchanged.
        """
        match event:
            case MessageReceived(peer, data):
                message = self._cache.decode(data)
                if isinstance(message, EnvelopeBatch):
                    return self.engine.on_payload(now_ms) if self._intake.take(message) else []
                return self.engine.on_message(peer, message, now_ms)
            case TimerFired(name):
                if name == SPREAD_TIMER:
                    return self._intake.spread()
                if name == SPREAD_AGAIN_TIMER:
                    return self._intake.spread_again(now_ms)
                return self.engine.on_timer(name, now_ms)
            case PeerConnected(peer):
                return self.engine.on_connected(peer, now_ms)
            case PeerDisconnected(peer):
                self.engine.on_disconnected(peer)
                return []

    def submit(self, raw: bytes, now_ms: int) -> tuple[EnvelopeId, list[Effect]]:
        """Admit an envelope to the pool and send it to the other pools. The same bytes again change nothing.

        Returns:
            Its id: pooled here, nothing promised. The acknowledgement is the `receipt`.

        Raises:
            OversizeError, DecodeError, WrongChainError, RecordsMismatchError: Not a well-formed envelope of this chain.
            NotAdmittedError: It would be refused as a whole; `code` says why.
            PoolFullError: There is no room now.
        """
        prepared = self._intake.prepare(raw)
        if self._intake.holds(prepared):
            return prepared.id, []
        effects = self._intake.admit(prepared, now_ms)
        return prepared.id, [*effects, *self.engine.on_payload(now_ms)]

    # What the engine asks: `ledger.consensus.engine.Application`

    def has_payload(self) -> bool:
        """Return whether envelopes wait."""
        return len(self.pool) > 0

    def take_payload(self, branch: Sequence[Proposal], *, height: Height, bytes_max: int) -> tuple[bytes, ...]:
        """Return envelopes for a new block."""
        taken = self._ids_in(branch)
        return tuple(e.raw for e in self.pool.choose(height=height, bytes_max=bytes_max, taken=taken))

    def approves(self, proposal: Proposal, branch: Sequence[Proposal]) -> bool:
        """Return False if an envelope is malformed, was committed or is in the branch, or its signature fails (P9a).

        Envelopes under unknown keys cannot be checked before the block is executed, and then all members must. Pools
        take none, so a block with more than a few of them is made to cost that.
        """
        if not proposal.block.payload:
            return True
        try:
            block = self.history.prepared(proposal)
        except InvalidInputError:
            return False
        seen = set(self._ids_in(branch))
        items = []
        for envelope in block.envelopes:
            header = envelope.envelope.header
            public = known_key(header, self.state)
            if envelope.id in seen or (public is not None and not is_unused(header, self.state)):
                return False
            seen.add(envelope.id)
            if public is not None:
                items.append((public, bytes(envelope.id), envelope.envelope.signature))
        if len(block.envelopes) - len(items) > SLOW_CHECKS_MAX:
            return False
        return self._signatures.approve_for_vote(items)

    def commit(self, proposal: Proposal) -> list[Effect]:
        """Execute the next committed block."""
        first_index = self.log.size
        block, execution = self.history.execute(proposal)
        if (checkpoint := self.checkpoint) is not None:
            self.history.lookback.forget(checkpoint.height)
        payload = execution.executed.encode()
        append = Append(Frame(FrameKind.EXECUTED, execution.height, payload))
        executed = Executed(
            height=execution.height,
            block=proposal.block,
            record=execution.record,
            results=execution.results,
            entries=execution.entries,
            first_index=first_index,
            touched=execution.touched,
            touched_by_deadlines=execution.touched_by_deadlines,
        )
        if self._recovering:
            self._unjournaled[execution.height] = append
            self._on_executed(executed)
        self._intake.forget(block)
        return [append, executed]

    def log_size(self, height: int) -> int | None:
        """Return the size of the log after the block of `height`."""
        return self.history.log_size(height)

    def log_root(self, size: int) -> Digest | None:
        """Return the root over the first `size` entries."""
        return self.history.log_root(size)

    def committed_block(self, height: int) -> bytes | None:
        """Return the encoded committed block of `height`."""
        return self.history.archive.get(Height(height))

    def _ids_in(self, branch: Sequence[Proposal]) -> frozenset[EnvelopeId]:
        return frozenset(
            envelope.id
            for proposal in branch
            if proposal.block.payload
            for envelope in self.history.prepared(proposal).envelopes
        )
