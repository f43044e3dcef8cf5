"""Any C2SP tlog-policy is read by the rules of the specification, and the one for tools that know 32 witnesses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks.checkpoint import NOTE_COSIGNATURE, NOTE_ED25519, verifier_key
from ledger.crypto.hashing import sha256
from ledger.errors import OversizeError
from ledger.identifiers import CreditCode
from ledger.members.validators import faults, quorum
from ledger.proofs.policy import POLICY_BYTES_MAX, parse_policy
from ledger.proofs.policy_terms import PolicyError
from ledger.proofs.tlog_policy import parse_tlog_policy
from ledger.proofs.tools_policy import WITNESSES_MAX, NoToolsPolicyError, make_tools_policy, tools_threshold
from tests.proofs.proven_log import VALID_UNTIL, proven_log

GOLDEN = Path(__file__).parent / "golden"


def vkey(name: str, kind: int = NOTE_COSIGNATURE) -> str:
    return verifier_key(f"example.com/{name}", kind, sha256(name.encode()))


LOG = f"log {vkey('log', NOTE_ED25519)}"
WITNESSES = "\n".join(f"witness {name} {vkey(name)}" for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3"))
EXAMPLE = f"""{LOG}

{WITNESSES}

group X-witnesses 2 X1 X2 X3
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
"""The example of the specification, with keys."""


@pytest.mark.parametrize(
    ("cosigned", "counts"),
    [
        ({"X1", "X2", "Y1"}, True),
        ({"X2", "X3", "Y3"}, True),
        ({"X1", "X2", "X3", "Y1", "Y2", "Y3"}, True),
        ({"X1", "X2", "X3"}, False),
        ({"X1", "Y1", "Y2", "Y3"}, False),
        (set(), False),
        ({"X-and-Y"}, False),
    ],
)
def test_the_example_of_c2sp_counts_two_x_and_any_y(cosigned: set[str], counts: bool) -> None:
    """A group witnesses a checkpoint if enough of its members do; the name of a group is no witness."""
    assert parse_tlog_policy(EXAMPLE.encode()).is_met_by(cosigned) is counts


def test_published_keys_space_and_comments_are_read() -> None:
    """The witness key of remora.n621.de and the log key of sum.golang.org; tabs, comments and addresses are allowed."""
    policy = parse_tlog_policy(
        b"\t# a comment\n"
        b"log sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8 https://sum.golang.org\n"
        b"  witness \t r  remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2 https://r.example \n"
        b"quorum r"
    )
    assert [name for name, _ in policy.logs] == ["sum.golang.org"]
    assert policy.witnesses["r"].key_name == "remora.n621.de"
    assert policy.witnesses["r"].url == "https://r.example"
    assert policy.is_met_by({"r"})
    assert not policy.is_met_by(set())
    assert policy.terms is None


def test_names_are_octets_and_no_more() -> None:
    """The Kelvin sign is no K, and a name need not be UTF-8."""
    text = f"witness K {vkey('K')}\nwitness ".encode() + b"\xe2\x84\xaa" + f" {vkey('kelvin')}\nwitness ".encode()
    policy = parse_tlog_policy(text + b"\xff" + f" {vkey('octet')}\nquorum ".encode() + b"\xff\n")
    assert len(policy.witnesses) == 3
    assert policy.is_met_by({"\udcff"})
    assert not policy.is_met_by({"K", "\u212a"})


def test_a_policy_may_ask_for_no_witness() -> None:
    """`quorum none` is a policy whose logs alone are trusted."""
    policy = parse_tlog_policy(f"{LOG}\nquorum none\n".encode())
    assert policy.is_met_by(set())
    assert policy.rule() == "no cosignature is needed"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("quorum X-and-Y\n", "", "no quorum line"),
        ("quorum X-and-Y\n", "quorum X-and-Y\nquorum X1\n", "one quorum line"),
        ("quorum X-and-Y\n", "quorum Z\n", "defines 'Z'"),
        (EXAMPLE, "quorum X1\n" + EXAMPLE, "line 1: no line before"),
        ("group X-witnesses 2", "group X-witnesses 4", "threshold '4'"),
        ("group X-witnesses 2", "group X-witnesses 0", "threshold '0'"),
        ("group X-witnesses 2", "group X-witnesses 02", "threshold '02'"),
        ("group X-witnesses 2", "group X-witnesses -1", "threshold '-1'"),
        ("group X-witnesses 2 X1 X2 X3", "group X-witnesses all", "not a line"),
        ("2 X1 X2 X3", "2 X1 X2 X2", "counts twice"),
        ("any Y1 Y2 Y3", "any Y1 Y2 X3", "counts twice"),
        ("any Y1 Y2 Y3", "any Y1 Y2 none", "defines 'none'"),
        ("all X-witnesses Y-witnesses", "all X-witnesses X-and-Y", "defines 'X-and-Y'"),
        ("group Y-witnesses", "group X1", "is taken"),
        ("witness X2", "witness X1", "is taken"),
        ("witness X2", "witness none", "is taken"),
        (f"witness X2 {vkey('X2')}", f"witness X2 {vkey('X1')}", "earlier line"),
        (LOG, f"{LOG}\n{LOG}", "earlier line"),
        (LOG, f"log {vkey('log')}", "type 0x04"),
        (f"witness X2 {vkey('X2')}", f"witness X2 {vkey('X2', NOTE_ED25519)}", "type 0x01"),
        ("witness X1", "Witness X1", "not a line"),
        ("witness X1 ", "witness X1", "not a line"),
        ("quorum X-and-Y\n", "quorum X-and-Y extra\n", "not a line"),
        ("quorum", "quorum\x00", "control character"),
        ("quorum", "\r\nquorum", "control character"),
        ("example.com/X1+", "example.com/X9+", "hash"),
        (EXAMPLE, f"# mulu.policy/2\n{EXAMPLE}", "form that is unknown"),
    ],
)
def test_what_is_no_policy_is_refused(old: str, new: str, message: str) -> None:
    """A rule that is understood in part is another rule."""
    assert old in EXAMPLE
    with pytest.raises(PolicyError, match=message):
        parse_tlog_policy(EXAMPLE.replace(old, new, 1).encode())


