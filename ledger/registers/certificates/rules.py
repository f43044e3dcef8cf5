"""How types are defined and how certificates come into being, change and end. All checks go before the first put."""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from ledger.blocks.refusals import Refused
from ledger.errors import CheckCharacterError, InvariantBrokenError
from ledger.identifiers import Digest
from ledger.members.calendar import CalendarError, Day, add_term, check_term, format_day, parse_day
from ledger.registers.certificates.identifier import (
    IdentifierCheckError,
    IdentifierParts,
    IdentifierShapeError,
    check_type_code,
    parse_identifier,
)
from ledger.registers.certificates.records import (
    ChangeCertificate,
    DefineType,
    IssueCertificate,
    LiftSuspension,
    RecordCopy,
    RecordVerification,
    RetireType,
    RevokeCertificate,
    SuspendCertificate,
)
from ledger.registers.certificates.refusals import CertificatesRefusal
from ledger.registers.certificates.values import (
    TRANSITIONS,
    Certificate,
    CertificateType,
    CertificateUse,
    Operation,
    Status,
    certificate_key,
    status_at,
    type_key,
    use_key,
)
from ledger.registers.context import Context
from ledger.registers.ownership import ground
from ledger.registers.shared import (
    ReferenceRefusal,
    Responsibility,
    require_own_responsibility,
)

_NO_DIGEST = Digest(bytes(32))

_OPERATION_OF_ENDING = {
    "withdrawn": Operation.WITHDRAW,
    "cancelled": Operation.CANCEL,
    "revoked": Operation.REVOKE,
}


def define_type(record: DefineType, context: Context) -> None:
    """Let the signing department issue certificates of a kind. The code's own body need not be a member."""
    try:
        check_type_code(record.code)
    except CheckCharacterError as error:
        raise Refused(_code_of(error)) from None
    require_own_responsibility(record.responsibility, context)
    try:
        check_term(record.term)
    except CalendarError:
        raise Refused(CertificatesRefusal.BAD_TERM) from None
    key = type_key(record.code)
    if context.get(key, CertificateType) is not None:
        raise Refused(CertificatesRefusal.TYPE_DEFINED_BEFORE)
    context.put(
        key,
        CertificateType(
            code=record.code,
            department=context.department,
            responsibility=record.responsibility,
            name_zh=record.name_zh,
            name_en=record.name_en,
            holder=record.holder,
            term=record.term,
            handling_working_days=record.handling_working_days,
            defined_height=int(context.height),
            retired_height=0,
        ),
    )


def retire_type(record: RetireType, context: Context) -> None:
    """End the issue of certificates of a kind."""
    kind, _ = _own_type(record.code, context)
    context.put(type_key(record.code), replace(kind, retired_height=int(context.height)))


def issue_certificate(record: IssueCertificate, context: Context) -> None:
    """Put a certificate on the ledger, and let the one it replaces lapse."""
    try:
        parts = parse_identifier(record.identifier)
    except CheckCharacterError as error:
        raise Refused(_code_of(error)) from None
    if parts.issuer != context.department:
        raise Refused(CertificatesRefusal.FOREIGN_ISSUER)
    kind, responsibility = _own_type(parts.type_code, context)
    if not responsibility.counts:
        raise Refused(ReferenceRefusal.RESPONSIBILITY_NOT_APPROVED)
    key = certificate_key(record.identifier)
    if context.get(key, Certificate) is not None:
        raise Refused(CertificatesRefusal.IDENTIFIER_USED)
    try:
        blank = _blank(
            parts.type_code, context.department, record.valid_from, kind.term, context.time_ms, context.height
        )
    except CalendarError:
        raise Refused(CertificatesRefusal.BAD_DATE) from None
    predecessor = None
    if record.replaces is not None:
        predecessor = _own_certificate(record.replaces, context)
        if predecessor.type_code != parts.type_code:
            raise Refused(CertificatesRefusal.REPLACES_OTHER_TYPE)
    if parts.version != 1:
        _check_version(parts, predecessor)
    if predecessor is not None:
        lapsed = _apply(Operation.REPLACE, predecessor, "replaced", context)
        context.put(certificate_key(predecessor.identifier), replace(lapsed, successor=record.identifier))
    context.put(
        key,
        replace(
            blank,
            identifier=record.identifier,
            holder=record.holder,
            content=record.content,
            predecessor=record.replaces,
        ),
    )


def change_certificate(record: ChangeCertificate, context: Context) -> None:
    """Set a certificate's next content."""
    certificate = _own_certificate(record.certificate, context)
    changed = _apply(Operation.CHANGE, certificate, record.reason, context)
    if record.revision != certificate.revision + 1:
        raise Refused(CertificatesRefusal.CONTENT_NOT_NEXT)
    context.put(
        certificate_key(record.certificate),
        replace(changed, content=record.content, revision=record.revision),
    )


def suspend_certificate(record: SuspendCertificate, context: Context) -> None:
    """Take a certificate's validity away for the time being."""
    _change_status(Operation.SUSPEND, record.certificate, record.reason, context)


def lift_suspension(record: LiftSuspension, context: Context) -> None:
    """Give a suspended certificate its validity back."""
    _change_status(Operation.LIFT, record.certificate, record.reason, context)


