"""What can go wrong between two nodes that exchange data. No message holds a value of a row or of a question."""

from __future__ import annotations

from ledger.blocks.refusals import RefusalCode
from ledger.errors import InvalidInputError, LedgerError, NotYetError


class StatementRefusedError(InvalidInputError):
    """The ledger has refused a record, or would refuse it; `code` is the label of the refusal code."""

    def __init__(self, refusal: RefusalCode) -> None:
        super().__init__(f"{refusal.cause}: {refusal.next_step}")
        self.code = refusal.label
        self.refusal = refusal


class QuestionError(InvalidInputError):
    """What was asked for is not a question that the grant can answer; the message says why."""

    code = "bad_question"


class DeliveryOpenError(NotYetError):
    """The delivery before answers another question, and waits to be fetched, acknowledged or rejected."""

    code = "delivery_open"


class DeliveryBusyError(NotYetError):
    """Somebody else prepares or fetches a delivery under this grant, or fetches one to this place."""

    code = "delivery_busy"


class DeliveryLostError(InvalidInputError):
    """The provider no longer has the bytes of a delivery that was never settled: reject it, and ask anew."""

    code = "delivery_lost"


class DeliveryRejectedError(InvalidInputError):
    """What came is not what was granted or stated, and the ledger was told so; `code` says in which way."""

    def __init__(self, reason: str, cause: Exception | str) -> None:
        super().__init__(f"the delivery was rejected as {reason}: {cause}")
        self.code = f"delivery_{reason.replace('-', '_')}"
        self.reason = reason


class NoExchangeError(NotYetError):
    """The other department has no node that takes part in the exchange, or this one does not."""

    code = "no_exchange"


class ConnectionCutError(NotYetError):
    """The connection to the other node broke or went silent. What has come is kept: ask again to go on from there."""

    code = "connection_cut"


class ProviderRefusedError(InvalidInputError):
    """The provider's node says no; `code` is its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"the provider: {message}")
        self.code = code


class ProviderNotReadyError(NotYetError):
    """The provider's node cannot deliver now; `code` is its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"the provider: {message}")
        self.code = code


class OutcomeUnknownError(NotYetError):
    """A record was handed in and nothing has been heard of it in time. Doing the same again does no harm."""

    code = "outcome_unknown"


class NoRoomError(NotYetError):
    """The disk has no room for a delivery, or fails. Nothing was stated, and nothing half written is left."""

    code = "exchange_disk"


class StoreReadElsewhereError(NotYetError):
    """Another program reads the exchange's store, and so keeps what stood there from being overwritten."""

    code = "exchange_busy"


class CommandFailedError(LedgerError):
    """The department's node could not do what it was told; `code` is that of its reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CommandNotYetError(CommandFailedError, NotYetError):
    """It could not be done now, and may succeed later."""
