"""One acceptance rule for signatures, shown on the published edge cases and on random crafted ones."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto import edwards
from ledger.crypto.signatures import (
    SigningKey,
    check_key_hygiene,
    verify_batch,
    verify_signature,
    verify_strict,
    zip215_accepts,
)
from ledger.errors import KeyHygieneError, SignatureError
from nodes.measurements.crafted_signatures import (
    SMALL_ORDER_ENCODINGS,
    SMALL_ORDER_POINTS,
    mixed_order_signature,
    small_order_signatures,
    turn_bit,
)

VECTORS = Path(__file__).parents[1] / "vectors"
ZIP215_MESSAGE = b"Zcash"


def load(file: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((VECTORS / file).read_text())
    return vectors


RFC_8032 = load("ed25519_rfc8032.json")
SPECCHECK = load("ed25519_speccheck.json")


def unhex(vector: dict[str, Any], *fields: str) -> list[bytes]:
    return [bytes.fromhex(vector[field]) for field in fields]


def strictly_valid(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify_strict(public, message, signature)
    except SignatureError:
        return False
    return True


@pytest.mark.parametrize("vector", RFC_8032, ids=lambda vector: vector["name"])
def test_signatures_agree_with_rfc_8032(vector: dict[str, Any]) -> None:
    """The published seed gives the published key and signature, which every check accepts."""
    seed, public, message, signature = unhex(vector, "seed", "public", "message", "signature")
    key = SigningKey.from_seed(seed)
    assert key.public == public
    assert key.sign(message) == signature
    verify_signature(public, message, signature)
    verify_strict(public, message, signature)
    assert zip215_accepts(public, message, signature)
    check_key_hygiene(public)


@pytest.mark.parametrize("vector", RFC_8032, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("bit", [0, 255, 256, 511])
def test_a_turned_bit_of_a_published_signature_is_refused(vector: dict[str, Any], bit: int) -> None:
    """In R or in s, at either end."""
    _, public, message, signature = unhex(vector, "seed", "public", "message", "signature")
    with pytest.raises(SignatureError):
        verify_signature(public, message, turn_bit(signature, bit))


@pytest.mark.parametrize("vector", SPECCHECK, ids=lambda vector: str(vector["case"]))
def test_edge_cases_are_decided_as_zip_215_decides_them(vector: dict[str, Any]) -> None:
    """Of "Taming the many EdDSAs" 0-5 and 9-11 verify; 6-8 fail the equation or have s >= l."""
    public, message, signature = unhex(vector, "public_key", "message", "signature")
    expected = vector["case"] not in (6, 7, 8)
    assert zip215_accepts(public, message, signature) is expected
    assert verify_batch([(public, message, signature)]) == [expected]


def test_standard_tools_take_fewer_edge_cases() -> None:
    """Plain OpenSSL accepts 0-3 and 11 only, so what leaves the network is checked with `verify_strict`."""
    accepted = [
        vector["case"] for vector in SPECCHECK if strictly_valid(*unhex(vector, "public_key", "message", "signature"))
    ]
    assert accepted == [0, 1, 2, 3, 11]


def test_all_196_small_order_signatures_verify() -> None:
    """A and R in all 14 encodings with s = 0: ZIP-215 takes all, OpenSSL alone 12."""
    assert len(SMALL_ORDER_ENCODINGS) == 14
    items = small_order_signatures(ZIP215_MESSAGE)
    assert verify_batch(items) == [True] * 196
    assert all(zip215_accepts(*item) for item in items)
    assert sum(strictly_valid(*item) for item in items) == 12


def test_both_ways_to_check_agree_on_mixed_order_signatures() -> None:
    """OpenSSL first with the own check behind it, and the own check alone: one accept set, some of each verdict."""
    rng = random.Random(215)
    items = [mixed_order_signature(rng) for _ in range(60)]
    verdicts = verify_batch(items)
    assert verdicts == [zip215_accepts(*item) for item in items]
    strict = [strictly_valid(*item) for item in items]
    assert not any(passed and not verdict for passed, verdict in zip(strict, verdicts, strict=True))
    assert 0 < sum(strict) < sum(verdicts) < len(items)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_an_honest_signature_passes_every_check(seed: bytes, message: bytes) -> None:
    """Whatever the seed and the message; and not for another message."""
    key = SigningKey.from_seed(seed)
    signature = key.sign(message)
    verify_strict(key.public, message, signature)
    verify_signature(key.public, message, signature)
    with pytest.raises(SignatureError):
        verify_signature(key.public, message + b"!", signature)


@given(st.binary(max_size=70), st.binary(max_size=70))
def test_hostile_bytes_raise_nothing_but_signature_errors(public: bytes, signature: bytes) -> None:
    """Lengths and contents are anybody's."""
    for verify in (verify_signature, verify_strict):
        with pytest.raises(SignatureError):
            verify(public, b"message", signature)


def test_a_batch_names_the_bad_ones() -> None:
    """One verdict for each item, in order, wrong lengths included."""
    key = SigningKey.from_seed(bytes(32))
    good = (key.public, b"one", key.sign(b"one"))
    bad = (key.public, b"two", key.sign(b"one"))
    short = (key.public, b"one", key.sign(b"one")[:63])
    assert verify_batch([good, bad, good, short]) == [True, False, True, False]
    assert verify_batch([]) == []


@pytest.mark.parametrize("public", SMALL_ORDER_ENCODINGS, ids=bytes.hex)
def test_keys_of_small_order_are_not_registered(public: bytes) -> None:
    """Anyone could sign for them, in every encoding."""
    with pytest.raises(KeyHygieneError):
        check_key_hygiene(public)


def test_keys_that_no_generator_makes_are_not_registered() -> None:
    """Mixed order, not canonical, not on the curve, and wrong length, each with its own sentence."""
    honest = edwards.multiply(12345, edwards.BASE_POINT)
    check_key_hygiene(edwards.encode_point(honest))
    for torsion in SMALL_ORDER_POINTS[1:]:
        with pytest.raises(KeyHygieneError, match="prime-order group"):
            check_key_hygiene(edwards.encode_point(edwards.add(honest, torsion)))
    # y = p + 3 is a second spelling of y = 3, which is on the curve and of large order.
    with pytest.raises(KeyHygieneError, match="canonical form"):
        check_key_hygiene((edwards.FIELD_PRIME + 3).to_bytes(32, "little"))
    with pytest.raises(KeyHygieneError, match="not a point"):
        check_key_hygiene((2).to_bytes(32, "little"))
    with pytest.raises(KeyHygieneError, match="31 bytes"):
        check_key_hygiene(bytes(31))


def test_a_signing_key_keeps_its_secret() -> None:
    """Its text shows the public key only, and a seed of another length is the caller's mistake."""
    seed = bytes(range(32))
    key = SigningKey.from_seed(seed)
    assert repr(key) == f"SigningKey(public={key.public.hex()})"
    with pytest.raises(ValueError):
        SigningKey.from_seed(seed + b"\x00")
