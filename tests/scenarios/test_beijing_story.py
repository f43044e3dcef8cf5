"""The city's story ends as it says, for every size of network, and says the same whenever it is told."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache
from hashlib import sha256
from itertools import pairwise

import pytest

from ledger.crypto.commitments import Field, check_commitment, content_root
from ledger.crypto.hashing import Tag
from ledger.identifiers import ChainId
from ledger.members.calendar import Day, parse_day
from ledger.registers.catalogue import DataItem, Table, data_item_key, table_key
from ledger.registers.certificates.identifier import parse_identifier
from ledger.registers.certificates.records import IssueCertificate
from ledger.registers.certificates.values import (
    CERTIFICATES,
    Certificate,
    CertificateType,
    Status,
    status_at,
    type_key,
)
from ledger.registers.directories.values import System, system_key
from ledger.registers.shared import Responsibility, responsibility_key
from scenarios.beijing.amounts import apportion, spread
from scenarios.beijing.city import City
from scenarios.beijing.city_files import load_city
from scenarios.beijing.story import BeijingStory
from scenarios.story import ACCEPTED, Fault, Phase
from tests.hash_seeds import printed_under_hash_seeds
from tests.scenarios.executed_story import ExecutedStory, execute_story

WHOLE = load_city()
START_MS = WHOLE.workload.start_ms
CHAIN = ChainId(bytes(32))
SIZES = (1, 4, 7, 12, 53)
HOUR_MS = 3_600_000


@cache
def city_of(n: int) -> City:
    return WHOLE.first(n)


@cache
def told(n: int, span: str = "live", seed: int = 5, records: int | None = None) -> BeijingStory:
    return BeijingStory(
        city_of(n),
        seed=seed,
        start_ms=START_MS,
        span=span,
        chain=CHAIN,
        duration_ms=15_000,
        records=records,  # type: ignore[arg-type]
    )


@cache
def executed(n: int, span: str = "live") -> ExecutedStory:
    return execute_story(city_of(n), told(n, span), START_MS)


def phases_of(story: BeijingStory) -> list[Phase]:
    return list(story.phases())


def fingerprint(story: BeijingStory) -> str:
    """A digest over everything that a story says."""
    digest = sha256()
    for phase in story.phases():
        digest.update(repr((phase.name, phase.starts_ms)).encode())
        for s in phase.submissions:
            digest.update(repr((s.department, s.through, s.expected, s.fault, s.at_ms)).encode())
            digest.update(b"".join(record.encode() for record in s.records))
    for issued in story.issued.values():
        digest.update(repr((issued.identifier, issued.type_code, issued.valid_at_end, issued.opening)).encode())
    return digest.hexdigest()


def end_ms(story: ExecutedStory) -> int:
    return story.state.time_ms


@pytest.mark.parametrize("span", ["live", "virtual"])
@pytest.mark.parametrize("n", SIZES)
def test_every_record_ends_as_the_story_says(n: int, span: str) -> None:
    """Whatever the order of the envelopes within a phase, each record gets exactly the code that was expected."""
    for phase, submission, labels in executed(n, span).outcomes:
        assert labels == submission.expected, (phase.name, submission)


@pytest.mark.parametrize("n", SIZES)
def test_every_row_of_the_data_is_on_the_ledger(n: int) -> None:
    """Responsibilities and data items count, each department has its system, each item its table, each type stands."""
    city, state = city_of(n), executed(n).state
    for row in city.responsibilities:
        responsibility = state.get(responsibility_key(row.id), Responsibility)
        assert responsibility is not None
        assert responsibility.counts
        assert (responsibility.department, responsibility.name_zh) == (
            city.department(row.department).uscc,
            row.name_zh,
        )
    for row in city.data_items:
        item = state.get(data_item_key(row.id), DataItem)
        assert item is not None
        assert item.counts
        assert item.owner == city.owner_of(row.responsibility).uscc
        assert (item.metadata.sharing.type, item.metadata.sharing.condition) == (row.sharing_type, row.condition)
        assert (item.metadata.name_zh, item.metadata.update_cycle) == (row.name_zh, row.update_cycle)
        assert item.metadata.openness.open == (row.sharing_type == 1)
        table = state.get(table_key(f"{row.id}-T1"), Table)
        assert table is not None
        assert table.data_item == row.id
    for row in city.departments:
        system = state.get(system_key(f"{row.code}-S1"), System)
        assert system is not None
        assert system.owner == row.uscc
    for row in city.certificate_types:
        kind = state.get(type_key(row.code), CertificateType)
        assert kind is not None
        assert (kind.department, kind.term) == (city.department(row.department).uscc, row.term)


@pytest.mark.parametrize("span", ["live", "virtual"])
@pytest.mark.parametrize("n", SIZES)
def test_each_kind_of_work_is_done_often_enough(n: int, span: str) -> None:
    """At least five of each change, each kind of revocation among them, and a certificate of every type."""
    done: Counter[str] = Counter()
    types = set()
    for _, submission, labels in executed(n, span).outcomes:
        for record, label in zip(submission.records, labels, strict=True):
            if label != ACCEPTED:
                continue
            name = type(record).__name__
            done[name] += 1
            if isinstance(record, IssueCertificate):
                types.add(parse_identifier(record.identifier).type_code)
                done["replacement"] += record.replaces is not None
            elif name == "RevokeCertificate":
                done[record.kind] += 1  # type: ignore[attr-defined]
    for kind in ("ChangeCertificate", "SuspendCertificate", "LiftSuspension", "RecordCopy", "RecordVerification"):
        assert done[kind] >= 5, kind
    for kind in ("withdrawn", "cancelled", "revoked", "replacement"):
        assert done[kind] >= 5, kind
    assert done["PublishDataItem"] >= len(city_of(n).data_items) + 5
    assert types == {row.code for row in city_of(n).certificate_types}


def test_the_whole_city_issues_over_five_hundred_certificates() -> None:
    """53 departments, more than 500 certificates; the fewer departments take part, the fewer."""
    counts = [len(told(n).issued) for n in SIZES]
    assert counts == sorted(counts)
    assert counts[-1] >= 500


@pytest.mark.parametrize("span", ["live", "virtual"])
@pytest.mark.parametrize("n", SIZES)
def test_errors_are_planted_as_the_workload_says(n: int, span: str) -> None:
    """Exactly the count of each code, those of gateways as faults, those of execution among records that are right."""
    story = told(n, span)
    planted: Counter[str] = Counter()
    shared = 0
    for phase in story.phases():
        for submission in phase.submissions:
            planted.update(code for code in submission.expected if code != ACCEPTED)
            if submission.fault is not None:
                assert submission.expected == (submission.fault.value,)
            else:
                shared += len(set(submission.expected)) > 1
    assert planted == Counter(story.planted_expected)
    assert story.planted_expected == {error.code: error.count for error in WHOLE.workload.planted}
    assert {fault.value for fault in Fault} == {e.code for e in WHOLE.workload.planted if e.place == "gateway"}
    assert shared > 0


@pytest.mark.parametrize("n", SIZES)
def test_a_replay_has_something_to_replay(n: int) -> None:
    """A department that replays had an envelope in an earlier phase."""
    acknowledged: set[str] = set()
    for phase in told(n).phases():
        replaying = {s.department for s in phase.submissions if s.fault is Fault.REPLAY}
        assert replaying <= acknowledged
        acknowledged |= {s.department for s in phase.submissions if s.fault is None}


@pytest.mark.parametrize("n", SIZES)
def test_only_departments_with_a_node_take_envelopes(n: int) -> None:
    """A department with a vote uses its own gateway, all others that of the directory authority."""
    validators = {row.code for row in city_of(n).validators}
    for phase in told(n).phases():
        for submission in phase.submissions:
            assert submission.through == (submission.department if submission.department in validators else "BM")


@pytest.mark.parametrize("n", SIZES)
def test_what_issuers_keep_opens_what_is_on_the_ledger(n: int) -> None:
    """Holder and content of each certificate's file open its commitments, and it stands as the file says."""
    story, state = told(n), executed(n).state
    stored = [value for _, value in state.items(CERTIFICATES) if isinstance(value, Certificate)]
    assert {value.identifier for value in stored} == set(story.issued)
    for certificate in stored:
        issued = story.issued[certificate.identifier]
        fields = issued.opening.content
        assert fields is not None
        assert all(isinstance(part, Field) for part in fields)
        assert content_root(fields) == certificate.content  # type: ignore[arg-type]
        holder = issued.opening.holder
        assert holder is not None
        check_commitment(certificate.holder, Tag.HOLDER, holder.key, holder.holder.encode())
        assert unicodedata.is_normalized("NFC", holder.holder)
        status = status_at(certificate, city_of(n).calendar, end_ms(executed(n)))
        assert (status is Status.VALID) == issued.valid_at_end
        assert issued.type_code == certificate.type_code


