"""Who a connection belongs to: self-signed certificates, TLS 1.3 at both ends, and the key as the identity.

The ledger registers the SHA-256 of a node's public key (SubjectPublicKeyInfo); the certificate around it is only what
TLS needs to carry the key. Each peer's certificate is its own trust anchor, so there is no authority to compromise, and
names in certificates mean nothing: hostname checking is off, and after the handshake the key is looked up.

A certificate's expiry does not end a connection. While the ledger lists the key, the peer is who it says, and consensus
must not stop because the members overlooked the same date. So OpenSSL is told not to check times, validity is ten
years, and `days_left` gives the node what to warn about. Taking a key off the ledger is what ends its connections.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.crypto.hashing import sha256
from ledger.identifiers import Digest
from nodes.self_signed import self_signed

PROTOCOL = "mulu/1"
"""Negotiated by ALPN, so that a later form of the frames can be told from this one before the first of them, and so
that no connection for one purpose passes for one with another."""

VALIDITY = timedelta(days=3_650)
"""Long, because expiry only warns; not endless, because tools and auditors expect a date."""

_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
"""`X509_V_FLAG_NO_CHECK_TIME` of OpenSSL's x509_vfy.h; Python gives it no name."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """What a node shows its peers, and the key behind it."""

    certificate_pem: bytes
    """Self-signed, public."""
    key_pem: bytes = field(repr=False)
    """ECDSA P-256, PKCS#8, not encrypted: it lives in memory only."""
    spki_hash: Digest
    """What the ledger registers: SHA-256 of the DER SubjectPublicKeyInfo."""

    @classmethod
    def of(cls, key: ec.EllipticCurvePrivateKey, certificate_pem: bytes) -> Self:
        """Put a key and the certificate made for it together again.

        Raises:
            ValueError: The bytes are not a PEM certificate, or it is about another key.
        """
        if certificate_spki_hash(certificate_pem) != (spki_hash := _spki_hash(key.public_key())):
            raise ValueError(f"the certificate is not about the key {spki_hash.hex()}")
        return cls(certificate_pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), spki_hash)


def make_identity(
    common_name: str,
    *,
    now: datetime,
    key: ec.EllipticCurvePrivateKey | None = None,
    validity: timedelta = VALIDITY,
) -> TlsIdentity:
    """Return an identity with a new self-signed certificate.

    Args:
        common_name: For people who read the certificate, at most 64 characters; nothing depends on it.
        now: Aware; the certificate is valid from a day before.
        key: A P-256 key to certify, for a renewal or a simulation. None makes a new one from the system's randomness.
            With a given key the certificate is the same bytes each time.

    Raises:
        ValueError: The key is on another curve.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    if not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"transport keys are on P-256, not {key.curve.name}")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    spki_hash = _spki_hash(key.public_key())
    certificate = self_signed(
        key,
        name,
        # 16 bytes of what identifies the key, and never zero.
        serial=int.from_bytes(spki_hash[:16], "big") | 1,
        now=now,
        validity=validity,
        purposes=[ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
    )
    return TlsIdentity.of(key, certificate.public_bytes(Encoding.PEM))


def server_context(
    identity: TlsIdentity, peer_certificates_pem: Iterable[bytes], protocol: str = PROTOCOL
) -> ssl.SSLContext:
    """Return the context for connections others open: TLS 1.3, and a client certificate out of the given ones."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, identity, peer_certificates_pem, protocol)
    # Sessions are not resumed: a ticket would stand in for the certificate that the key is looked up by.
    context.num_tickets = 0
    return context


def client_context(
    identity: TlsIdentity, peer_certificates_pem: Iterable[bytes], protocol: str = PROTOCOL
) -> ssl.SSLContext:
    """Return the context for connections opened here: TLS 1.3, and a server certificate out of the given ones."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, identity, peer_certificates_pem, protocol)


def peer_spki_hash(connection: ssl.SSLObject | ssl.SSLSocket, expected: str = PROTOCOL) -> Digest:
    """Return the hash of the key at the other end of a finished handshake, for the look-up among the members.

    That the other end holds the key was shown by the handshake. Whether it is registered, and whose it is, is not
    checked here.

    Raises:
        ssl.SSLError: The peer showed no certificate, or speaks another protocol than `expected`.
    """
    if (protocol := connection.selected_alpn_protocol()) != expected:
        raise ssl.SSLError(f"the peer speaks {protocol or 'no named protocol'}, not {expected}")
    certificate = connection.getpeercert(binary_form=True)
    if certificate is None:
        raise ssl.SSLError("the peer showed no certificate")
    return _certificate_spki_hash(certificate)


def certificate_spki_hash(certificate_pem: bytes) -> Digest:
    """Return the hash of the key in a PEM certificate.

    Raises:
        ValueError: The bytes are not a PEM certificate.
    """
    return _spki_hash(x509.load_pem_x509_certificate(certificate_pem).public_key())


def days_left(certificate_pem: bytes, now: datetime) -> int:
    """Return the whole days until the certificate expires, negative afterwards. A node warns at 30, 7 and 1."""
    return (x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc - now).days


def _spki_hash(public: CertificatePublicKeyTypes) -> Digest:
    return sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@lru_cache(maxsize=1_024)
def _certificate_spki_hash(der: bytes) -> Digest:
    """Cached, since the same few certificates come back with every connection. Only verified ones get here."""
    return _spki_hash(x509.load_der_x509_certificate(der).public_key())


def _context(side: int, identity: TlsIdentity, peer_certificates_pem: Iterable[bytes], protocol: str) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    # A partial chain ends in an anchor looked up by all its bytes. Without it OpenSSL takes the first anchor with the
    # right name, so that the second of two certificates under one name, as in a rotation, would be refused.
    context.verify_flags |= _NO_CHECK_TIME | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols([protocol])
    if anchors := b"\n".join(peer_certificates_pem).decode("ascii"):
        context.load_verify_locations(cadata=anchors)
    with _as_file(identity.certificate_pem + b"\n" + identity.key_pem) as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def _as_file(secret: bytes) -> Iterator[str]:
    """Lend bytes to an interface that only reads files: an anonymous one in memory, where the system has them."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            yield f"/proc/self/fd/{descriptor}"
    else:  # pragma: no cover - not on Linux
        with tempfile.NamedTemporaryFile() as file:  # made readable to its owner alone
            file.write(secret)
            file.flush()
            yield file.name
