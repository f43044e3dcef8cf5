"""What a policy says of itself in comment lines, because a C2SP tlog-policy has no place for it.

    # mulu.policy/1
    # chain 5a0e...
    # epoch 0
    # utc-offset-hours 8
    # valid-until 2027-12-31
    # department ["11110000A00000345W","BM","Government Services & Data","政务服务和数据管理局"]

Other people's tools pass over these lines; ours hold their reader to the date. A policy is of one epoch: it knows
nothing of validators that come later.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ledger.errors import DecodeError
from ledger.identifiers import ChainId, CreditCode
from ledger.members.calendar import CalendarError, Day, format_day, parse_day

_CHAIN = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_OFFSET = re.compile(r"0|-?[1-9]|-1[0-2]|1[0-4]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f]")


class PolicyError(DecodeError):
    """The text is not a policy of this form."""

    code = "bad_policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDepartment:
    """The names of a department, as the policy's author knew them."""

    credit_code: CreditCode
    code: str
    """Short code, for example `AY`."""
    name_en: str
    name_zh: str


@dataclass(frozen=True, kw_only=True)
class PolicyTerms:
    """Which network a policy is for, how long it may be used, and what people call the departments."""

    chain: ChainId
    epoch: int
    utc_offset_hours: int
    """Where the network's days begin, because its dates name days there; 8 for Beijing."""
    valid_until: Day
    """Last day on which the policy may be used."""
    departments: tuple[PolicyDepartment, ...]
    """Every department that has a name here, with or without a vote, in ascending order of credit code."""

    def day_at(self, time_ms: int) -> Day:
        """Return the network's day at this Unix time in milliseconds."""
        return Day((time_ms + self.utc_offset_hours * 3_600_000) // 86_400_000)

    def unusable_at(self, time_ms: int) -> str | None:
        """Return why the policy may not be used at this Unix time in milliseconds, or None if it may."""
        if self.day_at(time_ms) <= self.valid_until:
            return None
        return f"the policy was to be used until {format_day(self.valid_until)}; get a newer one"

    @cached_property
    def _names(self) -> dict[str, str]:
        return {d.credit_code: f"{d.name_en} ({d.name_zh}, {d.code})" for d in self.departments}

    def name_of(self, credit_code: str) -> str:
        """Return the name that people know: English, Chinese and short code; the credit code if there is none here."""
        return self._names.get(credit_code, credit_code)

    def comments(self, form: str) -> list[str]:
        """Return the lines that say all this, the name of the policy's form first."""
        lines = [f"# {form}", f"# chain {self.chain.hex()}", f"# epoch {self.epoch}"]
        lines.append(f"# utc-offset-hours {self.utc_offset_hours}")
        lines.append(f"# valid-until {format_day(self.valid_until)}")
        for d in self.departments:
            names = [d.credit_code, d.code, d.name_en, d.name_zh]
            lines.append(f"# department {json.dumps(names, ensure_ascii=False, separators=(',', ':'))}")
        return lines


class PolicyLines:
    """The lines of a policy by what they begin with. Whoever needs their order compares the whole text later."""

    def __init__(self, text: str) -> None:
        """Take the lines.

        Raises:
            PolicyError: One holds a control character, a tab included.
        """
        self._lines = text.split("\n")
        for number, line in enumerate(self._lines, start=1):
            if match := _FORBIDDEN.search(line):
                raise PolicyError(f"line {number} holds the control character {match[0]!r}")

    @property
    def first(self) -> str:
        """The line that names the form."""
        return self._lines[0]

    def all(self, keyword: str) -> list[str]:
        """Return what follows `keyword` and a space, of each line that begins so."""
        return [line[len(keyword) + 1 :] for line in self._lines if line.startswith(f"{keyword} ")]

    def one(self, keyword: str, form: re.Pattern[str]) -> str:
        """Return what follows `keyword` on the one line that begins so.

        Raises:
            PolicyError: There is none or more than one, or the rest is not of this form.
        """
        found = self.all(keyword)
        if len(found) != 1 or not form.fullmatch(found[0]):
            raise PolicyError(f"exactly one line `{keyword} ...` of the documented form is needed, not {found[:3]!r}")
        return found[0]


def parse_terms(lines: PolicyLines, form: str) -> PolicyTerms:
    """Read what `PolicyTerms.comments(form)` wrote. That these lines come first and in order is not checked here.

    Raises:
        PolicyError: The policy is of another form, or a line is missing, comes twice or says something else.
    """
    if lines.first != f"# {form}":
        raise PolicyError(f"the first line must be `# {form}`, not {lines.first[:60]!r}")
    chain = lines.one("# chain", _CHAIN)
    epoch = int(lines.one("# epoch", _NUMBER))
    utc_offset_hours = int(lines.one("# utc-offset-hours", _OFFSET))
    try:
        valid_until = parse_day(lines.one("# valid-until", _DATE))
    except CalendarError as error:
        raise PolicyError(f"valid-until: {error}") from error
    departments = tuple(map(_parse_department, lines.all("# department")))
    check_ascending("departments", [department.credit_code for department in departments])
    return PolicyTerms(
        chain=ChainId(bytes.fromhex(chain)),
        epoch=epoch,
        utc_offset_hours=utc_offset_hours,
        valid_until=valid_until,
        departments=departments,
    )


def check_ascending(what: str, codes: list[str]) -> None:
    """Check that each code is larger than the one before.

    Raises:
        PolicyError: One is not.
    """
    for earlier, later in pairwise(codes):
        if earlier >= later:
            raise PolicyError(f"{what} must ascend without repeats: {earlier} stands before {later}")


def _parse_department(line: str) -> PolicyDepartment:
    try:
        names = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"not a department: {line[:100]!r}") from error
    match names:
        case [str(credit_code), str(code), str(name_en), str(name_zh)]:
            return PolicyDepartment(credit_code=CreditCode(credit_code), code=code, name_en=name_en, name_zh=name_zh)
    raise PolicyError(f"not [credit code, short code, English name, Chinese name]: {line[:100]!r}")