@pytest.mark.parametrize("n", SIZES)
def test_of_every_type_one_certificate_is_valid_at_the_end(n: int) -> None:
    """So that a bundle of each type verifies."""
    valid = {issued.type_code for issued in told(n).issued.values() if issued.valid_at_end}
    assert valid == {row.code for row in city_of(n).certificate_types}


def test_holders_are_fictional_by_their_words() -> None:
    """Each says so in both languages, and none has the eighteen characters of an identity number or credit code."""
    for issued in told(53).issued.values():
        assert issued.opening.holder is not None
        text = issued.opening.holder.holder
        assert "虚构" in text
        assert "Fictional" in text
        assert not any(len(word) == 18 for word in text.replace("(", " ").replace(")", " ").split())


def test_salts_are_used_once() -> None:
    """No two fields of any certificates share a salt."""
    salts = [
        part.salt
        for issued in told(53).issued.values()
        for part in issued.opening.content or ()
        if isinstance(part, Field)
    ]
    assert len(set(salts)) == len(salts)


def test_the_same_seed_tells_the_same_story_and_another_another() -> None:
    """Records, times and openings are equal to the byte."""
    assert fingerprint(told(7)) == fingerprint(
        BeijingStory(city_of(7), seed=5, start_ms=START_MS, span="live", chain=CHAIN, duration_ms=15_000)
    )
    assert fingerprint(told(7)) != fingerprint(told(7, seed=6))


