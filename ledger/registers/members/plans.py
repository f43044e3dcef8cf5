"""What a plan makes of the departments, and whether it can be. Nothing is put here.

Links point both ways. A department's successors are those to whom something of it passed; its predecessors are those
of whom it has something, and theirs, so that one look tells whether it stands in an ended department's place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec.structs import replace

from ledger.blocks.refusals import Refused
from ledger.check_characters import check_credit_code
from ledger.errors import CheckCharacterError
from ledger.members.departments import DIRECTORY_AUTHORITY, REGISTRAR, Department, department_key
from ledger.registers.context import Context
from ledger.registers.members.electorate import voters
from ledger.registers.members.keys import require_unused
from ledger.registers.members.refusals import MembersRefusal
from ledger.registers.members.values import LINKS_MAX, Merge, Newcomer, Passing, Plan, Rename, Split
from ledger.registers.shared import ReferenceRefusal, Responsibility, responsibility_key

_OFFICES = frozenset({REGISTRAR, DIRECTORY_AUTHORITY})
"""Roles without which the ledger cannot go on: somebody must have them."""


def passings_of(plan: Plan) -> Iterator[Passing]:
    """Yield the responsibilities that a plan moves, in its order."""
    match plan:
        case Merge():
            for name in plan.responsibilities:
                yield Passing(responsibility=name, successor=plan.successor)
        case Split():
            yield from plan.passings


def departments_after(plan: Plan, newcomers: Sequence[Newcomer], context: Context) -> dict[str, Department]:
    """Return every department that the plan changes or founds, as it will be, by credit code.

    That newcomers hold their keys is not checked here.

    Raises:
        Refused: The plan cannot be carried out as things are.
    """
    after = {newcomer.credit_code: _founded(newcomer, context) for newcomer in newcomers}
    _check_distinct([newcomer.credit_code for newcomer in newcomers])
    _check_distinct([newcomer.envelope_key.public for newcomer in newcomers])
    match plan:
        case Rename():
            _rename(plan, after, context)
        case Merge():
            _merge(plan, after, context)
        case Split():
            _split(plan, after, context)
    if any(not after[newcomer.credit_code].predecessors for newcomer in newcomers):
        raise Refused(MembersRefusal.NEWCOMER_UNUSED)
    ended = {credit_code for credit_code, department in after.items() if department.valid_to is not None}
    if ended.issuperset(voters(context)):
        raise Refused(MembersRefusal.LAST_VOTE)
    return after


def _rename(plan: Rename, after: dict[str, Department], context: Context) -> None:
    department = _member(plan.department, context)
    if (plan.name_zh, plan.name_en) == (department.name_zh, department.name_en):
        raise Refused(MembersRefusal.NOTHING_CHANGES)
    before = department.name_before if plan.name_zh == department.name_zh else department.name_zh
    after[plan.department] = replace(department, name_zh=plan.name_zh, name_en=plan.name_en, name_before=before)


def _merge(plan: Merge, after: dict[str, Department], context: Context) -> None:
    _check_distinct(plan.predecessors)
    if plan.successor in plan.predecessors:
        raise Refused(MembersRefusal.OWN_SUCCESSOR)
    roles: set[str] = set()
    for credit_code in plan.predecessors:
        predecessor = _member(credit_code, context)
        roles.update(predecessor.roles)
        after[credit_code] = replace(predecessor, valid_to=int(context.height))
        _link(credit_code, plan.successor, after, context)
    successor = after[plan.successor]
    after[plan.successor] = replace(successor, roles=tuple(sorted(roles.union(successor.roles))))
    _check_passings(passings_of(plan), plan.predecessors, context)


def _split(plan: Split, after: dict[str, Department], context: Context) -> None:
    department = context.get(department_key(plan.department), Department)
    if department is None or (plan.ends and department.valid_to is not None):
        raise Refused(MembersRefusal.NOT_A_MEMBER)
    if plan.ends and not _OFFICES.isdisjoint(department.roles):
        raise Refused(MembersRefusal.OFFICE_WOULD_END)
    successors = sorted({passing.successor for passing in plan.passings})
    if plan.department in successors:
        raise Refused(MembersRefusal.OWN_SUCCESSOR)
    _check_passings(plan.passings, (plan.department,), context)
    after[plan.department] = replace(department, valid_to=int(context.height)) if plan.ends else department
    for successor in successors:
        _link(plan.department, successor, after, context)


def _founded(newcomer: Newcomer, context: Context) -> Department:
    """Return a department as it comes into being; it speaks from the next block on."""
    try:
        check_credit_code(newcomer.credit_code)
    except CheckCharacterError:
        raise Refused(MembersRefusal.BAD_CREDIT_CODE) from None
    if context.get(department_key(newcomer.credit_code), Department) is not None:
        raise Refused(MembersRefusal.MEMBER_BEFORE)
    require_unused(newcomer.envelope_key, context)
    _check_distinct(newcomer.roles)
    return Department(
        credit_code=newcomer.credit_code,
        code=newcomer.code,
        name_zh=newcomer.name_zh,
        name_en=newcomer.name_en,
        name_before="",
        roles=tuple(sorted(newcomer.roles)),
        predecessors=(),
        successors=(),
        valid_from=context.height + 1,
        valid_to=None,
        current_keys=(1,),
        validator=None,
    )


def _member(credit_code: str, context: Context) -> Department:
    """Return a department that has not ended."""
    department = context.get(department_key(credit_code), Department)
    if department is None or department.valid_to is not None:
        raise Refused(MembersRefusal.NOT_A_MEMBER)
    return department


def _link(from_: str, to: str, after: dict[str, Department], context: Context) -> None:
    """Let predecessor and successor, who may be a newcomer of the plan, point to each other."""
    predecessor, successor = after[from_], after.get(to) or _member(to, context)
    successors = tuple(sorted({*predecessor.successors, to}))
    # Whoever gets something back from its own successor is not its own predecessor.
    predecessors = tuple(sorted({*successor.predecessors, *predecessor.predecessors, from_} - {to}))
    if max(len(successors), len(predecessors)) > LINKS_MAX:
        raise Refused(MembersRefusal.TOO_MANY_LINKS)
    after[from_] = replace(predecessor, successors=successors)
    after[to] = replace(successor, predecessors=predecessors)


def _check_passings(passings: Iterable[Passing], predecessors: Collection[str], context: Context) -> None:
    names = [passing.responsibility for passing in passings]
    _check_distinct(names)
    for name in names:
        responsibility = context.get(responsibility_key(name), Responsibility)
        if responsibility is None:
            raise Refused(ReferenceRefusal.UNKNOWN_RESPONSIBILITY)
        if responsibility.department not in predecessors:
            raise Refused(MembersRefusal.NOT_A_PREDECESSORS)


def _check_distinct(names: Sequence[object]) -> None:
    if len(set(names)) != len(names):
        raise Refused(MembersRefusal.NAMED_TWICE)
