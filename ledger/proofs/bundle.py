"""A bundle: one file with everything that shows where one certificate comes from and how it stands.

Nothing in it is taken on trust. Each part is proven against the checkpoint, compared with something proven, or not
there: keys of the state are computed by the reader, heights and times come out of proven values, and no key of a signer
of checkpoints is in it. `ledger.proofs.verify` reads it against a policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, ClassVar, Literal, TypeVar

from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from ledger.blocks.log import EnvelopeEntry
from ledger.blocks.record import Record, record_leaf
from ledger.crypto.commitments import Field, Part
from ledger.crypto.merkle import inclusion_path
from ledger.encoding import Canonical, Digest32, Key32, decode
from ledger.errors import DecodeError, NotFoundError, OversizeError
from ledger.identifiers import CertificateIdentifier, Digest
from ledger.members.departments import department_key, envelope_key_key
from ledger.proofs.canonical_json import Document, parse
from ledger.proofs.hops import Hop
from ledger.proofs.inclusion import EntryProof, RecordProof
from ledger.proofs.notes import note_for
from ledger.proofs.state import ValueProof
from ledger.proofs.view import LedgerView
from ledger.registers.certificates.values import Certificate, CertificateType, certificate_key, type_key
from ledger.registers.directories.records import ApproveResponsibility
from ledger.registers.members.values import succession_key
from ledger.registers.shared import Responsibility, responsibility_key
from ledger.registers.sharing.records import Acknowledge, Deliver, RequestSharing
from ledger.registers.sharing.values import delivery_key, request_key

T = TypeVar("T", bound=Canonical)

FORMAT: Literal["mulu.bundle/1"] = "mulu.bundle/1"

BUNDLE_BYTES_MAX = 1 << 18
"""A quorum of 500 validators, some dozen records and long texts: what a verifier reads before it knows more."""


class FieldPart(Document, frozen=True, kw_only=True):
    """One field of the certificate: shown, by name, value and salt, or hidden, by its leaf hash alone."""

    leaf: Digest32 | UnsetType = UNSET
    name: str | UnsetType = UNSET
    salt: Key32 | UnsetType = UNSET
    value: str | UnsetType = UNSET

    @classmethod
    def of(cls, part: Part) -> FieldPart:
        """Return the JSON form of a part."""
        if isinstance(part, Field):
            return cls(name=part.name, value=part.value, salt=part.salt)
        return cls(leaf=part)

    def part(self) -> Part:
        """Return what it says.

        Raises:
            DecodeError: Neither a field with name, value and salt, nor a leaf hash.
        """
        match self.leaf, self.name, self.value, self.salt:
            case UnsetType(), str(name), str(value), bytes(salt):
                return Field(name=name, value=value, salt=salt)
            case bytes(leaf), UnsetType(), UnsetType(), UnsetType():
                return Digest(leaf)
        raise DecodeError("a field is shown with name, value and salt, or hidden behind its leaf hash")


class HolderOpening(Document, frozen=True, kw_only=True):
    """Who holds the certificate, with the key of the commitment on the ledger."""

    holder: str
    """NFC text, as the issuer committed to it."""
    key: Key32


class CertificateState(Document, frozen=True, kw_only=True):
    """What the state holds of a certificate and of what it rests on."""

    certificate: ValueProof
    type: ValueProof
    responsibility: ValueProof
    issuer: ValueProof
    succession: ValueProof | UnsetType = UNSET
    successor: ValueProof | UnsetType = UNSET
    """How the responsibility passed on from the issuer, and who has it now; both there if and only if it did."""
    keys: tuple[ValueProof, ...]
    """Envelope keys that signed the records below, ascending by credit code and key number."""


class Bundle(Document, frozen=True, kw_only=True):
    """The JSON object. `records` are the issue and every record since that changed the certificate, in log order."""

    size_max: ClassVar[int] = BUNDLE_BYTES_MAX

    format: Literal["mulu.bundle/1"]
    certificate: str
    """The identifier."""
    content: tuple[FieldPart, ...] | UnsetType = UNSET
    """All fields in order; absent if none is shown."""
    holder: HolderOpening | UnsetType = UNSET
    state: CertificateState
    records: tuple[RecordProof, ...]
    approval: RecordProof
    """The registrar's approval of the responsibility."""
    hops: Annotated[tuple[Hop, ...], Meta(min_length=1)] | UnsetType = UNSET
    """Deliveries of data that reached the issuer before the issue, in their order; absent if none is shown."""
    block: EntryProof
    """The block record whose state root `state` leads to; the last entry of the checkpoint."""
    checkpoint: str
    """A C2SP note: the line of the log by the node that served it, and the cosignatures of exactly a quorum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What its holder shows of a certificate beyond what the ledger has."""

    content: tuple[Part, ...] | None = None
    """As `ledger.crypto.commitments.disclose` gives it; None to show no field."""
    holder: HolderOpening | None = None


