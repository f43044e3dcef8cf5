"""The transition: from a state and a block to the results, the log's entries, and what changes.

A pure function, the same on every member: its inputs are the state, the block, and whether signatures verify; nothing
in it depends on the order of a set, a clock or the platform. First the deadlines that have passed, then the envelopes
in their order, each record on its own.

Who may speak is decided by the members as of the parent block, so that all signatures of a block can be checked in one
batch before anything is executed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from msgspec.structs import replace

from ledger.blocks.envelope import EnvelopeHeader
from ledger.blocks.log import BlockRecord, EnvelopeEntry, ExecutedBlock
from ledger.blocks.record import Record
from ledger.blocks.refusals import ACCEPTED, EnvelopeRefusal, RecordRefusal, Refused
from ledger.crypto.sparse_tree import SparseTree
from ledger.encoding import Canonical, encode
from ledger.errors import InvariantBrokenError
from ledger.identifiers import CreditCode, Digest, Height
from ledger.limits import DEADLINES_PER_BLOCK_MAX, VALID_UNTIL_AHEAD_MAX
from ledger.members.departments import Department, EnvelopeKey, department_key, envelope_key_key, holds_at
from ledger.registers.deadlines import Deadline, deadline_key
from ledger.registers.members.replay import NOTHING_USED, ReplayWindow, WindowInUse, replay_window_key
from ledger.registers.register import Rulebook
from ledger.state.prepared import PreparedBlock, VerifyBatch
from ledger.state.store import State, tree_changes

T = TypeVar("T", bound=Canonical)

NOBODY = CreditCode("")
"""Who speaks while a deadline is acted upon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What executing one block gives. `State.advance` applies it."""

    height: Height
    results: tuple[bytes, ...]
    """For each envelope one byte a record: 0 for accepted, or the number of a `RefusalCode`."""
    record: BlockRecord
    entries: tuple[bytes, ...]
    """What the log grows by: one encoded `EnvelopeEntry` for each envelope, then the encoded block record."""
    changes: Mapping[bytes, Canonical]
    """New values by state key: in the order of their first change, and then the replay windows."""
    tree: SparseTree
    """The state's tree after the changes."""
    touched: tuple[tuple[tuple[bytes, ...], ...], ...]
    """For each envelope and each record in it, the state keys it set; none for a refused record."""
    touched_by_deadlines: tuple[tuple[bytes, ...], ...]
    """For each deadline in the block record, the state keys that acting on it set."""
    deadlines: tuple[Deadline, ...]
    """Deadlines that were set, lifted or passed, with their new values."""

    @property
    def executed(self) -> ExecutedBlock:
        """What the journal keeps of it."""
        return ExecutedBlock(results=self.results, record=self.record)


class _Speaker(NamedTuple):
    """A department's key as of the parent block, and what it has used of its sequence numbers as of now."""

    department: CreditCode
    roles: frozenset[str]
    public: bytes
    window_key: bytes
    window: WindowInUse


