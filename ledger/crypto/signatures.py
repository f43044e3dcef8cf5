"""Ed25519 signatures under one acceptance rule, ZIP-215, whichever library does the arithmetic.

RFC 8032 leaves open which of several equations a verifier checks and how strictly it reads points, so that two honest
libraries can disagree on a crafted signature: enough to split a ledger. ZIP-215 settles it. A signature (R, s) by key A
over message M is valid exactly if

- A and R decode to points of the curve, where non-canonical encodings count;
- s, read as a little-endian integer, is less than l;
- [8][s]B = [8]R + [8][k]A, with k = SHA-512(R || A || M) over the bytes as they came.

OpenSSL checks [s]B - [k]A against the bytes of R, with the same bound on s. Whatever it accepts fulfils the equation
above, so it is asked first, and only what it refuses is looked at here. No honest signature ever is; a hostile one
costs about 2 ms, so callers bound how many they check for one sender. The native core, where it is installed, decides
whole batches by the rule itself: `ledger.crypto.backend` says which code runs, and the verdicts are the same.

Source: RFC 8032; ZIP-215, https://zips.z.cash/zip-0215.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol, Self, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.crypto import edwards
from ledger.crypto.backend import active_backend
from ledger.errors import KeyHygieneError, SignatureError

PUBLIC_KEY_SIZE = 32
"""Bytes of a public key."""

SIGNATURE_SIZE = 64
"""Bytes of a signature: 32 of R, 32 of s."""

SEED_SIZE = 32
"""Bytes of the secret a key pair is made of."""

ENTROPY_SIZE = 32
"""Bytes that `verify_batch()` takes to draw its random combination from."""

_KEY_OBJECTS_MAX = 4_096
"""Public keys kept ready for OpenSSL: some hundreds of departments with a few keys each, at under 1 KiB a key."""


def verify_signature(public: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature under ZIP-215, the rule for everything on the ledger.

    Args:
        public: 32 bytes. Not checked to be a key fit for registration; that is `check_key_hygiene()`.
        message: The bytes that were signed, of any length.
        signature: 64 bytes, R then s.

    Raises:
        SignatureError: A length is wrong, or ZIP-215 refuses.
    """
    _check_lengths(public, signature)
    if not _openssl_accepts(public, message, signature) and not zip215_accepts(public, message, signature):
        raise SignatureError(f"signature does not verify under key {public.hex()}")


def verify_strict(public: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature as plain OpenSSL does, the rule for what leaves the network.

    Stricter than `verify_signature()`: what passes here passes there, and every standard tool agrees.

    Raises:
        SignatureError: A length is wrong, or OpenSSL refuses.
    """
    _check_lengths(public, signature)
    if not _openssl_accepts(public, message, signature):
        raise SignatureError(f"signature does not verify under key {public.hex()} with a standard tool")


def verify_batch(items: Sequence[tuple[bytes, bytes, bytes]], entropy: bytes | None = None) -> list[bool]:
    """Return for each `(public, message, signature)`, in order, whether `verify_signature()` accepts it.

    Args:
        entropy: 32 bytes from a secure source of randomness, drawn for this batch once its items were known. They let
            the native core check all signatures by one random combination, which a false one passes with a probability
            of 2^-128. Without them each is verified by itself.

    Raises:
        ValueError: The entropy does not have 32 bytes.
    """
    if entropy is not None and len(entropy) != ENTROPY_SIZE:
        raise ValueError(f"the entropy has {len(entropy)} bytes, not {ENTROPY_SIZE}")
    backend = active_backend()
    if entropy is not None and backend.library is not None:
        return backend.library.verify_batch(items, entropy, backend.signature_backend)
    return [_is_valid(public, message, signature) for public, message, signature in items]


StrictCheck: TypeAlias = Callable[[bytes, bytes, bytes], None]
"""What `verify_strict()` does with key, message and signature, or a promise to do it later for many at once."""


def verify_strict_batch(items: Sequence[tuple[bytes, bytes, bytes]], entropy: bytes) -> list[bool]:
    """Return for each `(public, message, signature)`, in order, whether `verify_strict()` accepts it.

    Args:
        entropy: As for `verify_batch()`. The native core tells a signature that ZIP-215 alone accepts from a strict one
            by random sums, which one with a part of small order passes with a probability of 2^-64.

    Raises:
        ValueError: The entropy does not have 32 bytes.
    """
    if len(entropy) != ENTROPY_SIZE:
        raise ValueError(f"the entropy has {len(entropy)} bytes, not {ENTROPY_SIZE}")
    backend = active_backend()
    if backend.library is not None:
        return backend.library.verify_batch_strictly(items, entropy, backend.signature_backend)
    return [_is_strictly_valid(public, message, signature) for public, message, signature in items]


def checks_singly() -> bool:
    """Return whether this process verifies one by one, so that each signature that OpenSSL refuses costs about 2 ms."""
    return active_backend().library is None


def zip215_accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether ZIP-215 accepts, by own arithmetic alone. About 2 ms; lengths are 32 and 64 bytes."""
    nonce_encoding, s = signature[:32], int.from_bytes(signature[32:], "little")
    key_point, nonce_point = edwards.decode_point(public), edwards.decode_point(nonce_encoding)
    if key_point is None or nonce_point is None or s >= edwards.GROUP_ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(nonce_encoding + public + message).digest(), "little")
    # Reducing k modulo l changes [k]A by a point of small order at most, which the factor 8 takes away again.
    difference = edwards.multiply_and_add(
        s, edwards.BASE_POINT, challenge % edwards.GROUP_ORDER, edwards.negate(key_point)
    )
    difference = edwards.add(difference, edwards.negate(nonce_point))
    return edwards.equal(edwards.multiply_by_cofactor(difference), edwards.IDENTITY)


