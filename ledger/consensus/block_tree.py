"""Blocks that are not committed yet, in a tree above the last one that is, and the rule that commits them (P14)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ledger.blocks.block import payload_root
from ledger.consensus.messages import CommitInfo, Proposal, QuorumCertificate, VoteData
from ledger.encoding import Digest32
from ledger.errors import InvalidInputError, InvariantBrokenError
from ledger.identifiers import BlockId, ChainId, Digest


class BadExtensionError(InvalidInputError):
    """A block does not fit the parent it names: its height, its time, or the checkpoint it carries."""

    code = "bad_extension"


@dataclass(slots=True)
class TreeBlock:
    """A block in its place, with what follows from the chain below it."""

    proposal: Proposal | None
    """None for the genesis."""
    id: BlockId
    parent: BlockId
    round: int
    height: int
    time_ms: int
    payload_root: Digest32
    log_size: int
    """Entries of the log after this block: one for each envelope and one a block, the genesis included."""
    commits_height: int
    commits_size: int
    """Height and log size of the newest block that this block's own chain commits: T(b) of P20a."""
    checkpoint_height: int
    checkpoint_size: int
    """The newest checkpoint carried in the chain up to and with this block; 0 if there is none."""
    payload_height: int
    """Of the newest block with a payload in the chain up to and with this block; 0 if there is none."""
    empty_run: int
    """Blocks without a payload since then."""
    journaled: bool = False
    """The journal holds the block (not necessarily synced)."""
    certificate: QuorumCertificate | None = None

    @property
    def unsettled(self) -> bool:
        """Whether a payload in the chain is not yet under a checkpoint carried in the chain (P16a)."""
        return self.payload_height > self.checkpoint_height

    def vote_data(self, parent: TreeBlock, epoch: int) -> VoteData:
        """Return what a vote for this block says."""
        commit = None
        if self.round == parent.round + 1:
            commit = CommitInfo(
                height=parent.height,
                block=Digest(parent.id),
                payload_root=parent.payload_root,
                time_ms=parent.time_ms,
            )
        return VoteData(
            epoch=epoch,
            round=self.round,
            block=Digest(self.id),
            parent_round=parent.round,
            parent=Digest(parent.id),
            commit=commit,
        )


def committed_by(vote: VoteData) -> BlockId | None:
    """Return the block that a certificate of this vote commits: the parent, if their *rounds* are consecutive (P14).

    Consecutive heights are not enough: between the two rounds others may have been entered by timeouts, and a quorum
    may have built on something else there.
    """
    return BlockId(vote.parent) if vote.round == vote.parent_round + 1 else None


