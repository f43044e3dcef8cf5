"""Power or process go at every point of a member's life: what it has acknowledged is there at the next start."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from ledger.errors import StorageFailedError
from ledger.identifiers import ChainId, Height
from ledger.storage.frames import Frame, FrameKind
from nodes.journal import Journal
from nodes.safety_file import SAFETY_FILE, SafetyFile
from tests.storage.fault_disk import TORN_LENGTHS, Fate, FaultDisk, PowerLostError, random_fates, torn

CHAIN = ChainId(b"\x07" * 32)
SEGMENT_BYTES = 1_500

CRASHES = 4_000
MUTANT_CRASHES = 1_500
LIVES = 3
"""Crashes in a row on one disk: the mistakes of a recovery show in the next one."""


class LostError(Exception):
    """Something that had been acknowledged is not there any more, or something is there that never was."""


class Member:
    """Journals, syncs, writes its vote, acknowledges: P20, over and over, through crashes."""

    def __init__(self, disk: FaultDisk, rng: random.Random) -> None:
        self._disk = disk
        self._rng = rng
        self.appended: list[Frame] = []
        self.frames_safe = 0
        self.vote_safe = 0
        SafetyFile.create(disk.folder("node"))

    def live(self, votes: int) -> None:
        """Start, compare what is there with what was acknowledged, and cast some more votes."""
        safety = SafetyFile.open(self._disk.folder("node"))
        if safety.found.unreadable == 2:
            raise StorageFailedError("both slots are unreadable")
        last_vote = int(safety.found.payload or b"0")
        if last_vote < self.vote_safe:
            raise LostError(f"vote {last_vote} is below the acknowledged {self.vote_safe}")
        journal = Journal.open(
            self._disk.folder("journal"),
            chain_id=CHAIN,
            synced_offset=safety.found.synced_offset,
            segment_bytes=SEGMENT_BYTES,
            ballast_bytes=0,
        )
        found = [frame for _, frame in journal.frames()]
        if len(found) < self.frames_safe or found != self.appended[: len(found)]:
            raise LostError(f"{len(found)} frames of {self.frames_safe} acknowledged")
        # From here on the member acts upon what it has found.
        self.appended, self.frames_safe, self.vote_safe = found, len(found), last_vote
        for vote in range(last_vote + 1, last_vote + 1 + votes):
            for _ in range(self._rng.randint(1, 3)):
                payload = self._rng.randbytes(self._rng.choice((0, 7, 80, 600)))
                frame = Frame(FrameKind.BLOCK, Height(len(self.appended)), payload)
                self.appended.append(frame)
                journal.append(frame)
            synced = journal.sync()
            self.frames_safe = len(self.appended)
            safety.write(b"%d" % vote, synced_offset=synced)
            self.vote_safe = vote


def outcome_of(seed: int, lies: Callable[[str], bool]) -> str:
    """Live through some crashes drawn from `seed` and say how it ended: "safe", "lost" or "detected"."""
    rng = random.Random(seed)
    disk = FaultDisk()
    member = Member(disk, rng)
    disk.lies = lies
    try:
        for _ in range(LIVES):
            disk.steps_left = rng.randrange(60)
            with pytest.raises(PowerLostError):
                member.live(votes=60)
            if rng.random() < 0.7:
                disk.power_back(*random_fates(rng))
            else:
                disk.steps_left = None  # only the process died
        disk.power_back(*random_fates(rng))
        member.live(votes=1)
    except LostError:
        return "lost"
    except StorageFailedError:
        return "detected"
    return "safe"


def outcomes(crashes: int, *, lies: Callable[[str], bool] = lambda name: False) -> Counter[str]:
    return Counter(outcome_of(seed, lies) for seed in range(crashes // LIVES))


def test_nothing_acknowledged_is_lost_when_the_power_goes() -> None:
    """Over thousands of crashes no vote and no frame is lost, and no start is refused."""
    assert outcomes(CRASHES) == {"safe": CRASHES // LIVES}


@pytest.mark.parametrize(
    "unsynced",
    [SAFETY_FILE, ".frames", "journal/"],
    ids=["safety record", "segments", "folder of the segments"],
)
def test_a_sync_left_out_is_found(unsynced: str) -> None:
    """Without any one of the three syncs, the same crashes lose what was acknowledged, some of it unnoticed."""
    found = outcomes(MUTANT_CRASHES, lies=lambda name: name.endswith(unsynced))
    assert found["lost"] > 0
    assert found["detected"] > 0


def test_one_slot_overwritten_in_place_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every record in the same slot, the same crashes leave starts that find no record at all."""
    for module in ("ledger.storage.safety_slots", "nodes.safety_file"):
        monkeypatch.setattr(f"{module}.slot_offset", lambda sequence: 0)
    assert outcomes(MUTANT_CRASHES)["detected"] > 0


def fixed_fates() -> Iterator[tuple[str, Fate, bool]]:
    for keep_name in (False, True):
        yield "kept", lambda old, new: new, keep_name
        yield "dropped", lambda old, new: None, keep_name
        yield "zeroed", lambda old, new: bytes(len(new)), keep_name
        yield "garbled", lambda old, new: bytes(byte ^ 0x55 for byte in new), keep_name
        for length in TORN_LENGTHS:
            yield f"torn at {length}", lambda old, new, length=length: torn(old, new, length), keep_name


@pytest.mark.parametrize(("fate", "keep_name"), [pytest.param(f, k, id=f"{n}, names {k}") for n, f, k in fixed_fates()])
def test_every_step_of_a_short_script_can_be_the_last(fate: Fate, keep_name: bool) -> None:
    """Each operation in turn is the last before the power goes, with each fate for all that is pending then."""
    steps, finished = 0, False
    while not finished:
        disk = FaultDisk()
        member = Member(disk, random.Random(1))
        disk.steps_left = steps
        try:
            member.live(votes=12)
            finished = True
        except PowerLostError:
            steps += 1
        disk.power_back(fate, lambda: keep_name)
        member.live(votes=2)
    assert steps > 50


@pytest.mark.parametrize(("fate", "keep_name"), [pytest.param(f, k, id=f"{n}, names {k}") for n, f, k in fixed_fates()])
def test_a_safety_file_is_made_whole_or_not_at_all(fate: Fate, keep_name: bool) -> None:
    """Power loss at any step of making it leaves no file, so it can be made again, or a readable one without record."""
    steps, finished = 0, False
    while not finished:
        disk = FaultDisk()
        disk.steps_left = steps
        try:
            SafetyFile.create(disk.folder("node"))
            finished = True
        except PowerLostError:
            steps += 1
        disk.power_back(fate, lambda: keep_name)
        if SAFETY_FILE not in disk.folder("node").names():
            assert not finished
            SafetyFile.create(disk.folder("node"))
        found = SafetyFile.open(disk.folder("node")).found
        assert (found.payload, found.unreadable) == (None, 0)
    assert steps > 3
