"""What the departments do in the half-days after everything is set up.

What happens in one half-day does not build on what happens in the same: a certificate is issued, changed, suspended or
copied at most once in each, and a data item's version is approved in the next.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.registers.directories.records import ApproveDataItem
from scenarios.beijing.amounts import Amounts, apportion, spread
from scenarios.beijing.catalogue import data_item_record
from scenarios.beijing.certificates import ENDINGS, Files
from scenarios.beijing.city import CertificateTypeRow, City, DataItemRow
from scenarios.beijing.drafts import Draft
from scenarios.beijing.planted import Planter
from scenarios.beijing.zipf import Zipf
from scenarios.simulator.streams import Streams
from scenarios.story import Fault


class Shifts:
    """Writes one half-day after the other, from number 0 on."""

    def __init__(self, city: City, files: Files, amounts: Amounts, streams: Streams) -> None:
        self._city = city
        self._files = files
        self._draws = streams.named("shifts")
        self._planter = Planter(city, files, streams.named("planted"))
        count = amounts.shifts
        self._issues = self._deal_issues(amounts)
        # Nothing is there to be changed in the first shift, and nothing suspended in the first two.
        self._suspensions = [0, *spread(amounts.suspensions, count - 2), 0]
        self._lifts = [0, 0, *spread(amounts.lifts, count - 2)]
        self._endings = [0, *spread(amounts.endings, count - 1)]
        self._replacements = [0, *spread(amounts.replacements, count - 1)]
        self._changes = [0, *spread(amounts.changes, count - 1)]
        self._copies = [0, *spread(amounts.copies, count - 1)]
        self._verifications = [0, *spread(amounts.verifications, count - 1)]
        # The last shift approves and publishes nothing.
        self._versions = [*spread(amounts.data_item_versions, count - 1), 0]
        self._planted = self._deal_planted(count)
        self._items = Zipf(city, city.data_items)
        self._revisions = {row.id: 1 for row in city.data_items}
        self._waiting: list[DataItemRow] = []
        """Data items whose newest version waits for approval."""

    def write(self, number: int, draft: Draft) -> None:
        """Write everything of shift `number` into its draft. Shifts are written in order."""
        self._write_versions(number, draft)
        self._write_issues(number, draft)
        self._write_changes(number, draft)
        self._write_verifications(number, draft)
        self._write_planted(number, draft)

    def _deal_issues(self, amounts: Amounts) -> list[list[tuple[CertificateTypeRow, bool]]]:
        """Return the types to issue in each shift; True marks the one of each type that is to stay valid."""
        kinds = self._city.certificate_types
        parts = apportion(amounts.issues, [row.weight for row in kinds])
        further = self._draws.shuffled([row for row, part in zip(kinds, parts, strict=True) for _ in range(part - 1)])
        # Twice a shift's share at first, so that the next ones find enough to work on; none in the last.
        first = max(0, 2 * amounts.issues // amounts.shifts - len(kinds))
        later = iter(further[first:])
        shares = spread(max(0, len(further) - first), amounts.shifts - 2)
        return [
            [*((row, True) for row in kinds), *((row, False) for row in further[:first])],
            *([(next(later), False) for _ in range(share)] for share in shares),
            [],
        ]

    def _deal_planted(self, count: int) -> list[list[str]]:
        """Return the codes of the errors to plant in each shift."""
        codes = [error.code for error in self._city.workload.planted for _ in range(error.count)]
        dealt: list[list[str]] = [[] for _ in range(count)]
        for i, code in enumerate(self._draws.shuffled(codes)):
            dealt[1 + i % (count - 1)].append(code)
        return dealt

    def _write_issues(self, number: int, draft: Draft) -> None:
        for kind, spared in self._issues[number]:
            draft.add(kind.department, self._files.issue(kind, draft.day, number, spared=spared))

    def _write_changes(self, number: int, draft: Draft) -> None:
        files, day = self._files, draft.day
        suspended = self._draws.shuffled(files.standing("suspended", number))
        for certificate in suspended[: self._lifts[number]]:
            draft.add(certificate.kind.department, files.lift(certificate, number))
        # Of every type one is left valid to the end.
        free = self._draws.shuffled([c for c in files.standing("valid", number) if not c.spared])
        for ending in ENDINGS:
            for _ in range(self._endings[number]):
                certificate = free.pop()
                draft.add(certificate.kind.department, files.end(certificate, ending, number))
        for _ in range(self._suspensions[number]):
            certificate = free.pop()
            draft.add(certificate.kind.department, files.suspend(certificate, number))
        for _ in range(self._replacements[number]):
            certificate = free.pop()
            draft.add(certificate.kind.department, files.replace(certificate, day, number))
        valid = self._draws.shuffled(files.standing("valid", number))
        for _ in range(self._changes[number]):
            certificate = valid.pop()
            draft.add(certificate.kind.department, files.change(certificate, number))
        for _ in range(self._copies[number]):
            # Any department may draw one, of any issuer's certificate.
            draft.add(self._any_department(), files.copy(valid.pop(), day, number))

    def _write_verifications(self, number: int, draft: Draft) -> None:
        if not (known := self._files.issued_before(number)):
            return
        for _ in range(self._verifications[number]):
            draft.add(self._any_department(), self._files.verify(self._draws.choice(known), self._draws))

    def _write_versions(self, number: int, draft: Draft) -> None:
        authority = self._city.with_role("directory_authority")[0].code
        for row in self._waiting:
            draft.add(authority, ApproveDataItem(id=row.id, revision=self._revisions[row.id]))
        # An approval names the newest version, so that what is being approved gets no newer one meanwhile.
        self._waiting = self._draw_items(self._versions[number], besides=self._waiting)
        for row in self._waiting:
            self._revisions[row.id] += 1
            record = data_item_record(self._city, row, self._revisions[row.id])
            draft.add(self._city.owner_of(row.responsibility).code, record)

    def _draw_items(self, count: int, *, besides: Sequence[DataItemRow]) -> list[DataItemRow]:
        """Return up to `count` different data items."""
        drawn: list[DataItemRow] = []
        for _ in range(count):
            if (row := self._items.draw(self._draws, [*besides, *drawn])) is not None:
                drawn.append(row)
        return drawn

    def _write_planted(self, number: int, draft: Draft) -> None:
        faults = {fault.value: fault for fault in Fault}
        for code in self._planted[number]:
            if code in faults:
                certificate = self._draws.choice(self._files.issued_before(number))
                record = self._files.verify(certificate, self._draws)
                draft.add_faulty(self._any_department(), record, faults[code])
            else:
                department, wrong = self._planter.plant(code, draft.day, number)
                draft.add(department, wrong, expected=code)

    def _any_department(self) -> str:
        return self._draws.choice(self._city.departments).code
