"""Who decides about the members: the departments with a vote on blocks, as long as they are members.

A department that has ended no longer speaks, so that it neither approves nor counts; its validator goes on until the
set of validators changes with the epoch.
"""

from __future__ import annotations

from collections.abc import Collection

from ledger.errors import InvariantBrokenError
from ledger.identifiers import CreditCode
from ledger.members.departments import Department, department_key
from ledger.members.validators import quorum
from ledger.registers.context import Context


def voters(context: Context) -> frozenset[CreditCode]:
    """Return the departments that decide. One read for each validator."""
    return frozenset(
        validator.credit_code
        for validator in context.validators.validators
        if _department(validator.credit_code, context).valid_to is None
    )


def is_decided(approvals: Collection[str], context: Context) -> bool:
    """Return whether a quorum of those who decide is among `approvals`."""
    deciding = voters(context)
    return len(deciding.intersection(approvals)) >= quorum(len(deciding))


def _department(credit_code: str, context: Context) -> Department:
    department = context.get(department_key(credit_code), Department)
    if department is None:
        raise InvariantBrokenError(f"{credit_code} has a validator and was never a member")
    return department
