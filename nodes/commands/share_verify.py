"""`mulu share verify`: what the receipt of a delivery proves, offline, under a policy."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping

from ledger.errors import DecodeError, LedgerError, ProofError, SignatureError
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.delivery import ProvenDelivery, verify_receipt
from ledger.proofs.policy import POLICY_BYTES_MAX
from nodes.commands.tables import labelled_lines
from nodes.exit_codes import ExitCode

RECEIPT_BYTES_MAX = 1 << 20


def verify(arguments: argparse.Namespace) -> int:
    """Say who delivered what to whom, and which quorum vouches for it; or that it is not so, or cannot be said."""
    with arguments.receipt.open("rb") as file:
        receipt = file.read(RECEIPT_BYTES_MAX + 1)
    with arguments.policy.open("rb") as file:
        policy = file.read(POLICY_BYTES_MAX + 1)
    try:
        proven = verify_receipt(receipt, policy.decode())
    except (DecodeError, UnicodeDecodeError, NotEstablishedError) as error:
        return _fail("cannot say", error, ExitCode.CANNOT_SAY)
    except (ProofError, SignatureError) as error:
        return _fail("no", error, ExitCode.VERIFICATION_SAYS_NO)
    told = _told(proven)
    if arguments.json:
        print(json.dumps({"established": "yes", **told}, ensure_ascii=False, indent=2))
    else:
        print(
            "\n".join(labelled_lines({"Established": "yes", **{name: str(told[key]) for key, name in _LABELS.items()}}))
        )
        print(f"Cosigned by {len(proven.signers)} departments: {', '.join(proven.signers)}")
    return ExitCode.GOOD


_LABELS = {
    "grant": "Grant",
    "number": "Delivery",
    "provider": "From",
    "requester": "To",
    "data_item": "Data item",
    "purpose": "Purpose",
    "rows": "Rows",
    "commitment": "Commitment",
    "sealed": "Ciphertext",
}


def _told(proven: ProvenDelivery) -> Mapping[str, object]:
    return {
        "grant": proven.grant,
        "number": proven.number,
        "provider": proven.provider,
        "requester": proven.requester,
        "data_item": proven.data_item,
        "purpose": proven.purpose,
        "rows": proven.delivery.rows,
        "commitment": proven.delivery.commitment.hex(),
        "sealed": proven.delivery.sealed.hex(),
        "signers": list(proven.signers),
    }


def _fail(verdict: str, error: Exception, code: ExitCode) -> ExitCode:
    reason = error.code if isinstance(error, LedgerError) else "not_text"
    print(f"Established  {verdict}")
    print(f"mulu: {error} [{reason}]", file=sys.stderr)
    return code
