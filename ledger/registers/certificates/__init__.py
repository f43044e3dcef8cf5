"""The register of e-certificates: their types, and each certificate from issue to its end.

Invariants:
- A type belongs to the department that has the approved responsibility it names, and only that department issues
  under it, as long as the responsibility counts.
- A certificate's identifier is that of GB/T 36904: right check characters, its type, its issuer. It is used once.
- Who holds a certificate and what it says never stand here, only keyed commitments of 32 bytes.
- A status changes only as `values.TRANSITIONS` allows, and only by the word of the issuer, or of the
  department that has the issuer's function now. What was withdrawn, cancelled, revoked or replaced stays so.
- A replaced certificate and its successor point to each other, have one type, and no certificate has two successors.
- The end of a term is read from its date (`values.status_at`); nothing is written when it comes.
- Copies and verifications are counted beside a certificate and never change it.
"""

from __future__ import annotations

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
from ledger.registers.certificates.rules import (
    change_certificate,
    define_type,
    issue_certificate,
    lift_suspension,
    record_copy,
    record_verification,
    retire_type,
    revoke_certificate,
    suspend_certificate,
)
from ledger.registers.certificates.values import Certificate, CertificateType, CertificateUse
from ledger.registers.register import Register

REGISTER = Register(
    name="certificates",
    description="types of e-certificates, and each certificate from issue to its end",
    rules={
        DefineType: define_type,
        RetireType: retire_type,
        IssueCertificate: issue_certificate,
        ChangeCertificate: change_certificate,
        SuspendCertificate: suspend_certificate,
        LiftSuspension: lift_suspension,
        RevokeCertificate: revoke_certificate,
        RecordCopy: record_copy,
        RecordVerification: record_verification,
    },
    values=(CertificateType, Certificate, CertificateUse),
    codes=CertificatesRefusal,
)
