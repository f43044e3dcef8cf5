"""`mulu share verify`: what the receipt of a delivery proves, offline, under a policy."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping

from ledger.errors import DecodeError, ProofError, SignatureError
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.delivery import DeliveryReceipt, ProvenDelivery, verify_receipt
from ledger.proofs.policy import POLICY_BYTES_MAX, parse_policy
from ledger.proofs.policy_terms import PolicyError
from ledger.proofs.statement import printable
from nodes.commands.tables import labelled_lines
from nodes.commands.verify import UnreadableError, read_file, text_of
from nodes.exit_codes import ExitCode

RECEIPT_BYTES_MAX = 1 << 20


def verify(arguments: argparse.Namespace) -> int:
    """Say who delivered what to whom, and which quorum vouches for it; or that it is not so, or cannot be said."""
    try:
        proven = _proven(arguments)
    except PolicyError as error:
        reason = f"the policy {arguments.policy} cannot be used: {error}"
        return _fail(arguments, "cannot say", reason, error.code, ExitCode.CANNOT_SAY)
    except DecodeError as error:
        # A document is called by the name of its type.
        said = str(error).replace(DeliveryReceipt.__name__.lower(), "receipt")
        reason = f"{arguments.receipt}: {said}; `mulu share receipt` writes what can be read here"
        return _fail(arguments, "cannot say", reason, error.code, ExitCode.CANNOT_SAY)
    except (NotEstablishedError, UnreadableError) as error:
        return _fail(arguments, "cannot say", str(error), error.code, ExitCode.CANNOT_SAY)
    except (ProofError, SignatureError) as error:
        return _fail(arguments, "no", str(error), error.code, ExitCode.VERIFICATION_SAYS_NO)
    told = _told(proven)
    if arguments.json:
        print(json.dumps({"established": "yes", **told}, ensure_ascii=False, indent=2))
    else:
        shown = {"Established": "yes", **{name: str(told[key]) for key, name in _LABELS.items()}}
        if proven.acknowledged_by != proven.requester:
            shown["Acknowledged by"] = f"{proven.acknowledged_by}, which took the place of {proven.requester}"
        print("\n".join(labelled_lines(shown)))
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


def _proven(arguments: argparse.Namespace) -> ProvenDelivery:
    receipt = read_file(arguments.receipt, "receipt", RECEIPT_BYTES_MAX)
    policy_text = text_of(read_file(arguments.policy, "policy", POLICY_BYTES_MAX), arguments.policy)
    policy = parse_policy(policy_text)
    now_ms = time.time_ns() // 1_000_000 if arguments.now is None else arguments.now
    if (reason := policy.unusable_at(now_ms)) is not None:
        raise NotEstablishedError(reason)
    return verify_receipt(receipt, policy_text)


def _told(proven: ProvenDelivery) -> Mapping[str, object]:
    return {
        "grant": proven.grant,
        "number": proven.number,
        "provider": proven.provider,
        "requester": proven.requester,
        "acknowledged_by": proven.acknowledged_by,
        "data_item": proven.data_item,
        "purpose": proven.purpose,
        "rows": proven.delivery.rows,
        "commitment": proven.delivery.commitment.hex(),
        "sealed": proven.delivery.sealed.hex(),
        "signers": list(proven.signers),
    }


def _fail(arguments: argparse.Namespace, verdict: str, reason: str, code: str, exit_code: ExitCode) -> ExitCode:
    if arguments.json:
        print(json.dumps({"established": verdict, "reason": reason}, ensure_ascii=False, indent=2))
    else:
        print(f"Established  {verdict}")
    print(f"mulu: {printable(reason)} [{code}]", file=sys.stderr)
    return exit_code
