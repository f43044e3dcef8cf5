"""The issuers' files: each certificate with what its issuer knows of it, and the record for each thing done to it.

Salts and keys follow from the seed, so that a run can be played again to the byte. An office that serves real people
draws them from its operating system and keeps them as carefully as the data itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from ledger.crypto.commitments import Field, commit, content_root
from ledger.crypto.hashing import Tag
from ledger.identifiers import CertificateIdentifier, CreditCode, Digest
from ledger.members.calendar import add_term, format_day, parse_day
from ledger.proofs.bundle import HolderOpening, Opening
from ledger.registers.certificates.identifier import IdentifierParts, format_identifier
from ledger.registers.certificates.records import (
    ChangeCertificate,
    IssueCertificate,
    LiftSuspension,
    RecordCopy,
    RecordVerification,
    RevokeCertificate,
    SuspendCertificate,
)
from scenarios.beijing.city import CertificateTypeRow, City
from scenarios.beijing.holders import Holder, draw_holder
from scenarios.simulator.streams import Stream, Streams

Standing = Literal["valid", "suspended", "ended"]
Ending = Literal["withdrawn", "cancelled", "revoked"]

ENDINGS: tuple[Ending, ...] = ("withdrawn", "cancelled", "revoked")

_REASONS_OF_ENDING = {
    "withdrawn": "材料不实 application found untrue",
    "cancelled": "持证人申请注销 given back on request",
    "revoked": "违法行为处罚 penalty",
}
_PURPOSES = ("办事核验 counter service", "招投标核验 tender check", "随机抽查 random inspection")
_SERIAL_ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"


@dataclass(slots=True)
class KeptCertificate:
    """A certificate in its issuer's files."""

    kind: CertificateTypeRow
    parts: IdentifierParts
    holder: Holder
    holder_key: bytes = field(repr=False)
    salts: Stream = field(repr=False)
    issued_on: str
    issued_in: int
    """Number of the phase."""
    touched: int
    """Phase in which it was last issued, changed or copied. It is left alone for the rest of it: nobody knows in which
    order the envelopes of a phase are executed."""
    spared: bool
    """Whether it must be valid at the end: one of every type is."""
    standing: Standing = "valid"
    revision: int = 1
    fields: tuple[Field, ...] = ()

    @property
    def identifier(self) -> CertificateIdentifier:
        """With its check character."""
        return format_identifier(self.parts)

    @property
    def content(self) -> Digest:
        """The commitment to its fields."""
        return content_root(self.fields)

    @property
    def opening(self) -> Opening:
        """All of it."""
        return Opening(content=self.fields, holder=HolderOpening(holder=self.holder.text, key=self.holder_key))


