"""The forms of the gateway's JSON. Numbers are integers, times are RFC 3339 at the network's offset from UTC.

Digests, ids and keys are lower-case hexadecimal; encoded values that are meant to be decoded again are base64.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Hex32 = Annotated[
    str, Field(pattern="^[0-9a-f]{64}$", description="32 bytes in lower-case hexadecimal", examples=["5a" * 32])
]
Base64 = Annotated[
    str,
    Field(
        description="bytes in base64 with padding (RFC 4648, section 4)",
        json_schema_extra={"contentEncoding": "base64"},
    ),
]


class Form(BaseModel):
    """Base of all forms: what is not in it is not sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(BaseModel):
    """A problem document (RFC 9457). Some codes add members, for example `errors`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="path of the code's description", examples=["/api/v1/problems/replayed_envelope"])
    title: str
    status: int
    detail: str = Field(description="this case in one sentence")
    code: str = Field(description="stable name of what went wrong", examples=["replayed_envelope"])
    cause: str
    next_step: str
    request_id: str = Field(description="under which the node's log speaks of this request")


class ProblemKind(Form):
    """A code that the gateway may answer with."""

    code: str
    status: int
    cause: str
    next_step: str


class Moment(Form):
    """A block and its time."""

    height: int
    time: str = Field(examples=["2025-10-09T09:30:00.000+08:00"])


class DepartmentName(Form):
    """A department, as people call it."""

    credit_code: str
    code: str = Field(examples=["AY"])
    name_en: str
    name_zh: str


class Result(Form):
    """What became of one record."""

    number: int = Field(description="0 for accepted, else the number of the refusal")
    code: str = Field(description="`accepted`, or the refusal's stable name")
    cause: str | None = None
    next_step: str | None = None


class InclusionProof(Form):
    """That an entry stands in the log (RFC 9162): its leaf hash, and the siblings from the leaf upwards."""

    index: int
    size: int
    leaf_hash: Hex32
    path: list[Hex32]
    root: Hex32


class CosignedSizes(Form):
    """Sizes of the log that a node has cosigned of late, newest first."""

    department: DepartmentName
    sizes: list[int]


class ConsistencyProof(Form):
    """That an older log is the beginning of a newer one (RFC 9162)."""

    old: int
    new: int
    old_root: Hex32
    new_root: Hex32
    path: list[Hex32]


class ReceiptForm(Form):
    """What became of an envelope, covered by a checkpoint with a quorum. Kept, it proves it to anybody."""

    envelope: Hex32
    height: int
    time: str = Field(description="of the block", examples=["2025-10-09T09:30:00.000+08:00"])
    log_index: int
    results: list[Result]
    entry: Base64 = Field(description="the envelope's entry in the log, with the results")
    inclusion: InclusionProof
    checkpoint: str = Field(description="the checkpoint as a C2SP signed note")


class EnvelopeForm(Form):
    """How far an envelope has come. Only a receipt is an acknowledgement."""

    envelope: Hex32
    stage: Literal["pooled", "committed", "receipt", "expired", "unknown"] = Field(
        description="`unknown` only in answer to handing it in: it left the pool without a block meanwhile"
    )
    height: int | None = Field(default=None, description="of its block, once it has one")
    receipt: ReceiptForm | None = None


class BlockForm(Form):
    """An executed block."""

    recorded: Moment
    block: Hex32
    parent: Hex32
    round: int
    author: DepartmentName
    state_root: Hex32
    first_index: int = Field(description="log index of its first entry")
    log_size: int = Field(description="entries of the log after it; its block record is the last of them")
    envelopes: int
    records: int
    accepted: int
    deadlines: int = Field(description="deadlines that passed and were acted upon at its start")


class BlockPage(Form):
    """Blocks, newest first."""

    items: list[BlockForm]
    next: str | None = Field(description="path of the next page, or null")


class RecordForm(Form):
    """A record in a block."""

    kind: str | None = Field(examples=["certificates.issue"], description="null if it is of no known kind")
    result: Result


class EnvelopeInBlock(Form):
    """An envelope in a block."""

    envelope: Hex32
    position: int
    log_index: int
    department: DepartmentName
    key_id: int
    sequence: int
    records: list[RecordForm]


class EnvelopePage(Form):
    """Envelopes of a block, in order."""

    items: list[EnvelopeInBlock]
    next: str | None


class EntryForm(Form):
    """An entry of the log."""

    index: int
    height: int
    leaf_hash: Hex32
    kind: Literal["envelope", "block"]
    entry: Base64
    content: dict[str, Any] = Field(description="the entry decoded, for reading")


class ValueForm(Form):
    """A register's value, as of the last executed block."""

    id: str
    kind: str = Field(examples=["certificates/certificate"])
    value: dict[str, Any]
    as_of: Moment


class ValuePage(Form):
    """Values of a register, ascending by id."""

    items: list[ValueForm]
    next: str | None
    as_of: Moment


class ChangeForm(Form):
    """One thing that happened to a value."""

    kind: str | None = Field(description="tag of the record; null where a deadline passed")
    department: DepartmentName | None
    recorded: Moment
    envelope: Hex32 | None
    log_index: int | None
    position: int | None = Field(description="of the record in its envelope, from 0")


class HistoryPage(Form):
    """What happened to a value, oldest first."""

    id: str
    items: list[ChangeForm]
    next: str | None


class NamedThing(Form):
    """Something with an identifier and a name."""

    id: str
    name_en: str
    name_zh: str


class TraceStep(ChangeForm):
    """One step on the way of a certificate."""

    subject: Literal["responsibility", "type", "certificate", "use"]
    id: str


class Successor(Form):
    """Who has the issuer's function now."""

    department: DepartmentName
    height: int = Field(description="of the block that moved it there")
    reorganisation: str


class Trace(Form):
    """Where a certificate comes from and what became of it."""

    format: Literal["mulu.trace/1"] = "mulu.trace/1"
    certificate: str
    status: str
    issuer: DepartmentName = Field(description="under the name that it has now")
    issuer_formerly: str = Field(description="its name before the last reorganisation, or empty")
    issuer_ended: int | None = Field(description="last height at which it was a member, if it has ended")
    successor: Successor | None = Field(description="null while the responsibility is the issuer's")
    responsibility: NamedThing
    type: NamedThing
    valid_from: str
    valid_until: str | None
    replaces: str | None
    replaced_by: str | None
    steps: list[TraceStep] = Field(
        description="of the responsibility, then of the type, then of the certificate, then of its use"
    )
    as_of: Moment


class StateProofForm(Form):
    """That a state value, or none, stands under a key, down from a checkpoint with a quorum.

    `block` is the checkpoint's last entry and holds the state root; `proof` leads from there to the value.
    """

    key: str = Field(description="the state key in lower-case hexadecimal")
    value: Base64 | None = Field(description="canonical bytes, or null if there is none")
    proof: Base64 = Field(description="canonical bytes of the `state-proof`")
    state_root: Hex32
    block: Base64
    inclusion: InclusionProof
    checkpoint: str
    as_of: Moment


class PeerForm(Form):
    """A validator besides this one."""

    code: str
    credit_code: str
    connected: bool


class NodeForm(Form):
    """Who answers, and how far it is."""

    department: DepartmentName
    network: str
    origin: str
    chain: Hex32
    version: str
    engine: str
    head: Moment
    log_size: int
    checkpoint_height: int | None
    quorum: int
    validators: int
    peers: list[PeerForm]
    ready: bool
    why_not_ready: list[str]


def hexes(digests: Iterable[bytes]) -> list[str]:
    """Return digests as JSON has them."""
    return [digest.hex() for digest in digests]
