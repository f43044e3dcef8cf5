"""A story on a virtual network: every check of the verdict holds, and each run leaves the same bytes."""

from __future__ import annotations

from functools import cache
from hashlib import sha256

import pytest

from ledger.proofs.verify import verify_bundle
from scenarios.beijing.city import City
from scenarios.beijing.city_files import load_city
from scenarios.beijing.story import BeijingStory
from scenarios.evidence.checks import run_checks
from scenarios.virtual import VirtualOutcome, found, play
from tests.hash_seeds import printed_under_hash_seeds

START_MS = load_city().workload.start_ms


def city_of(n: int) -> City:
    return load_city().first(n)


def played_anew(n: int, *, seed: int = 5, shared_cache: bool = True) -> VirtualOutcome:
    city = city_of(n)
    network = found(city, seed=seed, start_ms=START_MS)
    story = BeijingStory(city, seed=seed, start_ms=START_MS, span="virtual", chain=network.genesis.chain)
    return play(network, story, seed=seed, shared_cache=shared_cache)


@cache
def played(n: int) -> VirtualOutcome:
    return played_anew(n)


def fingerprint(outcome: VirtualOutcome) -> str:
    """A digest over everything that a run hands over."""
    parts = [outcome.genesis, outcome.evidence.policy.encode(), outcome.trace.encode()]
    parts += [code.encode() + journal for code, journal in outcome.journals.items()]
    parts += [bundle.name.encode() + bundle.content for bundle in outcome.evidence.bundles]
    parts.append(repr((outcome.evidence.acknowledged, outcome.evidence.planted, outcome.latencies_ms)).encode())
    return sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("n", [1, 4])
def test_every_check_holds(n: int) -> None:
    """One block a height, equal roots, each receipt kept, each error refused, each bundle good; nothing unforeseen."""
    outcome = played(n)
    assert [result for result in run_checks(outcome.evidence) if not result.ok] == []
    assert outcome.unexpected == []


def test_every_type_issued_has_a_bundle() -> None:
    """One of each of the types of the departments that take part."""
    city = city_of(4)
    assert len(played(4).evidence.bundles) == len(city.certificate_types)


def test_a_bundle_shows_holder_and_fields() -> None:
    """What the issuer keeps is disclosed, and opens what is on the ledger."""
    outcome = played(4)
    bundle = outcome.evidence.bundles[0]
    statement = verify_bundle(bundle.content, outcome.evidence.policy, now_ms=bundle.now_ms)
    assert statement.exit_code == 0
    assert statement.provenance is not None
    assert "Fictional" in str(statement.provenance.holder)
    assert "发证日期 issued on" in dict(statement.provenance.fields)


def test_receipts_come_within_seconds_of_virtual_time() -> None:
    """An idle hour never stands between an envelope and its receipt."""
    assert max(played(4).latencies_ms) < 5_000


def test_a_run_ends_on_a_later_day() -> None:
    """Set-up takes a day and the work two more."""
    days = (played(4).ended_ms - START_MS) / 86_400_000
    assert 2 < days < 3


def test_without_shared_caches_the_run_is_the_same() -> None:
    """Members that verify everything themselves leave the same bytes."""
    assert fingerprint(played_anew(4, shared_cache=False)) == fingerprint(played(4))


def test_another_seed_is_another_run() -> None:
    """Keys, stories and delays all follow from it."""
    assert fingerprint(played_anew(1, seed=6)) != fingerprint(played(1))


def test_a_run_does_not_depend_on_the_hash_seed() -> None:
    """Processes with other hash seeds leave the same bytes."""
    program = "from tests.scenarios.test_virtual import fingerprint, played; print(fingerprint(played(4)))"
    assert printed_under_hash_seeds("-c", program) == {fingerprint(played(4)) + "\n"}
