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
from itertools import accumulate, pairwise

from ledger.blocks.envelope import EnvelopeHeader
from ledger.blocks.log import BlockRecord, EnvelopeEntry, ExecutedBlock
from ledger.blocks.refusals import ACCEPTED, EnvelopeRefusal, RecordRefusal, Refused
from ledger.crypto.sparse_tree import SparseTree
from ledger.encoding import Canonical, encode
from ledger.errors import InvariantBrokenError
from ledger.identifiers import CreditCode, Digest, Height
from ledger.limits import DEADLINES_PER_BLOCK_MAX, VALID_UNTIL_AHEAD_MAX
from ledger.members.departments import Department, EnvelopeKey, department_key, envelope_key_key, holds_at
from ledger.registers.deadlines import Deadline
from ledger.registers.members.replay import NOTHING_USED, ReplayWindow, WindowInUse, replay_window_key
from ledger.registers.register import Rulebook
from ledger.state.overlay import Overlay
from ledger.state.prepared import PreparedBlock, PreparedEnvelope, VerifyBatch, key_names
from ledger.state.store import State, updated_tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the envelopes of one block have changed: all that the next block's execution needs to know of this one."""

    block: PreparedBlock
    results: tuple[bytes, ...]
    """For each envelope one byte a record: 0 for accepted, or the number of a `RefusalCode`."""
    changes: Mapping[bytes, Canonical]
    """New values by state key: in the order of their first change, and then the replay windows."""
    touched: tuple[tuple[tuple[bytes, ...], ...], ...]
    """For each envelope and each record in it, the state keys it set; none for a refused record."""
    due: tuple[bytes, ...]
    """Subjects of the deadlines that passed and were acted upon, in order."""
    touched_by_deadlines: tuple[tuple[bytes, ...], ...]
    """For each of them, the state keys that acting on it set."""
    deadlines: tuple[Deadline, ...]
    """Deadlines that were set, lifted or passed, with their new values."""
    validators_hash: Digest
    """Who signs checkpoints over this block."""

    @property
    def height(self) -> Height:
        """Of the block."""
        return Height(self.block.header.height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution(Outcome):
    """What executing one block gives, with the state root and the log's entries. `State.advance` applies it."""

    tree: SparseTree
    """The state's tree after the changes."""
    record: BlockRecord
    entries: tuple[bytes, ...]
    """What the log grows by: one encoded `EnvelopeEntry` for each envelope, then the encoded block record."""

    @property
    def executed(self) -> ExecutedBlock:
        """What the journal keeps of it."""
        return ExecutedBlock(results=self.results, record=self.record)


class _Speaker:
    """A department's key as of the parent block, and what it has used of its sequence numbers as of now."""

    __slots__ = ("department", "public", "roles", "window", "window_key")

    def __init__(self, department: Department, key: EnvelopeKey, window_key: bytes, window: ReplayWindow) -> None:
        self.department = CreditCode(department.credit_code)
        self.roles = frozenset(department.roles)
        self.public = key.public
        self.window_key = window_key
        self.window = WindowInUse(window)


def execute_block(state: State, block: PreparedBlock, verify: VerifyBatch) -> Execution:
    """Execute a committed block on the state of its parent, which stays as it is.

    Args:
        block: The child of the block that `state` stands after; consensus saw to that, only the height is compared.
        verify: Called once, with all signatures under keys that may sign in this block.

    Raises:
        ValueError: The block has another height than the next.
    """
    return settle(execute_envelopes(state, block, verify), state.tree)


def execute_envelopes(state: State, block: PreparedBlock, verify: VerifyBatch) -> Outcome:
    """Do the first half of `execute_block`: deadlines and envelopes, under the rules of the registers.

    It reads the state's values and never its tree, so that the tree may be a block behind.
    """
    header = block.header
    if header.height != state.height + 1:
        raise ValueError(f"block of height {header.height} executed on the state of height {state.height}")
    overlay = Overlay(state, height=Height(header.height), time_ms=header.time_ms)
    due, touched_by_deadlines = _execute_deadlines(state, overlay)
    speakers = _authenticate(state, overlay.height, block, verify)
    results, touched = _execute_records(block.envelopes, speakers, overlay, state.rulebook)
    return Outcome(
        block=block,
        results=results,
        changes=overlay.changes,
        touched=touched,
        due=due,
        touched_by_deadlines=touched_by_deadlines,
        deadlines=overlay.deadlines(),
        validators_hash=state.validators.hash,
    )


def settle(outcome: Outcome, tree: SparseTree) -> Execution:
    """Do the second half of `execute_block`: the state root, and what the log grows by.

    Args:
        tree: That of the state before the block. Nothing else of that state is read, so that this can go on while the
            next block is executed.
    """
    tree = updated_tree(tree, outcome.changes)
    block = outcome.block
    record = BlockRecord(
        height=block.header.height,
        block=Digest(block.id),
        parent=block.header.parent,
        time_ms=block.header.time_ms,
        state_root=tree.root,
        validators_hash=outcome.validators_hash,
        deadlines=outcome.due,
    )
    entries = EnvelopeEntry.encode_all([prepared.signed for prepared in block.envelopes], outcome.results)
    return Execution(
        block=block,
        results=outcome.results,
        changes=outcome.changes,
        touched=outcome.touched,
        due=outcome.due,
        touched_by_deadlines=outcome.touched_by_deadlines,
        deadlines=outcome.deadlines,
        validators_hash=outcome.validators_hash,
        tree=tree,
        record=record,
        entries=(*entries, encode(record)),
    )


def _execute_deadlines(state: State, overlay: Overlay) -> tuple[tuple[bytes, ...], tuple[tuple[bytes, ...], ...]]:
    """Act on the earliest deadlines before the block's time; return their subjects in order, and what each touched."""
    subjects, touched = [], []
    for due_ms, subject in state.pending_deadlines.before(overlay.time_ms, limit=DEADLINES_PER_BLOCK_MAX):
        if not overlay.pass_deadline(due_ms, subject):
            continue
        try:
            state.rulebook.deadline_rules[subject.partition(b"/")[0]](subject, overlay)
        except (Refused, KeyError) as error:
            # Nobody spoke, so nobody can be told: a register that sets a deadline must be able to act on it.
            raise InvariantBrokenError(f"the deadline of {subject!r} cannot be acted upon: {error!r}") from error
        subjects.append(subject)
        touched.append(overlay.accept_record())
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
    names = key_names(block.envelopes)
    speakers = {name: _speaker_of(state, height, *name) for name in dict.fromkeys(names)}
    publics = {name: None if isinstance(who, EnvelopeRefusal) else who.public for name, who in speakers.items()}
    outcomes = list(map(speakers.__getitem__, names))
    expected = list(map(publics.__getitem__, names))
    verified = block.verified or (None,) * len(names)
    items, positions = [], []
    # As a rule all was verified ahead, and one comparison says so.
    if expected != list(verified):
        for position, (public, known) in enumerate(zip(expected, verified, strict=True)):
            if public is not None and public != known:
                prepared = block.envelopes[position]
                positions.append(position)
                items.append((public, prepared.id, prepared.envelope.signature))
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
    return _Speaker(department, key, window_key, state.get(window_key, ReplayWindow) or NOTHING_USED)


def _execute_records(
    envelopes: Sequence[PreparedEnvelope],
    speakers: Sequence[_Speaker | EnvelopeRefusal],
    overlay: Overlay,
    rulebook: Rulebook,
) -> tuple[tuple[bytes, ...], tuple[tuple[tuple[bytes, ...], ...], ...]]:
    """Execute every record of the envelopes that somebody speaks in; return codes and touched keys as in `Outcome`."""
    rules, height = rulebook.rules, overlay.height
    # Of all records in a row: a block with ten thousand envelopes needs no list for each.
    codes = bytearray()
    touched: list[tuple[bytes, ...]] = []
    moved: dict[bytes, WindowInUse] = {}
    for prepared, speaker in zip(envelopes, speakers, strict=True):
        records = prepared.records
        # Asked of the plain class: of an enum it takes four times as long to learn that something is none of it.
        if isinstance(speaker, _Speaker):
            refusal = _refusal_of(prepared.envelope.header, speaker, height, moved)
            overlay.department, overlay.roles = speaker.department, speaker.roles
        else:
            refusal = speaker
        if refusal is not None:
            codes += bytes((refusal.number,)) * len(records)
            touched += [()] * len(records)
            continue
        for record in records:
            try:
                if record is None:
                    raise Refused(RecordRefusal.MALFORMED_RECORD)
                rules[type(record)](record, overlay)
            except Refused as refused:
                overlay.refuse_record()
                codes.append(refused.code.number)
                touched.append(())
            else:
                codes.append(ACCEPTED)
                touched.append(overlay.accept_record())
    for key, window in moved.items():
        overlay.put(key, window.value())
    return _by_envelope(envelopes, bytes(codes), touched)


def _by_envelope(
    envelopes: Sequence[PreparedEnvelope], codes: bytes, touched: Sequence[tuple[bytes, ...]]
) -> tuple[tuple[bytes, ...], tuple[tuple[tuple[bytes, ...], ...], ...]]:
    """Return what belongs to each envelope of the codes and touched keys of all records in a row."""
    if len(codes) == len(envelopes):
        # None is without records, so each has one.
        return tuple([codes[at : at + 1] for at in range(len(codes))]), tuple(zip(touched, strict=True))
    ends = accumulate([len(prepared.records) for prepared in envelopes], initial=0)
    parts = [slice(start, end) for start, end in pairwise(ends)]
    return tuple([codes[part] for part in parts]), tuple([tuple(touched[part]) for part in parts])


def _refusal_of(
    header: EnvelopeHeader, speaker: _Speaker, height: Height, moved: dict[bytes, WindowInUse]
) -> EnvelopeRefusal | None:
    """Return why a whole envelope is refused although its signature is valid, or None.

    It uses up the sequence number even so; a bad signature uses nothing.

    Args:
        moved: Gets the windows of which a number was used, by state key. No rule of a register reads them.
    """
    if fresh := speaker.window.use(header.sequence):
        moved[speaker.window_key] = speaker.window
    if header.valid_until < height:
        return EnvelopeRefusal.EXPIRED_ENVELOPE
    if header.valid_until > height + VALID_UNTIL_AHEAD_MAX:
        return EnvelopeRefusal.VALID_UNTIL_TOO_FAR
    return None if fresh else EnvelopeRefusal.REPLAYED_ENVELOPE