def revoke_certificate(record: RevokeCertificate, context: Context) -> None:
    """End a certificate in one of three ways that the law tells apart."""
    _change_status(_OPERATION_OF_ENDING[record.kind], record.certificate, record.reason, context)


def record_copy(record: RecordCopy, context: Context) -> None:
    """Count an annotated copy, of a valid certificate only. Any department may draw one."""
    certificate = _certificate(record.certificate, context)
    _status_after(Operation.COPY, certificate, context)
    if record.valid_until is not None:
        _parse_day(record.valid_until)
    use = _use(record.certificate, context)
    context.put(use_key(record.certificate), replace(use, copies=use.copies + 1, last_ms=context.time_ms))


def record_verification(record: RecordVerification, context: Context) -> None:
    """Count a verification, whatever its outcome. Any department may verify any certificate."""
    _certificate(record.certificate, context)
    use = _use(record.certificate, context)
    context.put(use_key(record.certificate), replace(use, verifications=use.verifications + 1, last_ms=context.time_ms))


@lru_cache(maxsize=1_024)
def _blank(type_code: str, issuer: str, valid_from: str, term: str, time_ms: int, height: int) -> Certificate:
    """Return what the certificates that a block issues under one type have in common, made once for all of them.

    Raises:
        CalendarError: There is no such first day, or no last day of the term.
    """
    last_day = add_term(parse_day(valid_from), term)
    return Certificate(
        identifier="",
        type_code=type_code,
        issuer=issuer,
        holder=_NO_DIGEST,
        content=_NO_DIGEST,
        status=Status.VALID,
        change_reason="",
        issued_ms=time_ms,
        issued_height=height,
        valid_from=valid_from,
        valid_until=None if last_day is None else format_day(last_day),
        revision=1,
        predecessor=None,
        successor=None,
        changes=0,
        changed_ms=time_ms,
        changed_height=height,
    )


def _own_type(code: str, context: Context) -> tuple[CertificateType, Responsibility]:
    """Return a type under which the signing department may issue, and the responsibility that gives it the right."""
    kind = context.get(type_key(code), CertificateType)
    if kind is None:
        raise Refused(CertificatesRefusal.UNKNOWN_TYPE)
    responsibility = ground(kind.responsibility, context)
    if responsibility.department != context.department:
        raise Refused(CertificatesRefusal.TYPE_NOT_OWN)
    if kind.retired_height:
        raise Refused(CertificatesRefusal.TYPE_RETIRED)
    return kind, responsibility


def _certificate(identifier: str, context: Context) -> Certificate:
    certificate = context.get(certificate_key(identifier), Certificate)
    if certificate is None:
        raise Refused(CertificatesRefusal.UNKNOWN_CERTIFICATE)
    return certificate


def _own_certificate(identifier: str, context: Context) -> Certificate:
    """Return a certificate that the signing department answers for, as its issuer or in the issuer's place."""
    certificate = _certificate(identifier, context)
    kind = context.get(type_key(certificate.type_code), CertificateType)
    if kind is None:
        raise InvariantBrokenError(f"{identifier} was issued under a type that was never defined")
    if ground(kind.responsibility, context).department != context.department:
        raise Refused(CertificatesRefusal.NOT_THE_ISSUER)
    return certificate


def _use(identifier: str, context: Context) -> CertificateUse:
    use = context.get(use_key(identifier), CertificateUse)
    return use or CertificateUse(identifier=identifier, copies=0, verifications=0, last_ms=context.time_ms)


def _status_after(operation: Operation, certificate: Certificate, context: Context) -> Status:
    status = status_at(certificate, context.calendar, context.time_ms)
    after = TRANSITIONS[status].get(operation)
    if after is None:
        raise Refused(CertificatesRefusal.ILLEGAL_STATE_CHANGE)
    return after


def _apply(operation: Operation, certificate: Certificate, reason: str, context: Context) -> Certificate:
    """Return the certificate after `operation`, if its status allows that now. Nothing is put."""
    return replace(
        certificate,
        status=_status_after(operation, certificate, context),
        change_reason=reason,
        changes=certificate.changes + 1,
        changed_ms=context.time_ms,
        changed_height=int(context.height),
    )


def _change_status(operation: Operation, identifier: str, reason: str, context: Context) -> None:
    certificate = _own_certificate(identifier, context)
    context.put(certificate_key(identifier), _apply(operation, certificate, reason, context))


def _check_version(parts: IdentifierParts, predecessor: Certificate | None) -> None:
    """Check that a version after the first is one more than that of the predecessor, which has the same serial."""
    before = None if predecessor is None else parse_identifier(predecessor.identifier)
    if before is None or (before.serial, before.version) != (parts.serial, parts.version - 1):
        raise Refused(CertificatesRefusal.VERSION_NOT_NEXT)


def _parse_day(text: str) -> Day:
    try:
        return parse_day(text)
    except CalendarError:
        raise Refused(CertificatesRefusal.BAD_DATE) from None


def _code_of(error: CheckCharacterError) -> CertificatesRefusal:
    """Return what a wrong identifier or type code is refused with; plain errors are those of credit codes inside."""
    if isinstance(error, IdentifierShapeError):
        return CertificatesRefusal.IDENTIFIER_SHAPE
    if isinstance(error, IdentifierCheckError):
        return CertificatesRefusal.IDENTIFIER_CHECK_CHARACTER
    return CertificatesRefusal.CREDIT_CODE_CHECK_CHARACTER
