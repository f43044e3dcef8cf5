"""What a member hears from its node. The time of an event comes beside it."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.identifiers import ValidatorIndex


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """Bytes from a peer; hostile until decoded."""

    peer: ValidatorIndex
    """Who the transport says it is: whom to answer and to charge, never who signed what is inside."""
    message: bytes


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The deadline of the timer of this name has passed."""

    name: str


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A connection with a validator is up, for the first time or again."""

    peer: ValidatorIndex


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """The connection is gone; what was sent last may not have arrived."""

    peer: ValidatorIndex


Event = MessageReceived | TimerFired | PeerConnected | PeerDisconnected
