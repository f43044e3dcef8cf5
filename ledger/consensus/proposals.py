"""Blocks on their way into the tree: proposed, fetched, read back from the journal, or made here."""

from __future__ import annotations

from ledger.consensus.block_tree import TreeBlock
from ledger.consensus.cache import SharedCache
from ledger.consensus.certificates import check_justification
from ledger.consensus.checkpoints import Checkpoints
from ledger.consensus.evidence import SignedHeader, evidence_of
from ledger.consensus.messages import BlockResponse, Proposal
from ledger.consensus.progress import Progress
from ledger.consensus.setting import Setting
from ledger.consensus.sync import read_response
from ledger.consensus.validity import Judge
from ledger.errors import InvalidInputError
from ledger.identifiers import BlockId, ValidatorIndex

WAITING_MAX = 128
"""Proposals kept while their parent is being fetched."""


class Proposals:
    """The proposals of the newest rounds, and those whose parent is not known yet."""

    def __init__(self, setting: Setting, progress: Progress, checkpoints: Checkpoints, cache: SharedCache) -> None:
        self._verifier = setting.verifier
        self._safety = setting.safety
        self._me = setting.me
        self._outbox = setting.outbox
        self._progress = progress
        self._tree = progress.tree
        self._judge = Judge(setting, progress.tree, checkpoints)
        self._checkpoints = checkpoints
        self._cache = cache
        self._first: dict[tuple[int, int], Proposal] = {}
        """By (round, author)."""
        self._waiting: dict[BlockId, Proposal] = {}
        """Proposals whose parent is not known yet."""

    def of_round(self, round_: int) -> list[Proposal]:
        """Return the first proposal of each author in the round, as they came."""
        return [proposal for (r, _), proposal in self._first.items() if r == round_]

    def any_of_round(self, round_: int) -> bool:
        """Return whether somebody has proposed in the round."""
        return any(r == round_ for r, _ in self._first)

    def on_proposal(self, proposal: Proposal, now_ms: int) -> None:
        """Take a block that its author has sent, with the certificates that justify it (P5 to P8).

        Raises:
            InvalidInputError: It breaks a rule; nothing is changed.
        """
        header = proposal.header
        if self._tree.get(proposal.id) is not None or proposal.id in self._waiting:
            return
        if header.round <= self._tree.root.round:
            return
        self._verifier.check_proposal(proposal)
        check_justification(header.round, proposal.justification)
        self._verifier.check_quorum_certificate(proposal.parent_qc)
        timeout_certificate = proposal.justification.timeout_certificate
        if timeout_certificate is not None:
            self._verifier.check_timeout_certificate(timeout_certificate)
        parent = self._tree.get(header.parent)
        block = self._judge.judge(proposal, parent) if parent is not None else None

        self._progress.take_quorum_certificate(proposal.parent_qc, now_ms)
        if timeout_certificate is not None:
            self._progress.take_timeout_certificate(timeout_certificate, now_ms)
        if header.round < self._progress.oldest_round_kept:
            # Nobody votes for it any more. If a quorum has, its certificate is what brings it here, by block sync.
            return
        first = self._first.setdefault((header.round, header.author), proposal)
        if header.author == self._me and self._safety is not None:
            self._safety.hear_own_proposal(proposal, first=first.id)
        if first.id != proposal.id:
            self._outbox.accuse(evidence_of(_signed_header(first), _signed_header(proposal)))
            return
        if block is not None:
            self._adopt(block)
        elif self._tree.get(header.parent) is None:
            self._waiting[proposal.id] = proposal
            if len(self._waiting) > WAITING_MAX:
                del self._waiting[next(iter(self._waiting))]

    def on_block_response(self, peer: ValidatorIndex, response: BlockResponse, now_ms: int) -> None:
        """Take certified blocks that were asked for. Who certified them judged them, so only their place is looked at.

        Raises:
            InvalidInputError: As `read_response`; nothing is changed but that `peer` has answered.
        """
        progress = self._progress
        if not progress.sync.expects(peer):
            return
        proposals, certificates = read_response(response, self._tree, self._verifier, self._cache)
        height = self._tree.root.height
        for proposal, certificate in zip(proposals, certificates, strict=True):
            parent = self._tree.get(proposal.header.parent)
            if self._tree.get(proposal.id) is None:
                if parent is None or not self._tree.extends_root(parent):
                    continue
                self._waiting.pop(proposal.id, None)
                self._first.setdefault((proposal.header.round, proposal.header.author), proposal)
                self._adopt(self._tree.place(proposal, parent))
            progress.take_quorum_certificate(certificate, now_ms)
        if progress.sync.target is not None and self._tree.root.height > height:
            progress.fetch(now_ms)

    def recover(self, proposal: Proposal) -> None:
        """Take a block of the journal. One that is below what the journal has already committed is of no use."""
        parent = self._tree.get(proposal.header.parent)
        if parent is None or not self._tree.extends_root(parent):
            return
        block = self._tree.place(proposal, parent)
        block.journaled = True
        self._add(block)

    def add_own(self, proposal: Proposal, parent: TreeBlock) -> TreeBlock:
        """Put a block that this member has made in its place, and return it there."""
        block = self._tree.place(proposal, parent)
        self._first[proposal.header.round, proposal.header.author] = proposal
        self._add(block)
        return block

    def forget_old_rounds(self) -> None:
        """A round has begun: drop what is too old to be voted for or compared."""
        oldest = self._progress.oldest_round_kept
        for key in [key for key in self._first if key[0] < oldest]:
            del self._first[key]
        self._forget_waiting_below(oldest)

    def forget_decided(self) -> None:
        """Blocks are committed: what waits for a parent in a round before them waits in vain."""
        self._forget_waiting_below(self._tree.root.round + 1)

    def _forget_waiting_below(self, round_: int) -> None:
        for old in [proposal.id for proposal in self._waiting.values() if proposal.header.round < round_]:
            del self._waiting[old]

    def _adopt(self, block: TreeBlock) -> None:
        """Add a judged block, unless its branch was decided in the meantime, and those that waited for it."""
        parent = self._tree.get(block.parent)
        if parent is None or not self._tree.extends_root(parent) or self._tree.get(block.id) is not None:
            return
        proposal = block.proposal
        assert proposal is not None
        # Its cosignatures were checked by the judge, or by the quorum that certified a fetched block.
        if proposal.header.checkpoint is not None:
            self._checkpoints.take(proposal.header.checkpoint)
        self._add(block)

    def _add(self, block: TreeBlock) -> None:
        self._progress.add(block)
        children = [proposal for proposal in self._waiting.values() if bytes(proposal.header.parent) == block.id]
        for child in children:
            del self._waiting[child.id]
            try:
                judged = self._judge.judge(child, block)
            except InvalidInputError:
                # Its sender is long gone from the call, and the round is lost to its author by that alone.
                continue
            if judged is not None:
                self._adopt(judged)


def _signed_header(proposal: Proposal) -> SignedHeader:
    return SignedHeader(header=proposal.header, signature=proposal.block.signature)
