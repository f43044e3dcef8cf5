"""What a provider may seal instead of what was granted, and the word that the requester has for the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec.structs import replace

from ledger.content import ContentHeader, encode_header, encode_rows
from ledger.crypto import sealing
from ledger.crypto.hashing import sha256
from ledger.crypto.sealing import (
    ENTROPY_BYTES,
    SUITE,
    ContentKeys,
    Scope,
    StreamSealer,
    content_commitment,
    sealed_digest,
)
from ledger.identifiers import Digest
from ledger.registers.catalogue import Column, Table, schema_hash
from ledger.registers.sharing.records import Deliver
from ledger.registers.sharing.values import Delivery, DeliveryStatus, Grant, GrantStatus
from nodes.exchange.messages import Offer, Question
from nodes.exchange.reception import Expected, NotAsStatedError, check_offer, receive
from tests.exchange.two_departments import asking

PRIVATE = X25519PrivateKey.from_private_bytes(b"\x31" * 32)
KEYS = ContentKeys.of(bytes(range(ENTROPY_BYTES)))
SCOPE = Scope(chain=Digest(b"\x07" * 32), grant="AY-R1", number=1)
COLUMNS = (
    Column(name="permit_no", type="TEXT", length=None, information_item="permit number"),
    Column(name="holder", type="TEXT", length=None, information_item="name"),
    Column(name="phone", type="TEXT", length=None, information_item="phone"),
)
SCHEMA = schema_hash(COLUMNS)
ROWS = [("P-1", "王芳"), ("P-2", "李伟"), ("P-3", "张敏")]
HEADER = ContentHeader(table="AY-01-D1-T1", schema=SCHEMA, columns=("permit_no", "holder"))

GRANT = Grant(
    id="AY-R1",
    requester="11110000A00000230N",
    provider="11110000A00000134D",
    data_item="AY-01-D1",
    fields=("permit number", "name"),
    selection=(),
    mode="database",
    volume_max=10,
    last_day="2025-12-31",
    conditions="",
    recipient_key=PRIVATE.public_key().public_bytes_raw(),
    basis="unconditional",
    status=GrantStatus.LIVE,
    ended_reason="",
    duty=None,
    granted_ms=1,
    granted_height=1,
    deliveries=1,
    open_delivery=1,
    pending=3,
    used=0,
)
ENTRY = Table(
    id="AY-01-D1-T1",
    owner=GRANT.provider,
    data_item=GRANT.data_item,
    system=None,
    name="permits",
    columns=COLUMNS,
    schema=SCHEMA,
    revision=1,
    published_height=1,
    withdrawn_height=0,
)


class Kept:
    """Keeps the rows."""

    def __init__(self) -> None:
        self.columns: tuple[str, ...] = ()
        self.rows: list[Any] = []

    def begin(self, columns: Iterable[str]) -> None:
        self.columns = tuple(columns)

    def write(self, rows: Iterable[Any]) -> None:
        self.rows += rows

    def complete(self) -> str:
        return ""

    def publish(self) -> None:
        """Nothing."""

    def discard(self) -> None:
        """Nothing."""


class Delivered:
    """A delivery as a provider may make it: any content, any statement of it."""

    def __init__(
        self,
        content: bytes,
        *,
        rows: int = len(ROWS),
        recipient: X25519PrivateKey = PRIVATE,
        scope: Scope = SCOPE,
        **stated: Any,
    ) -> None:
        sealer = StreamSealer(KEYS, scope)
        self.chunks = list(sealer.feed(content))
        last, stream = sealer.finish()
        self.chunks.append(last)
        sealed_keys = SUITE.encrypt(KEYS.encode(), recipient.public_key(), info=scope.encode())
        record = Deliver(
            grant="AY-R1",
            number=1,
            table=HEADER.table,
            rows=rows,
            size_bytes=sum(map(len, self.chunks)),
            chunks=stream.chunks,
            commitment=content_commitment(
                KEYS.commitment_key, scope, rows=rows, chunks=stream.chunks, root=stream.content_root
            ),
            sealed=sealed_digest(sealed_keys, stream.leaves),
            schema=SCHEMA,
        )
        record = replace(record, **stated)
        self.offer = Offer(delivery=record, sealed_keys=sealed_keys, leaves=b"".join(stream.leaves))
        self.delivery = Delivery(
            **{name: getattr(record, name) for name in record.__struct_fields__ if name != "version"},
            status=DeliveryStatus.PENDING,
            rejection=None,
            duty=None,
            delivered_ms=1,
            delivered_height=1,
            settled_ms=0,
            settled_height=0,
        )

    def receive(self, question: Question | None = None, *, grant: Grant = GRANT) -> Kept:
        """Receive it as the requester does."""
        check_offer(self.offer, self.delivery)
        kept = Kept()
        expected = Expected(grant, self.delivery, ENTRY, question or asking(), SCOPE)
        key = receive(self.chunks, self.offer, expected, private=PRIVATE, output=kept, report=lambda _: None)
        assert key == KEYS.commitment_key
        return kept


def content(rows: list[tuple[Any, ...]] = ROWS, **header: Any) -> bytes:
    """Return good content, or content with another header."""
    return encode_header(replace(HEADER, **header)) + b"".join(encode_rows(rows))


def test_what_was_granted_and_stated_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one chunk, and in many."""
    assert Delivered(content()).receive().rows == ROWS
    monkeypatch.setattr(sealing, "CHUNK_BYTES_MAX", 16)
    kept = Delivered(content()).receive()
    assert (kept.columns, kept.rows) == (HEADER.columns, ROWS)


