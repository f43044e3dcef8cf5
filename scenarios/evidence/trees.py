"""RFC 6962 hashing written down again for the reader of evidence: recursive, as the text of the standard has it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf(entry: bytes) -> bytes:
    """Hash of a log entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def tagged_leaf(tag: str, entry: bytes) -> bytes:
    """Hash of a leaf in a tree under a domain tag."""
    return hashlib.sha256(b"\x00" + f"mulu/{tag}/1\0".encode() + entry).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()


class RunningRoot:
    """The root after each appended leaf, from the perfect subtrees on the left."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []
        self.size = 0

    def append(self, leaf_hash: bytes) -> None:
        """Add one leaf hash."""
        height, value = 0, leaf_hash
        while self._peaks and self._peaks[-1][0] == height:
            value = hashlib.sha256(b"\x01" + self._peaks.pop()[1] + value).digest()
            height += 1
        self._peaks.append((height, value))
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        value = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            value = hashlib.sha256(b"\x01" + peak + value).digest()
        return value
