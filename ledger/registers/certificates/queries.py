"""What can be asked of the certificates. Queries walk over a register; they are not for rules."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.errors import InvariantBrokenError
from ledger.registers.certificates.values import (
    CERTIFICATES,
    TYPES,
    Certificate,
    CertificateType,
    certificate_key,
)
from ledger.registers.ownership import ground, has_ended
from ledger.registers.reader import Reader


def types(reader: Reader) -> Iterator[CertificateType]:
    """Yield all types, ascending by code."""
    for _, value in reader.items(TYPES):
        assert isinstance(value, CertificateType)
        yield value


def orphaned_types(reader: Reader) -> tuple[str, ...]:
    """Return the types, ascending, that are not retired and that nobody can issue under or answer for."""

    def lost(kind: CertificateType) -> bool:
        responsibility = ground(kind.responsibility, reader)
        return not responsibility.counts or has_ended(responsibility.department, reader)

    return tuple(kind.code for kind in types(reader) if not kind.retired_height and lost(kind))


def certificates_of_type(reader: Reader, code: str) -> Iterator[Certificate]:
    """Yield all certificates of a type, whatever their status, ascending by identifier."""
    for _, value in reader.items(CERTIFICATES):
        assert isinstance(value, Certificate)
        if value.type_code == code:
            yield value


def lineage(reader: Reader, identifier: str) -> tuple[Certificate, ...]:
    """Return the certificates that replaced each other, the first one first, of which `identifier` is one.

    Empty if there is no certificate with this identifier.
    """
    first = reader.get(certificate_key(identifier), Certificate)
    if first is None:
        return ()
    while first.predecessor is not None:
        first = _linked(reader, first.predecessor)
    line = [first]
    while (successor := line[-1].successor) is not None:
        line.append(_linked(reader, successor))
    return tuple(line)


def _linked(reader: Reader, identifier: str) -> Certificate:
    certificate = reader.get(certificate_key(identifier), Certificate)
    if certificate is None:
        raise InvariantBrokenError(f"a certificate points to {identifier}, which was never issued")
    return certificate
