"""What makes a block valid in its place (P5 to P8), without a look at what any register holds."""

from __future__ import annotations

from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.consensus.block_tree import BadExtensionError, BlockTree, TreeBlock
from ledger.consensus.checkpoints import Checkpoints
from ledger.consensus.messages import Proposal
from ledger.consensus.setting import Setting
from ledger.errors import InvalidInputError

EXECUTION_LAG_MAX = 64
"""Heights that order may be ahead of the newest checkpoint in the chain before payloads must be empty (P8)."""


class WrongLeaderError(InvalidInputError):
    """A block's author is not the leader that its own justification gives (P18)."""

    code = "wrong_leader"

    def __init__(self, round_: int, *, expected: int, got: int) -> None:
        super().__init__(f"round {round_} is led by validator {expected}, not {got}")
        self.round, self.expected, self.got = round_, expected, got


def may_have_payload(height: int, *, checkpoint_height: int) -> bool:
    """Return whether execution keeps up with order, so that a block of this height may hold envelopes (P8).

    Args:
        checkpoint_height: Of the newest checkpoint in the chain up to and with the block; 0 if there is none.
    """
    return height <= checkpoint_height + EXECUTION_LAG_MAX


class Judge:
    """Judges blocks by the chain they extend; who signed them and what justifies them is checked before."""

    def __init__(self, setting: Setting, tree: BlockTree, checkpoints: Checkpoints) -> None:
        self._leaders = setting.leaders
        self._application = setting.application
        self._tree = tree
        self._checkpoints = checkpoints

    def judge(self, proposal: Proposal, parent: TreeBlock) -> TreeBlock | None:
        """Return the block in its place if it is valid there (P5 to P8); None if its branch is decided already.

        Raises:
            BadExtensionError: It does not fit its parent, or carries a payload where it must not.
            WrongLeaderError: Somebody else leads.
            NotAQuorumError, SignatureError: Its checkpoint does not hold.
        """
        if not self._tree.extends_root(parent):
            return None
        header = proposal.header
        expected = self._leaders.leader(header.round, parent, self._tree)
        if header.author != expected:
            raise WrongLeaderError(header.round, expected=expected, got=header.author)
        block = self._tree.place(proposal, parent)
        if header.checkpoint is not None:
            self._checkpoints.check(header.checkpoint)
            self._check_place(header.checkpoint, parent)
        if header.payload_count and not may_have_payload(header.height, checkpoint_height=block.checkpoint_height):
            raise BadExtensionError(
                f"a payload at height {header.height}, with the last checkpoint at {block.checkpoint_height}"
            )
        return block

    def _check_place(self, checkpoint: QuorumCheckpoint, parent: TreeBlock) -> None:
        """Check that a carried checkpoint speaks of an ancestor: sizes follow from headers, executed or not."""
        size = self._application.log_size(checkpoint.height)
        for ancestor in self._tree.branch(parent):
            if ancestor.height == checkpoint.height:
                size = ancestor.log_size
        if size != checkpoint.size:
            raise BadExtensionError(f"the log has {size} entries at height {checkpoint.height}, not {checkpoint.size}")
