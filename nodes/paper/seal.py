"""The seal: a PAdES signature over the file, by a key that does nothing else.

Why a key of its own. Readers of PDF build X.509 paths, and many of them refuse Ed25519, so that none of a department's
ledger keys will do; the ECDSA key of its node speaks TLS, and each key has one use. A seal key is ECDSA P-256 with a
certificate for signing documents (RFC 9336), self-signed as it is made here. A department that has a certificate of an
accredited authority for the key puts that, and the chain after it, into the place of the one made here; nothing else
changes.

What a seal says is that nobody has changed the file since the holder of this key made it. Who that is, a reader learns
from the authority or from where the department publishes its certificate: the ledger knows nothing of seals, and the
attached bundle needs none.

Source: ETSI EN 319 142-1 (PAdES baseline B-B), EN 319 412-1 section 5.1.4 (the organisation's identifier).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from pyhanko.keys import load_certs_from_pemder_data, load_private_key_from_pemder_data
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import SimpleSigner
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner
from pyhanko_certvalidator.registry import SimpleCertificateStore

from ledger.check_characters import check_credit_code
from ledger.errors import LedgerError
from nodes.files import write_file
from nodes.pkcs8 import to_pem
from nodes.self_signed import self_signed

KEY_NAME, CERTIFICATE_NAME = "seal.pem", "seal.certificate.pem"

VALIDITY = timedelta(days=5 * 365)
"""Somebody should look at who holds the key now and then; what was sealed stays as it was."""

NAME_BYTES_MAX = 64
"""Of an organisation's name (RFC 5280, appendix A.1, as the library counts it): 21 Chinese characters."""

FIELD_NAME = "Seal"

_DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")


class SealError(LedgerError):
    """The seal cannot be made or used as it lies there."""

    code = "seal"


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal key with its certificate and the chain above it."""

    key: ec.EllipticCurvePrivateKey
    chain: Sequence[x509.Certificate]
    """The key's own first."""

    @property
    def name(self) -> str:
        """Whom its certificate names."""
        subject = self.chain[0].subject
        named = subject.get_attributes_for_oid(NameOID.COMMON_NAME) or list(subject)
        return str(named[0].value)


def make_seal(folder: Path, *, name: str, credit_code: str, now: datetime) -> None:
    """Make a key and a self-signed certificate in `folder`, which must not hold either.

    Args:
        name: The department's, which readers show as it is: what can be printed, at most 64 bytes of UTF-8.
        now: Aware; the certificate is valid from a day before.

    Raises:
        CheckCharacterError: The credit code is mistyped.
        SealError: There is a seal already, or no certificate can have the name.
    """
    check_credit_code(credit_code)
    if not name.strip() or not name.isprintable() or len(name.encode()) > NAME_BYTES_MAX:
        raise SealError(
            f"no certificate can have the name {name!r}: write what can be printed, "
            f"at most {NAME_BYTES_MAX} bytes in UTF-8"
        )
    if any((folder / file).exists() for file in (KEY_NAME, CERTIFICATE_NAME)):
        raise SealError(f"{folder} holds a seal already; keys are never overwritten")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, f"NTRCN-{credit_code}"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    certificate = self_signed(
        key,
        subject,
        serial=x509.random_serial_number(),
        now=now,
        validity=VALIDITY,
        purposes=[_DOCUMENT_SIGNING],
        commits=True,
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Nobody but its owner reads the key, from its first byte on.
    (folder / KEY_NAME).touch(mode=0o600, exist_ok=False)
    (folder / KEY_NAME).write_bytes(to_pem(key, None))
    write_file(folder / CERTIFICATE_NAME, certificate.public_bytes(Encoding.PEM))


def load_seal(folder: Path) -> Seal:
    """Return the seal in `folder`.

    Raises:
        SealError: There is none, or its files are not what they should be.
    """
    try:
        key = load_pem_private_key((folder / KEY_NAME).read_bytes(), None)
        chain = x509.load_pem_x509_certificates((folder / CERTIFICATE_NAME).read_bytes())
    except (OSError, ValueError, TypeError):
        # The library's message is left out: it is not promised to be free of what it read.
        raise SealError(f"there is no seal in {folder}: it needs {KEY_NAME} and {CERTIFICATE_NAME}, in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SealError(f"{folder / KEY_NAME} is not an ECDSA key, which is what readers of PDF know")
    if chain[0].public_key() != key.public_key():
        raise SealError(f"the first certificate in {folder / CERTIFICATE_NAME} is about another key")
    return Seal(key, chain)


def seal_pdf(pdf: bytes, seal: Seal) -> bytes:
    """Return the file with the seal on it. It allows no change afterwards."""
    certificate, *above = load_certs_from_pemder_data(b"".join(each.public_bytes(Encoding.PEM) for each in seal.chain))
    key = load_private_key_from_pemder_data(
        seal.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), passphrase=None
    )
    registry = SimpleCertificateStore.from_certs(above)  # type: ignore[no-untyped-call]
    signer = PdfSigner(
        PdfSignatureMetadata(
            field_name=FIELD_NAME,
            md_algorithm="sha256",
            subfilter=SigSeedSubFilter.PADES,
            certify=True,
            docmdp_permissions=MDPPerm.NO_CHANGES,
            name=seal.name,
        ),
        signer=SimpleSigner(certificate, key, registry),
    )
    out = signer.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)), output=io.BytesIO())
    return bytes(out.getvalue())
