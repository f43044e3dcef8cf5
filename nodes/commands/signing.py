"""How a command speaks for a member without a node: it signs with the keys in a directory, and hands in at a gateway.

Such a member, an organisation office without a vote for example, has no other application that uses its key; one that
has would find its numbers taken, and takes the next, as this does.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TypeVar

from ledger.blocks.envelope import seal
from ledger.blocks.record import Record
from ledger.blocks.refusals import ACCEPTED, EnvelopeRefusal
from ledger.encoding import Canonical, decode
from ledger.errors import InvalidInputError, NotFoundError, NotYetError
from ledger.identifiers import ChainId, CreditCode, Digest, Height, KeyId
from ledger.members.departments import EnvelopeKey, envelope_key_key
from ledger.registers.members.replay import NOTHING_USED, ReplayWindow, replay_window_key
from nodes.commands.gateway_client import ask, post
from nodes.exchange.errors import CommandFailedError
from nodes.exchange.node_ledger import ATTEMPTS, VALID_FOR_BLOCKS
from nodes.keystore import KeyName, Keystore
from nodes.network import KEYS_DIRECTORY

T = TypeVar("T", bound=Canonical)

MEDIA_TYPE = "application/vnd.mulu.envelope"
RECEIPT_S = 60
"""As long as a gateway lets a client wait."""


class NoKeyHereError(NotFoundError):
    """The keys in the directory are not those of the department."""

    code = "no_key_here"


def sign_and_hand_in(directory: Path, node: str, record: Record) -> None:
    """Have the member whose keys are in `directory` state a record, and return once it has its receipt.

    Args:
        directory: As `mulu node init` made it, under the short code of the member.
        node: Address of a gateway.

    Raises:
        KeystoreError: The keys cannot be used.
        CommandFailedError: The ledger has refused the record; `code` is that of the refusal.
        LedgerError: What the gateway answers otherwise.
    """
    with Keystore.open(directory / KEYS_DIRECTORY) as keys:
        signer = keys.signers[KeyName.ENVELOPE]
        about = ask(node, "/api/v1/node", timeout_s=RECEIPT_S)
        member = ask(node, f"/api/v1/state/departments/{directory.resolve().name}", timeout_s=RECEIPT_S)["value"]
        department = CreditCode(member["credit_code"])
        key_id = _key_id(node, department, member["current_keys"], signer.public)
        window = _attested(node, replay_window_key(department, key_id), ReplayWindow) or NOTHING_USED
        for sequence in range(window.top + 1, window.top + 1 + ATTEMPTS):
            envelope = seal(
                [record.encode()],
                chain=ChainId(Digest(bytes.fromhex(about["chain"]))),
                department=department,
                key_id=key_id,
                sequence=sequence,
                valid_until=Height(about["head"]["height"] + VALID_FOR_BLOCKS),
                signer=signer,
            )
            try:
                answer = post(
                    node,
                    f"/api/v1/envelopes?wait={RECEIPT_S}",
                    envelope.encode(),
                    media_type=MEDIA_TYPE,
                    timeout_s=2 * RECEIPT_S,
                )
            except InvalidInputError as error:
                # The attested number may be a few blocks old.
                if error.code == EnvelopeRefusal.REPLAYED_ENVELOPE.label:
                    continue
                raise
            if "results" not in answer:
                raise NotYetError(f"no receipt of envelope {answer['envelope']} within {RECEIPT_S} s")
            (result,) = answer["results"]
            if result["number"] != ACCEPTED:
                raise CommandFailedError(result["code"], f"{result['cause']}: {result['next_step']}")
            return
    raise NotYetError(f"the key in {directory} is in use: its next {ATTEMPTS} numbers are taken")


def _key_id(node: str, department: CreditCode, current: list[int], public: bytes) -> KeyId:
    for number in current:
        key = _attested(node, envelope_key_key(department, number), EnvelopeKey)
        if key is not None and key.public == public:
            return KeyId(number)
    raise NoKeyHereError(f"none of the current keys of {department} is the one in this directory")


def _attested(node: str, key: bytes, kind: type[T]) -> T | None:
    """Return the value under a state key as of the newest checkpoint, or None."""
    value = ask(node, f"/api/v1/proofs/state?key={key.decode()}", timeout_s=RECEIPT_S)["value"]
    return None if value is None else decode(kind, base64.b64decode(value))