PHONES = [(*row, "138") for row in ROWS]
OTHER = Scope(chain=SCOPE.chain, grant="AY-R2", number=1)

NOT_TAKEN: dict[str, tuple[str, Delivered]] = {
    "a column beyond the grant": ("beyond-grant", Delivered(content(PHONES, columns=("permit_no", "holder", "phone")))),
    "a column less": ("schema", Delivered(content([row[:1] for row in ROWS], columns=("permit_no",)))),
    "columns in another order": ("schema", Delivered(content(columns=("holder", "permit_no")))),
    "another table": ("schema", Delivered(content(table="AY-01-D1-T2"))),
    "another schema": ("schema", Delivered(content(schema=sha256(b"other")))),
    "a row more than stated": ("commitment", Delivered(content(), rows=2)),
    "a row less than stated": ("commitment", Delivered(content(), rows=4)),
    "another commitment": ("commitment", Delivered(content(), commitment=sha256(b"other"))),
    "no content": ("tampered", Delivered(b"\x00\x00\x00\x01\x90")),
    "content that ends inside of a block": ("tampered", Delivered(content()[:-1])),
    "an empty stream": ("tampered", Delivered(b"")),
    "keys for somebody else": ("tampered", Delivered(content(), recipient=X25519PrivateKey.generate())),
    "keys of another grant": ("tampered", Delivered(content(), scope=OTHER)),
}


@pytest.mark.parametrize(("reason", "delivered"), NOT_TAKEN.values(), ids=NOT_TAKEN.keys())
def test_anything_else_is_not_taken(reason: str, delivered: Delivered) -> None:
    """Each with its word, however truly it was stated and sealed."""
    with pytest.raises(NotAsStatedError) as refused:
        delivered.receive()
    assert refused.value.reason == reason


def test_a_message_about_what_was_not_taken_holds_no_value() -> None:
    """It goes into logs and to the department's people."""
    for _, delivered in NOT_TAKEN.values():
        with pytest.raises(NotAsStatedError) as refused:
            delivered.receive()
        assert "王芳" not in str(refused.value)
        assert "P-1" not in str(refused.value)


def test_columns_that_were_not_asked_for_are_beyond_the_question() -> None:
    """Granted or not: the requester said what it needs now."""
    with pytest.raises(NotAsStatedError) as refused:
        Delivered(content()).receive(asking(fields=("name",)))
    assert refused.value.reason == "beyond-grant"


def test_a_verification_takes_yes_or_no_alone() -> None:
    """Rows in its place are beyond the grant."""
    grant = replace(GRANT, mode="verification")
    with pytest.raises(NotAsStatedError) as refused:
        Delivered(content()).receive(grant=grant)
    assert refused.value.reason == "beyond-grant"
    kept = Delivered(content([(True,)], columns=("holds",)), rows=1).receive(grant=grant)
    assert kept.rows == [(True,)]


@pytest.mark.parametrize(
    "blocks", [[[("王芳, 138",)]], [[(1,)]], [[(True,), (False,)]], [[(True,)], [(False,)]]], ids=repr
)
def test_an_answer_under_its_name_is_still_yes_or_no_once(blocks: list[list[tuple[Any, ...]]]) -> None:
    """A provider may call anything the answer: one truth value is taken, and nothing else of what comes."""
    answered = encode_header(replace(HEADER, columns=("holds",))) + b"".join(
        block for rows in blocks for block in encode_rows(rows)
    )
    delivered = Delivered(answered, rows=sum(map(len, blocks)))
    with pytest.raises(NotAsStatedError, match="one yes or no") as refused:
        delivered.receive(grant=replace(GRANT, mode="verification"))
    assert refused.value.reason == "beyond-grant"


def test_a_stream_that_was_sealed_to_end_elsewhere_is_truncated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stated with fewer chunks than were sealed, or with more."""
    monkeypatch.setattr(sealing, "CHUNK_BYTES_MAX", 16)
    delivered = Delivered(content())
    chunks = delivered.delivery.chunks
    fewer = replace(delivered.delivery, chunks=chunks - 1)
    expected = Expected(GRANT, fewer, ENTRY, asking(), SCOPE)
    with pytest.raises(NotAsStatedError) as refused:
        receive(delivered.chunks[:-1], delivered.offer, expected, private=PRIVATE, output=Kept(), report=lambda _: None)
    assert refused.value.reason == "truncated"


@pytest.mark.parametrize(
    "offer",
    [
        lambda offer: replace(offer, delivery=replace(offer.delivery, rows=99)),
        lambda offer: replace(offer, delivery=replace(offer.delivery, sealed=sha256(b"other"))),
        lambda offer: replace(offer, sealed_keys=offer.sealed_keys + b"x"),
        lambda offer: replace(offer, leaves=offer.leaves + bytes(32)),
        lambda offer: replace(offer, leaves=offer.leaves + b"x"),
        lambda offer: replace(offer, leaves=bytes(32)),
    ],
    ids=["rows", "sealed", "keys", "a leaf more", "part of a leaf", "another leaf"],
)
def test_an_offer_is_the_recorded_delivery(offer: Any) -> None:
    """Everything in it follows from what the provider has signed."""
    delivered = Delivered(content())
    with pytest.raises(NotAsStatedError) as refused:
        check_offer(offer(delivered.offer), delivered.delivery)
    assert refused.value.reason == "tampered"