class _BlockContext:
    """The state while a block is executed: what its accepted records put, over the state of the parent block.

    Implements `ledger.registers.context.Context`. What the current record puts is noted together with what was there,
    because most records are accepted, and the few that are refused can take it back.
    """

    __slots__ = (
        "_changes",
        "_deadlines",
        "_record_deadlines",
        "_replaced",
        "_values",
        "calendar",
        "chain",
        "department",
        "height",
        "network",
        "roles",
        "time_ms",
        "validators",
    )

    def __init__(self, state: State, *, height: Height, time_ms: int) -> None:
        self.height, self.time_ms = height, time_ms
        self.chain, self.network, self.calendar = state.chain, state.network, state.calendar
        self.validators = state.validators
        self.department = NOBODY
        self.roles: frozenset[str] = frozenset()
        self._values = state.values
        self._changes: dict[bytes, Canonical] = {}
        self._replaced: list[tuple[bytes, Canonical | None]] = []
        """Keys that the current record has put, with what stood there in `_changes`."""
        self._deadlines: dict[bytes, Deadline] = {}
        self._record_deadlines: dict[bytes, Deadline] = {}

    def get(self, key: bytes, kind: type[T]) -> T | None:
        # A struct is never false, so that `or` passes only over what is missing.
        value = self._changes.get(key) or self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, kind):
            raise InvariantBrokenError(f"state key {key!r} holds a {type(value).__name__}, not a {kind.__name__}")
        return value

    def put(self, key: bytes, value: Canonical) -> None:
        self._replaced.append((key, self._changes.get(key)))
        self._changes[key] = value

    def set_deadline(self, due_ms: int, subject: bytes) -> None:
        deadline = Deadline(
            due_ms=due_ms, subject=subject, status="pending", set_height=int(self.height), settled_height=0
        )
        self._put_deadline(deadline)

    def lift_deadline(self, due_ms: int, subject: bytes) -> None:
        if not self._settle_deadline(due_ms, subject, "lifted"):
            raise InvariantBrokenError(f"no deadline at {due_ms} is pending for {subject!r}")

    def pass_deadline(self, due_ms: int, subject: bytes) -> bool:
        """Take note that a deadline passed; return False if an earlier one of this block has lifted it."""
        return self._settle_deadline(due_ms, subject, "passed")

    def accept_record(self) -> tuple[bytes, ...]:
        """Keep what the current record put; return its keys."""
        replaced = self._replaced
        if len(replaced) == 1:
            touched: tuple[bytes, ...] = (replaced[0][0],)
        else:
            touched = tuple(dict.fromkeys([key for key, _ in replaced]))
        replaced.clear()
        if self._record_deadlines:
            self._deadlines.update(self._record_deadlines)
            self._record_deadlines.clear()
        return touched

    def refuse_record(self) -> None:
        """Undo what the current record put."""
        while self._replaced:
            key, before = self._replaced.pop()
            if before is None:
                del self._changes[key]
            else:
                self._changes[key] = before
        self._record_deadlines.clear()

    def changes(self) -> dict[bytes, Canonical]:
        """Return all that was put and kept."""
        return self._changes

    def deadlines(self) -> tuple[Deadline, ...]:
        """Return the newest value of each deadline that was set or settled."""
        return tuple(self._deadlines.values())

    def _settle_deadline(self, due_ms: int, subject: bytes, status: Literal["passed", "lifted"]) -> bool:
        deadline = self.get(deadline_key(due_ms, subject), Deadline)
        if deadline is None or deadline.status != "pending":
            return False
        self._put_deadline(replace(deadline, status=status, settled_height=int(self.height)))
        return True

    def _put_deadline(self, deadline: Deadline) -> None:
        key = deadline_key(deadline.due_ms, deadline.subject)
        self._record_deadlines[key] = deadline
        self.put(key, deadline)


def execute_block(state: State, block: PreparedBlock, verify: VerifyBatch) -> Execution:
    """Execute a committed block on the state of its parent, which stays as it is.

    Args:
        block: The child of the block that `state` stands after; consensus saw to that, only the height is compared.
        verify: Called once, with all signatures under keys that may sign in this block.

    Raises:
        ValueError: The block has another height than the next.
    """
    header = block.header
    if header.height != state.height + 1:
        raise ValueError(f"block of height {header.height} executed on the state of height {state.height}")
    height = Height(header.height)
    context = _BlockContext(state, height=height, time_ms=header.time_ms)
    due, touched_by_deadlines = _execute_deadlines(state, context)
    results, touched, entries = [], [], []
    moved: dict[bytes, WindowInUse] = {}
    for prepared, speaker in zip(block.envelopes, _authenticate(state, height, block, verify), strict=True):
        if (refusal := _refusal_of(prepared.envelope.header, speaker, context, moved)) is not None:
            codes = bytes([refusal.number]) * len(prepared.records)
            keys: tuple[tuple[bytes, ...], ...] = ((),) * len(prepared.records)
        else:
            codes, keys = _execute_records(prepared.records, context, state.rulebook)
        results.append(codes)
        touched.append(keys)
        entries.append(EnvelopeEntry.encode_from(prepared.signed, codes))
    for key, window in moved.items():
        context.put(key, window.value())
    changes = context.changes()
    tree = state.tree.update(tree_changes(changes))
    record = BlockRecord(
        height=header.height,
        block=Digest(block.id),
        parent=header.parent,
        time_ms=header.time_ms,
        state_root=tree.root,
        validators_hash=state.validators.hash,
        deadlines=due,
    )
    entries.append(encode(record))
    return Execution(
        height=height,
        results=tuple(results),
        record=record,
        entries=tuple(entries),
        changes=changes,
        tree=tree,
        touched=tuple(touched),
        touched_by_deadlines=touched_by_deadlines,
        deadlines=context.deadlines(),
    )


