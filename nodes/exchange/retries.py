"""Trying again what failed, ever less often: what stands in the way for a minute may stand there for months."""

from __future__ import annotations


class Retries:
    """Which of many things to try at each look: the gaps between the tries of one double. One thread uses it.

    Nothing is kept over a restart: everything is tried at once then.
    """

    def __init__(self, *, looks_max: int) -> None:
        """Try each thing at every `looks_max`th look at least."""
        self._looks_max = looks_max
        self._gaps: dict[str, int] = {}
        """Looks from one try to the next, of what has failed."""
        self._left: dict[str, int] = {}
        """Looks until the next try."""

    def is_due(self, name: str) -> bool:
        """Return whether to try now. To be asked once at each look."""
        self._left[name] = self._left.get(name, 1) - 1
        return self._left[name] <= 0

    def failed(self, name: str) -> bool:
        """Note that the try failed; return whether it was the first of this thing."""
        gap = self._gaps.get(name, 0)
        self._left[name] = self._gaps[name] = min(2 * gap or 1, self._looks_max)
        return gap == 0

    def done(self, name: str) -> None:
        """Note that nothing is to be tried any more."""
        self._gaps.pop(name, None)
        self._left.pop(name, None)