class Files:
    """All issuers' files together. Each method returns the record that the department concerned signs."""

    def __init__(self, city: City, streams: Streams) -> None:
        self.certificates: dict[CertificateIdentifier, KeptCertificate] = {}
        """In the order of their issue."""
        self._city = city
        self._streams = streams
        self._serials = streams.named("serials")
        self._holders = streams.named("holders")

    def issue(self, kind: CertificateTypeRow, day: str, phase: int, *, spared: bool = False) -> IssueCertificate:
        """Open a new file."""
        issuer = self._city.department(kind.department).uscc
        holder = draw_holder(kind.holder, self._city.districts, self._holders)
        return self._issue(kind, self.new_parts(kind.code, issuer, day), holder, day, phase, spared, None)

    def replace(self, old: KeptCertificate, day: str, phase: int) -> IssueCertificate:
        """Open a file under the next version of the serial, and close the old one."""
        parts = IdentifierParts(old.parts.type_code, old.parts.issuer, old.parts.serial, old.parts.version + 1)
        self._close(old, phase)
        return self._issue(old.kind, parts, old.holder, day, phase, False, old.identifier)

    def change(self, certificate: KeptCertificate, phase: int) -> ChangeCertificate:
        """Write into it that the holder has moved, every field under a new salt."""
        certificate.touched = phase
        certificate.revision += 1
        certificate.holder = replace(certificate.holder, district=certificate.salts.choice(self._city.districts))
        certificate.fields = self._fields(certificate)
        return ChangeCertificate(
            certificate=certificate.identifier,
            revision=certificate.revision,
            content=certificate.content,
            reason="登记事项变更 particulars changed",
        )

    def suspend(self, certificate: KeptCertificate, phase: int) -> SuspendCertificate:
        """Take its validity away for the time being."""
        certificate.touched, certificate.standing = phase, "suspended"
        return SuspendCertificate(certificate=certificate.identifier, reason="限期整改 until defects are mended")

    def lift(self, certificate: KeptCertificate, phase: int) -> LiftSuspension:
        """Give it back."""
        certificate.touched, certificate.standing = phase, "valid"
        return LiftSuspension(certificate=certificate.identifier, reason="整改合格 defects mended")

    def end(self, certificate: KeptCertificate, ending: Ending, phase: int) -> RevokeCertificate:
        """Close its file for good."""
        self._close(certificate, phase)
        return RevokeCertificate(certificate=certificate.identifier, kind=ending, reason=_REASONS_OF_ENDING[ending])

    def copy(self, certificate: KeptCertificate, day: str, phase: int) -> RecordCopy:
        """Draw an annotated copy, good for 30 days."""
        certificate.touched = phase
        last = add_term(parse_day(day), "P30D")
        assert last is not None
        return RecordCopy(
            certificate=certificate.identifier,
            reason="仅供贷款申请 for a loan application only",
            valid_until=format_day(last),
        )

    def verify(self, certificate: KeptCertificate, draws: Stream) -> RecordVerification:
        """Look it up."""
        return RecordVerification(certificate=certificate.identifier, purpose=draws.choice(_PURPOSES))

    def standing(self, standing: Standing, phase: int) -> list[KeptCertificate]:
        """Return those that stand so and were not touched in this phase, in the order of their issue."""
        return [c for c in self.certificates.values() if c.standing == standing and c.touched < phase]

    def issued_before(self, phase: int) -> list[KeptCertificate]:
        """Return those that are on the ledger when this phase begins, however they stand."""
        return [c for c in self.certificates.values() if c.issued_in < phase]

    def new_parts(self, type_code: str, issuer: CreditCode, day: str) -> IdentifierParts:
        """Return the parts of an identifier that no file has."""
        return IdentifierParts(type_code, issuer, self._serial(day), 1)

    def unfiled_issue(self, identifier: str, day: str) -> IssueCertificate:
        """Return an issue that is to be refused, so that no file is opened for it."""
        salts = self._streams.named("salts", identifier)
        holder = draw_holder("organ", self._city.districts, self._holders)
        return IssueCertificate(
            identifier=identifier,
            holder=commit(Tag.HOLDER, salts.bytes(32), holder.text.encode()),
            content=content_root([Field(name="证照号码 number", value=identifier, salt=salts.bytes(32))]),
            valid_from=day,
            replaces=None,
        )

    def _issue(
        self,
        kind: CertificateTypeRow,
        parts: IdentifierParts,
        holder: Holder,
        day: str,
        phase: int,
        spared: bool,
        replaces: CertificateIdentifier | None,
    ) -> IssueCertificate:
        identifier = format_identifier(parts)
        salts = self._streams.named("salts", identifier)
        key = salts.bytes(32)
        certificate = KeptCertificate(
            kind=kind,
            parts=parts,
            holder=holder,
            holder_key=key,
            salts=salts,
            issued_on=day,
            issued_in=phase,
            touched=phase,
            spared=spared,
        )
        certificate.fields = self._fields(certificate)
        self.certificates[identifier] = certificate
        return IssueCertificate(
            identifier=identifier,
            holder=commit(Tag.HOLDER, key, holder.text.encode()),
            content=certificate.content,
            valid_from=day,
            replaces=replaces,
        )

    def _fields(self, certificate: KeptCertificate) -> tuple[Field, ...]:
        """Return what the certificate says, under fresh salts."""
        kind, holder = certificate.kind, certificate.holder
        district = holder.district
        issuer = self._city.department(kind.department)
        last = add_term(parse_day(certificate.issued_on), kind.term)
        values = {
            "证照名称 certificate": f"{kind.name_zh} {kind.name_en}",
            "证照号码 number": f"{certificate.parts.serial}-{certificate.parts.version:03}",
            "持证主体 holder": holder.name,
            "主体编号 holder reference": holder.reference,
            "行政区划 district": f"{district.name_zh} {district.name_en} ({district.code})",
            "发证机关 issuer": f"{issuer.name_zh} {issuer.name_en}",
            "发证日期 issued on": certificate.issued_on,
            "有效期至 valid until": "长期 open" if last is None else format_day(last),
        }
        if certificate.revision > 1:
            values["变更次数 changes"] = str(certificate.revision - 1)
        return tuple(Field(name=name, value=value, salt=certificate.salts.bytes(32)) for name, value in values.items())

    def _close(self, certificate: KeptCertificate, phase: int) -> None:
        certificate.touched, certificate.standing = phase, "ended"

    def _serial(self, day: str) -> str:
        """Return the day and eight characters that make it the only one."""
        drawn = "".join(self._serials.choice(_SERIAL_ALPHABET) for _ in range(8))
        return day.replace("-", "") + drawn
