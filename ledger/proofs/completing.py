"""Completing a checkpoint for a policy: putting together what each named department has said alone.

The checkpoint that a node has was cosigned by a quorum of all departments, first come, first served. A policy that
names some of them may find too few of these in it, and then they are asked one by one: each keeps its own cosignatures
by the log's size. What they answer is hostile until its signatures are checked under the policy's keys.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from ledger.proofs.cosigned import NotEstablishedError, valid_lines
from ledger.proofs.notes import SignatureLine, SignedCheckpoint
from ledger.proofs.tlog_policy import TlogPolicy


def choose_size(cosigned: Mapping[str, Collection[int]], policy: TlogPolicy, *, above: int) -> int | None:
    """Return the largest log size that enough witnesses say to have cosigned, or None.

    Args:
        cosigned: Sizes by the witness's name in the policy. Only their word, so far.
        above: A log index: the checkpoint must reach beyond it.
    """
    sizes = {size for said in cosigned.values() for size in said if size > above}
    for size in sorted(sizes, reverse=True):
        if policy.is_met_by([name for name, said in cosigned.items() if size in said]):
            return size
    return None


def complete(notes: Iterable[SignedCheckpoint], policy: TlogPolicy) -> SignedCheckpoint:
    """Return one checkpoint with one log line and no more cosignatures than the policy asks for, in its order.

    Lines that do not verify are passed over, so that who lies is as good as who is silent.

    Raises:
        NotEstablishedError: No checkpoint among these has enough valid lines.
    """
    heads: dict[str, SignedCheckpoint] = {}
    logs: dict[str, SignatureLine] = {}
    cosignatures: dict[str, dict[str, SignatureLine]] = {}
    for note in notes:
        heads.setdefault(note.body, note)
        log, lines = valid_lines(note, policy)
        if log is not None:
            logs.setdefault(note.body, log)
        cosignatures.setdefault(note.body, {}).update(lines)
    for body, log in logs.items():
        if policy.is_met_by(cosignatures[body]):
            head, enough = heads[body], _no_more_than_needed(cosignatures[body], policy)
            return SignedCheckpoint(origin=head.origin, size=head.size, root=head.root, lines=(log, *enough))
    raise NotEstablishedError("too few of the departments that the policy names have cosigned one checkpoint")


def _no_more_than_needed(lines: Mapping[str, SignatureLine], policy: TlogPolicy) -> Iterator[SignatureLine]:
    """Yield lines in the order of the policy until they are enough."""
    taken: list[str] = []
    for name in policy.witnesses:
        if policy.is_met_by(taken):
            return
        if name in lines:
            taken.append(name)
            yield lines[name]
