"""One whole member without I/O: what comes in are events and the time, what goes out are effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ledger.blocks.checkpoint import (
    QuorumCheckpoint,
    checkpoint_text,
    cosignature_line,
    log_line,
)
from ledger.blocks.genesis import Genesis
from ledger.blocks.log import BlockRecord, ExecutedBlock
from ledger.blocks.refusals import EnvelopeRefusal, RecordRefusal
from ledger.consensus.cache import BoundedCache
from ledger.consensus.certificates import Verifier, VerifyStrict
from ledger.consensus.cosigning import OwnCosignatures
from ledger.consensus.effects import (
    Append,
    Broadcast,
    Effect,
    Executed,
    SetTimer,
)
from ledger.consensus.engine import Engine, Timing
from ledger.consensus.events import Event, MessageReceived, PeerConnected, PeerDisconnected, TimerFired
from ledger.consensus.jolteon import Jolteon
from ledger.consensus.leader import LeaderChoice, Reputation
from ledger.consensus.messages import ENVELOPES_PER_BATCH_MAX, EnvelopeBatch, Proposal
from ledger.consensus.safety import Safety
from ledger.consensus.solo import Solo
from ledger.crypto.merkle import LogTree
from ledger.crypto.signatures import Signer, verify_batch, verify_strict
from ledger.errors import InvalidInputError, InvariantBrokenError, SignatureError
from ledger.identifiers import CreditCode, Digest, EnvelopeId, Height
from ledger.limits import FRAME_BYTES_MAX
from ledger.members.founding import NodeSigners
from ledger.members.validators import ValidatorSet
from ledger.proofs.notes import note_of
from ledger.replica.admission import NotAdmittedError, is_unused, known_key, signing_key
from ledger.replica.attested import AttestedView
from ledger.replica.cache import MemberCache, RememberingVerifier
from ledger.replica.history import BlockArchive, History
from ledger.replica.pool import Pool, PoolFullError
from ledger.replica.signatures import SLOW_CHECKS_MAX, SignatureChecks
from ledger.state.prepared import PreparedBlock, PreparedEnvelope, VerifyBatch
from ledger.state.store import State
from ledger.storage.frames import Frame, FrameKind
from ledger.storage.safety_slots import SlotsRead
from ledger.validation.envelopes import prepare_envelope

SPREAD_TIMER = "spread"
SPREAD_AGAIN_TIMER = "spread-again"

SPREAD_MS = 5
"""Envelopes admitted within this time travel to the other pools in one message."""

SPREAD_AGAIN_BASE_TIMEOUTS = 4
"""Own envelopes that are still not committed after this many base timeouts are sent again (P16b)."""

EXPIRIES_MAX = 65_536
"""Envelopes admitted here of which it can be said later that they have expired."""

_BATCH_BYTES_MAX = FRAME_BYTES_MAX - 16 * ENVELOPES_PER_BATCH_MAX
"""What a frame leaves beside the wrapping of each envelope."""


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
class Receipt:
    """The only acknowledgement: an envelope's entry in the log, under a checkpoint that a quorum has cosigned."""

    envelope: EnvelopeId
    height: Height
    time_ms: int
    """Of the block."""
    index: int
    """Of the entry in the log."""
    results: bytes
    """One code a record; 0 is accepted."""
    entry: bytes
    """The entry itself."""
    path: tuple[Digest, ...]
    """Inclusion path of the entry in the tree of the checkpoint's size."""
    checkpoint: QuorumCheckpoint
    note: str
    """The checkpoint as a signed note, with the log line of the member that gives the receipt."""


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
        self._cosigned = OwnCosignatures()
        self.history = History(genesis, verify=self._verify, cache=self._cache, archive=self._options.archive)
        self.pool = Pool()
        self._own: dict[EnvelopeId, bytes] = {}
        """Envelopes admitted here that are not committed yet, to be sent again."""
        self._expiries: BoundedCache[int] = BoundedCache(EXPIRIES_MAX)
        """Valid-until heights of what was admitted here lately and is not committed."""
        self._unspread: list[bytes] = []
        self._spread_armed = False
        self._recovering = False
        self._executed_again: list[Effect] = []
        self._on_executed: Callable[[Executed], object] = self._executed_again.append
        founded = ExecutedBlock(results=(), record=self.history.head).encode()
        self._unjournaled: dict[int, Append] = {0: Append(Frame(FrameKind.EXECUTED, Height(0), founded))}
        """Executions that the journal does not hold yet. The genesis record is the first frame of every journal."""
        self.engine = self._make_engine()

    def _make_engine(self) -> Engine:
        timing = Timing.of(self._genesis.parameters)
        verifier = Verifier(self.validators, batch=self._verify, strict=self._strict, cache=self._cache)
        safety = None
        if self._me is not None and self._signers is not None:
            safety = Safety(
                validators=self.validators,
                me=self._me,
                consensus=self._signers.consensus,
                cosigner=self._signers.cosigner,
            )
            self._cosigned = safety.cosigned
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
        if checkpoint is None or self._signers is None:
            return None
        text = checkpoint_text(self.validators.origin, checkpoint.size, checkpoint.root)
        signer = self._signers.log
        return AttestedView(self.history, self.validators, checkpoint, (signer.public, signer.sign(text.encode())))

    def inclusion(self, index: int, size: int) -> tuple[Digest, ...]:
        """Return the inclusion path of log entry `index` in the tree of `size` entries.

        Raises:
            ValueError: The log is not that large.
        """
        return self.log.inclusion_path(index, size)

    def receipt(self, envelope: EnvelopeId) -> Receipt | None:
        """Return the receipt of an envelope committed recently; None until a quorum checkpoint covers it."""
        placement, checkpoint, note = self.history.placement(envelope), self.checkpoint, self.log_note()
        if placement is None or checkpoint is None or note is None or placement.index >= checkpoint.size:
            return None
        return Receipt(
            envelope=envelope,
            height=placement.height,
            time_ms=placement.time_ms,
            index=placement.index,
            results=placement.results,
            entry=placement.entry,
            path=self.inclusion(placement.index, checkpoint.size),
            checkpoint=checkpoint,
            note=note,
        )

    def status_of(self, envelope: EnvelopeId) -> EnvelopeStatus:
        """Return what this member can say of an envelope; of older committed ones the index knows more."""
        placement, checkpoint = self.history.placement(envelope), self.checkpoint
        if placement is not None:
            covered = checkpoint is not None and placement.index < checkpoint.size
            return EnvelopeStatus("receipt" if covered else "committed", placement.height)
        if envelope in self.pool:
            return EnvelopeStatus("pooled", None)
        valid_until = self._expiries.get(envelope)
        if valid_until is not None and checkpoint is not None and checkpoint.height > valid_until:
            return EnvelopeStatus("expired", None)
        return EnvelopeStatus("unknown", None)

    def log_note(self) -> str | None:
        """Return the newest quorum checkpoint as a signed note: this member's log line, then the cosigners' lines.

        The log line is added because the root has been compared with the own log (`Engine.checkpoint`). None before
        the first checkpoint. Source: C2SP signed-note, tlog-checkpoint, tlog-cosignature.
        """
        checkpoint = self.checkpoint
        if checkpoint is None:
            return None
        text = checkpoint_text(self.validators.origin, checkpoint.size, checkpoint.root)
        lines = []
        if self._signers is not None:
            signer = self._signers.log
            lines.append(log_line(self.validators.origin, signer.public, signer.sign(text.encode())))
        for cosignature in checkpoint.cosignatures:
            name = self.validators.cosigner_name(cosignature.validator)
            public = self.validators.validators[cosignature.validator].cosigner
            lines.append(cosignature_line(name, public, cosignature.time_s, cosignature.signature))
        return text + "\n" + "".join(f"{line}\n" for line in lines)

    @property
    def log_signer(self) -> Signer | None:
        """The key for what this member says alone about its log; None for an observer, which has none."""
        return None if self._signers is None else self._signers.log

    @property
    def cosigned_sizes(self) -> list[int]:
        """Log sizes that this member has cosigned of late, newest first."""
        return self._cosigned.sizes

    def own_note(self, size: int) -> str | None:
        """Return this member's own word on the log at `size`: its log line and its cosignature, as a signed note.

        None if it has not cosigned that size, or so long ago that it is not kept, or if the root is not that of its
        log: what was cosigned before a restart is compared once the log has been rebuilt as far.
        """
        statement = self._cosigned.at(size)
        if statement is None or self._signers is None or self.log_root(size) != statement.root:
            return None
        alone = QuorumCheckpoint(
            epoch=statement.epoch,
            height=statement.height,
            size=size,
            root=statement.root,
            cosignatures=(statement.cosignature,),
        )
        signer = self._signers.log
        signature = signer.sign(checkpoint_text(self.validators.origin, size, statement.root).encode())
        return note_of(self.validators, alone, log_public=signer.public, log_signature=signature)

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
                    return self._on_envelopes(message, now_ms)
                return self.engine.on_message(peer, message, now_ms)
            case TimerFired(name):
                if name == SPREAD_TIMER:
                    return self._spread()
                if name == SPREAD_AGAIN_TIMER:
                    return self._spread_again(now_ms)
                return self.engine.on_timer(name, now_ms)
            case PeerConnected(peer):
                return self.engine.on_connected(peer, now_ms)
            case PeerDisconnected(peer):
                self.engine.on_disconnected(peer)
                return []

    # Envelopes on their way in

    def submit(self, raw: bytes, now_ms: int) -> tuple[EnvelopeId, list[Effect]]:
        """Admit an envelope to the pool and send it to the other pools. The same bytes again change nothing.

        Returns:
            Its id: pooled here, nothing promised. The acknowledgement is the `receipt`.

        Raises:
            OversizeError, DecodeError, WrongChainError, RecordsMismatchError: Not a well-formed envelope of this chain.
            NotAdmittedError: It would be refused as a whole; `code` says why.
            PoolFullError: There is no room now.
        """
        prepared = self._prepare(raw)
        pooled = self.pool.get(prepared.id)
        if pooled is not None and pooled.raw == raw:
            return prepared.id, []
        if pooled is not None:
            raise NotAdmittedError(EnvelopeRefusal.REPLAYED_ENVELOPE)
        if None in prepared.records:
            raise NotAdmittedError(RecordRefusal.MALFORMED_RECORD)
        public = signing_key(prepared.envelope.header, self.state)
        self.pool.check_room(prepared)
        try:
            self._strict(public, prepared.id, prepared.envelope.signature)
        except SignatureError as error:
            raise NotAdmittedError(EnvelopeRefusal.BAD_SIGNATURE) from error
        self._cache.learn(("zip215", public, bytes(prepared.id), prepared.envelope.signature))
        self.pool.add(prepared)
        effects: list[Effect] = []
        if not self._own:
            effects.append(SetTimer(SPREAD_AGAIN_TIMER, now_ms + self._spread_again_ms()))
        self._own[prepared.id] = raw
        self._expiries.put(prepared.id, prepared.envelope.header.valid_until)
        self._unspread.append(raw)
        if not self._spread_armed:
            self._spread_armed = True
            effects.append(SetTimer(SPREAD_TIMER, now_ms + SPREAD_MS))
        return prepared.id, [*effects, *self.engine.on_payload(now_ms)]

    def _on_envelopes(self, batch: EnvelopeBatch, now_ms: int) -> list[Effect]:
        """Pool what other members have admitted.

        What cannot be used now is passed over: the sender may be ahead of this member, or behind it.

        Raises:
            InvalidInputError: An envelope is not well-formed: its sender should have seen that.
            SignatureError: A signature fails under the key that it names.
        """
        useful: list[PreparedEnvelope] = []
        items: list[tuple[bytes, bytes, bytes]] = []
        for prepared in [self._prepare(raw) for raw in batch.envelopes]:
            if prepared.id in self.pool or None in prepared.records:
                continue
            try:
                public = signing_key(prepared.envelope.header, self.state)
            except NotAdmittedError:
                continue
            useful.append(prepared)
            items.append((public, bytes(prepared.id), prepared.envelope.signature))
        self._signatures.check_for_pool(items)
        for prepared in useful:
            if prepared.id not in self.pool:
                try:
                    self.pool.check_room(prepared)
                except PoolFullError:
                    break
                self.pool.add(prepared)
        return self.engine.on_payload(now_ms) if useful else []

    def _prepare(self, raw: bytes) -> PreparedEnvelope:
        prepared = self._cache.envelopes.get(raw)
        if prepared is None:
            prepared = prepare_envelope(raw, self.validators.chain)
            self._cache.envelopes.put(raw, prepared, size=len(raw))
        return prepared

    def _spread(self) -> list[Effect]:
        """Send newly admitted envelopes to all other pools (P16b)."""
        raws, self._unspread = self._unspread, []
        self._spread_armed = False
        return [Broadcast(batch.encode()) for batch in _batches(raws)]

    def _spread_again(self, now_ms: int) -> list[Effect]:
        """Send own envelopes again until they are committed or expired (P16b)."""
        for envelope in [envelope for envelope in self._own if envelope not in self.pool]:
            del self._own[envelope]
        if not self._own:
            return []
        again: list[Effect] = [Broadcast(batch.encode()) for batch in _batches(list(self._own.values()))]
        return [*again, SetTimer(SPREAD_AGAIN_TIMER, now_ms + self._spread_again_ms())]

    def _spread_again_ms(self) -> int:
        return SPREAD_AGAIN_BASE_TIMEOUTS * self._genesis.parameters.base_timeout_ms

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
        for envelope in block.envelopes:
            self.pool.discard(envelope.id)
            self._own.pop(envelope.id, None)
            self._expiries.discard(envelope.id)
        self._clean_pool({(e.envelope.header.department, e.envelope.header.key_id) for e in block.envelopes})
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

    def _clean_pool(self, moved: set[tuple[str, int]]) -> None:
        """Forget what can never be accepted any more: expired, or behind a window that has moved."""
        for key in sorted(moved):
            self.pool.discard_of_key(key, lambda pooled: not is_unused(pooled.envelope.header, self.state))
        self.pool.discard_expired(self.height)

    def _ids_in(self, branch: Sequence[Proposal]) -> frozenset[EnvelopeId]:
        return frozenset(
            envelope.id
            for proposal in branch
            if proposal.block.payload
            for envelope in self.history.prepared(proposal).envelopes
        )


def _batches(raws: Sequence[bytes]) -> Iterator[EnvelopeBatch]:
    """Yield all of `raws` in as few messages as frames allow."""
    batch: list[bytes] = []
    size = 0
    for raw in raws:
        if batch and (len(batch) == ENVELOPES_PER_BATCH_MAX or size + len(raw) > _BATCH_BYTES_MAX):
            yield EnvelopeBatch(envelopes=tuple(batch))
            batch, size = [], 0
        batch.append(raw)
        size += len(raw)
    if batch:
        yield EnvelopeBatch(envelopes=tuple(batch))
