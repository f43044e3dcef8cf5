"""Deliveries of made-up rows: sealed as a provider's node seals, opened and checked as the requester's node does.

No node and no database takes part, so that days of sharing pass in seconds; the bytes on the ledger are those that a
delivery of these rows has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger.content import ContentHeader, ContentReader, encode_header, encode_rows
from ledger.crypto.sealing import (
    ENTROPY_BYTES,
    ContentKeys,
    Scope,
    StreamOpener,
    StreamSealer,
    content_commitment,
    open_keys,
    sealed_digest,
    sealed_leaf,
)
from ledger.identifiers import Digest
from ledger.registers.directories.records import PublishTable
from ledger.registers.sharing.records import Acknowledge, Deliver, RejectDelivery
from scenarios.beijing.sharing.rows import Row
from scenarios.beijing.sharing.sealed_keys import seal_keys
from scenarios.simulator.streams import Stream

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class SealedDelivery:
    """What travels from provider to requester, and what the provider states of it."""

    record: Deliver
    keys: bytes
    chunks: tuple[bytes, ...]


def seal_delivery(
    scope: Scope,
    table: PublishTable,
    columns: Sequence[str],
    rows: Sequence[Row],
    recipient: X25519PrivateKey,
    draws: Stream,
) -> SealedDelivery:
    """Seal rows for the requester.

    Args:
        columns: Information items, in the order of each row's values.
    """
    keys = ContentKeys.of(draws.bytes(ENTROPY_BYTES))
    ephemeral = X25519PrivateKey.from_private_bytes(draws.bytes(KEY_BYTES))
    sealed_keys = seal_keys(keys.encode(), recipient.public_key(), scope.encode(), ephemeral)
    sealer = StreamSealer(keys, scope)
    header = encode_header(ContentHeader(table=table.id, schema=table.schema, columns=tuple(columns)))
    chunks = [chunk for block in (header, *encode_rows(rows)) for chunk in sealer.feed(block)]
    last, stream = sealer.finish()
    chunks.append(last)
    record = Deliver(
        grant=scope.grant,
        number=scope.number,
        table=table.id,
        rows=len(rows),
        size_bytes=sum(map(len, chunks)),
        chunks=stream.chunks,
        commitment=content_commitment(
            keys.commitment_key, scope, rows=len(rows), chunks=stream.chunks, root=stream.content_root
        ),
        sealed=sealed_digest(sealed_keys, stream.leaves),
        schema=table.schema,
    )
    return SealedDelivery(record, sealed_keys, tuple(chunks))


def receive_delivery(
    delivery: SealedDelivery, scope: Scope, granted: Sequence[str], private: X25519PrivateKey
) -> Acknowledge | RejectDelivery:
    """Open a delivery, and return what the requester has to say of it.

    Args:
        granted: Information items that the grant allows.

    Raises:
        LedgerError: It is damaged, which no run of this city has.
    """
    record = delivery.record
    sealed = sealed_digest(delivery.keys, [sealed_leaf(chunk) for chunk in delivery.chunks])
    keys = open_keys(delivery.keys, private, scope)
    opener, reader = StreamOpener(keys, scope, record.chunks), ContentReader()
    for chunk in delivery.chunks:
        for _ in reader.feed(opener.open(chunk)):
            pass
    header = reader.finish()
    opener.check(record.commitment, rows=reader.rows)
    if not set(header.columns) <= set(granted):
        return RejectDelivery(grant=record.grant, number=record.number, reason="beyond-grant")
    return Acknowledge(
        grant=record.grant, number=record.number, commitment=Digest(record.commitment), sealed=Digest(sealed)
    )