def check_key_hygiene(public: bytes) -> None:
    """Check that a public key is fit to be registered: what an honest key generator can make, and nothing else.

    Proof of possession is not checked here.

    Raises:
        KeyHygieneError: Not 32 bytes, not the canonical encoding of a point, of small order (anyone could sign), or
            outside the prime-order group.
    """
    if len(public) != PUBLIC_KEY_SIZE:
        raise KeyHygieneError(f"the key has {len(public)} bytes, not {PUBLIC_KEY_SIZE}")
    if (library := active_backend().library) is not None and library.is_prime_order(public):
        return
    # Without the native core this takes 2 ms. With it, it says what is wrong with a key that is not fit.
    point = edwards.decode_point(public)
    if point is None:
        raise KeyHygieneError(f"key {public.hex()} is not a point of the curve")
    if (canonical := edwards.encode_point(point)) != public:
        raise KeyHygieneError(f"key {public.hex()} is written {canonical.hex()} in canonical form")
    if edwards.equal(edwards.multiply_by_cofactor(point), edwards.IDENTITY):
        raise KeyHygieneError(f"key {public.hex()} is a point of small order")
    if not edwards.equal(edwards.multiply(edwards.GROUP_ORDER, point), edwards.IDENTITY):
        raise KeyHygieneError(f"key {public.hex()} is not in the prime-order group")


class Signer(Protocol):
    """Whatever can sign under one public key: a key in memory, or a device that keeps it."""

    @property
    def public(self) -> bytes:
        """The 32-byte public key."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""


class SigningKey:
    """An Ed25519 key pair in memory. Signatures are deterministic: one message has one."""

    __slots__ = ("_private", "_public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._public = private.public_key().public_bytes_raw()

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Return the key pair of a 32-byte secret, which the caller takes from a secure source of randomness.

        Raises:
            ValueError: The seed is not 32 bytes long.
        """
        if len(seed) != SEED_SIZE:
            raise ValueError(f"the seed has {len(seed)} bytes, not {SEED_SIZE}")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def public(self) -> bytes:
        """The 32-byte public key."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey(public={self._public.hex()})"


def _check_lengths(public: bytes, signature: bytes) -> None:
    if len(public) != PUBLIC_KEY_SIZE:
        raise SignatureError(f"the key has {len(public)} bytes, not {PUBLIC_KEY_SIZE}")
    if len(signature) != SIGNATURE_SIZE:
        raise SignatureError(f"the signature has {len(signature)} bytes, not {SIGNATURE_SIZE}")


def _is_valid(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify_signature(public, message, signature)
    except SignatureError:
        return False
    return True


def _is_strictly_valid(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        verify_strict(public, message, signature)
    except SignatureError:
        return False
    return True


def _openssl_accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        _key_object(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=_KEY_OBJECTS_MAX)
def _key_object(public: bytes) -> Ed25519PublicKey:
    """Return OpenSSL's form of a key, kept because a block names the same few keys over and over."""
    return Ed25519PublicKey.from_public_bytes(public)
