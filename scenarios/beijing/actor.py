"""What one department states, record by record: work of all kinds in fixed proportions, and mistakes among it.

It has its data from the city's files and nothing to do with the story of a day: what is measured with it is how many
records go through, so the shares are the same for every department.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from ledger.blocks.record import Record
from ledger.check_characters import mod_37_36
from ledger.identifiers import CreditCode, Digest
from ledger.registers.catalogue import Column, DataItemMetadata, InformationItem, Openness, Sharing, schema_hash
from ledger.registers.certificates.identifier import ROOT, IdentifierParts, format_identifier
from ledger.registers.certificates.records import (
    ChangeCertificate,
    IssueCertificate,
    LiftSuspension,
    RevokeCertificate,
    SuspendCertificate,
)
from ledger.registers.directories.records import (
    ApproveDataItem,
    ApproveResponsibility,
    PublishDataItem,
    PublishResponsibility,
    PublishTable,
)
from scenarios.beijing.catalogue import type_record
from scenarios.beijing.city import CertificateTypeRow, City, DataItemRow, DepartmentRow, ResponsibilityRow

SHARES = {"issue": 0.60, "status": 0.15, "data": 0.20, "responsibility": 0.05}
"""Of all records, by kind: issues; changes, suspensions, lifts and revocations; data items and tables; the rest."""

REFUSED_SHARE = 0.02
"""Of all records, those that break a rule; they stand in the place of records of any kind."""

_VALID_FROM = "2025-09-15"


class Actor:
    """One department: what it has on the ledger so far, and what it states next."""

    def __init__(self, row: DepartmentRow, city: City, rng: random.Random) -> None:
        self.code = row.uscc
        self._rng = rng
        self._row = row
        self._responsibilities = [r for r in city.responsibilities if r.department == row.code]
        own = {r.id for r in self._responsibilities}
        first = self._responsibilities[0]
        # Some departments issue nothing or hold nothing in the city's files; here each does all kinds of work.
        self._types = [t for t in city.certificate_types if t.department == row.code] or [_plain_type(row, first)]
        self._items = [i for i in city.data_items if i.responsibility in own] or [_plain_item(first)]
        self._revisions: dict[str, int] = {}
        self._serial = 0
        self._contents: dict[str, int] = {}
        """Revision of the content of each certificate that is valid."""
        self._suspended: list[tuple[str, int]] = []
        """Certificates that are suspended, with their revisions."""

    # What the state is made of.

    def publish_responsibilities(self) -> list[Record]:
        """Return its responsibilities as the city's files have them."""
        return [self._publish_responsibility(row) for row in self._responsibilities]

    def responsibility_approvals(self) -> list[Record]:
        """Return what a registrar states for them to be in force."""
        return [ApproveResponsibility(id=row.id, revision=1) for row in self._responsibilities]

    def define_types(self) -> list[Record]:
        """Return the types of its certificates."""
        return [type_record(row) for row in self._types]

    def publish_data_items(self) -> list[Record]:
        """Return its data items."""
        return [self._publish_data_item(row) for row in self._items]

    def data_item_approvals(self) -> list[Record]:
        """Return what a directory authority states for them to be in force."""
        return [ApproveDataItem(id=row.id, revision=1) for row in self._items]

    def publish_tables(self) -> list[Record]:
        """Return one table for each data item."""
        return [self._publish_table(row) for row in self._items]

    def issue(self) -> IssueCertificate:
        """Return the issue of the next certificate."""
        kind = self._rng.choice(self._types)
        record = self._issue_as(format_identifier(self._next_parts(kind.code, self.code)))
        self._contents[record.identifier] = 1
        return record

    # What is measured.

    def day(self, count: int, *, others: Sequence[Actor]) -> list[tuple[Record, str]]:
        """Return `count` records in their shares, each with how it must end."""
        kinds = [kind for kind, share in SHARES.items() for _ in range(round(count * share))][:count]
        kinds += ["issue"] * (count - len(kinds))
        self._rng.shuffle(kinds)
        wrong = set(self._rng.sample(range(count), round(count * REFUSED_SHARE)))
        plain: Mapping[str, Callable[[], Record]] = {
            "issue": self.issue,
            "status": self._change_status,
            "data": self._revise_data,
            "responsibility": lambda: self._publish_responsibility(self._rng.choice(self._responsibilities)),
        }
        other = next((actor for actor in others if actor is not self), self)
        mistakes = self._mistakes(other)
        return [
            next(mistakes) if position in wrong else (plain[kind](), "accepted") for position, kind in enumerate(kinds)
        ]

    def _change_status(self) -> Record:
        draw = self._rng.random()
        if self._suspended and draw < 0.2:
            identifier, revision = self._suspended.pop()
            self._contents[identifier] = revision
            return LiftSuspension(certificate=identifier, reason="整改完成")
        identifier = self._rng.choice(list(self._contents))
        if draw < 0.7:
            self._contents[identifier] += 1
            return ChangeCertificate(
                certificate=identifier,
                revision=self._contents[identifier],
                content=Digest(self._rng.randbytes(32)),
                reason="登记事项变更",
            )
        revision = self._contents.pop(identifier)
        if draw < 0.85:
            self._suspended.append((identifier, revision))
            return SuspendCertificate(certificate=identifier, reason="限期整改")
        return RevokeCertificate(certificate=identifier, kind="cancelled", reason="终止经营")

    def _revise_data(self) -> Record:
        row = self._rng.choice(self._items)
        return self._publish_data_item(row) if self._rng.random() < 0.5 else self._publish_table(row)

    def _mistakes(self, other: Actor) -> Iterator[tuple[Record, str]]:
        """Yield wrong records in turn, each with the label of its refusal."""
        while True:
            parts = self._next_parts(self._types[0].code, self.code)
            yield self._issue_as(_turn_last(format_identifier(parts))), "identifier_check_character"
            yield self._issue_as(_with_wrong_credit_code(parts)), "credit_code_check_character"
            if other is not self:
                foreign = self._next_parts(other._types[0].code, other.code)
                yield self._issue_as(format_identifier(foreign)), "foreign_issuer"
                borrowed = self._next_parts(other._types[0].code, self.code)
                yield self._issue_as(format_identifier(borrowed)), "type_not_own"
            valid = next(iter(self._contents))
            yield LiftSuspension(certificate=valid, reason="误操作"), "illegal_state_change"

    # Single records.

    def _next_revision(self, name: str) -> int:
        self._revisions[name] = self._revisions.get(name, 0) + 1
        return self._revisions[name]

    def _next_parts(self, type_code: str, issuer: CreditCode) -> IdentifierParts:
        self._serial += 1
        return IdentifierParts(
            type_code=type_code, issuer=issuer, serial=f"{self._row.code}{self._serial:09}", version=1
        )

    def _issue_as(self, identifier: str) -> IssueCertificate:
        return IssueCertificate(
            identifier=identifier,
            holder=Digest(self._rng.randbytes(32)),
            content=Digest(self._rng.randbytes(32)),
            valid_from=_VALID_FROM,
            replaces=None,
        )

    def _publish_responsibility(self, row: ResponsibilityRow) -> PublishResponsibility:
        return PublishResponsibility(
            id=row.id,
            revision=self._next_revision(row.id),
            office="",
            name_zh=row.name_zh,
            name_en=row.name_en,
            legal_basis="",
        )

    def _publish_data_item(self, row: DataItemRow) -> PublishDataItem:
        return PublishDataItem(
            id=row.id,
            revision=self._next_revision(row.id),
            responsibilities=(row.responsibility,),
            metadata=DataItemMetadata(
                name_zh=row.name_zh,
                name_en=row.name_en,
                classification="department",
                class_code="",
                abstract=row.name_zh,
                format="database",
                information_items=tuple(
                    InformationItem(name=name, type="C", length=length) for name, length in _INFORMATION_ITEMS
                ),
                sharing=Sharing(type=row.sharing_type, condition=row.condition, mode=row.mode),
                openness=Openness(open=row.sharing_type == 1, condition=""),
                update_cycle=row.update_cycle,
                related=(),
            ),
        )

    def _publish_table(self, row: DataItemRow) -> PublishTable:
        name = f"{row.id}-T1"
        columns = tuple(
            Column(name=f"COLUMN_{number}", type="VARCHAR", length=length, information_item=item)
            for number, (item, length) in enumerate(_INFORMATION_ITEMS, start=1)
        )
        return PublishTable(
            id=name,
            revision=self._next_revision(name),
            data_item=row.id,
            system=None,
            name=f"T_{row.id.replace('-', '_')}",
            columns=columns,
            schema=schema_hash(columns),
        )


