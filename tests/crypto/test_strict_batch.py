"""OpenSSL's rule over whole batches: on every backend the verdicts are those of verifying one by one."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from ledger.crypto.backend import CHOICES, BackendUnavailableError, active_backend, use_backend
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import SigningKey, verify_batch, verify_strict_batch, zip215_accepts
from tests.proofs.test_crafted_signatures import Item, items, openssl_accepts
from tests.proofs.test_verify import zip215_only_signature

ENTROPY = sha256(b"entropy of the test")


@pytest.fixture(params=CHOICES)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run on one backend, and go back to the process's own."""
    before = active_backend()
    try:
        use_backend(request.param)
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    yield request.param
    use_backend("python" if before.library is None else "auto")


def honest(count: int, seed: str = "") -> list[Item]:
    """Return so many signatures of seven honest signers."""
    keys = [SigningKey.from_seed(sha256(f"{seed}{number}".encode())) for number in range(7)]
    messages = [sha256(f"message {number}".encode()) for number in range(count)]
    return [(keys[n % 7].public, message, keys[n % 7].sign(message)) for n, message in enumerate(messages)]


def liberal(count: int) -> list[Item]:
    """Return signatures of honest keys that ZIP-215 accepts and OpenSSL does not: R has a part of order two."""
    found = []
    for number in range(count):
        seed, message = sha256(b"7%d" % number), sha256(b"liberal %d" % number)
        found.append((SigningKey.from_seed(seed).public, message, zip215_only_signature(seed, message)))
    return found


@pytest.mark.parametrize("count", [0, 1, 2, 17, 300])
def test_honest_signatures_are_accepted_in_batches_of_every_size(backend: str, count: int) -> None:
    """And refused once a bit is turned, each by itself."""
    signed = honest(count)
    assert verify_strict_batch(signed, ENTROPY) == [True] * count
    broken = [(public, message, bytes([signature[0] ^ 1]) + signature[1:]) for public, message, signature in signed]
    assert verify_strict_batch(broken, ENTROPY) == [False] * count


def test_crafted_signatures_are_judged_as_by_openssl_wherever_they_stand(backend: str) -> None:
    """Published vectors, points of small and mixed order, encodings that are not canonical, s beyond the order."""
    rng = random.Random(215)
    mixed = [*items(), *honest(60), *liberal(6)]
    rng.shuffle(mixed)
    assert verify_strict_batch(mixed, ENTROPY) == [openssl_accepts(item) for item in mixed]


@pytest.mark.parametrize("places", [(0,), (199,), (3, 4), (10, 60, 110)])
def test_what_zip_215_alone_accepts_is_found_among_honest_signatures(backend: str, places: tuple[int, ...]) -> None:
    """Two parts of order two cancel each other out in a sum; in 64 random ones they do not."""
    signed = honest(200)
    for place, item in zip(places, liberal(len(places)), strict=True):
        signed[place] = item
    assert verify_batch(signed, ENTROPY) == [True] * 200
    verdict = verify_strict_batch(signed, ENTROPY)
    assert [place for place, holds in enumerate(verdict) if not holds] == list(places)


def test_what_has_another_length_is_no_signature(backend: str) -> None:
    """A key or signature cut short, or too long."""
    [(public, message, signature)] = honest(1)
    spoilt = [
        (public[:-1], message, signature),
        (public, message, signature[:-1]),
        (public, message, signature + b"\0"),
    ]
    assert verify_strict_batch([*spoilt, (public, message, signature)], ENTROPY) == [False, False, False, True]
    with pytest.raises(ValueError, match="entropy"):
        verify_strict_batch([], b"short")


def test_the_crafted_signatures_do_need_another_rule() -> None:
    """Otherwise the tests above show nothing."""
    assert all(zip215_accepts(*item) and not openssl_accepts(item) for item in liberal(3))
