"""The journal on the disk: every block before it is voted on, every certificate a restart needs. The source of truth.

The journal is one stream of frames; an offset counts bytes from its beginning and never changes its meaning. The stream
is cut into segments, each named after the offset of its first byte, so that the segments one after the other are the
stream. A frame lies in one segment. Only the last segment is written; it is preallocated, so that a sync writes data
alone, and cut to its length when the next one begins.

A segment begins only after the one before it was synced. So whatever lies before the last segment is known to be safe,
whatever the safety record says, and only the last segment can have a torn tail.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import NoReturn

from ledger.errors import DecodeError, NotFoundError, StorageFailedError
from ledger.identifiers import ChainId, Height
from ledger.storage.frames import (
    HEADER_BYTES,
    Frame,
    FrameChain,
    FrameKind,
    Scan,
    Verdict,
    decode_frame,
    first_link,
    frame_size,
    scan,
)
from ledger.storage.height_index import HeightIndex
from nodes.disk_space import DiskSpace
from nodes.files import OUT_OF_SPACE, DiskFullError, FailStop, File, Folder

SEGMENT_BYTES = 64 << 20
"""Few blocks pay for the two syncs of a new segment, and damage sets no more than this aside."""

BALLAST_BYTES = 64 << 20
"""Given back when the disk is full: room for one more segment, so that the node can finish what it has begun."""

_BALLAST = "ballast"
_SEGMENT_NAME = re.compile(r"([0-9]{20})\.frames")
_QUARANTINED = ".quarantined"


class Journal:
    """The frames of one member, in the order they were appended.

    One thread appends and syncs. Reading may go on in others at the same time, below the offset synced last.
    """

    @classmethod
    def open(
        cls,
        folder: Folder,
        *,
        chain_id: ChainId,
        synced_offset: int,
        segment_bytes: int = SEGMENT_BYTES,
        ballast_bytes: int = BALLAST_BYTES,
    ) -> Journal:
        """Read the whole journal, cut off a torn tail, and make durable what is left.

        Args:
            folder: Holds nothing but this journal; empty at the first start.
            chain_id: Of the network; the first frame is chained to it.
            synced_offset: From the safety slots (`SlotsRead.synced_offset`): what was safe at the least.
            segment_bytes: Length at which a segment gives way to the next; an existing journal may have others.
            ballast_bytes: Space to keep in reserve, 0 for none.

        Raises:
            StorageFailedError: Bytes that had been synced are damaged or gone. A damaged segment is set aside under
                another name, and never cut.
            DiskFullError: There is no room for the first segment.
        """
        journal = cls(folder, chain_id, segment_bytes)
        try:
            with journal._fail_stop:
                journal._recover(synced_offset)
                journal._reserve_ballast(ballast_bytes)
        except StorageFailedError:
            journal.close()
            raise
        return journal

    def __init__(self, folder: Folder, chain_id: ChainId, segment_bytes: int) -> None:
        """Use `open`."""
        if segment_bytes < 1:
            raise ValueError("a segment has at least one byte")
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._bases: list[int] = []
        self._active: File | None = None
        self._chain = FrameChain(first_link(chain_id))
        self._end = 0
        self._synced = 0
        self._fail_stop = FailStop(folder.path)
        self._blocks = HeightIndex()
        self._executed = HeightIndex()

    @property
    def end(self) -> int:
        """Offset after the last frame appended."""
        return self._end

    @property
    def synced(self) -> int:
        """Offset up to which everything is on the disk."""
        return self._synced

    @property
    def height(self) -> Height:
        """The greatest height that it has a block of, committed or not; 0 without any."""
        return Height(self._blocks.height)

    def append(self, frame: Frame) -> int:
        """Append `frame` and return its offset. It is durable only after the next `sync`.

        Raises:
            ValueError: The payload is too long for a frame.
            DiskFullError: There is no room. The journal is as it was, and a later attempt may succeed.
            StorageFailedError: The disk refused; from now on every call does.
        """
        with self._fail_stop:
            chain, offset = FrameChain(self._chain.link), self._end
            encoded = chain.encode(frame)
            self._write(encoded)
            self._chain, self._end = chain, offset + len(encoded)
            self._note(frame.kind, frame.height, offset)
            return offset

    def sync(self) -> int:
        """Make durable all that was appended; return the offset up to which that is so.

        Raises:
            StorageFailedError: The disk refused; from now on every call does.
        """
        with self._fail_stop:
            if self._synced < self._end:
                end = self._end
                self._writable().sync()
                self._synced = end
            return self._synced

    def read(self, offset: int) -> Frame:
        """Return the frame that begins at `offset`.

        Raises:
            NotFoundError: The journal ends before.
            StorageFailedError: No whole frame begins there: the offset is wrong, or the bytes were damaged since start.
        """
        if not 0 <= offset < self._end:
            raise NotFoundError(f"the journal ends at {self._end}; nothing begins at {offset}")
        base = self._bases[bisect_right(self._bases, offset) - 1]
        file = self._folder.open(_name_of(base))
        try:
            size = frame_size(file.read(offset - base, HEADER_BYTES))
            return decode_frame(file.read(offset - base, size))
        except (OSError, DecodeError) as error:
            raise StorageFailedError(
                f"{self._folder.path / _name_of(base)} at {offset - base}: {error}; fetch the block from another member"
            ) from error
        finally:
            file.close()

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """Yield all frames with their offsets, in order. Holds one segment in memory at a time.

        Raises:
            StorageFailedError: A frame was damaged since start.
        """
        for base, end in zip(self._bases, [*self._bases[1:], self._end], strict=True):
            data = self._read_segment(base, end)
            position = 0
            while position < len(data):
                try:
                    size = frame_size(data[position : position + HEADER_BYTES])
                    frame = decode_frame(data[position : position + size])
                except DecodeError as error:
                    raise StorageFailedError(
                        f"{self._folder.path / _name_of(base)} at {position}: {error}; it was whole at start"
                    ) from error
                yield base + position, frame
                position += size

    def blocks_at(self, height: Height) -> tuple[int, ...]:
        """Return the offsets of the BLOCK frames of `height`, oldest first; more than one if rounds failed there."""
        return self._blocks.offsets(height)

    def executed_at(self, height: Height) -> int | None:
        """Return the offset of the newest EXECUTED frame of `height`, or None."""
        offsets = self._executed.offsets(height)
        return offsets[-1] if offsets else None

    def space(self) -> DiskSpace:
        """Return how much of the file system is free. While it is nearly full a node signs nothing (S4).

        Raises:
            StorageFailedError: The file system does not even tell; from now on every call raises.
        """
        with self._fail_stop:
            return self._folder.space()

    def release_ballast(self) -> bool:
        """Give the reserved space back and return whether there was any. The next start reserves it anew."""
        with self._fail_stop:
            if _BALLAST not in self._folder.names():
                return False
            self._folder.remove(_BALLAST)
            self._folder.sync()
            return True

    def close(self) -> None:
        """Close without syncing: what must be durable was synced before it was relied on."""
        if self._active is not None:
            self._active.close()
            self._active = None

    def _writable(self) -> File:
        if self._active is None:
            raise ValueError("the journal is closed")
        return self._active

    def _note(self, kind: FrameKind, height: int, offset: int) -> None:
        if kind is FrameKind.BLOCK:
            self._blocks.add(height, offset)
        elif kind is FrameKind.EXECUTED:
            self._executed.add(height, offset)

    # Writing. A full disk is recoverable only where nothing was synced and all could be taken back; any other failure
    # goes up as it is, to `_fail_stop`.

    def _write(self, encoded: bytes) -> None:
        used = self._end - self._bases[-1]
        if used > 0 and used + len(encoded) > self._segment_bytes:
            self._end_segment(used)
            self._begin_segment(len(encoded))
            used = 0
        file = self._writable()
        try:
            file.write(used, encoded)
        except OSError as error:
            if error.errno not in OUT_OF_SPACE:
                raise
            file.truncate(used)
            raise DiskFullError(self._folder.path) from error

    def _end_segment(self, used: int) -> None:
        file = self._writable()
        file.sync()
        self._synced = self._end
        file.truncate(used)

    def _begin_segment(self, bytes_needed: int) -> None:
        """Begin a segment at the journal's end, which is synced; on a full disk leave all as it was."""
        name = _name_of(self._end)
        file = None
        try:
            file = self._folder.create(name)
            file.allocate(max(self._segment_bytes, bytes_needed))
        except OSError as error:
            if error.errno not in OUT_OF_SPACE:
                raise
            if file is not None:
                file.close()
                self._folder.remove(name)
                # The name must be gone for good: a smaller frame may still fit into the segment before, and a crash
                # that brought the name back would hide it.
                self._folder.sync()
            raise DiskFullError(self._folder.path) from error
        self._folder.sync()
        if self._active is not None:
            self._active.close()
        self._active = file
        self._bases.append(self._end)

    def _reserve_ballast(self, ballast_bytes: int) -> None:
        if ballast_bytes == 0:
            return
        exists = _BALLAST in self._folder.names()
        try:
            file = self._folder.open(_BALLAST) if exists else self._folder.create(_BALLAST)
            try:
                file.allocate(ballast_bytes)
            finally:
                file.close()
        except OSError as error:
            if error.errno not in OUT_OF_SPACE:
                raise
            # Half a ballast helps nobody. Without one the node still works; `space` keeps it from voting.
            self.release_ballast()

    # Reading back at start

    def _recover(self, synced_offset: int) -> None:
        names = sorted(self._folder.names())
        if aside := [name for name in names if name.endswith(_QUARANTINED)]:
            raise StorageFailedError(
                f"{self._folder.path / aside[0]} was set aside as damaged; fetch its blocks from other members"
            )
        bases = [int(match[1]) for name in names if (match := _SEGMENT_NAME.fullmatch(name))]
        if not bases:
            if synced_offset > 0:
                self._fail_missing(synced_offset)
            self._begin_segment(0)
            return
        # Names that a process has left without a sync of the folder become durable here.
        self._folder.sync()
        # A segment begins only after the one before it was synced, so all of those before the last must be whole.
        for base, limit in pairwise(bases):
            self._scan_segment(base, self._read_segment(base, limit), limit)
        self._resume(bases[-1], synced_offset)

    def _resume(self, base: int, synced_offset: int) -> None:
        """Read the last segment, cut off its torn tail, and make it the one that is written."""
        file = self._folder.open(_name_of(base))
        self._active = file
        # What is read below is on the disk then, also if it was never synced by the process that wrote it.
        file.sync()
        file.drop_cache()
        size = file.size()
        found = self._scan_segment(base, file.read(0, size), synced_offset)
        if found.verdict is Verdict.TORN_TAIL:
            # All of it, down to the zeros: a left-over frame could fit the chain again one day.
            size = found.end
            file.truncate(size)
        if size < self._segment_bytes:
            try:
                file.allocate(self._segment_bytes)
            except OSError as error:
                if error.errno not in OUT_OF_SPACE:
                    raise
                # The next append finds the disk full as well, and says so.
        file.sync()
        self._synced = self._end

    def _scan_segment(self, base: int, data: bytes, synced_offset: int) -> Scan:
        if base != self._end:
            self._fail_missing(base)
        found = scan(data, previous=self._chain.link, synced_offset=synced_offset - base)
        self._bases.append(base)
        self._end = base + found.end
        self._chain = FrameChain(found.link)
        for position in found.frames:
            self._note(position.kind, position.height, base + position.offset)
        if found.verdict is Verdict.CORRUPT:
            if found.end == len(data):
                self._fail_missing(synced_offset)
            self._fail_damaged(base, found.end, found.fault)
        return found

    def _read_segment(self, base: int, end: int) -> bytes:
        file = self._folder.open(_name_of(base))
        try:
            return file.read(0, end - base)
        finally:
            file.close()

    def _fail_missing(self, expected: int) -> NoReturn:
        raise StorageFailedError(
            f"{self._folder.path}: the journal ends at {self._end}, but had been synced up to {expected} at the least: "
            "segments are missing; put them back, or fetch their blocks from other members"
        )

    def _fail_damaged(self, base: int, position: int, fault: str | None) -> NoReturn:
        name = _name_of(base)
        self._folder.rename(name, name + _QUARANTINED)
        self._folder.sync()
        raise StorageFailedError(
            f"{self._folder.path / name} is damaged at byte {position}, which had been synced: {fault}; "
            f"it is kept as {name + _QUARANTINED}, and its blocks must be fetched from other members"
        )


def _name_of(base: int) -> str:
    return f"{base:020}.frames"
