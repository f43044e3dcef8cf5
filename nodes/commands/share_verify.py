"""`mulu share verify`, and `mulu verify` of a receipt: what the receipt of a delivery proves, offline."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.errors import DecodeError, ProofError, SignatureError
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.delivery import DeliveryReceipt, ProvenDelivery, verify_receipt
from ledger.proofs.policy import POLICY_BYTES_MAX, parse_policy
from ledger.proofs.policy_terms import PolicyError
from ledger.proofs.statement import Verdict, printable
from nodes.commands.tables import labelled_lines
from nodes.commands.verify import UnreadableError, read_file, text_of
from nodes.exit_codes import ExitCode

RECEIPT_BYTES_MAX = 1 << 20

_ANSWERS = {
    Verdict.ESTABLISHED: ("yes", ExitCode.GOOD),
    Verdict.REFUTED: ("no", ExitCode.VERIFICATION_SAYS_NO),
    Verdict.NOT_ESTABLISHED: ("cannot say", ExitCode.CANNOT_SAY),
}


@dataclass(frozen=True, slots=True)
class ReceiptStatement:
    """What can be said of a receipt."""

    verdict: Verdict
    proven: ProvenDelivery | None = None
    """If and only if it is established."""
    reason: str = ""
    """Why it is not."""
    code: str = ""
    """Of the reason."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reason, as other statements have theirs."""
        return (self.reason,) if self.reason else ()

    def as_json(self) -> dict[str, Any]:
        """Return the statement as JSON values."""
        answer, _ = _ANSWERS[self.verdict]
        return {"established": answer, **(_told(self.proven) if self.proven else {"reason": self.reason})}

    def as_text(self) -> str:
        """Return the statement for people, several lines, without a line end."""
        answer, _ = _ANSWERS[self.verdict]
        if (proven := self.proven) is None:
            return f"Established  {answer}"
        told = _told(proven)
        shown = {"Established": answer, **{name: str(told[key]) for key, name in _LABELS.items()}}
        if proven.acknowledged_by != proven.requester:
            shown["Acknowledged by"] = f"{proven.acknowledged_by}, which took the place of {proven.requester}"
        cosigned = f"Cosigned by {len(proven.signers)} departments: {', '.join(proven.signers)}"
        return "\n".join((*labelled_lines(shown), cosigned))


def verify(arguments: argparse.Namespace) -> int:
    """Say who delivered what to whom, and which quorum vouches for it; or that it is not so, or cannot be said."""
    now_ms = time.time_ns() // 1_000_000 if arguments.now is None else arguments.now
    try:
        data = read_file(arguments.receipt, "receipt", RECEIPT_BYTES_MAX)
        policy_text = text_of(read_file(arguments.policy, "policy", POLICY_BYTES_MAX), arguments.policy)
    except UnreadableError as error:
        statement = ReceiptStatement(Verdict.NOT_ESTABLISHED, reason=str(error), code=error.code)
    else:
        statement = judge(data, policy_text, receipt=arguments.receipt, policy=arguments.policy, now_ms=now_ms)
    return tell(statement, as_json=arguments.json)


def judge(data: bytes, policy_text: str, *, receipt: Path, policy: Path, now_ms: int) -> ReceiptStatement:
    """Return what can be said of a receipt under a policy, which come from these files. Raises for nothing in them."""
    try:
        if (reason := parse_policy(policy_text).unusable_at(now_ms)) is not None:
            raise NotEstablishedError(reason)
        return ReceiptStatement(Verdict.ESTABLISHED, verify_receipt(data, policy_text))
    except PolicyError as error:
        reason = f"the policy {policy} cannot be used: {error}"
        return ReceiptStatement(Verdict.NOT_ESTABLISHED, reason=reason, code=error.code)
    except DecodeError as error:
        # A document is called by the name of its type.
        said = str(error).replace(DeliveryReceipt.__name__.lower(), "receipt")
        reason = f"{receipt}: {said}; `mulu share receipt` writes what can be read here"
        return ReceiptStatement(Verdict.NOT_ESTABLISHED, reason=reason, code=error.code)
    except NotEstablishedError as error:
        return ReceiptStatement(Verdict.NOT_ESTABLISHED, reason=str(error), code=error.code)
    except (ProofError, SignatureError) as error:
        return ReceiptStatement(Verdict.REFUTED, reason=str(error), code=error.code)


def tell(statement: ReceiptStatement, *, as_json: bool) -> ExitCode:
    """Print a statement, and on standard error why it is no yes; return the exit code."""
    print(json.dumps(statement.as_json(), ensure_ascii=False, indent=2) if as_json else statement.as_text())
    if statement.reason:
        print(f"mulu: {printable(statement.reason)} [{statement.code}]", file=sys.stderr)
    return exit_code_of(statement)


def exit_code_of(statement: ReceiptStatement) -> ExitCode:
    """Return 0, 3 or 4, as a statement about a certificate has them."""
    return _ANSWERS[statement.verdict][1]


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


def _told(proven: ProvenDelivery) -> dict[str, object]:
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
