"""A member's process that journals and votes until it is killed: `python -m tests.storage.writer DIRECTORY`.

It prints each vote after everything behind it is on the disk, which is when it would be sent.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ledger.identifiers import ChainId, Height
from ledger.storage.frames import Frame, FrameKind
from nodes.data_directory import DataDirectory
from nodes.journal import Journal
from nodes.safety_file import SafetyFile

CHAIN = ChainId(b"\x07" * 32)
SEGMENT_BYTES = 16_384


def opened(data: DataDirectory) -> tuple[SafetyFile, Journal]:
    """Open both, the safety record first: it knows how much of the journal was safe."""
    safety = SafetyFile.open(data.folder)
    journal = Journal.open(
        data.journal,
        chain_id=CHAIN,
        synced_offset=safety.found.synced_offset,
        segment_bytes=SEGMENT_BYTES,
        ballast_bytes=0,
    )
    return safety, journal


def payload_of(height: int) -> bytes:
    """Return the payload of the block at `height`, of lengths that cross pages and segments at changing places."""
    return height.to_bytes(8, "big") * (height * 37 % 400)


def main() -> None:
    with DataDirectory.open(Path(sys.argv[1]), CHAIN) as data:
        safety, journal = opened(data)
        vote = int(safety.found.payload or b"0")
        height = sum(1 for _ in journal.frames())
        while True:
            for _ in range(3):
                journal.append(Frame(FrameKind.BLOCK, Height(height), payload_of(height)))
                height += 1
            synced = journal.sync()
            vote += 1
            safety.write(b"%d" % vote, synced_offset=synced)
            print(vote, height, flush=True)


if __name__ == "__main__":
    main()
