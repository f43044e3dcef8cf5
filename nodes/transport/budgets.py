"""What one peer may cost this node: every bound of the transport with its reason, and the arithmetic of rates."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.limits import FRAME_BYTES_MAX
from nodes.transport.framing import PREFIX_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerBudgets:
    """Bounds for each peer, and for connections whose peer is not known yet."""

    inbound_bytes_per_s: int = 32 << 20
    """Ciphertext. Four times what a network at its measured limit sends to one node, so that catching up has room."""
    inbound_frames_per_s: int = 20_000
    """Beyond what a Python process reads in a second, so that it bites only for a peer that floods."""
    inbound_burst_s: float = 1.0
    """How much of a second's budget may come at once: a block and its votes arrive together."""
    queue_bytes_max: int = 2 * (FRAME_BYTES_MAX + PREFIX_BYTES)
    """Waiting for one peer: two frames of the largest size. Broadcast frames are shared between the queues."""
    queue_frames_max: int = 16_384
    """Bounds the bookkeeping of many small frames, as the bytes bound the large ones."""
    handshake_s: float = 5.0
    """From the first byte until the peer is known; whoever takes longer is no peer, or of no use."""
    handshakes_max: int = 128
    """Inbound connections whose peer is not known yet; more wait in the kernel's queue."""
    dials_max: int = 8
    """Outbound handshakes at once: at a common start of 53 nodes more would only time each other out."""
    connections_max: int = 2
    """A peer's connections: the one in use, and the one that replaces it."""
    bad_messages_max: int = 50
    """Bad signatures and the like until a ban: chance and old versions make a few, never this many."""
    ban_s: float = 600.0
    """Long enough to make an attack dull, short enough for a mended peer to come back unattended."""
    redial_first_s: float = 0.05
    """The first wait before dialling again; doubled each time."""
    redial_max_s: float = 2.0
    """The longest wait: what a node that came back waits for its peers, at most."""

    def __post_init__(self) -> None:
        if self.queue_bytes_max < FRAME_BYTES_MAX + PREFIX_BYTES:
            raise ValueError(f"a queue of {self.queue_bytes_max} bytes cannot hold the largest frame")

    def redial_s(self, attempt: int, jitter: float) -> float:
        """Return how long to wait before dialling again.

        Args:
            attempt: Failures in a row before this one, from 0.
            jitter: In [0, 1). Half of the wait is left to it, so that peers that lost a node do not all return at once.
        """
        # Bounded, because a peer that is away for weeks would otherwise make a number that fits no float.
        wait = min(self.redial_max_s, self.redial_first_s * (1 << min(attempt, 16)))
        return wait * (0.5 + jitter / 2)


class TokenBucket:
    """A rate with a burst. It may go into debt: what has arrived cannot be sent back, only waited for."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate_per_s: float, burst: float) -> None:
        """Start full: `burst` tokens, refilled at `rate_per_s`."""
        self._rate, self._burst = rate_per_s, burst
        self._level, self._at = burst, float("-inf")

    def take(self, amount: float, now: float) -> float:
        """Take tokens at time `now`, in seconds; return the seconds until the bucket is out of debt, 0.0 if it is."""
        self._level = min(self._burst, self._level + (now - self._at) * self._rate) - amount
        self._at = now
        return max(0.0, -self._level / self._rate)
