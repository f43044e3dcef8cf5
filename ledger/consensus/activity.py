"""Whether the network is awake: when the first round begins, and when a round should bring a block (P16, P16a)."""

from __future__ import annotations

from ledger.consensus.outbox import START_TIMER
from ledger.consensus.progress import Progress
from ledger.consensus.proposals import Proposals
from ledger.consensus.setting import Setting
from ledger.identifiers import ValidatorIndex

EMPTY_RUN_MAX = 8
"""Empty blocks in a row that are proposed to bring a payload under a checkpoint (P16a)."""


class Activity:
    """What there is to wait for. Without anything, no timer of a round runs and nobody proposes."""

    def __init__(self, setting: Setting, progress: Progress, proposals: Proposals) -> None:
        self._quorum = setting.validators.quorum
        self._idle_ms = setting.timing.idle_ms
        self._application = setting.application
        self._outbox = setting.outbox
        self._progress = progress
        self._proposals = proposals
        self._connected: set[ValidatorIndex] = set()
        self.started = False
        """Whether rounds are timed and proposed in: somebody is there to take part in them."""

    def connect(self, peer: ValidatorIndex) -> None:
        """Count a validator that can be heard."""
        self._connected.add(peer)
        self.start_if_connected()

    def disconnect(self, peer: ValidatorIndex) -> None:
        """Count it no more."""
        self._connected.discard(peer)

    def start_if_connected(self) -> None:
        """Start if a quorum is connected, this member included (P16)."""
        if len(self._connected) + 1 >= self._quorum:
            self.started = True
            self._outbox.disarm(START_TIMER)

    def is_active(self, now_ms: int) -> bool:
        """Return whether the current round should bring a block (P16a)."""
        tip = self._progress.tip
        if tip is None or self._proposals.any_of_round(self._progress.round):
            return True
        if self._application.has_payload() or now_ms >= tip.time_ms + self._idle_ms:
            return True
        return tip.unsettled and tip.empty_run < EMPTY_RUN_MAX

    def idle_until_ms(self) -> int | None:
        """Return when an empty block is due, Unix milliseconds; None while the block to extend is missing."""
        tip = self._progress.tip
        return None if tip is None else tip.time_ms + self._idle_ms
