"""Signatures of envelopes that somebody else hands on, checked at a bounded cost.

Where the native core verifies whole batches, a false signature costs what a good one does. Where signatures are
verified one by one, one that OpenSSL refuses takes twenty times as long to judge by the ledger's own rule, and whoever
sends thousands of them would hold up the member. Execution alone must judge them all, once a quorum has taken them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.consensus.cache import SharedCache
from ledger.consensus.certificates import VerifyStrict
from ledger.crypto.signatures import checks_singly
from ledger.errors import SignatureError
from ledger.state.prepared import VerifyBatch

SLOW_CHECKS_MAX = 8
"""Signatures of one proposed block that are judged although OpenSSL refuses them: 16 ms of a round."""

Item = tuple[bytes, bytes, bytes]
"""`(public, message, signature)`."""


class SignatureChecks:
    """The checks of a pool and of a voter."""

    def __init__(self, verify: VerifyBatch, strict: VerifyStrict, cache: SharedCache) -> None:
        """Args: `verify` remembers in `cache` what it has found to be valid, under `zip215` and the item."""
        self._verify, self._strict, self._cache = verify, strict, cache

    def check_for_pool(self, items: Sequence[Item]) -> None:
        """Check what a peer has sent. Where they are checked one by one, the strict rule of all tools applies.

        Raises:
            SignatureError: One of them is refused; those behind it were not looked at.
        """
        if checks_singly():
            refused = self._refused_strictly(items, refusals_max=1)
        else:
            refused = [item for item, valid in zip(items, self._verify(items), strict=True) if not valid]
        if refused:
            raise SignatureError(f"an envelope passed on does not verify under key {refused[0][0].hex()}")

    def approve_for_vote(self, items: Sequence[Item]) -> bool:
        """Return whether all are valid and not too many of them took the slow check.

        One slow check after the other is remembered, so that a block withheld for their number alone is not withheld
        for ever: envelopes that only the ledger's own rule accepts come back in the next ones.
        """
        if not checks_singly():
            return all(self._verify(items))
        refused = self._refused_strictly(items, refusals_max=SLOW_CHECKS_MAX + 1)
        return all(self._verify(refused[:SLOW_CHECKS_MAX])) and len(refused) <= SLOW_CHECKS_MAX

    def _refused_strictly(self, items: Sequence[Item], *, refusals_max: int) -> list[Item]:
        """Return those that are not known to be valid and that OpenSSL refuses, the first `refusals_max` of them."""
        refused: list[Item] = []
        for item in items:
            if len(refused) == refusals_max:
                break
            if self._cache.knows(("zip215", *item)):
                continue
            try:
                self._strict(*item)
            except SignatureError:
                refused.append(item)
            else:
                self._cache.learn(("zip215", *item))
        return refused
