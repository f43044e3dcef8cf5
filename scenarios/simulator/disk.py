"""The virtual disk of one member: what was synced stays, what was not is anybody's guess when the power goes.

The journal and the safety file have the byte forms of `ledger.storage`, and the same reader tells a torn tail from
damage. A write is pending until its file is synced. At a power loss each pending write is kept, dropped, torn, zeroed
or garbled, independently of those before and after it, as in the tests of the real files.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.errors import StorageFailedError
from ledger.identifiers import ChainId
from ledger.storage.frames import Frame, FrameChain, Verdict, decode_frame, first_link, scan
from ledger.storage.safety_slots import SlotsRead, blank_slots, encode_slot, read_slots, slot_offset
from scenarios.simulator.streams import Stream

TORN_LENGTHS = (1, 7, 511, 512, 513)
"""Bytes of a torn write that reached the disk: a sector and what is next to it, and almost nothing."""

FATES = ("kept", "dropped", "torn", "zeroed", "garbled")
"""What can become of a pending write."""


@dataclass(slots=True)
class VirtualFile:
    """Bytes on the disk, and writes that are on their way there."""

    durable: bytearray
    pending: list[tuple[int, bytes]] = field(default_factory=list)

    def write(self, offset: int, data: bytes) -> None:
        """Write; other readers of the file see it, a power loss may not."""
        self.pending.append((offset, data))

    def sync(self) -> None:
        """Make all writes durable."""
        for offset, data in self.pending:
            self._put(offset, data)
        self.pending.clear()

    def seen(self) -> bytes:
        """Return what a process reads, pending writes included."""
        as_written = VirtualFile(bytearray(self.durable), list(self.pending))
        as_written.sync()
        return bytes(as_written.durable)

    def lose_power(self, draws: Stream) -> None:
        """Decide what is left of each pending write."""
        for offset, data in self.pending:
            match draws.choice(FATES):
                case "kept":
                    self._put(offset, data)
                case "dropped":
                    pass
                case "torn":
                    self._put(offset, data[: draws.choice((*TORN_LENGTHS, draws.between(0, len(data))))])
                case "zeroed":
                    self._put(offset, bytes(len(data)))
                case "garbled":
                    whole = draws.between(0, len(data))
                    self._put(offset, data[:whole] + draws.bytes(len(data) - whole))
        self.pending.clear()

    def _put(self, offset: int, data: bytes) -> None:
        if (gap := offset - len(self.durable)) > 0:
            self.durable.extend(bytes(gap))
        self.durable[offset : offset + len(data)] = data


class VirtualDisk:
    """The journal and the safety file of one member."""

    def __init__(self, chain: ChainId, draws: Stream) -> None:
        """Make the disk of a member that has never run."""
        self._chain = chain
        self._draws = draws
        self._journal = VirtualFile(bytearray())
        self._slots = VirtualFile(bytearray(blank_slots()))
        self._frames = FrameChain(first_link(chain))
        self._end = 0
        self._synced_offset = 0
        self._sequence = 1
        self._durable_safety: bytes | None = None
        self._pending_safety: bytes | None = None
        self.writes = 0
        self.syncs = 0

    @property
    def journal(self) -> bytes:
        """The journal as a reader finds it once the member has stopped: its bytes, from the first frame on."""
        return self._journal.seen()

    @property
    def durable_safety(self) -> bytes | None:
        """Payload of the newest safety record that a power loss cannot take away; None before the first."""
        return self._durable_safety

    @property
    def synced_offset(self) -> int:
        """Bytes of the journal that a power loss cannot take away."""
        return self._synced_offset

    def frames(self) -> list[Frame]:
        """Return the whole frames that a process reads now, in order."""
        data = self.journal
        found = scan(data, previous=first_link(self._chain), synced_offset=0)
        return [decode_frame(data[place.offset : place.offset + place.size]) for place in found.frames]

    def append(self, frame: Frame) -> None:
        """Write a frame at the end of the journal."""
        encoded = self._frames.encode(frame)
        self._journal.write(self._end, encoded)
        self._end += len(encoded)
        self.writes += 1

    def sync_journal(self) -> None:
        """Make the journal durable up to its end."""
        self._journal.sync()
        self._synced_offset = self._end
        self.syncs += 1

    def write_safety(self, payload: bytes) -> None:
        """Write the next safety record into its slot; durable after `sync_safety`."""
        self._sequence += 1
        slot = encode_slot(self._sequence, payload, synced_offset=self._synced_offset)
        self._slots.write(slot_offset(self._sequence), slot)
        self._pending_safety = payload
        self.writes += 1

    def sync_safety(self) -> None:
        """Make the safety record durable."""
        self._slots.sync()
        if self._pending_safety is not None:
            self._durable_safety, self._pending_safety = self._pending_safety, None
        self.syncs += 1

    def lose_power(self) -> None:
        """Cut the power: what was pending has a fate of its own, everything synced stays."""
        self._journal.lose_power(self._draws)
        self._slots.lose_power(self._draws)
        self._pending_safety = None

    def read_back(self) -> tuple[list[Frame], SlotsRead]:
        """Return what a start finds: the whole frames of the journal, and the safety slots.

        A torn tail is cut off and what is left is synced, as a real start does.

        Raises:
            StorageFailedError: Bytes that had been synced are damaged. The disk is then as it was.
        """
        self._journal.sync()
        self._slots.sync()
        safety = read_slots(bytes(self._slots.durable))
        data = bytes(self._journal.durable)
        found = scan(data, previous=first_link(self._chain), synced_offset=safety.synced_offset)
        if found.verdict is Verdict.CORRUPT:
            raise StorageFailedError(
                f"the journal is damaged at byte {found.end}, which had been synced: {found.fault}"
            )
        del self._journal.durable[found.end :]
        self._frames = FrameChain(found.link)
        self._end = self._synced_offset = found.end
        self._sequence = max(safety.sequence, 1)
        self._durable_safety = safety.payload
        return [decode_frame(data[place.offset : place.offset + place.size]) for place in found.frames], safety
