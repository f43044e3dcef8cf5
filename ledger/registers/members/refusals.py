"""Codes 32 to 63."""

from __future__ import annotations

from ledger.blocks.refusals import RefusalCode


class MembersRefusal(RefusalCode):
    """Codes 32 to 63: a record about members and their keys."""

    KEY_NUMBER_USED = (32, "the department has used this key number before", "choose a number that was never used")
    PUBLIC_KEY_USED = (33, "the public key is registered already, here or elsewhere", "generate a key of its own")
    UNSAFE_KEY = (
        34,
        "the public key is not canonical, of small order, or outside the prime-order group",
        "generate the key with a standard library",
    )
    NO_POSSESSION = (
        35,
        "the proof of possession does not verify for this key, department, number and network",
        "sign the proof again with the new key",
    )
    UNKNOWN_ENVELOPE_KEY = (36, "the department has no key with this number", "name one of its own keys")
    KEY_REVOKED_BEFORE = (37, "the key is revoked already", "nothing; the earlier revocation stands")
    LAST_KEY = (38, "the department would have no key left to speak with", "add a new key first, then revoke this one")
    TOO_MANY_KEYS = (39, "the department has 256 keys that are not revoked", "revoke those that no gateway uses")
    REORGANISATION_ID_USED = (40, "a reorganisation with this id was proposed before", "choose another id")
    UNKNOWN_REORGANISATION = (41, "no reorganisation with this id was proposed", "check the id")
    REORGANISATION_SETTLED = (
        42,
        "the reorganisation was carried out or withdrawn",
        "read it; a further change is a further reorganisation",
    )
    NO_VOTE = (
        43,
        "the department has no validator, and only departments with a vote approve",
        "leave the approval to those with a vote",
    )
    APPROVED_BY_IT_BEFORE = (44, "the department has approved it already", "nothing; the earlier approval stands")
    NO_QUORUM = (
        45,
        "fewer than a quorum of the departments with a vote have approved it",
        "wait until more have approved it",
    )
    TOO_EARLY = (46, "the height from which it may be carried out is not reached", "send it again from that height on")
    NOT_A_MEMBER = (
        47,
        "the plan names a department that was never a member, or has ended",
        "name departments that are members, or newcomers of the same plan",
    )
    NAMED_TWICE = (
        48,
        "the plan names a department or a responsibility twice where it may stand once",
        "leave out one of them",
    )
    OWN_SUCCESSOR = (
        49,
        "a department would be its own successor",
        "name another successor, or rename the department",
    )
    NOT_A_PREDECESSORS = (
        50,
        "the plan moves a responsibility that no predecessor in it has",
        "name the department that has it as a predecessor, or leave it out",
    )
    NOTHING_CHANGES = (51, "the department has this name already", "give another name")
    OFFICE_WOULD_END = (
        52,
        "a department that is registrar or directory authority would end without one that takes its roles",
        "merge it into another, which then has its roles",
    )
    LAST_VOTE = (53, "no department with a vote would be left", "let one of them go on")
    TOO_MANY_LINKS = (54, "a department would have more than 256 predecessors or successors", "name another successor")
    BAD_CREDIT_CODE = (
        55,
        "a newcomer's credit code has a wrong shape or check character",
        "correct the credit code",
    )
    MEMBER_BEFORE = (
        56,
        "a newcomer has the credit code of a department that is or was a member",
        "name the department without listing it as a newcomer, or correct the code",
    )
    NEWCOMER_UNUSED = (57, "a newcomer is successor to nobody in the plan", "leave it out, or give it a predecessor")
    TOO_MANY_KEY_CHECKS = (
        58,
        "16 new keys of the signing department were checked in this block already",
        "send the record again: the next block checks as many",
    )
