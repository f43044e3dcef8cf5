"""Votes and timeouts on their way to a certificate.

The first statement of a validator for a round is kept, and a second that differs is answered with evidence: it never
replaces the first. Memory is bounded by the rounds a caller lets in and by the validators: one statement each.
Signatures have been checked by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.consensus.evidence import Evidence, evidence_of
from ledger.consensus.messages import QuorumCertificate, Timeout, TimeoutCertificate, Vote, VoteData
from ledger.members.validators import ValidatorSet


@dataclass(slots=True)
class _VotesOfRound:
    first: dict[int, Vote] = field(default_factory=dict)
    by_data: dict[VoteData, dict[int, bytes]] = field(default_factory=dict)
    certified: bool = False


class VoteCollector:
    """Votes by round."""

    def __init__(self, validators: ValidatorSet) -> None:
        self._validators = validators
        self._rounds: dict[int, _VotesOfRound] = {}

    def needs(self, vote: Vote) -> bool:
        """Return whether `vote` can still change something, so that it is worth the check of its signature."""
        votes = self._rounds.get(vote.data.round)
        if votes is None:
            return True
        first = votes.first.get(vote.voter)
        return not votes.certified if first is None else first != vote

    def add(self, vote: Vote) -> QuorumCertificate | Evidence | None:
        """Take a vote; return the certificate it completes, or the evidence it is half of."""
        votes = self._rounds.setdefault(vote.data.round, _VotesOfRound())
        first = votes.first.setdefault(vote.voter, vote)
        if first.data != vote.data:
            return evidence_of(first, vote)
        signatures = votes.by_data.setdefault(vote.data, {})
        signatures.setdefault(vote.voter, vote.signature)
        if votes.certified or len(signatures) < self._validators.quorum:
            return None
        votes.certified = True
        voters = tuple(sorted(signatures))
        return QuorumCertificate(
            vote=vote.data, voters=voters, signatures=b"".join(signatures[voter] for voter in voters)
        )

    def forget_below(self, round_: int) -> None:
        """Drop what is kept for earlier rounds."""
        for old in [r for r in self._rounds if r < round_]:
            del self._rounds[old]


class TimeoutCollector:
    """Timeouts by round, with the certificates they name."""

    def __init__(self, validators: ValidatorSet) -> None:
        self._validators = validators
        self._rounds: dict[int, dict[int, tuple[Timeout, QuorumCertificate]]] = {}

    def needs(self, timeout: Timeout) -> bool:
        """Return whether `timeout` is the first of its author for the round, or differs from the first."""
        first = self._rounds.get(timeout.round, {}).get(timeout.author)
        return first is None or first[0] != timeout

    def add(self, timeout: Timeout, high_qc: QuorumCertificate) -> TimeoutCertificate | Evidence | None:
        """Take a timeout and the certificate it names; return the certificate or the evidence it completes."""
        timeouts = self._rounds.setdefault(timeout.round, {})
        first = timeouts.setdefault(timeout.author, (timeout, high_qc))
        if first[0].high_qc_round != timeout.high_qc_round:
            return evidence_of(first[0], timeout)
        if len(timeouts) != self._validators.quorum or first[0] is not timeout:
            return None
        authors = tuple(sorted(timeouts))
        return TimeoutCertificate(
            epoch=timeout.epoch,
            round=timeout.round,
            authors=authors,
            high_qc_rounds=tuple(timeouts[author][0].high_qc_round for author in authors),
            signatures=b"".join(timeouts[author][0].signature for author in authors),
            high_qc=max((timeouts[author][1] for author in authors), key=lambda certificate: certificate.round),
        )

    def count(self, round_: int) -> int:
        """Return how many validators timed out in the round."""
        return len(self._rounds.get(round_, {}))

    def forget_below(self, round_: int) -> None:
        """Drop what is kept for earlier rounds."""
        for old in [r for r in self._rounds if r < round_]:
            del self._rounds[old]