@pytest.mark.parametrize("validators", [4, 7, 53])
def test_the_policy_of_a_network_says_the_same_by_the_general_rules(validators: int) -> None:
    """The strict reader of our own policies and the general one find the same keys, quorum and date."""
    log = proven_log(validators)
    ours, general = parse_policy(log.policy), parse_tlog_policy(log.policy.encode())
    assert [witness.public for witness in general.witnesses.values()] == [key for _, key in ours.cosigners]
    codes = [code for code, _ in ours.cosigners]
    assert general.is_met_by(codes[-ours.quorum :])
    assert not general.is_met_by(codes[1 - ours.quorum :])
    assert general.terms is not None
    assert (general.terms.chain, general.terms.valid_until) == (ours.chain, VALID_UNTIL)


def test_the_policy_for_tools_has_these_bytes() -> None:
    """A change of the form is a change of what people have given to their tools."""
    assert (GOLDEN / "tools_policy.txt").read_text(encoding="utf-8") == proven_log(4).tools_policy


def test_the_policy_for_tools_names_32_of_53_and_asks_for_25() -> None:
    """The first 32 by credit code, with their addresses, and the log keys of the same."""
    log = proven_log(53)
    policy = parse_tlog_policy(log.tools_policy.encode())
    assert (len(policy.logs), len(policy.witnesses)) == (32, 32)
    assert policy.groups["departments"].threshold == 25
    codes = [code for code, _ in parse_policy(log.policy).cosigners]
    assert list(policy.witnesses) == codes[:32]
    assert policy.witnesses[codes[31]].url == f"https://gateway.example/{codes[31]}"
    assert policy.terms is not None
    assert (policy.terms.epoch, policy.terms.valid_until) == (0, VALID_UNTIL)


def test_a_policy_for_tools_needs_every_address() -> None:
    """The addresses say where a proof is completed; one that is none would end a line, or a name."""
    log = proven_log(4)
    policy = parse_policy(log.policy)
    codes = [code for code, _ in policy.cosigners]
    urls = dict.fromkeys(codes, "https://gateway.example")
    for bad in ("", "ftp://gateway.example", "https://a b", "https://a\nquorum none", "https://"):
        with pytest.raises(ValueError, match="address"):
            make_tools_policy(policy, {**urls, CreditCode(codes[2]): bad})


@given(st.integers(min_value=1, max_value=600))
def test_two_sets_that_the_tools_policy_accepts_share_a_correct_department(validators: int) -> None:
    """More than f members are common to any two, and no threshold below has that; beyond 96 none is offered."""
    named = min(validators, WITNESSES_MAX)
    try:
        threshold = tools_threshold(validators)
    except NoToolsPolicyError:
        assert validators > 96
        return
    assert validators <= 96
    assert threshold <= named
    assert 2 * threshold - named >= faults(validators) + 1
    if validators > WITNESSES_MAX:
        assert 2 * (threshold - 1) - named < faults(validators) + 1
    else:
        assert threshold == quorum(validators)


def test_thresholds_of_the_tools_policy() -> None:
    """Worked out by hand, f = 10, 17, 31: floor(42 / 2) + 1, floor(49 / 2) + 1, floor(63 / 2) + 1."""
    assert [tools_threshold(n) for n in (4, 7, 32, 33, 53, 96)] == [3, 5, 22, 22, 25, 32]


def test_an_oversize_policy_is_not_read() -> None:
    """The size is looked at first."""
    with pytest.raises(OversizeError):
        parse_tlog_policy(b"#" * (POLICY_BYTES_MAX + 1))


@given(st.binary(max_size=300) | st.text("# \n\tabnoeqrumwitsgplk+", max_size=120).map(str.encode))
def test_any_bytes_are_a_policy_or_a_policy_error(data: bytes) -> None:
    """Nothing else escapes, whatever somebody saved under that name."""
    try:
        policy = parse_tlog_policy(data)
    except PolicyError:
        return
    assert policy.quorum == "none" or policy.quorum in {*policy.witnesses, *policy.groups}
