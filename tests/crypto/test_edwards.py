"""The group law of edwards25519, on which the own signature check stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto import edwards
from ledger.crypto.signatures import SigningKey

SCALARS = st.integers(0, 2 * edwards.GROUP_ORDER)
POINTS = st.builds(
    lambda seed: edwards.decode_point(SigningKey.from_seed(seed).public), st.binary(min_size=32, max_size=32)
)


def on_curve(point: edwards.Point) -> bool:
    """-x^2 + y^2 = 1 + d x^2 y^2 in extended coordinates, and T = X Y / Z."""
    x, y, z, t = point
    prime = edwards.FIELD_PRIME
    return (y * y - x * x - z * z - edwards.CURVE_D * t * t) % prime == 0 and (x * y - z * t) % prime == 0


def test_the_base_point_is_that_of_rfc_8032() -> None:
    """Encoded 58 66 66 ... 66, of order l."""
    assert edwards.encode_point(edwards.BASE_POINT) == b"\x58" + b"\x66" * 31
    assert edwards.equal(edwards.multiply(edwards.GROUP_ORDER, edwards.BASE_POINT), edwards.IDENTITY)


@given(POINTS, POINTS)
def test_sums_stay_on_the_curve_and_obey_the_group_law(first: edwards.Point, second: edwards.Point) -> None:
    """Commutative, with identity and inverse; doubling is adding to itself; encodings come back."""
    total = edwards.add(first, second)
    assert on_curve(total)
    assert on_curve(edwards.double(total))
    assert edwards.equal(total, edwards.add(second, first))
    assert edwards.equal(edwards.add(total, edwards.negate(second)), first)
    assert edwards.equal(edwards.add(first, edwards.IDENTITY), first)
    assert edwards.equal(edwards.double(total), edwards.add(total, total))
    decoded = edwards.decode_point(edwards.encode_point(total))
    assert decoded is not None
    assert edwards.equal(decoded, total)


@given(SCALARS, SCALARS, POINTS)
def test_multiples_add_up(first: int, second: int, point: edwards.Point) -> None:
    """[a]P + [b]P = [a + b]P, and the joint chain of doublings gives what two chains give."""
    separate = edwards.add(edwards.multiply(first, point), edwards.multiply(second, edwards.BASE_POINT))
    assert edwards.equal(edwards.multiply_and_add(first, point, second, edwards.BASE_POINT), separate)
    total = edwards.add(edwards.multiply(first, point), edwards.multiply(second, point))
    assert edwards.equal(total, edwards.multiply(first + second, point))


@given(st.binary(min_size=32, max_size=32))
def test_decoding_gives_points_of_the_curve_or_nothing(data: bytes) -> None:
    """The y coordinate is kept modulo p, and the sign bit unless x is 0."""
    point = edwards.decode_point(data)
    if point is None:
        return
    assert on_curve(point)
    encoded, bits = int.from_bytes(edwards.encode_point(point), "little"), int.from_bytes(data, "little")
    assert encoded % (1 << 255) == bits % (1 << 255) % edwards.FIELD_PRIME
    assert point[0] == 0 or encoded >> 255 == bits >> 255
