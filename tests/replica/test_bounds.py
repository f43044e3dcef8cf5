"""What one hostile peer or client can make a member hold or compute is bounded."""

from __future__ import annotations

import pytest

from ledger.consensus.cache import BoundedCache
from ledger.consensus.messages import EnvelopeBatch
from ledger.replica import MemberCache, NotAdmittedError
from tests.replica.test_member import City, envelope_of

KIB = 1 << 10


def test_envelopes_that_are_refused_leave_little_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are decoded before it is known whose they are; what is kept of that is bounded in bytes, not in number."""
    monkeypatch.setattr("ledger.replica.cache.PREPARED_ENVELOPE_BYTES_MAX", 400 * KIB)
    cache = MemberCache()
    member = City(4, cache=cache).members[0]
    for sequence in range(1, 41):
        raw = envelope_of(0, sequence, key_id=7, record=bytes(60 * KIB)).encode()
        if sequence % 2:
            with pytest.raises(NotAdmittedError):
                member.submit(raw, 0)
        else:
            member._on_envelopes(EnvelopeBatch(envelopes=(raw,)), 0)
        assert cache.envelopes.get(raw) is not None
        assert sum(len(raw) for raw in cache.envelopes._entries) <= 400 * KIB  # type: ignore[arg-type, misc]


def test_a_cache_forgets_the_oldest_half_by_number_or_by_size() -> None:
    """And keeps its newest entry, however large that is."""
    cache: BoundedCache[str] = BoundedCache(4, size_max=100)
    for number in range(5):
        cache.put(number, "few", size=1)
    assert [number for number in range(5) if cache.get(number)] == [2, 3, 4]
    cache.put(5, "large", size=98)
    assert [number for number in range(6) if cache.get(number)] == [5]
    cache.put(6, "larger", size=1_000)
    assert [number for number in range(7) if cache.get(number)] == [6]
    cache.put(7, "small", size=1)
    assert [number for number in range(8) if cache.get(number)] == [7]
