"""The safety record on the disk: two slots in one file, written in turn, each synced before anything it allows is sent.

The file is never replaced by renaming: that is safe only with one more sync, of the folder, which is easily forgotten
and was, by others. Writing in place is safe because the other slot still holds the record before.
"""

from __future__ import annotations

from ledger.errors import StorageFailedError
from ledger.storage.safety_slots import SLOTS_BYTES, SlotsRead, blank_slots, encode_slot, read_slots, slot_offset
from nodes.files import FailStop, File, Folder, write_new_file

SAFETY_FILE = "safety"


class SafetyFile:
    """The two slots of one member. One process and one thread at a time write them."""

    def __init__(self, folder: Folder, file: File | None, found: SlotsRead) -> None:
        """Use `open`."""
        self.found = found
        """What the slots held when they were opened (P21, P22)."""
        self._file = file
        self._sequence = found.sequence
        self._path = folder.path / SAFETY_FILE
        self._fail_stop = FailStop(self._path)

    @staticmethod
    def create(folder: Folder) -> None:
        """Make the file of a member that has never signed anything.

        Raises:
            StorageFailedError: There is a file already; or the disk refused. An existing record is never replaced.
        """
        path = folder.path / SAFETY_FILE
        if SAFETY_FILE in folder.names():
            raise StorageFailedError(f"{path} exists: a member's safety record is never started again")
        with FailStop(path):
            write_new_file(folder, SAFETY_FILE, blank_slots())

    @classmethod
    def open(cls, folder: Folder) -> SafetyFile:
        """Read the slots; a missing file reads as two unreadable ones.

        What is returned is on the disk: a process that died, or whose sync failed, may have left a record in the page
        cache alone, and that one must be made durable or not be seen. Nothing is written, so that a start that fails
        changes nothing.

        Raises:
            StorageFailedError: The file cannot be read or synced.
        """
        with FailStop(folder.path / SAFETY_FILE):
            if SAFETY_FILE not in folder.names():
                return cls(folder, None, read_slots(b""))
            file = folder.open(SAFETY_FILE)
            file.sync()
            file.drop_cache()
            return cls(folder, file, read_slots(file.read(0, SLOTS_BYTES)))

    def write(self, payload: bytes, *, synced_offset: int) -> None:
        """Make `payload` the newest record; when this returns, it is on the disk.

        Args:
            payload: The record in its byte form, 1 to `SLOT_PAYLOAD_BYTES_MAX` bytes.
            synced_offset: What `Journal.sync` returned last.

        Raises:
            StorageFailedError: Both slots were unreadable, so this key signs nothing more (P22); or the disk refused:
                then every later call raises too.
        """
        if self.found.unreadable == 2:
            raise StorageFailedError(
                f"{self._path}: neither slot can be read, so nobody knows what this member has signed: "
                "let it observe only, and give it a new key by reconfiguration"
            )
        if self._file is None:
            raise ValueError("the safety file is closed")
        sequence = self._sequence + 1
        slot = encode_slot(sequence, payload, synced_offset=synced_offset)
        with self._fail_stop:
            self._file.write(slot_offset(sequence), slot)
            self._file.sync()
        self._sequence = sequence

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