class BlockTree:
    """The last committed block, what stands above it, and the newest committed ones below it."""

    def __init__(self, chain: ChainId, *, created_ms: int, history: int) -> None:
        """Begin at the genesis.

        Args:
            created_ms: The genesis's time, Unix milliseconds.
            history: How many committed blocks stay at hand besides the last; leader choice looks back that far.
        """
        self.root = TreeBlock(
            proposal=None,
            id=BlockId(chain),
            parent=BlockId(bytes(32)),
            round=0,
            height=0,
            time_ms=created_ms,
            payload_root=payload_root(()),
            log_size=1,
            commits_height=0,
            commits_size=1,
            checkpoint_height=0,
            checkpoint_size=0,
            payload_height=0,
            empty_run=0,
            journaled=True,
        )
        self._blocks: dict[BlockId, TreeBlock] = {self.root.id: self.root}
        self._history: deque[BlockId] = deque()
        # A block's chain commits the grandparent, so two below the last committed one are always needed.
        self._history_max = max(history, 2)

    def get(self, block: bytes) -> TreeBlock | None:
        """Return the block with this id if it is in the tree or among the newest committed ones."""
        return self._blocks.get(BlockId(block))

    def parent_of(self, block: TreeBlock) -> TreeBlock | None:
        """Return the parent; None below the oldest committed block at hand."""
        return self._blocks.get(block.parent)

    def extends_root(self, block: TreeBlock) -> bool:
        """Return whether new blocks may stand on this one: it is the last committed block or above it."""
        return block is self.root or block.height > self.root.height

    def place(self, proposal: Proposal, parent: TreeBlock) -> TreeBlock:
        """Return the block as a child of `parent`, without adding it.

        Raises:
            BadExtensionError: It does not fit the parent (P6, P8).
        """
        header = proposal.header
        if bytes(header.parent) != parent.id or proposal.parent_qc.block != parent.id:
            raise BadExtensionError("a block names another parent than its certificate")
        if header.height != parent.height + 1:
            raise BadExtensionError(f"a block of height {header.height} on one of height {parent.height}")
        if header.time_ms <= parent.time_ms:
            raise BadExtensionError(f"a block of time {header.time_ms} on one of time {parent.time_ms}")
        checkpoint_height, checkpoint_size = parent.checkpoint_height, parent.checkpoint_size
        if (checkpoint := header.checkpoint) is not None:
            if checkpoint.size <= checkpoint_size:
                raise BadExtensionError(
                    f"a block carries a checkpoint of size {checkpoint.size}; its chain has {checkpoint_size}"
                )
            if checkpoint.height > parent.height:
                raise BadExtensionError(f"a checkpoint of height {checkpoint.height} in a block of {header.height}")
            checkpoint_height, checkpoint_size = checkpoint.height, checkpoint.size
        commits_height, commits_size = parent.commits_height, parent.commits_size
        committed = self.get(target) if (target := committed_by(proposal.parent_qc.vote)) is not None else None
        if committed is not None and committed.height > commits_height:
            commits_height, commits_size = committed.height, committed.log_size
        empty = header.payload_count == 0
        return TreeBlock(
            proposal=proposal,
            id=proposal.id,
            parent=parent.id,
            round=header.round,
            height=header.height,
            time_ms=header.time_ms,
            payload_root=header.payload_root,
            log_size=parent.log_size + header.payload_count + 1,
            commits_height=commits_height,
            commits_size=commits_size,
            checkpoint_height=checkpoint_height,
            checkpoint_size=checkpoint_size,
            payload_height=parent.payload_height if empty else header.height,
            empty_run=parent.empty_run + 1 if empty else 0,
        )

    def add(self, block: TreeBlock) -> None:
        """Add a block whose parent stands in the tree."""
        self._blocks[block.id] = block

    def chain_down(self, block: TreeBlock) -> Iterator[TreeBlock]:
        """Yield the block and its ancestors, newest first, as far as they are at hand."""
        current: TreeBlock | None = block
        while current is not None:
            yield current
            current = self.parent_of(current)

    def branch(self, block: TreeBlock) -> list[TreeBlock]:
        """Return the uncommitted blocks from just above the last committed one up to `block`, oldest first."""
        above = []
        for ancestor in self.chain_down(block):
            if ancestor.height <= self.root.height:
                break
            above.append(ancestor)
        return above[::-1]

    def proposals_up_to(self, block: TreeBlock) -> list[Proposal]:
        """Return the proposals of `branch(block)`, oldest first."""
        return [ancestor.proposal for ancestor in self.branch(block) if ancestor.proposal is not None]

    def commit(self, target: BlockId) -> list[TreeBlock]:
        """Move the root up to `target`; return the blocks this commits, oldest first, each exactly once (I6).

        Raises:
            InvariantBrokenError: `target` does not stand above the root: two quorums have certified two histories (I1).
        """
        block = self._blocks.get(target)
        if block is None or block.height <= self.root.height:
            return []
        committed = self.branch(block)
        if committed[0].parent != self.root.id:
            raise InvariantBrokenError(
                f"block {committed[0].id.hex()} at height {committed[0].height} does not extend the committed "
                f"{self.root.id.hex()} (I1)"
            )
        for one in committed:
            if one.height != self.root.height + 1 or one.round <= self.root.round:
                raise InvariantBrokenError(f"height {one.height} follows {self.root.height} out of order (I6)")
            self._history.append(self.root.id)
            self.root = one
        self._forget()
        return committed

    def _forget(self) -> None:
        """Drop branches that can no longer be committed, and committed blocks beyond the history."""
        while len(self._history) > self._history_max:
            self._blocks.pop(self._history.popleft(), None)
        kept = set(self._history) | {self.root.id}
        undecided = sorted(
            (b for b in self._blocks.values() if b.id not in kept), key=lambda block: (block.height, block.id)
        )
        for block in undecided:
            if block.height > self.root.height and block.parent in kept and block.parent not in self._history:
                kept.add(block.id)
            else:
                del self._blocks[block.id]
