"""Self-signed certificates: of a key that signs in one way only and has no authority above it, and is none itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

BACKDATING = timedelta(days=1)
"""Who checks times must not find a certificate to be from the future because their clock is behind."""


def self_signed(
    key: ec.EllipticCurvePrivateKey,
    name: x509.Name,
    *,
    serial: int,
    now: datetime,
    validity: timedelta,
    purposes: Sequence[x509.ObjectIdentifier],
    commits: bool = False,
) -> x509.Certificate:
    """Return a certificate about `key` and by it; the same bytes each time for the same arguments.

    Args:
        serial: Positive and at most twenty octets (RFC 5280, section 4.1.2.2).
        now: Aware; the certificate is valid from a day before.
        purposes: Its extended key usage.
        commits: Whether a signature commits its holder to a content, as one on a document does and one of a handshake
            does not.
    """
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=commits,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - BACKDATING)
        .not_valid_after(now + validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
