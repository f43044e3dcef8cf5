"""Signatures that no honest signer makes: whether two verifiers agree shows in them, if anywhere."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

from ledger.crypto import edwards

Item = tuple[bytes, bytes, bytes]
"""`(public, message, signature)`."""


def turn_bit(data: bytes, bit: int) -> bytes:
    """Return `data` with one bit turned."""
    turned = bytearray(data)
    turned[bit // 8] ^= 1 << bit % 8
    return bytes(turned)


def small_order_points() -> list[edwards.Point]:
    """The eight points whose order divides 8: the multiples of one of order 8, found by taking l out of any point."""
    number = 2
    while True:
        point = edwards.decode_point(number.to_bytes(32, "little"))
        number += 1
        if point is None:
            continue
        torsion = edwards.multiply(edwards.GROUP_ORDER, point)
        if not edwards.equal(edwards.multiply(4, torsion), edwards.IDENTITY):
            return [edwards.multiply(multiple, torsion) for multiple in range(8)]


SMALL_ORDER_POINTS = small_order_points()


def small_order_encodings() -> list[bytes]:
    """The 14 ways ZIP-215 reads 32 bytes as a point of small order: every y below 2^255 with every sign bit."""
    canonical = {edwards.encode_point(point) for point in SMALL_ORDER_POINTS}
    encodings = set(canonical)
    for encoding in canonical:
        y = int.from_bytes(encoding, "little") & ((1 << 255) - 1)
        for spelled in (y, y + edwards.FIELD_PRIME):
            for sign in (0, 1):
                if spelled < 1 << 255:
                    encodings.add((spelled | sign << 255).to_bytes(32, "little"))
    return sorted(encodings)


SMALL_ORDER_ENCODINGS = small_order_encodings()


def small_order_signatures(message: bytes) -> list[Item]:
    """A and R in all 14 encodings with s = 0: ZIP-215 takes all 196, whatever the message."""
    return [(public, message, nonce + bytes(32)) for public in SMALL_ORDER_ENCODINGS for nonce in SMALL_ORDER_ENCODINGS]


def mixed_order_signature(rng: random.Random) -> Item:
    """A crafted signature: torsion in A and R, and often s + l, a small-order R or a turned bit."""
    secret, nonce = rng.randrange(1, edwards.GROUP_ORDER), rng.randrange(1, edwards.GROUP_ORDER)
    key_point = edwards.add(edwards.multiply(secret, edwards.BASE_POINT), rng.choice(SMALL_ORDER_POINTS))
    nonce_point = edwards.add(edwards.multiply(nonce, edwards.BASE_POINT), rng.choice(SMALL_ORDER_POINTS))
    public, encoded_nonce = edwards.encode_point(key_point), edwards.encode_point(nonce_point)
    if rng.random() < 0.2:
        encoded_nonce, nonce = rng.choice(SMALL_ORDER_ENCODINGS), 0
    message = rng.randbytes(rng.randrange(80))
    signature = encoded_nonce + _response(secret, nonce, encoded_nonce, public, message).to_bytes(32, "little")
    if rng.random() < 0.15:
        signature = signature[:32] + (int.from_bytes(signature[32:], "little") + edwards.GROUP_ORDER).to_bytes(
            32, "little"
        )
    if rng.random() < 0.15:
        signature = turn_bit(signature, rng.randrange(512))
    return public, message, signature


def many_mixed_order_signatures(rng: random.Random, *, keys: int) -> Iterator[tuple[Item, bool]]:
    """Yield crafted signatures without end, each with the verdict of ZIP-215 that follows from how it was made.

    Torsion in A or R and small-order encodings of R change nothing, because the equation has the factor 8. An s of l or
    more is refused, and so is whatever was altered after signing: a turned bit of R changes the hash too. As for
    `mixed_order_signature()`, but a hundred times faster, because the nonces are consecutive numbers.
    """
    signers = []
    for _ in range(keys):
        secret = rng.randrange(1, edwards.GROUP_ORDER)
        point = edwards.add(edwards.multiply(secret, edwards.BASE_POINT), rng.choice(SMALL_ORDER_POINTS))
        signers.append((secret, edwards.encode_point(point)))
    nonce = rng.randrange(1, edwards.GROUP_ORDER >> 1)
    nonce_point = edwards.multiply(nonce, edwards.BASE_POINT)
    while True:
        nonce, nonce_point = nonce + 1, edwards.add(nonce_point, edwards.BASE_POINT)
        secret, public = rng.choice(signers)
        message = rng.randbytes(rng.randrange(300))
        if rng.random() < 0.2:
            encoded_nonce, used_nonce = rng.choice(SMALL_ORDER_ENCODINGS), 0
        else:
            encoded_nonce = edwards.encode_point(edwards.add(nonce_point, rng.choice(SMALL_ORDER_POINTS)))
            used_nonce = nonce
        s = _response(secret, used_nonce, encoded_nonce, public, message)
        flaw = rng.choice(("", "", "", "", "s + l", "R or s", "message"))
        if flaw == "s + l":
            s += edwards.GROUP_ORDER
        signature = encoded_nonce + s.to_bytes(32, "little")
        if flaw == "R or s":
            signature = turn_bit(signature, rng.randrange(512))
        elif flaw == "message":
            message += b"!"
        yield (public, message, signature), flaw == ""


def _response(secret: int, nonce: int, encoded_nonce: bytes, public: bytes, message: bytes) -> int:
    """Return s = r + k a modulo l."""
    challenge = int.from_bytes(hashlib.sha512(encoded_nonce + public + message).digest(), "little")
    return (nonce + challenge * secret) % edwards.GROUP_ORDER
