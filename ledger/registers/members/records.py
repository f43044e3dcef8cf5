"""What a department states about its own keys."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ledger.blocks.genesis import ProvenKey
from ledger.blocks.record import Record
from ledger.members.departments import KeyNumber


class AddEnvelopeKey(Record, tag="members.add_key", kw_only=True):
    """The signing department will also sign with this key, from the next block on."""

    key_id: KeyNumber
    """Any number that the department has not used yet; the key of genesis is number 1."""
    key: ProvenKey
    """The proof is over `possession_bytes(network, department, "envelope/<key id>", public)`."""


class RevokeEnvelopeKey(Record, tag="members.revoke_key", kw_only=True):
    """The signing department stops signing with a key, after this block."""

    key_id: KeyNumber
    reason: Annotated[str, Meta(min_length=1, max_length=200)]
