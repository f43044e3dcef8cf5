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

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from ledger.blocks.checkpoint import (
    NOTE_COSIGNATURE,
    NOTE_ED25519,
    key_hash,
    parse_verifier_key,
    verifier_key,
)
from ledger.errors import DecodeError, OversizeError
from ledger.identifiers import CreditCode
from ledger.limits import VALIDATORS_MAX
from ledger.members.calendar import Day
from ledger.members.validators import ValidatorSet, quorum
from ledger.proofs.policy_terms import (
    PolicyDepartment,
    PolicyError,
    PolicyLines,
    PolicyTerms,
    check_ascending,
    parse_terms,
)

FORMAT = "mulu.policy/1"

POLICY_BYTES_MAX = 1 << 20
"""Two keys and a name for each of 500 validators, and names of as many members without a vote."""

GROUP = "departments"
"""Name of the one group; witnesses are named by credit codes, which are longer."""


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


@dataclass(frozen=True, kw_only=True)
class Policy(PolicyTerms):
    """The trusted keys of one network's validators in one epoch."""

    origin: str
    cosigners: tuple[tuple[CreditCode, bytes], ...]
    """Each validator's credit code and 32-byte cosigner key, in ascending order of credit code."""
    logs: tuple[bytes, ...]
    """The validators' 32-byte log keys, in the same order. Who served a checkpoint says nothing about its truth."""

    @cached_property
    def quorum(self) -> int:
        """Distinct cosigners that make a checkpoint count."""
        return quorum(len(self.cosigners))

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

    def text(self) -> str:
        """Return the one text of this policy."""
        head = self.comments(FORMAT)
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
    lines = PolicyLines(text)
    terms = parse_terms(lines, FORMAT)
    log_names, logs = _parse_keys(lines.all("log"), NOTE_ED25519)
    witnesses = [_split(line) for line in lines.all("witness")]
    cosigner_names, cosigner_keys = _parse_keys([vkey for _, vkey in witnesses], NOTE_COSIGNATURE)
    if not 1 <= len(witnesses) <= VALIDATORS_MAX or len(logs) != len(witnesses):
        raise PolicyError(f"{len(logs)} log keys and {len(witnesses)} cosigners; every validator has one of each")
    origin = log_names[0]
    if any(name != origin for name in log_names):
        raise PolicyError("the log keys are of more than one origin")
    if not origin.endswith(f"/{terms.chain.hex()[:16]}"):
        raise PolicyError(f"origin {origin} is not that of chain {terms.chain.hex()}")
    for (code, _), name in zip(witnesses, cosigner_names, strict=True):
        if name != f"{origin}/{code}":
            raise PolicyError(f"witness {code} has a key named {name}, not {origin}/{code}")
    if len({*logs, *cosigner_keys}) != len(logs) + len(cosigner_keys):
        raise PolicyError("a key stands on two lines; every key has one purpose")
    check_ascending("witnesses", [code for code, _ in witnesses])
    policy = Policy(
        chain=terms.chain,
        origin=origin,
        epoch=terms.epoch,
        utc_offset_hours=terms.utc_offset_hours,
        valid_until=terms.valid_until,
        departments=terms.departments,
        cosigners=tuple((CreditCode(code), key) for (code, _), key in zip(witnesses, cosigner_keys, strict=True)),
        logs=tuple(logs),
    )
    _check_same_text(policy.text(), text)
    return policy


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


def _check_same_text(expected: str, got: str) -> None:
    if expected == got:
        return
    pairs = zip(expected.split("\n"), got.split("\n"), strict=False)
    for number, (right, wrong) in enumerate(pairs, start=1):
        if right != wrong:
            raise PolicyError(f"line {number} is {wrong[:120]!r} where {right[:120]!r} belongs")
    raise PolicyError("the text has lines after its end, or ends before it")
