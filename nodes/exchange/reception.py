"""Whether what came is what was granted and stated, and the rows out of it.

The order of the checks is the order of trust: the ledger's record of the delivery first, then what must follow from it.
Each failure is one of the five words that a requester has for the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Literal, NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger.content import BrokenContentError, ContentHeader, ContentReader
from ledger.crypto.sealing import (
    NotSealedToThisKeyError,
    Scope,
    StreamOpener,
    TamperedStreamError,
    TruncatedStreamError,
    open_keys,
    sealed_digest,
)
from ledger.errors import ProofError
from ledger.registers.catalogue import Table
from ledger.registers.sharing.records import Deliver
from ledger.registers.sharing.values import Delivery, Grant
from nodes.exchange.databases.access import columns_of
from nodes.exchange.messages import Offer, Question
from nodes.exchange.outputs import Output
from nodes.exchange.preparation import ANSWER_COLUMNS
from nodes.exchange.read_ahead import read_ahead

Reason = Literal["beyond-grant", "tampered", "truncated", "commitment", "schema"]


class NotAsStatedError(Exception):
    """What came is not to be taken; `reason` is the word for the ledger. Never leaves the requester's side."""

    def __init__(self, reason: Reason, cause: Exception | str) -> None:
        super().__init__(str(cause))
        self.reason: Reason = reason


class Expected(NamedTuple):
    """What a delivery must be, from the ledger and from what was asked."""

    grant: Grant
    delivery: Delivery
    entry: Table
    question: Question
    scope: Scope

    @property
    def verifies(self) -> bool:
        """Whether yes or no is to come, and no row."""
        return self.grant.mode == "verification"

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the rows, in their order."""
        if self.verifies:
            return ANSWER_COLUMNS
        return columns_of(self.entry, self.question.fields or self.grant.fields)


def check_offer(offer: Offer, delivery: Delivery) -> None:
    """Check that an offer is the delivery that the provider has put on the ledger, under its signature.

    Raises:
        NotAsStatedError: It is another one, or its keys and leaves are not those behind the recorded digest.
    """
    stated = Deliver(
        grant=delivery.grant,
        number=delivery.number,
        table=delivery.table,
        rows=delivery.rows,
        size_bytes=delivery.size_bytes,
        chunks=delivery.chunks,
        commitment=delivery.commitment,
        sealed=delivery.sealed,
        schema=delivery.schema,
    )
    if offer.delivery != stated:
        raise NotAsStatedError("tampered", "the offer is not the delivery that stands on the ledger")
    leaves = offer.leaf_list()
    if len(leaves) != delivery.chunks or sealed_digest(offer.sealed_keys, leaves) != delivery.sealed:
        raise NotAsStatedError("tampered", "keys and leaves of the offer do not give the digest on the ledger")


def receive(
    chunks: Iterable[bytes],
    offer: Offer,
    expected: Expected,
    *,
    private: X25519PrivateKey,
    output: Output,
    report: Callable[[int], None],
) -> bytes:
    """Open and check all chunks, and write their rows to `output`; return the commitment key. Nothing is published.

    Args:
        chunks: All of them in order; that each has its leaf was checked when it came.
        offer: Checked already, by `check_offer`.
        report: Told the number of rows after each batch.

    Raises:
        NotAsStatedError: What came is not what was granted and stated.
        OSError, sqlite3.Error: The output cannot be written.
    """
    delivery, verifies = expected.delivery, expected.verifies
    try:
        keys = open_keys(offer.sealed_keys, private, expected.scope)
        opener = StreamOpener(keys, expected.scope, delivery.chunks)
        reader = ContentReader()
        begun = False
        # One thread reads and opens the next chunk, outside the interpreter's lock mostly, while this one decodes.
        with closing(read_ahead(opener.open(chunk) for chunk in chunks)) as opened:
            for content in opened:
                for rows in reader.feed(content):
                    if not begun:
                        begun = _begin(reader.header, expected, output)
                    if verifies and (reader.rows != 1 or type(rows[0][0]) is not bool):
                        raise NotAsStatedError("beyond-grant", "something else came than one yes or no")
                    output.write(rows)
                    report(reader.rows)
        if not begun:
            # A delivery without rows has its header all the same.
            _begin(reader.finish(), expected, output)
        reader.finish()
        opener.check(delivery.commitment, rows=reader.rows)
    except TruncatedStreamError as error:
        raise NotAsStatedError("truncated", error) from error
    except ProofError as error:
        raise NotAsStatedError("commitment", error) from error
    except (NotSealedToThisKeyError, TamperedStreamError, BrokenContentError) as error:
        raise NotAsStatedError("tampered", error) from error
    if reader.rows != delivery.rows:
        raise NotAsStatedError("commitment", f"{reader.rows} rows came, {delivery.rows} were stated")
    return keys.commitment_key


def _begin(header: ContentHeader | None, expected: Expected, output: Output) -> bool:
    assert header is not None, "rows come after their header"
    wanted = expected.columns
    if beyond := [name for name in header.columns if name not in wanted]:
        raise NotAsStatedError("beyond-grant", f"columns came that were not asked for: {', '.join(beyond)}")
    if header.columns != wanted:
        raise NotAsStatedError("schema", f"columns {header.columns} came instead of {wanted}")
    if (header.table, header.schema) != (expected.delivery.table, expected.delivery.schema):
        raise NotAsStatedError("schema", "the rows are of another table or schema than was stated")
    output.begin(header.columns)
    return True