NOTHING_SHOWN = Opening()


def build_bundle(
    view: LedgerView,
    certificate: CertificateIdentifier | str,
    opening: Opening = NOTHING_SHOWN,
    deliveries: Sequence[tuple[str, int]] = (),
) -> bytes:
    """Return the bundle of a certificate as of the view's checkpoint.

    What `opening` says is not compared with the ledger here, nor whether the deliveries lead to the issuer.

    Args:
        deliveries: Grant and number of each delivery to show as a hop, in the order in which the data came.

    Raises:
        NotFoundError: The checkpoint's state has no such certificate, or a delivery was not acknowledged, or
            not by who requested it.
        OversizeError: So much happened to the certificate, or so much is shown, that no reader would accept it.
    """
    value = _value(view, certificate_key(certificate), Certificate)
    kind = _value(view, type_key(value.type_code), CertificateType)
    responsibility = _value(view, responsibility_key(kind.responsibility), Responsibility)
    records = [_prove_record(view, *place) for place in view.history(certificate_key(certificate))]
    approval = _prove_approval(view, responsibility)
    hops = [_prove_hop_to_requester(view, *delivery) for delivery in deliveries]
    signed = [*records, approval, *chain.from_iterable((h.request, h.delivery, h.acknowledgement) for h in hops)]
    passed_on = responsibility.department != value.issuer
    last = view.checkpoint.size - 1
    bundle = Bundle(
        format=FORMAT,
        certificate=certificate,
        content=_content_of(opening),
        holder=opening.holder or UNSET,
        state=CertificateState(
            certificate=prove_value(view, certificate_key(certificate)),
            type=prove_value(view, type_key(kind.code)),
            responsibility=prove_value(view, responsibility_key(responsibility.id)),
            issuer=prove_value(view, department_key(value.issuer)),
            succession=prove_value(view, succession_key(responsibility.id)) if passed_on else UNSET,
            successor=prove_value(view, department_key(responsibility.department)) if passed_on else UNSET,
            keys=tuple(prove_value(view, envelope_key_key(*signer)) for signer in signers_of(signed)),
        ),
        records=tuple(records),
        approval=approval,
        hops=tuple(hops) or UNSET,
        block=EntryProof(entry=view.entry(last), index=last, path=tuple(view.inclusion_path(last))),
        checkpoint=note_for(view),
    )
    return _print(bundle)


def with_opening(data: bytes, opening: Opening) -> bytes:
    """Return the bundle `data` showing what `opening` says, instead of what it has shown so far.

    A gateway proves what is on the ledger; the issuer or the holder adds what they keep beside it. What `opening` says
    is not compared with the ledger here.

    Raises:
        DecodeError: `data` is not a bundle.
        OversizeError: So much is shown that no reader would accept it.
    """
    bundle = parse(Bundle, data)
    return _print(replace(bundle, content=_content_of(opening), holder=opening.holder or UNSET))