_INFORMATION_ITEMS = (("统一社会信用代码", 18), ("名称", 200), ("状态", 20), ("登记日期", 10))


def _plain_type(row: DepartmentRow, responsibility: ResponsibilityRow) -> CertificateTypeRow:
    return CertificateTypeRow(
        code=f"{row.uscc}901",
        department=row.code,
        responsibility=responsibility.id,
        name_zh="证明文件",
        name_en="Certificate",
        holder="organ",
        term="P5Y",
        handling_working_days=5,
        weight=1,
        source="assumption",
    )


def _plain_item(responsibility: ResponsibilityRow) -> DataItemRow:
    return DataItemRow(
        id=f"{responsibility.id}-D1",
        responsibility=responsibility.id,
        name_zh=responsibility.name_zh,
        name_en=responsibility.name_en,
        sharing_type=1,
        condition="",
        mode="database",
        update_cycle="monthly",
    )


def _turn_last(text: str) -> str:
    """Return `text` with another last character."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def _with_wrong_credit_code(parts: IdentifierParts) -> str:
    """Return an identifier that is right but for the issuer's own check character."""
    issuer, version = _turn_last(parts.issuer), f"{parts.version:03}"
    check = mod_37_36(parts.type_code + issuer + parts.serial + version)
    return f"{ROOT}.{parts.type_code}.{issuer}.{parts.serial}.{version}.{check}"
