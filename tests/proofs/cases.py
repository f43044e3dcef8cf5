"""Good bundles of every kind, from small ledgers: what the verifiers are compared on, changed and unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ledger.crypto.commitments import disclose
from ledger.crypto.hashing import sha256
from ledger.members.calendar import parse_day
from ledger.members.validators import ValidatorSet
from ledger.proofs.absence import build_absence
from ledger.proofs.bundle import Opening, build_bundle
from ledger.proofs.policy import make_policy
from ledger.registers.certificates.identifier import IdentifierParts, format_identifier
from ledger.registers.certificates.records import (
    ChangeCertificate,
    LiftSuspension,
    RevokeCertificate,
    SuspendCertificate,
)
from tests.proofs.memory_ledger import (
    FIELDS,
    HOLDER,
    IDENTIFIER,
    TYPE_CODE,
    MemoryLedger,
    issue,
    ledger_with_certificate,
)
from tests.proofs.reorganised import MERGE, RENAME, SPLIT, carry_out
from tests.proofs.shared_data import ledger_with_hops
from tests.proofs.small_network import MARKET_REGULATION, found

GENESIS = found()
POLICY = make_policy(ValidatorSet.of_genesis(GENESIS), GENESIS.founders, parse_day("2027-12-31"))
SUCCESSOR = format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "20250915001", 2))


@dataclass(frozen=True)
class Case:
    """One file to verify, under `POLICY` unless another is named, and the time of the reader's clock."""

    name: str
    data: bytes
    now_ms: int
    policy: str = POLICY
    require: str = "all"

    def options(self) -> dict[str, int | str]:
        """Return what a verifier is asked besides the two files."""
        return {"now_ms": self.now_ms, "max_age_s": 604_800, "require": self.require}


@cache
def good_cases() -> tuple[Case, ...]:
    """Return bundles as members make them: established, or "no" in every way in which a true bundle says no."""
    return tuple(_good_cases())


def _good_cases() -> Iterator[Case]:
    ledger = ledger_with_certificate(GENESIS)
    yield _case("hidden", ledger, Opening())
    yield _case("some fields", ledger, Opening(content=disclose(FIELDS, ["企业名称"])))
    yield _case("all fields and the holder", ledger, Opening(content=FIELDS, holder=HOLDER))
    late_ms = ledger.state.time_ms + 400 * 86_400_000
    yield Case("old, and its term is over", _case("", ledger, Opening()).data, late_ms)
    yield Case(
        "old, and asked only whether it is genuine", _case("", ledger, Opening()).data, late_ms, require="genuine"
    )
    unknown = IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "20250915099", 1)
    yield Case("absent", build_absence(ledger.view(), format_identifier(unknown)), ledger.state.time_ms)
    for name, records in {
        "suspended": (_SUSPEND,),
        "changed and lifted": (_SUSPEND, _LIFT, _CHANGE),
        "revoked": (RevokeCertificate(certificate=IDENTIFIER, kind="revoked", reason="fraud"),),
        "replaced": (issue(SUCCESSOR, replaces=IDENTIFIER),),
    }.items():
        ledger = ledger_with_certificate(GENESIS)
        for record in records:
            ledger.execute(ledger.sign(MARKET_REGULATION, record))
            assert ledger.results[-1] == b"\x00"
        yield _case(name, ledger, Opening(holder=HOLDER))
    for name, plan in {"renamed": RENAME, "merged": MERGE, "split": SPLIT}.items():
        ledger = ledger_with_certificate(GENESIS)
        assert carry_out(ledger, plan, name.upper())
        yield _case(name, ledger, Opening())
    ledger, deliveries = ledger_with_hops(GENESIS)
    hops = build_bundle(ledger.view(), IDENTIFIER, Opening(content=FIELDS, holder=HOLDER), deliveries)
    yield Case("with hops", hops, ledger.state.time_ms)


def _case(name: str, ledger: MemoryLedger, opening: Opening) -> Case:
    return Case(name, build_bundle(ledger.view(), IDENTIFIER, opening), ledger.state.time_ms + 5_000)


_SUSPEND = SuspendCertificate(certificate=IDENTIFIER, reason="inspection")
_LIFT = LiftSuspension(certificate=IDENTIFIER, reason="inspection passed")
_CHANGE = ChangeCertificate(certificate=IDENTIFIER, revision=2, content=sha256(b"new content"), reason="address")