def _execute_deadlines(state: State, context: _BlockContext) -> tuple[tuple[bytes, ...], tuple[tuple[bytes, ...], ...]]:
    """Act on the earliest deadlines before the block's time; return their subjects in order, and what each touched."""
    subjects, touched = [], []
    for due_ms, subject in state.pending_deadlines.before(context.time_ms, limit=DEADLINES_PER_BLOCK_MAX):
        if not context.pass_deadline(due_ms, subject):
            continue
        try:
            state.rulebook.deadline_rules[subject.partition(b"/")[0]](subject, context)
        except (Refused, KeyError) as error:
            # Nobody spoke, so nobody can be told: a register that sets a deadline must be able to act on it.
            raise InvariantBrokenError(f"the deadline of {subject!r} cannot be acted upon: {error!r}") from error
        subjects.append(subject)
        touched.append(context.accept_record())
    return tuple(subjects), tuple(touched)


def _authenticate(
    state: State,
    height: Height,
    block: PreparedBlock,
    verify: VerifyBatch,
) -> list[_Speaker | EnvelopeRefusal]:
    """Return for each envelope who speaks, or why nobody does: unknown, revoked, or a signature that fails.

    What was verified ahead counts if it was under the key that counts now.
    """
    speakers: dict[tuple[str, int], _Speaker | EnvelopeRefusal] = {}
    outcomes: list[_Speaker | EnvelopeRefusal] = []
    positions, items = [], []
    verified = block.verified or (None,) * len(block.envelopes)
    for position, (prepared, known) in enumerate(zip(block.envelopes, verified, strict=True)):
        header = prepared.envelope.header
        who = (header.department, header.key_id)
        speaker = speakers.get(who)
        if speaker is None:
            speaker = speakers[who] = _speaker_of(state, height, *who)
        outcomes.append(speaker)
        if isinstance(speaker, _Speaker) and speaker.public != known:
            positions.append(position)
            items.append((speaker.public, prepared.id, prepared.envelope.signature))
    for position, valid in zip(positions, verify(items) if items else [], strict=True):
        if not valid:
            outcomes[position] = EnvelopeRefusal.BAD_SIGNATURE
    return outcomes


def _speaker_of(state: State, height: Height, credit_code: str, key_id: int) -> _Speaker | EnvelopeRefusal:
    department = state.get(department_key(credit_code), Department)
    if department is None or not holds_at(height, department.valid_from, department.valid_to):
        return EnvelopeRefusal.UNKNOWN_DEPARTMENT
    key = state.get(envelope_key_key(credit_code, key_id), EnvelopeKey)
    if key is None:
        return EnvelopeRefusal.UNKNOWN_KEY
    if not holds_at(height, key.valid_from, key.valid_to):
        return EnvelopeRefusal.REVOKED_KEY
    window_key = replay_window_key(credit_code, key_id)
    return _Speaker(
        CreditCode(credit_code),
        frozenset(department.roles),
        key.public,
        window_key,
        WindowInUse(state.get(window_key, ReplayWindow) or NOTHING_USED),
    )


def _refusal_of(
    header: EnvelopeHeader,
    speaker: _Speaker | EnvelopeRefusal,
    context: _BlockContext,
    moved: dict[bytes, WindowInUse],
) -> EnvelopeRefusal | None:
    """Return why the whole envelope is refused, or None after making its department the one who speaks.

    A valid signature uses up the sequence number even if the envelope is refused here; a bad one uses nothing.

    Args:
        moved: Gets the windows of which a number was used, by state key. No rule of a register reads them.
    """
    if isinstance(speaker, EnvelopeRefusal):
        return speaker
    if fresh := speaker.window.use(header.sequence):
        moved[speaker.window_key] = speaker.window
    if header.valid_until < context.height:
        return EnvelopeRefusal.EXPIRED_ENVELOPE
    if header.valid_until > context.height + VALID_UNTIL_AHEAD_MAX:
        return EnvelopeRefusal.VALID_UNTIL_TOO_FAR
    if not fresh:
        return EnvelopeRefusal.REPLAYED_ENVELOPE
    context.department, context.roles = speaker.department, speaker.roles
    return None


def _execute_records(
    records: Sequence[Record | None],
    context: _BlockContext,
    rulebook: Rulebook,
) -> tuple[bytes, tuple[tuple[bytes, ...], ...]]:
    """Return the code and the touched state keys of each record."""
    codes: list[int] = []
    touched: list[tuple[bytes, ...]] = []
    rules = rulebook.rules
    for record in records:
        try:
            if record is None:
                raise Refused(RecordRefusal.MALFORMED_RECORD)
            rules[type(record)](record, context)
        except Refused as refused:
            context.refuse_record()
            codes.append(refused.code.number)
            touched.append(())
        else:
            codes.append(ACCEPTED)
            touched.append(context.accept_record())
    return bytes(codes), tuple(touched)
