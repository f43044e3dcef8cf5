"""Beijing's departments had other names in 2020: the reforms since then as reorganisations of a ledger of that year."""

from __future__ import annotations

from ledger.members.calendar import parse_day
from ledger.members.departments import Department, department_key
from ledger.members.validators import ValidatorSet
from ledger.proofs.bundle import build_bundle
from ledger.proofs.policy import make_policy
from ledger.proofs.verify import verify_bundle
from ledger.registers.directories.queries import orphans
from ledger.registers.members.values import Merge, Rename
from scenarios.beijing.city import DepartmentRow
from scenarios.beijing.city_files import load_city
from tests.proofs.memory_ledger import IDENTIFIER, ledger_with_certificate
from tests.proofs.reorganised import carry_out
from tests.proofs.small_network import PUBLIC_SECURITY, REGISTRAR, Member, found

CITY = load_city()
RENAMED = [row for row in CITY.departments if row.name_2020_zh]
MARKET, SUCCESSOR = CITY.department("AY"), CITY.department("BM")


def as_of_2020(row: DepartmentRow) -> Member:
    """Return the department under the name that it had then."""
    return Member(row.uscc, row.code, row.name_en, row.name_2020_zh or row.name_zh, row.roles)


VOTERS = (*map(as_of_2020, RENAMED), as_of_2020(MARKET), PUBLIC_SECURITY)


def test_the_names_of_2020_become_those_of_today() -> None:
    """By a rename each; then a merge, which is made up. The certificate of before shows its way through all of it."""
    assert {row.code for row in RENAMED} == {"BJ", "BK", "BM"}
    genesis = found("beijing-2020.mulu.example", (*VOTERS, REGISTRAR))
    ledger = ledger_with_certificate(genesis)
    policy = make_policy(ValidatorSet.of_genesis(genesis), genesis.founders, parse_day("2027-12-31"))
    before = build_bundle(ledger.view(), IDENTIFIER)
    for row in RENAMED:
        rename = Rename(department=row.uscc, name_zh=row.name_zh, name_en=row.name_en)
        assert carry_out(ledger, rename, f"2024-{row.code}", voters=VOTERS)
        department = ledger.state.get(department_key(row.uscc), Department)
        assert department is not None
        assert (department.name_zh, department.name_before) == (row.name_zh, row.name_2020_zh)
    merge = Merge(predecessors=(MARKET.uscc,), successor=SUCCESSOR.uscc, responsibilities=("AY-01",))
    assert carry_out(ledger, merge, "2026-AY", voters=VOTERS)
    assert not any((orphans(ledger.state).responsibilities, orphans(ledger.state).data_items))
    now_ms = ledger.state.time_ms
    assert verify_bundle(before, policy, now_ms=now_ms).exit_code == 0
    text = verify_bundle(build_bundle(ledger.view(), IDENTIFIER), policy, now_ms=now_ms).as_text()
    assert "Established." in text
    assert f"Issued by    Market Regulation (市场监督管理局) [{MARKET.uscc}]" in text
    assert f"Passed to    {SUCCESSOR.name_en} (政务服务和数据管理局) [{SUCCESSOR.uscc}]" in text
