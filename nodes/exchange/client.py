"""The requester's end of a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ledger.identifiers import CreditCode
from nodes.exchange.errors import ConnectionCutError, NoExchangeError, ProviderNotReadyError, ProviderRefusedError
from nodes.exchange.messages import Get, Greeting, Offer, Problem, Question, SealedQuestion, Working, answers, greetings
from nodes.exchange.wire import ExchangeAddress, ExchangeKeys, Wire


def dialler(
    keys: ExchangeKeys, addresses: Mapping[CreditCode, ExchangeAddress]
) -> Callable[[CreditCode], RemoteProvider]:
    """Return what connects to a department's exchange; it raises `NoExchangeError` where there is none."""

    def dial(provider: CreditCode) -> RemoteProvider:
        if (address := addresses.get(provider)) is None:
            raise NoExchangeError(f"{provider} has no node that takes part in the exchange")
        return RemoteProvider(keys.dial(address))

    return dial


class RemoteProvider:
    """A provider's node, over a connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._greeting: Greeting | None = None

    def ask(self, question: Question, working: Callable[[int], None]) -> Offer:
        """Return the offer that answers `question`.

        Raises:
            ProviderRefusedError, ProviderNotReadyError: There is none; `code` is the provider's.
            ConnectionCutError: The connection broke, or the provider's key is one that nothing can be sealed to.
        """
        self._greeting = self._greeting or self._wire.hear(greetings)
        try:
            sealed = SealedQuestion.of(question, self._greeting)
        except ValueError as error:
            raise ConnectionCutError("the provider greets with a key that nothing can be sealed to") from error
        self._wire.tell(sealed)
        while True:
            match self._wire.hear(answers):
                case Offer() as offer:
                    return offer
                case Working(rows=rows):
                    working(rows)
                case Problem(code=code, message=message, retry=retry):
                    raise ProviderNotReadyError(code, message) if retry else ProviderRefusedError(code, message)

    def chunks(self, first: int, count: int) -> Iterator[bytes]:
        """Yield `count` sealed chunks from number `first`.

        Raises:
            ConnectionCutError: The connection broke.
        """
        if count:
            self._wire.tell(Get(first=first))
        for _ in range(count):
            yield self._wire.receive()

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()
