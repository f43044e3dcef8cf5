"""Any C2SP tlog-policy: which logs and witnesses its holder knows, and which of them together make a checkpoint count.

    log example.com/log+1f2e3d4c+AQ...
    witness a example.com/a+0a1b2c3d+BA... https://example.com/a
    witness b example.com/b+4d3c2b1a+BA...
    group both all a b
    quorum both

Where `ledger.proofs.policy` reads the one text of a network's own policy, this reads whatever the specification allows:
groups in groups, thresholds in words, tabs, comments, addresses, names that are no UTF-8. What a policy of this project
says in its comments is read too, so that its last day holds here as well.

Source: C2SP tlog-policy. Key types other than Ed25519 (0x01 for logs, 0x04 for witnesses) are refused, not passed over:
a policy that is understood in part is another policy.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from ledger.blocks.checkpoint import NOTE_COSIGNATURE, NOTE_ED25519, key_hash, parse_verifier_key
from ledger.errors import DecodeError, OversizeError
from ledger.limits import VALIDATORS_MAX
from ledger.proofs import policy as network_policy
from ledger.proofs import tools_policy
from ledger.proofs.policy import POLICY_BYTES_MAX, parse_policy
from ledger.proofs.policy_terms import PolicyError, PolicyLines, PolicyTerms, parse_terms

GROUPS_MAX = 512
"""Groups of one policy; the specification asks for 32 at the least."""

NONE = "none"
"""The quorum that no cosignature is needed for."""

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_SPACE = re.compile(r"[ \t]+")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class Witness:
    """One who cosigns."""

    name: str
    """In the policy alone."""
    key_name: str
    """On signature lines."""
    public: bytes
    """32 bytes."""
    url: str
    """Where to ask, as the policy's author has it; empty if the policy does not say. Nothing is trusted for it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Some of these names must have witnessed a checkpoint; each is a witness or a group that was defined before."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TlogPolicy:
    """A policy as it was read. Names are as in the file; what is no UTF-8 there is escaped."""

    logs: tuple[tuple[str, bytes], ...]
    """Origin and 32-byte public key of each known log."""
    witnesses: Mapping[str, Witness]
    groups: Mapping[str, Group]
    """In the order of their definition."""
    quorum: str
    """Name of a witness or a group, or `none`."""
    terms: PolicyTerms | None
    """What a policy of this project says of itself; None for others."""

    @cached_property
    def log_keys(self) -> dict[tuple[str, bytes], bytes]:
        """Log keys by the name and key hash that their signature lines carry."""
        return {(name, key_hash(name, NOTE_ED25519, public)): public for name, public in self.logs}

    @cached_property
    def witness_keys(self) -> dict[tuple[str, bytes], Witness]:
        """Witnesses by the name and key hash that their signature lines carry."""
        return {
            (witness.key_name, key_hash(witness.key_name, NOTE_COSIGNATURE, witness.public)): witness
            for witness in self.witnesses.values()
        }

    def is_met_by(self, cosigned: Collection[str]) -> bool:
        """Return whether cosignatures by the witnesses of these names make a checkpoint count."""
        if self.quorum == NONE:
            return True
        met = {name: name in cosigned for name in self.witnesses}
        for name, group in self.groups.items():
            met[name] = sum(met[member] for member in group.members) >= group.threshold
        return met[self.quorum]

    def rule(self) -> str:
        """Return what is asked for, in words: of a rule with groups in groups only the outermost."""
        if self.quorum == NONE:
            return "no cosignature is needed"
        if (group := self.groups.get(self.quorum)) is None:
            return f"{self.quorum} must have cosigned"
        return f"{group.threshold} of {len(group.members)} are needed"


