"""Private keys as PEM, encrypted so that a stolen file is expensive to guess at.

The `cryptography` package reads every usual scheme, but writes PKCS#8 with 2,048 rounds of PBKDF2 and nothing else. So
the envelope around the key is put together here: PBES2 with scrypt and AES-256-CBC, which it and OpenSSL both read.

Source: RFC 5958 section 3 (EncryptedPrivateKeyInfo), RFC 8018 section 6.2 (PBES2), RFC 7914 section 7 (scrypt in it).
"""

from __future__ import annotations

import os
from base64 import b64encode
from textwrap import wrap

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PrivateKey = Ed25519PrivateKey | X25519PrivateKey | EllipticCurvePrivateKey

SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 14, 8, 5
"""A strength that OWASP's password guide lists, in 16 MiB: OpenSSL refuses to read what takes more than 32."""

SALT_BYTES = 16
AES_KEY_BYTES = 32
AES_BLOCK_BYTES = 16

_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_AES_256_CBC = bytes.fromhex("060960864801650304012a")
"""Object identifiers in DER: 1.2.840.113549.1.5.13, 1.3.6.1.4.1.11591.4.11, 2.16.840.1.101.3.4.1.42."""

_INTEGER, _OCTET_STRING, _SEQUENCE = 0x02, 0x04, 0x30


def to_pem(key: PrivateKey, passphrase: bytes | None) -> bytes:
    """Return the key in PKCS#8 PEM; with a passphrase, encrypted. `load_pem_private_key` reads both."""
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    body = _encrypt(plain, passphrase, salt=os.urandom(SALT_BYTES), start=os.urandom(AES_BLOCK_BYTES))
    lines = wrap(b64encode(body).decode("ascii"), 64)
    label = "ENCRYPTED PRIVATE KEY"
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode("ascii")


def _encrypt(plain: bytes, passphrase: bytes, *, salt: bytes, start: bytes) -> bytes:
    """Return the DER EncryptedPrivateKeyInfo of a DER PrivateKeyInfo."""
    kdf = Scrypt(salt, length=AES_KEY_BYTES, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)
    encryptor = Cipher(algorithms.AES(kdf.derive(passphrase)), modes.CBC(start)).encryptor()
    padder = PKCS7(8 * AES_BLOCK_BYTES).padder()
    ciphertext = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    derivation = _sequence(
        _SCRYPT, _sequence(_der(_OCTET_STRING, salt), _integer(SCRYPT_N), _integer(SCRYPT_R), _integer(SCRYPT_P))
    )
    encryption = _sequence(_AES_256_CBC, _der(_OCTET_STRING, start))
    return _sequence(_sequence(_PBES2, _sequence(derivation, encryption)), _der(_OCTET_STRING, ciphertext))


def _der(tag: int, content: bytes) -> bytes:
    """Return tag, length and content (X.690, 8.1): the length in one byte, or behind a byte that counts its bytes."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _sequence(*parts: bytes) -> bytes:
    return _der(_SEQUENCE, b"".join(parts))


def _integer(value: int) -> bytes:
    # One bit more than the value has, since the first bit is the sign.
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))
