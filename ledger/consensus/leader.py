"""Who proposes in a round (P18). The answer follows from the proposal's own justification, so that nobody can differ.

Round-robin knows nothing and gives a dead validator its turns for ever. Reputation draws among those whose votes the
chain shows, so that a dead one drops out after some blocks; it needs consecutive rounds, and falls back to round-robin
after a timeout, which is also how a validator that is back gets its first turn.

Source: leader election of DiemBFT v4 in shape; the draw and the fallback are this ledger's.
"""

from __future__ import annotations

from itertools import islice
from typing import Protocol

from ledger.consensus.block_tree import BlockTree, TreeBlock
from ledger.crypto.hashing import Tag, tagged_hash
from ledger.identifiers import BlockId, ValidatorIndex
from ledger.members.validators import ValidatorSet

_ROUNDS_EACH = 2
"""Rounds in a row by one leader: a commit needs two certified in a row, and votes go to the next leader."""


class LeaderChoice(Protocol):
    """A rule for who leads."""

    @property
    def history(self) -> int:
        """Committed blocks that the rule looks back on."""

    def leader(self, round_: int, parent: TreeBlock, tree: BlockTree) -> ValidatorIndex:
        """Return who may propose a child of `parent` in `round_`.

        Args:
            round_: Above the parent's. If it is the next one, entry is by the parent's certificate, else by timeouts.
            parent: A block of `tree`.
        """


class RoundRobin:
    """Everybody in turn, two rounds each: floor(r/2) mod n."""

    history = 0

    def __init__(self, validators: ValidatorSet) -> None:
        self._count = len(validators)

    def leader(self, round_: int, parent: TreeBlock, tree: BlockTree) -> ValidatorIndex:
        """Return the validator whose turn it is; the chain does not matter."""
        return ValidatorIndex(round_ // _ROUNDS_EACH % self._count)


class Reputation:
    """A draw among those whose votes are in the chain's last n certificates, but for the last f authors."""

    def __init__(self, validators: ValidatorSet) -> None:
        self._validators = validators
        self._otherwise = RoundRobin(validators)
        self.history = len(validators) + 1
        self._reputed: tuple[BlockId | None, list[int]] = (None, [])
        """The last parent asked about and its candidates: a round asks many times about one parent."""

    def leader(self, round_: int, parent: TreeBlock, tree: BlockTree) -> ValidatorIndex:
        """Return the drawn validator; round-robin where rounds are not consecutive or nobody is in good repute."""
        grandparent = tree.parent_of(parent)
        if grandparent is None or not parent.round == round_ - 1 == grandparent.round + 1:
            return self._otherwise.leader(round_, parent, tree)
        if self._reputed[0] != parent.id:
            self._reputed = (parent.id, self._in_good_repute(parent, tree))
        candidates = self._reputed[1]
        if not candidates:
            return self._otherwise.leader(round_, parent, tree)
        draw = tagged_hash(Tag.LEADER, self._validators.epoch.to_bytes(8, "big") + round_.to_bytes(8, "big"))
        return ValidatorIndex(candidates[int.from_bytes(draw[:8], "big") % len(candidates)])

    def _in_good_repute(self, parent: TreeBlock, tree: BlockTree) -> list[int]:
        """Return the candidates in ascending order.

        The certificates looked at are those *inside* the parent and the n - 1 blocks below it: the one that certifies
        the parent itself may have other voters at the next member.
        """
        count = len(self._validators)
        voters: set[int] = set()
        for block in islice(tree.chain_down(parent), count):
            if block.proposal is not None:
                voters.update(block.proposal.parent_qc.voters)
        # The parent is not committed by its own chain; the authors that had their turn are those below it.
        for block in islice(tree.chain_down(parent), 1, 1 + self._validators.faults):
            if block.proposal is not None:
                voters.discard(block.proposal.header.author)
        return sorted(voters)