def _content_of(opening: Opening) -> tuple[FieldPart, ...] | UnsetType:
    return UNSET if opening.content is None else tuple(map(FieldPart.of, opening.content))


def _print(bundle: Bundle) -> bytes:
    data = bundle.print()
    if len(data) > BUNDLE_BYTES_MAX:
        raise OversizeError("bundle", size=len(data), size_max=BUNDLE_BYTES_MAX)
    return data


def _value(view: LedgerView, key: bytes, kind: type[T]) -> T:
    if (data := view.value_bytes(key)) is None:
        raise NotFoundError(f"there is no {key.decode()} as of height {view.checkpoint.height}")
    return decode(kind, data)


def prove_value(view: LedgerView, key: bytes) -> ValueProof:
    """Return the proof of the value under `key`.

    Raises:
        NotFoundError: The checkpoint's state has none.
    """
    if (data := view.value_bytes(key)) is None:
        raise NotFoundError(f"there is no {key.decode()} as of height {view.checkpoint.height}")
    return ValueProof.of(data, view.prove(key))


def _prove_record(view: LedgerView, index: int, position: int) -> RecordProof:
    records = view.envelope(index).records
    return RecordProof(
        record=records[position],
        position=position,
        path=inclusion_path([record_leaf(record) for record in records], position),
        logged=EntryProof(entry=view.entry(index), index=index, path=tuple(view.inclusion_path(index))),
    )


def _prove_approval(view: LedgerView, responsibility: Responsibility) -> RecordProof:
    """Return the record that approved the revision which counts. A revision is approved once."""
    wanted = ApproveResponsibility(id=responsibility.id, revision=responsibility.approved_revision).encode()
    for index, position in view.history(responsibility_key(responsibility.id)):
        if view.envelope(index).records[position] == wanted:
            return _prove_record(view, index, position)
    raise NotFoundError(f"responsibility {responsibility.id} was never approved")


def prove_hop(view: LedgerView, grant: str, number: int) -> Hop:
    """Return the three records of a delivery with their proofs.

    Raises:
        NotFoundError: There is no such delivery, or it was not acknowledged.
    """
    return Hop(
        request=_prove_only(view, request_key(grant), RequestSharing),
        delivery=_prove_only(view, delivery_key(grant, number), Deliver),
        acknowledgement=_prove_only(view, delivery_key(grant, number), Acknowledge),
    )


def _prove_hop_to_requester(view: LedgerView, grant: str, number: int) -> Hop:
    """Return the hop as `prove_hop` does. A bundle has no place for who took the place of whom; a receipt has."""
    hop = prove_hop(view, grant, number)
    requester, acknowledged_by = receivers_of(hop)
    if acknowledged_by != requester:
        raise NotFoundError(
            f"no hop can be shown of delivery {grant}/{number}, which {acknowledged_by} acknowledged in the place of "
            f"{requester}: its receipt shows that"
        )
    return hop


def receivers_of(hop: Hop) -> tuple[str, str]:
    """Return who requested, and who acknowledged: another one where a reorganisation has ended the first."""
    requester, acknowledged_by = (
        decode(EnvelopeEntry, proof.logged.entry).header.department for proof in (hop.request, hop.acknowledgement)
    )
    return requester, acknowledged_by


def _prove_only(view: LedgerView, key: bytes, kind: type[Record]) -> RecordProof:
    """Return the one record of a kind among those that set a key: a delivery is made and settled once."""
    for index, position in view.history(key):
        try:
            decode(kind, view.envelope(index).records[position])
        except DecodeError:
            continue
        return _prove_record(view, index, position)
    raise NotFoundError(f"{key.decode()} has no {kind.__name__} as of height {view.checkpoint.height}")


def signers_of(proofs: Iterable[RecordProof]) -> list[tuple[str, int]]:
    """Return department and key number of every envelope, each once, ascending."""
    headers = (decode(EnvelopeEntry, proof.logged.entry).header for proof in proofs)
    return sorted({(header.department, header.key_id) for header in headers})
