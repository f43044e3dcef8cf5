"""Sealing keys with an ephemeral key that is drawn from the seed, so that a run gives the same bytes twice.

A node seals with the library's HPKE, which draws the ephemeral key itself. What is made here is the same form, and is
opened by the library: single-shot base mode of RFC 9180 with the suite of `ledger.crypto.sealing.SUITE`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

_KEM = b"KEM" + (0x0020).to_bytes(2, "big")
_SUITE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x0020, 0x0001, 0x0002))
_BASE_MODE = b"\x00"
_HASH_BYTES, _KEY_BYTES, _NONCE_BYTES = 32, 32, 12


def seal_keys(plaintext: bytes, recipient: X25519PublicKey, info: bytes, ephemeral: X25519PrivateKey) -> bytes:
    """Return encapsulated key and ciphertext, as `SUITE.encrypt` does; `ephemeral` must be used only once."""
    encapsulated = ephemeral.public_key().public_bytes_raw()
    shared = _labelled(
        _extract(_KEM, b"", b"eae_prk", ephemeral.exchange(recipient)),
        _KEM,
        b"shared_secret",
        encapsulated + recipient.public_bytes_raw(),
        _HASH_BYTES,
    )
    context = _BASE_MODE + _extract(_SUITE, b"", b"psk_id_hash", b"") + _extract(_SUITE, b"", b"info_hash", info)
    secret = _extract(_SUITE, shared, b"secret", b"")
    key = _labelled(secret, _SUITE, b"key", context, _KEY_BYTES)
    nonce = _labelled(secret, _SUITE, b"base_nonce", context, _NONCE_BYTES)
    return encapsulated + AESGCM(key).encrypt(nonce, plaintext, b"")


def _extract(suite: bytes, salt: bytes, label: bytes, key_material: bytes) -> bytes:
    # RFC 5869: an empty salt stands for zeros, which HMAC pads its key with anyway.
    extracted = hmac.HMAC(salt or bytes(_HASH_BYTES), hashes.SHA256())
    extracted.update(b"HPKE-v1" + suite + label + key_material)
    return extracted.finalize()


def _labelled(secret: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled_info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return HKDFExpand(algorithm=hashes.SHA256(), length=length, info=labelled_info).derive(secret)
