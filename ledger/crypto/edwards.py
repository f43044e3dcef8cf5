"""Arithmetic on edwards25519, enough to check a signature and to judge a public key.

The curve is -x^2 + y^2 = 1 + d x^2 y^2 over the integers modulo p = 2^255 - 19. Its points form a group of order 8 l
with l prime: besides the prime-order group that signatures live in there are eight points of small order, and every
point is the sum of one from each ("mixed order").

Everything here works on public values only, and takes a time that depends on them: never use it with a secret.

Source: RFC 8032, section 5.1; Hisil, Wong, Carter, Dawson, "Twisted Edwards Curves Revisited", sections 3.1 and 3.3.
"""

from __future__ import annotations

from typing import TypeAlias

Point: TypeAlias = tuple[int, int, int, int]
"""Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x y = T/Z. One point has many of them; see `equal()`."""

FIELD_PRIME = 2**255 - 19
"""p, the number of elements of the field."""

GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
"""l, the prime order of the base point."""

CURVE_D = -121665 * pow(121666, -1, FIELD_PRIME) % FIELD_PRIME
"""d in the curve's equation."""

IDENTITY: Point = (0, 1, 1, 0)

_SQRT_MINUS_ONE = pow(2, (FIELD_PRIME - 1) // 4, FIELD_PRIME)
_TWICE_D = 2 * CURVE_D % FIELD_PRIME
_SIGN_BIT = 1 << 255


def decode_point(data: bytes) -> Point | None:
    """Return the point that 32 bytes stand for, read as liberally as ZIP-215 does; None if there is none.

    The y coordinate may be p or more and is then reduced, and the sign bit may be set where x is 0. RFC 8032 refuses
    both; `encode_point(decode_point(data)) == data` tells whether `data` is the canonical encoding.

    Source: RFC 8032, section 5.1.3, without the two checks that ZIP-215 leaves out.
    """
    bits = int.from_bytes(data, "little")
    y = (bits & (_SIGN_BIT - 1)) % FIELD_PRIME
    x = _x_from_y(y)
    if x is None:
        return None
    if x & 1 != bits >> 255:
        x = -x % FIELD_PRIME
    return x, y, 1, x * y % FIELD_PRIME


def encode_point(point: Point) -> bytes:
    """Return the one canonical 32-byte encoding: y, little-endian, and the lowest bit of x in the highest bit."""
    x, y, z, _ = point
    z_inverse = pow(z, -1, FIELD_PRIME)
    x, y = x * z_inverse % FIELD_PRIME, y * z_inverse % FIELD_PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def add(first: Point, second: Point) -> Point:
    """Return the sum of any two points, equal ones included: the formula is complete on this curve."""
    x1, y1, z1, t1 = first
    x2, y2, z2, t2 = second
    a = (y1 - x1) * (y2 - x2) % FIELD_PRIME
    b = (y1 + x1) * (y2 + x2) % FIELD_PRIME
    c = t1 * t2 % FIELD_PRIME * _TWICE_D % FIELD_PRIME
    d = 2 * z1 * z2 % FIELD_PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % FIELD_PRIME, g * h % FIELD_PRIME, f * g % FIELD_PRIME, e * h % FIELD_PRIME


def double(point: Point) -> Point:
    """Return the point added to itself, cheaper than `add()` does it."""
    x, y, z, _ = point
    x_squared, y_squared = x * x % FIELD_PRIME, y * y % FIELD_PRIME
    c = 2 * z * z % FIELD_PRIME
    h = x_squared + y_squared
    e = h - (x + y) * (x + y) % FIELD_PRIME
    g = x_squared - y_squared
    f = c + g
    return e * f % FIELD_PRIME, g * h % FIELD_PRIME, f * g % FIELD_PRIME, e * h % FIELD_PRIME


def negate(point: Point) -> Point:
    """Return the point that gives the identity when added to `point`."""
    x, y, z, t = point
    return -x % FIELD_PRIME, y, z, -t % FIELD_PRIME


def equal(first: Point, second: Point) -> bool:
    """Return whether two extended coordinates stand for one point."""
    x1, y1, z1, _ = first
    x2, y2, z2, _ = second
    return (x1 * z2 - x2 * z1) % FIELD_PRIME == 0 and (y1 * z2 - y2 * z1) % FIELD_PRIME == 0


def multiply(scalar: int, point: Point) -> Point:
    """Return `scalar` times `point`. The scalar is >= 0 and is not reduced: l times a mixed-order point is not zero."""
    return multiply_and_add(scalar, point, 0, IDENTITY)


def multiply_and_add(scalar1: int, point1: Point, scalar2: int, point2: Point) -> Point:
    """Return `scalar1` times `point1` plus `scalar2` times `point2`, with one chain of doublings for both (Straus)."""
    summands = (None, point1, point2, add(point1, point2))
    total = IDENTITY
    for bit in range(max(scalar1.bit_length(), scalar2.bit_length()) - 1, -1, -1):
        total = double(total)
        summand = summands[(scalar1 >> bit & 1) | (scalar2 >> bit & 1) << 1]
        if summand is not None:
            total = add(total, summand)
    return total


def multiply_by_cofactor(point: Point) -> Point:
    """Return 8 times `point`: the identity exactly for the eight points of small order."""
    return double(double(double(point)))


def _x_from_y(y: int) -> int | None:
    """Return one of the two x with (x, y) on the curve, the other being p - x; None if there is none."""
    u = (y * y - 1) % FIELD_PRIME
    v = (CURVE_D * y * y + 1) % FIELD_PRIME
    x = u * pow(v, 3, FIELD_PRIME) * pow(u * pow(v, 7, FIELD_PRIME), (FIELD_PRIME - 5) // 8, FIELD_PRIME) % FIELD_PRIME
    if v * x * x % FIELD_PRIME == u:
        return x
    if v * x * x % FIELD_PRIME == FIELD_PRIME - u:
        return x * _SQRT_MINUS_ONE % FIELD_PRIME
    return None


def _base_point() -> Point:
    """Return the point with y = 4/5 and even x."""
    y = 4 * pow(5, -1, FIELD_PRIME) % FIELD_PRIME
    x = _x_from_y(y)
    assert x is not None
    x = FIELD_PRIME - x if x & 1 else x
    return x, y, 1, x * y % FIELD_PRIME


BASE_POINT = _base_point()
"""B, which generates the prime-order group."""
