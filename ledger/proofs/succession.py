"""Whether what a certificate rests on has passed from its issuer to another department, and since when."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UnsetType

from ledger.errors import ProofError
from ledger.members.departments import Department, department_key
from ledger.proofs.bundle import CertificateState
from ledger.registers.members.values import Succession, succession_key
from ledger.registers.shared import Responsibility


@dataclass(frozen=True, slots=True)
class PassedOn:
    """Who has the responsibility now, and how it came there."""

    department: Department
    succession: Succession


def check_succession(
    state: CertificateState, responsibility: Responsibility, issuer: Department, *, root: bytes
) -> PassedOn | None:
    """Return who has the responsibility under which `issuer` issued the certificate, or None if that is the issuer.

    A bundle cannot choose to be silent about it: the proven responsibility names the department that has it.

    Args:
        responsibility, issuer: As the proven state has them.
        root: 32-byte state root, trusted already.

    Raises:
        DecodeError: A value is not of the kind it must be.
        ProofError: The successor is left out, shown although there is none, or not in the state.
    """
    parts = [part for part in (state.succession, state.successor) if not isinstance(part, UnsetType)]
    if responsibility.department == issuer.credit_code:
        if parts:
            raise ProofError(f"a successor is shown, and {responsibility.id} is still with the issuer")
        return None
    if len(parts) != 2:
        raise ProofError(f"{responsibility.id} is with {responsibility.department} now, and the bundle leaves out how")
    succession, department = parts
    return PassedOn(
        department.check(Department, key=department_key(responsibility.department), root=root),
        succession.check(Succession, key=succession_key(responsibility.id), root=root),
    )
