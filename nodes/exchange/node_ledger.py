"""The ledger by way of the node in this process: read on its event loop, told with the department's envelope key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, Protocol, TypeVar

from ledger.blocks.envelope import seal
from ledger.blocks.record import Record
from ledger.blocks.refusals import ACCEPTED, EnvelopeRefusal
from ledger.crypto.signatures import Signer
from ledger.errors import NotFoundError, NotYetError
from ledger.identifiers import ChainId, CreditCode, EnvelopeId, Height, KeyId
from ledger.members.departments import Department, EnvelopeKey, department_key, envelope_key_key
from ledger.proofs.delivery import build_receipt
from ledger.proofs.view import LedgerView
from ledger.registers import RULEBOOK
from ledger.registers.members.replay import NOTHING_USED, ReplayWindow, replay_window_key
from ledger.replica import Receipt
from ledger.replica.admission import NotAdmittedError
from ledger.state.store import State
from nodes.exchange.errors import OutcomeUnknownError, StatementRefusedError
from nodes.gateway.progress import Progress

T = TypeVar("T")

VALID_FOR_BLOCKS = 500
"""An envelope that was not taken by then never will be; a busy network makes so many blocks in some minutes."""

RECEIPT_S = 60.0
"""How long a receipt is waited for: rounds of a network that has lost a leader or two."""

BLOCK_S = 20.0
"""How long this node may lag behind another before that is worth a word."""

ATTEMPTS = 8
"""Numbers tried in a row when applications of the department use the same key at the same time."""


class Node(Protocol):
    """What is needed of the node; `nodes.gateway.node_view.RunningNode` has it. Used on its event loop alone."""

    @property
    def me(self) -> CreditCode: ...

    @property
    def state(self) -> State: ...

    @property
    def progress(self) -> Progress: ...

    def submit(self, raw: bytes) -> EnvelopeId: ...

    def receipt(self, envelope: EnvelopeId) -> Receipt | None: ...

    @property
    def attested(self) -> LedgerView | None: ...


class NodeLedger:
    """The `Ledger` of one department's exchange. Its calls block, and are made from threads that are not the loop's."""

    def __init__(self, node: Node, signer: Signer, loop: asyncio.AbstractEventLoop) -> None:
        """Args: `signer` holds a current envelope key of the department."""
        self._node = node
        self._signer = signer
        self._loop = loop
        self._last_sequence = 0
        self.me = node.me
        self.chain: ChainId = node.state.chain

    def ask(self, question: Callable[[State], T]) -> T:
        """Return what `question` makes of the state as of the last executed block."""

        async def look() -> T:
            return question(self._node.state)

        return self._run(look())

    def tell(self, record: Record) -> None:
        """Put a record on the ledger; return once it has its receipt. See `Ledger.tell`."""
        receipt = self._run(self._submit(record.encode()))
        if (number := receipt.results[0]) != ACCEPTED:
            raise StatementRefusedError(RULEBOOK.code_of(number))

    def wait_until(self, condition: Callable[[State], bool]) -> bool:
        """Wait until `condition` holds of the state; return whether it came to hold within `BLOCK_S`."""
        return self._run(self._node.progress.wait_until(lambda: condition(self._node.state), BLOCK_S))

    def delivery_receipt(self, grant: str, number: int) -> bytes:
        """Return the receipt of a delivery as of the newest checkpoint (`ledger.proofs.delivery`).

        Raises:
            NotFoundError: There is no such delivery, or it was not acknowledged.
            NotYetError: There is no checkpoint yet.
        """

        async def build() -> bytes:
            if (view := self._node.attested) is None:
                raise NotYetError("no quorum has cosigned a checkpoint yet")
            try:
                return build_receipt(view, grant, number)
            except NotFoundError:
                message = f"no delivery {number} under {grant} was acknowledged as of block {view.checkpoint.height}"
                raise NotFoundError(message) from None

        return self._run(build())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except (RuntimeError, CancelledError) as error:
            # The loop has ended, or ends just now.
            work.close()
            raise NotYetError("this node is stopping") from error

    async def _submit(self, record: bytes) -> Receipt:
        envelope = self._admit(record)
        await self._node.progress.wait_until(lambda: self._node.receipt(envelope) is not None, RECEIPT_S)
        receipt = self._node.receipt(envelope)
        if receipt is None:
            raise OutcomeUnknownError(f"no receipt of envelope {envelope.hex()} within {RECEIPT_S:g} s")
        return receipt

    def _admit(self, record: bytes) -> EnvelopeId:
        """Sign the record with the next number of the key, and hand it in."""
        state = self._node.state
        key_id = self._key_id(state)
        window = state.get(replay_window_key(self.me, key_id), ReplayWindow) or NOTHING_USED
        sequence = max(window.top, self._last_sequence)
        for _ in range(ATTEMPTS):
            sequence += 1
            envelope = seal(
                [record],
                chain=self.chain,
                department=self.me,
                key_id=key_id,
                sequence=sequence,
                valid_until=Height(state.height + VALID_FOR_BLOCKS),
                signer=self._signer,
            )
            try:
                admitted = self._node.submit(envelope.encode())
            except NotAdmittedError as error:
                if error.refusal is EnvelopeRefusal.REPLAYED_ENVELOPE:
                    continue
                raise StatementRefusedError(error.refusal) from error
            self._last_sequence = sequence
            return admitted
        raise NotYetError(f"the department's key {key_id} is in use: its next {ATTEMPTS} numbers are taken")

    def _key_id(self, state: State) -> KeyId:
        department = state.get(department_key(self.me), Department)
        for number in department.current_keys if department else ():
            key = state.get(envelope_key_key(self.me, number), EnvelopeKey)
            if key is not None and key.public == self._signer.public:
                return KeyId(number)
        raise StatementRefusedError(EnvelopeRefusal.UNKNOWN_KEY)
