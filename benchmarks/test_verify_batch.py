"""How many bundles of 53 departments one core verifies in a second: `pytest benchmarks/test_verify_batch.py`.

Each has a checkpoint of its own, so that nothing is verified for two of them; there are no hops.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from ledger.crypto.backend import active_backend, use_backend
from ledger.crypto.hashing import sha256
from ledger.members.calendar import parse_day
from ledger.members.validators import ValidatorSet
from ledger.proofs.bundle import build_bundle
from ledger.proofs.policy import make_policy
from ledger.proofs.verify import Verifier
from nodes.commands.verify_batch import BUNDLES_AT_ONCE
from tests.proofs.memory_ledger import IDENTIFIER, ledger_with_certificate
from tests.proofs.small_network import found, members_with


@pytest.fixture(params=["python", "auto"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Choose a backend, and go back to the process's own."""
    before = active_backend()
    yield use_backend(request.param).name
    use_backend("python" if before.library is None else "auto")


def test_bundles_a_second(benchmark: BenchmarkFixture, backend: str) -> None:
    """One batch, as `mulu verify --batch` makes it."""
    genesis = found("mulu.test.example", members_with(53))
    ledger = ledger_with_certificate(genesis)
    bundles = []
    for _ in range(BUNDLES_AT_ONCE):
        ledger.execute()
        bundles.append(build_bundle(ledger.view(), IDENTIFIER))
    policy = make_policy(ValidatorSet.of_genesis(genesis), genesis.founders, parse_day("2027-12-31"))
    verifier = Verifier(policy, now_ms=ledger.state.time_ms)
    statements = benchmark(verifier.verify_all, bundles, sha256(b"entropy of the benchmark"))
    assert all(statement.exit_code == 0 for statement in statements)
    if benchmark.stats is not None:
        benchmark.extra_info["bundles_per_second"] = round(BUNDLES_AT_ONCE / benchmark.stats.stats.median)
        benchmark.extra_info["backend"] = backend