def parse_tlog_policy(data: bytes) -> TlogPolicy:
    """Read a policy. One of this project must also be what its form allows (`ledger.proofs.policy`).

    Raises:
        OversizeError: Longer than any policy here.
        PolicyError: Not a policy, or one with keys of a type that is unknown here.
    """
    if len(data) > POLICY_BYTES_MAX:
        raise OversizeError("policy", size=len(data), size_max=POLICY_BYTES_MAX)
    if match := _FORBIDDEN.search(data):
        raise PolicyError(f"the policy holds the control character {match[0]!r}")
    text = data.decode(errors="surrogateescape")
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), start=1):
        words = [word for word in _SPACE.split(line) if word]
        if words and not words[0].startswith("#"):
            try:
                reader.read(words)
            except DecodeError as error:
                raise PolicyError(f"line {number}: {error}") from error
    if reader.quorum is None:
        raise PolicyError("the policy has no quorum line")
    terms = _terms_of(text)
    if terms is not None and any(not name.endswith(f"/{terms.chain.hex()[:16]}") for name in reader.logs.values()):
        raise PolicyError(f"a log of the policy is not that of chain {terms.chain.hex()}")
    return TlogPolicy(
        logs=tuple((name, public) for public, name in reader.logs.items()),
        witnesses=reader.witnesses,
        groups=reader.groups,
        quorum=reader.quorum,
        terms=terms,
    )


def _terms_of(text: str) -> PolicyTerms | None:
    first = text.partition("\n")[0]
    if first == f"# {network_policy.FORMAT}":
        return parse_policy(text)
    if first == f"# {tools_policy.FORMAT}":
        return parse_terms(PolicyLines(text), tools_policy.FORMAT)
    if first.startswith("# mulu."):
        raise PolicyError(f"the first line names a form that is unknown here: {first[:60]!r}")
    return None


class _Reader:
    """What the lines so far have defined."""

    def __init__(self) -> None:
        self.logs: dict[bytes, str] = {}
        self.witnesses: dict[str, Witness] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._keys: set[bytes] = set()
        self._members: set[str] = set()

    def read(self, words: list[str]) -> None:
        """Take one line that is not empty and no comment."""
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self._add_log(vkey)
            case ["witness", name, vkey]:
                self._add_witness(name, vkey, "")
            case ["witness", name, vkey, url]:
                self._add_witness(name, vkey, url)
            case ["group", name, threshold, *members] if members:
                self._add_group(name, threshold, members)
            case ["quorum", name]:
                if self.quorum is not None:
                    raise PolicyError("a policy has one quorum line, this is the second")
                if name != NONE:
                    self._check_defined(name)
                self.quorum = name
            case _:
                raise PolicyError(f"not a line of a policy: {' '.join(words)[:100]!r}")

    def _add_log(self, vkey: str) -> None:
        origin, public = _key(vkey, NOTE_ED25519)
        if public in self.logs:
            raise PolicyError(f"the key of log {origin} stands on an earlier line too")
        self.logs[public] = origin
        _check_count("logs", len(self.logs), VALIDATORS_MAX)

    def _add_witness(self, name: str, vkey: str, url: str) -> None:
        self._check_new(name)
        key_name, public = _key(vkey, NOTE_COSIGNATURE)
        if public in self._keys:
            raise PolicyError(f"the key of witness {name} stands on an earlier line too")
        self._keys.add(public)
        self.witnesses[name] = Witness(name, key_name, public, url)
        _check_count("witnesses", len(self.witnesses), VALIDATORS_MAX)

    def _add_group(self, name: str, threshold: str, members: list[str]) -> None:
        self._check_new(name)
        for member in members:
            self._check_defined(member)
            if member in self._members:
                raise PolicyError(f"{member} is a member already: nobody counts twice")
            self._members.add(member)
        needed = {"any": 1, "all": len(members)}.get(threshold)
        if needed is None:
            if not _THRESHOLD.fullmatch(threshold) or int(threshold) > len(members):
                raise PolicyError(f"the threshold {threshold[:40]!r} is not one of 1 to {len(members)}, any or all")
            needed = int(threshold)
        self.groups[name] = Group(needed, tuple(members))
        _check_count("groups", len(self.groups), GROUPS_MAX)

    def _check_new(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise PolicyError(f"the name {name[:100]} is taken")

    def _check_defined(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise PolicyError(f"no line before this one defines {name[:100]!r}")


def _key(vkey: str, kind: int) -> tuple[str, bytes]:
    name, got, public = parse_verifier_key(vkey)
    if got != kind:
        raise PolicyError(f"the key of {name} is of type {got:#04x}; {kind:#04x} is read here")
    return name, public


def _check_count(what: str, count: int, count_max: int) -> None:
    if count > count_max:
        raise PolicyError(f"more than {count_max} {what}")
