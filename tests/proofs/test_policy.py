"""A policy is one text: other tools find their lines in it, and this reader takes only what the writer writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import OversizeError
from ledger.members.calendar import parse_day
from ledger.members.validators import ValidatorSet
from ledger.proofs.policy import POLICY_BYTES_MAX, make_policy, parse_policy
from ledger.proofs.policy_terms import PolicyDepartment, PolicyError
from tests.proofs.small_network import GOVERNMENT_SERVICES, MARKET_REGULATION, REGISTRAR, found

GOLDEN = Path(__file__).parent / "golden"
GENESIS = found()
VALIDATORS = ValidatorSet.of_genesis(GENESIS)
TEXT = make_policy(VALIDATORS, GENESIS.founders, parse_day("2027-12-31"))


def test_the_policy_of_the_test_network_has_these_bytes() -> None:
    """A change of the form is a change of every policy that people hold."""
    assert (GOLDEN / "policy.txt").read_text(encoding="utf-8") == TEXT


def test_a_policy_says_what_it_was_made_from() -> None:
    """Chain, origin, epoch, date, names, keys and quorum come back."""
    policy = parse_policy(TEXT)
    assert (policy.chain, policy.origin, policy.epoch) == (GENESIS.chain, GENESIS.origin, 0)
    assert policy.valid_until == parse_day("2027-12-31")
    assert policy.cosigners == tuple((v.credit_code, v.cosigner) for v in VALIDATORS.validators)
    assert policy.logs == tuple(v.log for v in VALIDATORS.validators)
    assert policy.quorum == VALIDATORS.quorum == 3
    assert policy.name_of(MARKET_REGULATION.credit_code) == "Market Regulation (市场监督管理局, AY)"
    assert policy.name_of(REGISTRAR.credit_code) == "Organisation Office (编办, X1)"
    assert policy.name_of("911101080000000000") == "911101080000000000"


def test_a_day_begins_where_the_network_is() -> None:
    """2027-12-31T16:00Z is the first moment of 2028 in Beijing."""
    policy = parse_policy(TEXT)
    midnight = 1_830_268_800_000
    assert policy.day_at(midnight - 1) == parse_day("2027-12-31")
    assert policy.day_at(midnight) == parse_day("2028-01-01")


def test_a_policy_may_be_used_to_the_end_of_its_last_day() -> None:
    """Until the last millisecond of it where the network is; then the reader is told which day that was."""
    policy = parse_policy(TEXT)
    midnight = 1_830_268_800_000
    assert policy.unusable_at(midnight - 1) is None
    assert policy.unusable_at(midnight) == "the policy was to be used until 2027-12-31; get a newer one"


def test_a_reader_of_c2sp_policies_finds_logs_witnesses_and_the_quorum() -> None:
    """Read by the rules of C2SP tlog-policy alone: names are defined before they are used, and none twice."""
    witnesses: set[str] = set()
    logs, group, quorum = [], None, None
    assert not re.search(rb"[^\t\n\x20-\x7e\x80-\xff]", TEXT.encode())
    for line in TEXT.split("\n"):
        match line.split():
            case []:
                pass
            case [word, *_] if word.startswith("#"):
                pass
            case ["log", vkey]:
                logs.append(vkey)
            case ["witness", name, _]:
                assert name not in witnesses
                witnesses.add(name)
            case ["group", name, threshold, *members]:
                assert group is None
                assert set(members) == witnesses
                group = (name, int(threshold), len(members))
            case ["quorum", name]:
                assert quorum is None
                quorum = name
            case other:
                pytest.fail(f"no line of a policy: {other}")
    assert (len(logs), group, quorum) == (4, ("departments", 3, 4), "departments")


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"mulu\.policy/1", "mulu.policy/2", "first line"),
        (r"# chain .*\n", "", "# chain"),
        (r"# epoch 0", "# epoch 00", "# epoch"),
        (r"# epoch 0", "# epoch 0\n# epoch 1", "# epoch"),
        (r"2027-12-31", "2027-12-32", "valid-until"),
        (r"2027-12-31", "20271231", "valid-until"),
        (r"hours 8", "hours +8", "utc-offset"),
        (r"departments 3", "departments 2", "line 22"),
        (r"departments 3", "departments any", "line 22"),
        (r"quorum departments", "quorum none", "line 23"),
        (r"(log \S+)", r"\1 https://log.example", "not a verifier key"),
        (r"\n\n", "\n", "belongs"),
        (r"\Z", "\n", "after its end"),
        (r"\n", "\r\n", "control character"),
        (r"policy/1\n", "policy/1\n# a remark\n", "line 2"),
        (r'"AF"', '"\\\\u0041F"', "line 6"),
        (r'\["11110000A00000062L",', "[", "not \\[credit code"),
        (r"witness 11110000A00000062L", "witness 11110000A00000118P", "has a key named"),
        (r"\+A(\w)", r"+B\1", "not that of the key|of type"),
        (r"(log \S+)\n", "", "log keys"),
    ],
)
def test_another_form_is_refused_and_the_place_is_named(pattern: str, replacement: str, message: str) -> None:
    """What other tools would read differently, or not at all, is no policy here."""
    changed = re.sub(pattern, replacement, TEXT, count=1)
    assert changed != TEXT
    with pytest.raises(PolicyError, match=message):
        parse_policy(changed)


def test_one_key_never_stands_on_two_lines() -> None:
    """A department that cosigned twice under two names would count twice."""
    twin = VALIDATORS.validators[0]
    doubled = ValidatorSet(
        chain=VALIDATORS.chain,
        origin=VALIDATORS.origin,
        epoch=0,
        validators=(
            twin,
            type(twin)(
                index=VALIDATORS.validators[1].index,
                credit_code=VALIDATORS.validators[1].credit_code,
                consensus=twin.consensus,
                cosigner=twin.cosigner,
                log=VALIDATORS.validators[1].log,
                tls=twin.tls,
            ),
        ),
    )
    with pytest.raises(ValueError, match="two lines"):
        make_policy(doubled, GENESIS.founders, parse_day("2027-12-31"))


def test_a_name_with_a_line_end_stays_on_its_line() -> None:
    """Names are data of the ledger; none can smuggle a line into the policy."""
    name = "Evil\nquorum none"
    department = PolicyDepartment(credit_code=GOVERNMENT_SERVICES.credit_code, code="BM", name_en=name, name_zh="恶")
    text = make_policy(VALIDATORS, [department], parse_day("2027-12-31"))
    assert parse_policy(text).departments == (department,)


def test_an_oversize_policy_is_not_parsed() -> None:
    """The size is looked at first."""
    with pytest.raises(OversizeError):
        parse_policy("#" * (POLICY_BYTES_MAX + 1))


@given(st.text(max_size=300))
def test_any_text_is_a_policy_or_a_policy_error(text: str) -> None:
    """Nothing else escapes, whatever somebody saved under that name."""
    with pytest.raises(PolicyError):
        parse_policy(text)
    with pytest.raises(PolicyError):
        parse_policy("# mulu.policy/1\n" + text)


@given(st.integers(min_value=0, max_value=len(TEXT) - 1), st.characters(codec="utf-8"))
def test_a_changed_character_changes_what_is_said_or_is_refused(position: int, character: str) -> None:
    """No two texts are one policy."""
    changed = TEXT[:position] + character + TEXT[position + 1 :]
    try:
        policy = parse_policy(changed)
    except PolicyError:
        return
    assert policy.text() == changed
