"""Records that are wrong on purpose. Each is right but for the one thing that its code names."""

from __future__ import annotations

from ledger.blocks.record import Record
from ledger.check_characters import mod_37_36
from ledger.registers.certificates.identifier import ROOT, IdentifierParts, format_identifier
from ledger.registers.certificates.records import ChangeCertificate, LiftSuspension
from ledger.registers.directories.records import PublishDataItem
from scenarios.beijing.catalogue import data_item_record
from scenarios.beijing.certificates import Files
from scenarios.beijing.city import CertificateTypeRow, City, DepartmentRow
from scenarios.simulator.streams import Stream

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""Of credit codes; also within that of identifiers."""


class Planter:
    """Makes wrong records for a city."""

    def __init__(self, city: City, files: Files, draws: Stream) -> None:
        self._city = city
        self._files = files
        self._draws = draws

    def plant(self, code: str, day: str, phase: int) -> tuple[str, Record]:
        """Return the short code of a department, and what it states wrongly so that it is refused with `code`.

        Raises:
            ValueError: Nothing is known that is refused so.
        """
        match code:
            case "foreign_issuer":
                return self._foreign_issuer(day)
            case "identifier_check_character":
                return self._identifier_check_character(day)
            case "credit_code_check_character":
                return self._credit_code_check_character(day)
            case "unknown_responsibility":
                return self._unknown_responsibility()
            case "type_not_own":
                return self._type_not_own(day)
            case "illegal_state_change":
                return self._illegal_state_change(phase)
        raise ValueError(f"no record is known that is refused with {code}")

    def _foreign_issuer(self, day: str) -> tuple[str, Record]:
        """A department issues in the name of the one whose type it is."""
        kind, owner, signer = self._type_and_stranger()
        return signer.code, self._files.unfiled_issue(
            format_identifier(self._files.new_parts(kind.code, owner.uscc, day)), day
        )

    def _type_not_own(self, day: str) -> tuple[str, Record]:
        """A department issues in its own name what only another may issue."""
        kind, _, signer = self._type_and_stranger()
        return signer.code, self._files.unfiled_issue(
            format_identifier(self._files.new_parts(kind.code, signer.uscc, day)), day
        )

    def _identifier_check_character(self, day: str) -> tuple[str, Record]:
        """A slip in the last character."""
        parts, signer = self._own_parts(day)
        right = format_identifier(parts)
        return signer.code, self._files.unfiled_issue(right[:-1] + self._other(right[-1]), day)

    def _credit_code_check_character(self, day: str) -> tuple[str, Record]:
        """A slip in the issuer's credit code, under which the identifier's own check character was computed."""
        parts, signer = self._own_parts(day)
        issuer = parts.issuer[:-1] + self._other(parts.issuer[-1])
        version = f"{parts.version:03}"
        check = mod_37_36(parts.type_code + issuer + parts.serial + version)
        return signer.code, self._files.unfiled_issue(
            f"{ROOT}.{parts.type_code}.{issuer}.{parts.serial}.{version}.{check}", day
        )

    def _unknown_responsibility(self) -> tuple[str, Record]:
        """A data item under a function that nobody has."""
        row = self._draws.choice(self._city.data_items)
        signer = self._city.owner_of(row.responsibility)
        number = self._draws.below(1_000_000)
        record = data_item_record(self._city, row, 1)
        return signer.code, PublishDataItem(
            id=f"{signer.code}-X{number:06}-D1",
            revision=1,
            responsibilities=(f"{signer.code}-X{number:06}",),
            metadata=record.metadata,
        )

    def _illegal_state_change(self, phase: int) -> tuple[str, Record]:
        """What has ended is changed, or a suspension is lifted that there is not."""
        ended = self._files.standing("ended", phase)
        if ended and self._draws.chance(500):
            certificate = self._draws.choice(ended)
            return certificate.kind.department, ChangeCertificate(
                certificate=certificate.identifier,
                revision=certificate.revision + 1,
                content=certificate.content,
                reason="登记事项变更 particulars changed",
            )
        certificate = self._draws.choice(self._files.standing("valid", phase))
        return certificate.kind.department, LiftSuspension(
            certificate=certificate.identifier, reason="整改合格 defects mended"
        )

    def _type_and_stranger(self) -> tuple[CertificateTypeRow, DepartmentRow, DepartmentRow]:
        """Return a type, its department, and another one."""
        kind = self._draws.choice(self._city.certificate_types)
        others = [row for row in self._city.departments if row.code != kind.department]
        return kind, self._city.department(kind.department), self._draws.choice(others)

    def _own_parts(self, day: str) -> tuple[IdentifierParts, DepartmentRow]:
        kind = self._draws.choice(self._city.certificate_types)
        signer = self._city.department(kind.department)
        return self._files.new_parts(kind.code, signer.uscc, day), signer

    def _other(self, character: str) -> str:
        return self._draws.choice(_ALPHABET.replace(character, ""))
