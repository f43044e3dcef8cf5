"""What readers of JSON credentials need around an Ed25519 key: its name as a DID, and a signature as a JWS.

A `did:key` says the key itself: whoever reads it needs no network and no name server. Whose key it is, a policy says.

Source: W3C CCG did:key v0.7; RFC 7515 (JWS, compact serialisation), RFC 8037 (EdDSA in it).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from ledger.crypto.signatures import Signer

_ED25519_MULTICODEC = b"\xed\x01"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""Bitcoin's alphabet, the one that multibase calls `z`."""

ALGORITHM = "EdDSA"
"""RFC 9864 prefers the name `Ed25519`, which most readers of credentials do not know yet."""


def did_of(public: bytes) -> str:
    """Return the `did:key` of a 32-byte Ed25519 key."""
    return f"did:key:z{_base58(_ED25519_MULTICODEC + public)}"


def sign_compact(payload: Mapping[str, Any], media_type: str, content_type: str, signer: Signer) -> str:
    """Return the JWS of a JSON object, with the key's DID as its `kid`.

    Args:
        payload: Its keys are written in one order, so that the same object gives the same JWS.
        media_type, content_type: What the whole and the payload are, without `application/` before it.
    """
    did = did_of(signer.public)
    # The only method of a did:key is the key again.
    header = {"alg": ALGORITHM, "cty": content_type, "kid": f"{did}#{did.rpartition(':')[2]}", "typ": media_type}
    signed = f"{base64url(_encode(header))}.{base64url(_encode(payload))}"
    return f"{signed}.{base64url(signer.sign(signed.encode()))}"


_encode = msgspec.json.Encoder(order="sorted").encode


def base64url(data: bytes) -> str:
    """Return bytes in base64url without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _base58(data: bytes) -> str:
    """Return bytes in base58; the first byte is not zero."""
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return digits
