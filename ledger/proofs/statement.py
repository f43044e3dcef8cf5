"""A statement: what a verifier reports of a certificate, in fixed parts, for people and for programs.

It answers three questions apart, because they have different answers in different hands: is this certificate genuine,
is it valid, and how old is what we know? Only from the answers, and from which of them the asker needs, follows one
verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any, Literal, Self

from ledger.registers.certificates.values import Status

FORMAT = "mulu.statement/1"

Requirement = Literal["all", "genuine"]
"""What the asker needs: all three answers, or only that the certificate is genuine."""


STATUS_WORDS = {status: status.value.replace("_", " ") for status in Status} | {Status.LAPSED: "replaced"}
"""What people call a status. Only a valid certificate may be relied on."""


class Verdict(Enum):
    """What the answers come to."""

    ESTABLISHED = "established"
    REFUTED = "refuted"
    NOT_ESTABLISHED = "not established"


@dataclass(frozen=True, slots=True)
class Moment:
    """A block of the ledger and its time, as the network's own clock shows it."""

    height: int
    time_ms: int
    utc_offset_hours: int

    def iso(self) -> str:
        """Return the time as RFC 3339 with the network's offset, to the millisecond."""
        try:
            return _local(self.time_ms, self.utc_offset_hours).isoformat(timespec="milliseconds")
        except OverflowError:
            return f"{self.time_ms} ms after 1970-01-01T00:00Z"

    def text(self) -> str:
        """Return the time to the second and the block, for people."""
        try:
            return f"{_local(self.time_ms, self.utc_offset_hours).isoformat(' ', 'seconds')} (block {self.height})"
        except OverflowError:
            return f"{self.iso()} (block {self.height})"

    def as_json(self) -> dict[str, Any]:
        """Return height and time."""
        return {"height": self.height, "time": self.iso()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How many departments cosigned, of how many, and how many are needed."""

    signed: int
    needed: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Something that has an identifier on the ledger and a name for people."""

    id: str
    name: str
    """English and Chinese, or the identifier again where the ledger gives no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenResponsibility:
    """On what the issue of the certificate rests, and who approved that."""

    id: str
    name: str
    approved_by: str
    approved_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenSuccessor:
    """To whom the responsibility has passed from the issuer, which the certificate goes on naming."""

    id: str
    name: str
    height: int
    """Of the block that moved it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One record about the certificate, as the log has it."""

    what: str
    """The record's tag, for example `certificates.suspend`."""
    by: str
    """Name of the department that signed it."""
    index: int
    """Of its envelope in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Data that one department had from another before the issue."""

    data_item: str
    delivery: str
    """Grant and number, `AY-R7/1`."""
    provider: str
    requester: str
    """Names; the requester is the issuer, or provides in a later delivery."""
    purpose: str
    """As the requester stated it."""
    rows: int
    index: int
    """Of the acknowledgement's envelope in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What was proven of a genuine certificate. Nothing here comes from the bundle's word alone."""

    certificate: str
    """The certificate's identifier."""
    issuer: Named
    """Under the name that it has now."""
    issuer_formerly: str
    """The name that it had before, or empty."""
    issuer_ended: int | None
    """Last height at which it was a member, if a reorganisation ended it."""
    successor: ProvenSuccessor | None
    type: Named
    responsibility: ProvenResponsibility
    recorded: Moment
    """The block that holds the issue."""
    valid_from: str
    valid_until: str | None
    """Days, `2025-10-01`, both inclusive; None if it has no end."""
    replaced_by: str | None
    events: tuple[Event, ...]
    received: tuple[Received, ...]
    """In the order in which the data came."""
    fields: tuple[tuple[str, str], ...]
    """Names and values of the disclosed fields."""
    holder: str | None
    """Who holds it, if the bundle opens that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The answers, what they rest on, and what nobody looked at."""

    genuine: bool | None
    """Whether the network recorded this certificate as it stands here; None if that cannot be said. False if it shows
    something else, or nothing under this identifier."""
    status: Status | None
    """As of `as_of`, the end of its term as of now; None unless it is genuine."""
    fresh: bool | None
    """Whether `as_of` is recent enough for the asker; None if that is not known."""
    as_of: Moment | None
    """The newest block that the bundle speaks of: nothing later is known."""
    age_s: int | None
    """Whole seconds from then to now."""
    signers: tuple[str, ...]
    """Names of the departments that cosigned, as the policy has them."""
    quorum: Quorum | None
    provenance: Provenance | None
    reasons: tuple[str, ...]
    """Why an answer is not yes, one sentence each."""
    not_checked: tuple[str, ...]
    """What the asker must not take from this statement."""
    require: Requirement

    @classmethod
    def without_evidence(cls, genuine: bool | None, reason: str, require: Requirement) -> Self:
        """Return the statement that nothing was proven, for one reason: it is a forgery, or nobody can say."""
        return cls(
            genuine=genuine,
            status=None,
            fresh=None,
            as_of=None,
            age_s=None,
            signers=(),
            quorum=None,
            provenance=None,
            reasons=(reason,),
            not_checked=(),
            require=require,
        )

    @property
    def verdict(self) -> Verdict:
        """What the answers come to for what was required. A no weighs more than a "cannot say"."""
        if self.genuine is None:
            return Verdict.NOT_ESTABLISHED
        if not self.genuine:
            return Verdict.REFUTED
        if self.require == "genuine":
            return Verdict.ESTABLISHED
        if self.status is not Status.VALID:
            return Verdict.REFUTED
        return Verdict.ESTABLISHED if self.fresh else Verdict.NOT_ESTABLISHED

    @property
    def exit_code(self) -> int:
        """0 established, 3 refuted, 4 not established."""
        return {Verdict.ESTABLISHED: 0, Verdict.REFUTED: 3, Verdict.NOT_ESTABLISHED: 4}[self.verdict]

    def as_json(self) -> dict[str, Any]:
        """Return the statement as JSON values; every key is always there, null where nothing was established."""
        proven = self.provenance
        return {
            "format": FORMAT,
            "verdict": self.verdict.value,
            "genuine": self.genuine,
            "status": STATUS_WORDS[self.status] if self.status else None,
            "fresh": self.fresh,
            "as_of": self.as_of.as_json() if self.as_of else None,
            "age_s": self.age_s,
            "certificate": proven.certificate if proven else None,
            "issuer": _named(proven.issuer) if proven else None,
            "issuer_formerly": proven.issuer_formerly or None if proven else None,
            "issuer_ended": proven.issuer_ended if proven else None,
            "successor": _successor(proven.successor) if proven and proven.successor else None,
            "responsibility": _responsibility(proven.responsibility) if proven else None,
            "type": _named(proven.type) if proven else None,
            "recorded": proven.recorded.as_json() if proven else None,
            "valid_from": proven.valid_from if proven else None,
            "valid_until": proven.valid_until if proven else None,
            "replaced_by": proven.replaced_by if proven else None,
            "events": [{"what": e.what, "by": e.by, "log_index": e.index} for e in proven.events] if proven else [],
            "received": [_received(each) for each in proven.received] if proven else [],
            "holder": proven.holder if proven else None,
            "fields": dict(proven.fields) if proven else {},
            "signers": list(self.signers),
            "quorum": (
                {"signed": self.quorum.signed, "needed": self.quorum.needed, "of": self.quorum.of}
                if self.quorum
                else None
            ),
            "reasons": list(self.reasons),
            "not_checked": list(self.not_checked),
        }

    def as_text(self) -> str:
        """Return the statement for people, several lines, without a line end.

        Names and values come from a ledger and a file: what no printer shows is spelled out, so that none of them can
        begin a line of its own or move a terminal's cursor.
        """
        lines = (*self._answers(), *self._findings(), *_bullets("Not checked", self.not_checked))
        return "\n".join(map(printable, lines))

    def _answers(self) -> Iterator[str]:
        yield f"{self.verdict.value.capitalize()}."
        yield f"Genuine      {_yes_no(self.genuine)}"
        if self.genuine:
            assert self.status is not None
            assert self.as_of is not None
            answer = "yes" if self.status is Status.VALID else f"no, {STATUS_WORDS[self.status]}"
            yield f"Valid        {answer}, as of {self.as_of.text()}"
            age_s = self.age_s or 0
            yield f"Fresh        {_yes_no(self.fresh)}, {f'{rounded(age_s)} old' if age_s >= 0 else 'from the future'}"
        # Who asks only whether it is genuine has a yes, and may still want to know what was not asked.
        yield from _bullets("But" if self.verdict is Verdict.ESTABLISHED else "Because", self.reasons)

    def _findings(self) -> Iterator[str]:
        if (proven := self.provenance) is not None:
            yield f"Certificate  {proven.certificate}"
            yield f"Type         {proven.type.name} [{proven.type.id}]"
            yield from _issuer(proven)
            grounds = proven.responsibility
            yield f"Under        {grounds.id} {grounds.name}"
            yield f"Approved by  {grounds.approved_by} (block {grounds.approved_height})"
            yield f"Recorded     {proven.recorded.text()}"
            yield f"Term         {proven.valid_from} to {proven.valid_until or 'no fixed end'}"
            if proven.replaced_by is not None:
                yield f"Replaced by  {proven.replaced_by}"
            for event in proven.events[1:]:
                yield f"Then         {event.what} by {event.by} (log entry {event.index})"
            for data in proven.received:
                yield f"Data         {data.data_item} from {data.provider} to {data.requester}: {data.purpose}"
            for name, value in proven.fields:
                yield f"Field        {name}: {value}"
            if proven.holder is not None:
                yield f"Holder       {proven.holder}"
        if self.quorum is not None:
            count = f"{self.quorum.signed} of {self.quorum.of} departments, {self.quorum.needed} are needed"
            yield from _bullets(f"Cosigned by {count}", self.signers)


def _local(time_ms: int, utc_offset_hours: int) -> datetime:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    return moment.astimezone(timezone(timedelta(hours=utc_offset_hours)))


def _named(thing: Named) -> dict[str, str]:
    return {"id": thing.id, "name": thing.name}


def _responsibility(grounds: ProvenResponsibility) -> dict[str, Any]:
    return {
        "id": grounds.id,
        "name": grounds.name,
        "approved_by": grounds.approved_by,
        "approved_height": grounds.approved_height,
    }


def _received(received: Received) -> dict[str, Any]:
    return {
        "data_item": received.data_item,
        "delivery": received.delivery,
        "provider": received.provider,
        "requester": received.requester,
        "purpose": received.purpose,
        "rows": received.rows,
        "log_index": received.index,
    }


def _successor(successor: ProvenSuccessor) -> dict[str, Any]:
    return {"id": successor.id, "name": successor.name, "height": successor.height}


def _issuer(proven: Provenance) -> Iterator[str]:
    yield f"Issued by    {proven.issuer.name} [{proven.issuer.id}]"
    if proven.issuer_formerly:
        yield f"Formerly     {proven.issuer_formerly}"
    if proven.issuer_ended is not None:
        yield f"Ended        with block {proven.issuer_ended}"
    if (successor := proven.successor) is not None:
        yield f"Passed to    {successor.name} [{successor.id}] (block {successor.height})"


def _yes_no(answer: bool | None) -> str:
    return {True: "yes", False: "no", None: "cannot say"}[answer]


def rounded(seconds: int) -> str:
    """Return a length of time in whole units of the largest that fits twice: exact enough for people, and short."""
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"


def exact(seconds: int) -> str:
    """Return a length of time in the largest unit that it is whole numbers of, two at least: a bound must be exact."""
    for unit, length in _UNITS:
        if seconds >= 2 * length and seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"


_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


def _bullets(title: str, sentences: tuple[str, ...]) -> Iterator[str]:
    if sentences:
        yield f"{title}:"
        yield from (f"  - {sentence}" for sentence in sentences)


def printable(line: str) -> str:
    """Return the line with whatever a terminal might act on escaped: foreign text does not get to move the cursor."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
