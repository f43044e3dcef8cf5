"""Collecting cosignatures until a checkpoint has its quorum (P20a to P20c), and keeping the own ones."""

from __future__ import annotations

from ledger.blocks.checkpoint import Cosignature, QuorumCheckpoint
from ledger.consensus.messages import CheckpointCosignature
from ledger.identifiers import Digest
from ledger.members.validators import ValidatorSet

SIZES_MAX = 64
"""Log sizes that cosignatures are kept for at once; a burst never cosigns more heights than execution may lag."""

OWN_SIZES_MAX = 1_024
"""Own cosignatures that are kept. Older ones are never needed: whatever they covered, a newer one covers too."""

_Place = tuple[int, int, Digest]
"""(size, height, root)."""


class CosignatureCollector:
    """Verified cosignatures by what they cosign, for the newest sizes above the last checkpoint with a quorum.

    A validator cosigns a size once. If it does so with two roots, both count where they were put: neither root gets a
    quorum by that alone, and a quorum on a foreign root is what P20c looks for.
    """

    def __init__(self, validators: ValidatorSet) -> None:
        self._validators = validators
        self._by_place: dict[_Place, dict[int, Cosignature]] = {}
        self._settled_size = 0

    def needs(self, statement: CheckpointCosignature) -> bool:
        """Return whether the cosignature can still change something, so that it is worth the check."""
        if statement.size <= self._settled_size:
            return False
        held = self._by_place.get(_place_of(statement), {})
        return statement.cosignature.validator not in held

    def add(self, statement: CheckpointCosignature) -> QuorumCheckpoint | None:
        """Take a verified cosignature; return the checkpoint that it gives a quorum."""
        place = _place_of(statement)
        held = self._by_place.setdefault(place, {})
        held.setdefault(statement.cosignature.validator, statement.cosignature)
        if len(held) >= self._validators.quorum:
            size, height, root = place
            cosignatures = tuple(held[validator] for validator in sorted(held))
            self.settle(size)
            return QuorumCheckpoint(
                epoch=self._validators.epoch, height=height, size=size, root=root, cosignatures=cosignatures
            )
        self._bound(statement.cosignature.validator)
        return None

    def settle(self, size: int) -> None:
        """A checkpoint of this size has a quorum: smaller ones need none."""
        self._settled_size = max(self._settled_size, size)
        for place in [place for place in self._by_place if place[0] <= self._settled_size]:
            del self._by_place[place]

    def _bound(self, validator: int) -> None:
        """Keep the newest `SIZES_MAX` places of each validator, so that one cannot push out what others cosigned."""
        places = sorted(place for place, held in self._by_place.items() if validator in held)
        for place in places[:-SIZES_MAX]:
            held = self._by_place[place]
            del held[validator]
            if not held:
                del self._by_place[place]


class OwnCosignatures:
    """What this member has cosigned of late, by size of the log, for whoever wants this department's word alone."""

    def __init__(self) -> None:
        self._by_size: dict[int, CheckpointCosignature] = {}

    def keep(self, statement: CheckpointCosignature) -> None:
        """Take the newest, of a larger size than all before it (P20b)."""
        self._by_size[statement.size] = statement
        if len(self._by_size) > OWN_SIZES_MAX:
            del self._by_size[next(iter(self._by_size))]

    def at(self, size: int) -> CheckpointCosignature | None:
        """Return the cosignature of the log at this size, if there is one and it is kept."""
        return self._by_size.get(size)

    @property
    def sizes(self) -> list[int]:
        """Sizes of the log that were cosigned, newest first."""
        return list(reversed(self._by_size))


def _place_of(statement: CheckpointCosignature) -> _Place:
    return statement.size, statement.height, statement.root
