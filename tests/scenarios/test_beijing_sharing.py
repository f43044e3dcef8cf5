"""Sharing in the city's story: its outcomes are as foreseen, its mishaps take place, and its deliveries are real."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks.record import Record
from ledger.crypto.sealing import SUITE, Scope
from ledger.identifiers import Digest
from ledger.members.calendar import Calendar
from ledger.registers.sharing.records import Acknowledge, Deliver, RejectDelivery, ReportDrift, RequestSharing
from ledger.registers.sharing.values import Grant, Request, RequestStatus, grant_key, request_key
from scenarios.beijing.city_files import load_city
from scenarios.beijing.network import found_from_seed
from scenarios.beijing.sharing.deliveries import receive_delivery, seal_delivery
from scenarios.beijing.sharing.rows import MadeUpData
from scenarios.beijing.sharing.sealed_keys import seal_keys
from scenarios.beijing.story import BeijingStory
from scenarios.evidence.checks import run_checks
from scenarios.simulator.streams import Streams
from scenarios.story import ACCEPTED, Submission
from scenarios.virtual import found, play
from tests.scenarios.executed_story import PARAMETERS, ExecutedStory, execute_story

CITY = load_city().first(7)
START_MS = CITY.workload.start_ms
DAYS = 30
SEED = 3


@cache
def told(days: int | None = DAYS) -> BeijingStory:
    network = found_from_seed(CITY, name="mulu.test.example", seed=1, created_ms=START_MS, parameters=PARAMETERS)
    return BeijingStory(
        CITY, seed=SEED, start_ms=START_MS, span="virtual", chain=network.genesis.chain, records=1_000, days=days
    )


@cache
def executed() -> ExecutedStory:
    return execute_story(CITY, told(), START_MS)


def stated(kind: type[Record], story: BeijingStory) -> list[tuple[Submission, Record, str]]:
    """Return every record of a kind, with who sends it and how it must end."""
    return [
        (submission, record, expected)
        for phase in story.phases()
        for submission in phase.submissions
        for record, expected in zip(submission.records, submission.expected, strict=True)
        if isinstance(record, kind)
    ]


def test_a_month_of_sharing_ends_as_the_story_says() -> None:
    """Every record, mishaps included, has the result that was written down for it before."""
    for phase, submission, labels in executed().outcomes:
        assert labels == submission.expected, (phase.name, submission)


def test_a_month_shows_every_way_in_which_a_request_can_end() -> None:
    """Granted, refused by the owner, denied by the authority, withdrawn, and still open at the end."""
    state = executed().state
    statuses = Counter(
        request.status
        for _, record, _ in stated(RequestSharing, told())
        if isinstance(record, RequestSharing) and (request := state.get(request_key(record.id), Request)) is not None
    )
    assert statuses.keys() >= {
        RequestStatus.GRANTED,
        RequestStatus.REFUSED,
        RequestStatus.DENIED,
        RequestStatus.WITHDRAWN,
        RequestStatus.AWAITING_PROVIDER,
    }
    # The workload has seven in ten requests go to unconditional data items, which are granted at once.
    assert 0.62 <= statuses[RequestStatus.GRANTED] / statuses.total() <= 0.95


def test_a_month_has_its_mishaps() -> None:
    """Served beyond the grant and rejected, more rows than are left, a changed schema, a use after the end."""
    story = told()
    rejections = [record for _, record, _ in stated(RejectDelivery, story) if isinstance(record, RejectDelivery)]
    assert {record.reason for record in rejections} == {"beyond-grant"}
    assert len(stated(ReportDrift, story)) == 1
    refused = Counter(expected for _, _, expected in stated(Deliver, story) if expected != ACCEPTED)
    assert refused.keys() == {"schema_drifted", "volume_exceeded", "grant_ended"}
    assert refused.items() <= story.planted_expected.items()


def test_who_is_away_sends_nothing_about_sharing_and_nothing_through_its_own_gateway() -> None:
    """Two working days long; what had to be done is done after."""
    story = told()
    (outage,) = story.outages
    away = [phase for phase in story.phases() if outage.from_ms <= phase.starts_ms < outage.until_ms]
    assert len(away) == 4
    for phase in away:
        for submission in phase.submissions:
            assert submission.through != outage.department
            if submission.department == outage.department:
                assert not any(type(record).__module__.endswith("sharing.records") for record in submission.records)
    assert any(submission.department == outage.department for phase in away for submission in phase.submissions)


def test_a_short_run_has_no_mishaps() -> None:
    """There would be no time to see them mended."""
    story = told(None)
    assert not story.outages
    assert {expected for _, _, expected in stated(Deliver, story)} == {ACCEPTED}
    assert all(stated(kind, story) for kind in (RequestSharing, Deliver, Acknowledge))


def test_requests_keep_working_days_and_prefer_rich_owners() -> None:
    """Nobody asks on a holiday; the department with most data sets is asked more often than the one with fewest."""
    story, calendar = told(), CITY.calendar
    assert isinstance(calendar, Calendar)
    asked: Counter[str] = Counter()
    for phase in story.phases():
        for submission in phase.submissions:
            requests = [record for record in submission.records if isinstance(record, RequestSharing)]
            if requests:
                assert calendar.is_working_day(calendar.day_at(phase.starts_ms + submission.at_ms))
            asked.update(record.data_item.split("-")[0] for record in requests)
    with_items = {CITY.owner_of(row.responsibility).code for row in CITY.data_items}
    by_sets = sorted((row for row in CITY.validators if row.code in with_items), key=lambda row: row.data_sets)
    assert asked[by_sets[-1].code] > 2 * asked[by_sets[0].code]


def test_the_network_plays_a_fortnight_with_a_node_down_and_records_what_is_late() -> None:
    """Four departments on the virtual network: the node that was away catches up, and all checks hold."""
    city = load_city().first(4)
    network = found(city, seed=SEED, start_ms=START_MS)
    story = BeijingStory(
        city, seed=SEED, start_ms=START_MS, span="virtual", chain=network.genesis.chain, records=900, days=19
    )
    outcome = play(network, story, seed=SEED)
    assert not outcome.unexpected
    assert story.outages
    assert [check for check in run_checks(outcome.evidence) if not check.ok] == []


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=100), st.binary(min_size=32, max_size=32))
def test_what_is_sealed_from_the_seed_is_opened_by_the_library(plaintext: bytes, info: bytes, seed: bytes) -> None:
    """The form is that of RFC 9180; another info or another key opens nothing."""
    recipient = X25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")
    sealed = seal_keys(plaintext, recipient.public_key(), info, X25519PrivateKey.from_private_bytes(seed))
    assert SUITE.decrypt(sealed, recipient, info=info) == plaintext
    with pytest.raises(InvalidTag):
        SUITE.decrypt(sealed, recipient, info=info + b"x")


def test_a_requester_takes_what_was_granted_and_rejects_a_column_more() -> None:
    """Judged from the sealed bytes, not from what the provider says."""
    data, draws = MadeUpData(CITY, Streams(1)), Streams(1).named("test")
    item = CITY.data_items[0].id
    columns, rows = data.columns(item), data.rows(item)
    requester = X25519PrivateKey.from_private_bytes(bytes(31) + b"\x02")
    scope = Scope(chain=Digest(bytes(32)), grant="AY-R1", number=1)
    delivery = seal_delivery(scope, data.table(item), columns, rows, requester, draws)
    word = receive_delivery(delivery, scope, columns, requester)
    assert isinstance(word, Acknowledge)
    assert (word.commitment, word.sealed) == (delivery.record.commitment, delivery.record.sealed)
    assert delivery.record.rows == len(rows)
    assert isinstance(receive_delivery(delivery, scope, columns[:-1], requester), RejectDelivery)


def test_grants_hold_what_their_requests_ask_for() -> None:
    """A grant never has more fields, rows or days than its request."""
    state = executed().state
    grants = 0
    for _, record, _ in stated(RequestSharing, told()):
        assert isinstance(record, RequestSharing)
        if (grant := state.get(grant_key(record.id), Grant)) is not None:
            grants += 1
            assert set(grant.fields) <= set(record.fields)
            assert grant.volume_max <= record.volume_max
            assert grant.last_day <= record.last_day
    assert grants > 100
