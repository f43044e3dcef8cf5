"""A policy: whose word about the log its holder accepts, and how many of them it takes.

It is a C2SP tlog-policy file, so that other people's tools enforce the same quorum. What such a file has no place for
stands in comment lines of a fixed form: the network, the epoch of its validators, where its days begin, the last day on
which the policy may be used, and the names by which people know the departments.

    # mulu.policy/1
    # chain 5a0e...
    # epoch 0
    # utc-offset-hours 8
    # valid-until 2027-12-31
    # department ["11110000A00000345W","BM","Government Services & Data","政务服务和数据管理局"]

    log mulu.beijing.example/5a0e...+1f2e3d4c+AQ...

    witness 11110000A00000345W mulu.beijing.example/5a0e.../11110000A00000345W+0a1b2c3d+BA...

    group departments 3 11110000A00000345W ...
    quorum departments

One policy has one text, so that two people can compare what they hold by its hash. The policy comes from somebody its
holder trusts, never from what is to be verified.

Source: C2SP tlog-policy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

from ledger.blocks.checkpoint import (
    NOTE_COSIGNATURE,
    NOTE_ED25519,
    key_hash,
    parse_verifier_key,
    verifier_key,
)
from ledger.errors import DecodeError, OversizeError
from ledger.identifiers import ChainId, CreditCode
from ledger.limits import VALIDATORS_MAX
from ledger.members.calendar import CalendarError, Day, format_day, parse_day
from ledger.members.validators import ValidatorSet, quorum

FORMAT = "mulu.policy/1"

POLICY_BYTES_MAX = 1 << 20
"""Two keys and a name for each of 500 validators, and names of as many members without a vote."""

GROUP = "departments"
"""Name of the one group; witnesses are named by credit codes, which are longer."""

_CHAIN = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_OFFSET = re.compile(r"0|-?[1-9]|-1[0-2]|1[0-4]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f]")


class PolicyError(DecodeError):
    """The text is not a policy of this form."""

    code = "bad_policy"


class NamedDepartment(Protocol):
    """What a policy says of a department; a founder and a department on the ledger both have it."""

    @property
    def credit_code(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def name_en(self) -> str: ...
    @property
    def name_zh(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDepartment:
    """The names of a department, as the policy's author knew them."""

    credit_code: CreditCode
    code: str
    """Short code, for example `AY`."""
    name_en: str
    name_zh: str


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The trusted keys of one network's validators in one epoch."""

    chain: ChainId
    origin: str
    epoch: int
    utc_offset_hours: int
    """Where the network's days begin, because its dates name days there; 8 for Beijing."""
    valid_until: Day
    """Last day on which the policy may be used."""
    departments: tuple[PolicyDepartment, ...]
    """Every department that has a name here, with or without a vote, in ascending order of credit code."""
    cosigners: tuple[tuple[CreditCode, bytes], ...]
    """Each validator's credit code and 32-byte cosigner key, in ascending order of credit code."""
    logs: tuple[bytes, ...]
    """The validators' 32-byte log keys, in the same order. Who served a checkpoint says nothing about its truth."""

    @cached_property
    def quorum(self) -> int:
        """Distinct cosigners that make a checkpoint count."""
        return quorum(len(self.cosigners))

    def day_at(self, time_ms: int) -> Day:
        """Return the network's day at this Unix time in milliseconds."""
        return Day((time_ms + self.utc_offset_hours * 3_600_000) // 86_400_000)

    @cached_property
    def cosigner_keys(self) -> dict[tuple[str, bytes], tuple[CreditCode, bytes]]:
        """Credit code and key of each cosigner, by the name and the key hash that its signature lines carry."""
        keys = {}
        for credit_code, public in self.cosigners:
            name = f"{self.origin}/{credit_code}"
            keys[name, key_hash(name, NOTE_COSIGNATURE, public)] = (credit_code, public)
        return keys

    @cached_property
    def log_keys(self) -> dict[bytes, bytes]:
        """Log keys by the key hash on their lines; the name on all of them is the origin."""
        return {key_hash(self.origin, NOTE_ED25519, public): public for public in self.logs}

    @cached_property
    def _names(self) -> dict[str, PolicyDepartment]:
        return {department.credit_code: department for department in self.departments}

    def name_of(self, credit_code: str) -> str:
        """Return the name that people know: English, Chinese and short code; the credit code if there is none here."""
        if (department := self._names.get(credit_code)) is None:
            return credit_code
        return f"{department.name_en} ({department.name_zh}, {department.code})"

    def text(self) -> str:
        """Return the one text of this policy."""
        head = [f"# {FORMAT}", f"# chain {self.chain.hex()}", f"# epoch {self.epoch}"]
        head.append(f"# utc-offset-hours {self.utc_offset_hours}")
        head.append(f"# valid-until {format_day(self.valid_until)}")
        for d in self.departments:
            names = [d.credit_code, d.code, d.name_en, d.name_zh]
            head.append(f"# department {json.dumps(names, ensure_ascii=False, separators=(',', ':'))}")
        logs = [f"log {verifier_key(self.origin, NOTE_ED25519, public)}" for public in self.logs]
        witnesses = [
            f"witness {code} {verifier_key(f'{self.origin}/{code}', NOTE_COSIGNATURE, public)}"
            for code, public in self.cosigners
        ]
        members = " ".join(code for code, _ in self.cosigners)
        rule = [f"group {GROUP} {self.quorum} {members}", f"quorum {GROUP}"]
        return "\n\n".join("\n".join(section) for section in (head, logs, witnesses, rule)) + "\n"


def make_policy(
    validators: ValidatorSet,
    departments: Iterable[NamedDepartment],
    valid_until: Day,
    *,
    utc_offset_hours: int = 8,
) -> str:
    """Return the text of the policy that trusts a quorum of `validators` until the end of the day `valid_until`.

    Args:
        departments: Whose names a reader of statements shall see; each validator should be among them.
        utc_offset_hours: That of the network's genesis.

    Raises:
        ValueError: A name holds a control character, or a department comes twice.
    """
    named = sorted(
        (
            PolicyDepartment(credit_code=CreditCode(d.credit_code), code=d.code, name_en=d.name_en, name_zh=d.name_zh)
            for d in departments
        ),
        key=lambda department: department.credit_code,
    )
    policy = Policy(
        chain=validators.chain,
        origin=validators.origin,
        epoch=validators.epoch,
        utc_offset_hours=utc_offset_hours,
        valid_until=valid_until,
        departments=tuple(named),
        cosigners=tuple((v.credit_code, v.cosigner) for v in validators.validators),
        logs=tuple(v.log for v in validators.validators),
    )
    text = policy.text()
    try:
        parse_policy(text)
    except PolicyError as error:
        raise ValueError(f"no policy can say this: {error}") from error
    return text


def parse_policy(text: str) -> Policy:
    """Read a policy that `make_policy` wrote.

    Raises:
        OversizeError: Longer than any policy of this form.
        PolicyError: Not a policy of this form, a key that is not what its line says, a quorum that is not the
            network's rule, or another spelling of all this.
    """
    if len(text) > POLICY_BYTES_MAX:
        raise OversizeError("policy", size=len(text), size_max=POLICY_BYTES_MAX)
    lines = _Lines(text)
    if lines.first != f"# {FORMAT}":
        raise PolicyError(f"the first line must be `# {FORMAT}`, not {lines.first[:60]!r}")
    chain = lines.one("# chain", _CHAIN)
    epoch = int(lines.one("# epoch", _NUMBER))
    utc_offset_hours = int(lines.one("# utc-offset-hours", _OFFSET))
    try:
        valid_until = parse_day(lines.one("# valid-until", _DATE))
    except CalendarError as error:
        raise PolicyError(f"valid-until: {error}") from error
    departments = tuple(map(_parse_department, lines.all("# department")))
    log_names, logs = _parse_keys(lines.all("log"), NOTE_ED25519)
    witnesses = [_split(line) for line in lines.all("witness")]
    cosigner_names, cosigner_keys = _parse_keys([vkey for _, vkey in witnesses], NOTE_COSIGNATURE)
    if not 1 <= len(witnesses) <= VALIDATORS_MAX or len(logs) != len(witnesses):
        raise PolicyError(f"{len(logs)} log keys and {len(witnesses)} cosigners; every validator has one of each")
    origin = log_names[0]
    if any(name != origin for name in log_names):
        raise PolicyError("the log keys are of more than one origin")
    if not origin.endswith(f"/{chain[:16]}"):
        raise PolicyError(f"origin {origin} is not that of chain {chain}")
    for (code, _), name in zip(witnesses, cosigner_names, strict=True):
        if name != f"{origin}/{code}":
            raise PolicyError(f"witness {code} has a key named {name}, not {origin}/{code}")
    if len({*logs, *cosigner_keys}) != len(logs) + len(cosigner_keys):
        raise PolicyError("a key stands on two lines; every key has one purpose")
    _check_ascending("departments", [department.credit_code for department in departments])
    _check_ascending("witnesses", [code for code, _ in witnesses])
    policy = Policy(
        chain=ChainId(bytes.fromhex(chain)),
        origin=origin,
        epoch=epoch,
        utc_offset_hours=utc_offset_hours,
        valid_until=valid_until,
        departments=departments,
        cosigners=tuple((CreditCode(code), key) for (code, _), key in zip(witnesses, cosigner_keys, strict=True)),
        logs=tuple(logs),
    )
    _check_same_text(policy.text(), text)
    return policy


class _Lines:
    """The lines of a policy by what they begin with. The order is checked later, when the whole text is."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        for number, line in enumerate(self._lines, start=1):
            if match := _FORBIDDEN.search(line):
                raise PolicyError(f"line {number} holds the control character {match[0]!r}")

    @property
    def first(self) -> str:
        return self._lines[0]

    def all(self, keyword: str) -> list[str]:
        return [line[len(keyword) + 1 :] for line in self._lines if line.startswith(f"{keyword} ")]

    def one(self, keyword: str, form: re.Pattern[str]) -> str:
        found = self.all(keyword)
        if len(found) != 1 or not form.fullmatch(found[0]):
            raise PolicyError(f"exactly one line `{keyword} ...` of the documented form is needed, not {found[:3]!r}")
        return found[0]


def _parse_department(line: str) -> PolicyDepartment:
    try:
        names = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"not a department: {line[:100]!r}") from error
    match names:
        case [str(credit_code), str(code), str(name_en), str(name_zh)]:
            return PolicyDepartment(credit_code=CreditCode(credit_code), code=code, name_en=name_en, name_zh=name_zh)
    raise PolicyError(f"not [credit code, short code, English name, Chinese name]: {line[:100]!r}")


def _split(witness: str) -> tuple[str, str]:
    name, _, vkey = witness.partition(" ")
    return name, vkey


def _parse_keys(vkeys: list[str], kind: int) -> tuple[list[str], list[bytes]]:
    names, keys = [], []
    for vkey in vkeys:
        try:
            name, got, public = parse_verifier_key(vkey)
        except DecodeError as error:
            raise PolicyError(str(error)) from error
        if got != kind:
            raise PolicyError(f"the key of {name} is of type {got:#04x}, not {kind:#04x}")
        names.append(name)
        keys.append(public)
    return names, keys


def _check_ascending(what: str, codes: list[str]) -> None:
    for earlier, later in pairwise(codes):
        if earlier >= later:
            raise PolicyError(f"{what} must ascend without repeats: {earlier} stands before {later}")


def _check_same_text(expected: str, got: str) -> None:
    if expected == got:
        return
    pairs = zip(expected.split("\n"), got.split("\n"), strict=False)
    for number, (right, wrong) in enumerate(pairs, start=1):
        if right != wrong:
            raise PolicyError(f"line {number} is {wrong[:120]!r} where {right[:120]!r} belongs")
    raise PolicyError("the text has lines after its end, or ends before it")
