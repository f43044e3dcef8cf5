"""Rules of consensus, each replaced by one function that gets it wrong.

Every mutant is one function put in the place of another by `unittest.mock.patch`; `ledger/` has no switch for it. A
mutant that no directed scenario kills is a rule that no test holds.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import msgspec

from ledger.consensus.messages import Justification, Timeout, TimeoutCertificate, VoteData
from ledger.consensus.safety import SafetyRecord
from ledger.identifiers import BlockId


@dataclass(frozen=True)
class Mutant:
    """A rule, the places its function is used from, and what stands there instead."""

    rule: str
    targets: tuple[str, ...]
    replacement: Any

    def apply(self) -> ExitStack:
        """Put the replacement in place until the returned context is left."""
        with ExitStack() as stack:
            for target in self.targets:
                stack.enter_context(patch(target, self.replacement))
            return stack.pop_all()


def commit_without_consecutive_rounds(vote: VoteData) -> BlockId | None:
    """P14 by heights: any certified child commits its parent."""
    return BlockId(vote.parent)


def vote_after_timeout(record: SafetyRecord, timeout: Timeout) -> SafetyRecord:
    """P12 without its last sentence: a timeout does not use up the round."""
    return msgspec.structs.replace(record, last_timeout=timeout)


def voted_round_not_saved(record: SafetyRecord) -> bytes:
    """P10 with the lock on disk and the voted round in memory only."""
    return msgspec.structs.replace(
        record, last_voted_round=0, last_proposed_round=0, last_vote=None, last_timeout=None
    ).encode()


def highest_round_not_checked(certificate: TimeoutCertificate) -> None:
    """P4 without the comparison with the signed rounds."""


def parent_below_timeouts(round_: int, justification: Justification) -> None:
    """P7 left out: a block may extend any certified block."""


MUTANTS = {
    "commit without consecutive rounds": Mutant(
        "P14",
        ("ledger.consensus.block_tree.committed_by", "ledger.consensus.progress.committed_by"),
        commit_without_consecutive_rounds,
    ),
    "vote after timeout": Mutant("P12", ("ledger.consensus.safety.record_after_timeout",), vote_after_timeout),
    "voted round not saved": Mutant("P10", ("ledger.consensus.outbox.record_bytes",), voted_round_not_saved),
    "parent below timeouts": Mutant("P7", ("ledger.consensus.proposals.check_justification",), parent_below_timeouts),
    "highest round not checked": Mutant(
        "P4", ("ledger.consensus.certificates.check_highest_round",), highest_round_not_checked
    ),
}