def test_the_story_does_not_depend_on_the_hash_seed() -> None:
    """Two processes with different hash seeds tell one story."""
    program = "from tests.scenarios.test_beijing_story import fingerprint, told; print(fingerprint(told(4, 'virtual')))"
    assert printed_under_hash_seeds("-c", program) == {fingerprint(told(4, "virtual")) + "\n"}


@pytest.mark.parametrize("records", [1_000, 2_000, 5_000])
@pytest.mark.parametrize("n", [7, 53])
def test_the_number_of_records_is_about_what_was_asked_for(n: int, records: int) -> None:
    """Within three per cent; a longer run takes more half-days."""
    story = told(n, "virtual", records=records)
    submitted = sum(len(s.records) for phase in story.phases() for s in phase.submissions)
    assert abs(submitted - records) <= 0.03 * records
    assert len(phases_of(told(n, "virtual", records=10_000))) > len(phases_of(story))


def test_virtual_runs_keep_office_hours() -> None:
    """Everything is sent on working days, from 8 to 18 o'clock, and each phase begins after the one before."""
    city = city_of(7)
    phases = phases_of(told(7, "virtual", records=10_000))
    assert all(earlier.starts_ms < later.starts_ms for earlier, later in pairwise(phases))
    days = set()
    for phase, following in zip(phases, [*phases[1:], None], strict=True):
        for submission in phase.submissions:
            sent_ms = phase.starts_ms + submission.at_ms
            assert following is None or sent_ms < following.starts_ms
            day = city.calendar.day_at(sent_ms)
            assert city.calendar.is_working_day(day)
            since_midnight_ms = sent_ms - city.calendar.end_of_day_ms(Day(day - 1))
            assert 8 * HOUR_MS < since_midnight_ms <= 18 * HOUR_MS
            days.add(day)
    assert min(days) == parse_day("2025-09-15")
    # The city works on this Sunday, ahead of the holiday.
    assert parse_day("2025-09-28") in days


def test_a_virtual_run_waits_for_a_working_day() -> None:
    """A start on the first day of the October holiday leads to the ninth."""
    story = BeijingStory(city_of(4), seed=1, start_ms=START_MS + 16 * 24 * HOUR_MS, span="virtual", chain=CHAIN)
    assert WHOLE.calendar.day_at(phases_of(story)[0].starts_ms) == parse_day("2025-10-09")


def test_a_live_run_fits_its_duration() -> None:
    """The times of the half-days add up to no more than the duration, and set-up takes none."""
    for phase in told(53).phases():
        assert phase.starts_ms == 0
        latest = max(submission.at_ms for submission in phase.submissions)
        assert latest < 15_000 / 4 if phase.name.startswith("work") else latest == 0


@pytest.mark.parametrize(("total", "weights", "parts"), [
    (10, [1, 1, 1], [4, 3, 3]),
    (12, [40, 1, 10], [9, 1, 2]),
    (3, [1_000, 1, 1], [2, 1, 1]),
])  # fmt: skip
def test_apportioning_gives_everybody_one(total: int, weights: list[int], parts: list[int]) -> None:
    """By largest remainders, at least one each."""
    assert apportion(total, weights) == parts


def test_spreading_is_even() -> None:
    """Parts differ by one at most and add up."""
    assert spread(7, 3) == [2, 2, 3]
    assert spread(2, 4) == [0, 1, 0, 1]
