"""Checkpoints of the log: this member's cosignatures, those of the others, and what a quorum attests (P20a to P20c)."""

from __future__ import annotations

from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.consensus.block_tree import BadExtensionError, TreeBlock
from ledger.consensus.cosigning import CosignatureCollector
from ledger.consensus.effects import Broadcast, CheckpointAdvanced, Halt
from ledger.consensus.messages import CheckpointCosignature
from ledger.consensus.setting import Setting
from ledger.errors import InvariantBrokenError
from ledger.storage.frames import FrameKind


class Checkpoints:
    """The largest checkpoint that this member has executed as far as, and the cosignatures on the way to the next."""

    def __init__(self, setting: Setting) -> None:
        self._verifier = setting.verifier
        self._safety = setting.safety
        self._application = setting.application
        self._outbox = setting.outbox
        self._collector = CosignatureCollector(setting.validators)
        self._newest: QuorumCheckpoint | None = None
        self._unreached: QuorumCheckpoint | None = None
        """A larger checkpoint than this member has executed."""
        self._cosigned_before: CheckpointCosignature | None = None
        """What was cosigned before a restart, until the log has been rebuilt as far and compared (P20b)."""

    @property
    def newest(self) -> QuorumCheckpoint | None:
        """The largest checkpoint with a quorum that this member has executed as far as it reaches."""
        return self._newest

    def recover(self, cosigned: CheckpointCosignature | None) -> None:
        """Begin again with what was cosigned last before a restart."""
        self._cosigned_before = cosigned

    def log_grew(self) -> None:
        """Look again at what was waiting for blocks to be executed.

        Raises:
            InvariantBrokenError: As `_compare_with_cosigned`.
        """
        self._compare_with_cosigned()
        unreached, self._unreached = self._unreached, None
        if unreached is not None:
            self.take(unreached)

    def _compare_with_cosigned(self) -> None:
        """Compare the rebuilt log with what was cosigned before the restart, once it reaches as far (P20b).

        Raises:
            InvariantBrokenError: The same blocks gave another log this time.
        """
        last = self._cosigned_before
        root = self._application.log_root(last.size) if last is not None else None
        if last is None or root is None:
            return
        if root != last.root:
            raise InvariantBrokenError(
                f"the log at height {last.height} was cosigned with root {last.root.hex()}; "
                f"executing its blocks again gives {root.hex()}"
            )
        self._cosigned_before = None

    def cosign(self, block: TreeBlock, now_ms: int) -> CheckpointCosignature | None:
        """Cosign the log after the newest block that `block`'s own chain commits (P20a)."""
        safety = self._safety
        if safety is None:
            return None
        root = self._application.log_root(block.commits_size)
        if root is not None and block.commits_height > 0:
            safety.sign_cosignature(height=block.commits_height, size=block.commits_size, root=root, now_ms=now_ms)
        # The last one goes along again until its size has a quorum: whom it was sent to may be dead.
        return self.open_cosignature()

    def open_cosignature(self) -> CheckpointCosignature | None:
        """Return the own last cosignature if no checkpoint of its size or a larger one has a quorum here."""
        last = self._safety.record.last_cosigned if self._safety is not None else None
        if last is None or (self._newest is not None and last.size <= self._newest.size):
            return None
        return last

    def on_cosignature(self, statement: CheckpointCosignature) -> None:
        """Take a cosignature that came from outside.

        Raises:
            BadExtensionError: Its height and size do not belong together.
            WrongEpochError, UnknownValidatorError, SignatureError: As they say.
        """
        if not self._collector.needs(statement):
            return
        self._check_size(statement)
        self._verifier.check_cosignature(statement)
        self.collect(statement)

    def collect(self, statement: CheckpointCosignature) -> None:
        """Count a verified cosignature; tell everybody of the checkpoint that it completes."""
        checkpoint = self._collector.add(statement)
        if checkpoint is not None:
            self.take(checkpoint)
            self._outbox.emit(Broadcast(checkpoint.encode()))

    def is_news(self, checkpoint: QuorumCheckpoint) -> bool:
        """Return whether a checkpoint is worth checking a quorum of signatures.

        Several members may have found the same quorum at once. A checkpoint on another root than the own log's is
        always worth it (P20c).

        Raises:
            BadExtensionError: Its height and size do not belong together.
        """
        self._check_size(checkpoint)
        known = self._newest
        if known is None or checkpoint.size > known.size:
            return True
        return self._application.log_root(checkpoint.size) != checkpoint.root

    def check(self, checkpoint: QuorumCheckpoint) -> None:
        """Check that a quorum attests the checkpoint, and that its height and size can belong together.

        Raises:
            BadExtensionError: They do not.
            WrongEpochError, NotAQuorumError, SignatureError: As they say.
        """
        self._check_size(checkpoint)
        self._verifier.check_checkpoint(checkpoint)

    def _check_size(self, statement: QuorumCheckpoint | CheckpointCosignature) -> None:
        """Compare the height, which is not under the cosignatures, with the own log."""
        size = self._application.log_size(statement.height)
        if size is not None and size != statement.size:
            raise BadExtensionError(f"the log has {size} entries at height {statement.height}, not {statement.size}")

    def take(self, checkpoint: QuorumCheckpoint) -> None:
        """Keep a verified checkpoint if it is larger than the last; stop if it shows another history (P20c)."""
        root = self._application.log_root(checkpoint.size)
        if root is None:
            if self._unreached is None or checkpoint.size > self._unreached.size:
                self._unreached = checkpoint
            return
        if root != checkpoint.root:
            reason = (
                f"a quorum attests root {checkpoint.root.hex()} for the log at height {checkpoint.height}, "
                f"this member has {root.hex()}"
            )
            if self._safety is not None:
                self._safety.stop(reason)
            self._outbox.emit(Halt(reason))
            return
        if self._newest is not None and checkpoint.size <= self._newest.size:
            return
        if self._application.log_size(checkpoint.height) != checkpoint.size:
            # The height is not under the cosignatures, so a false one blames nobody and just is not used.
            return
        self._newest = checkpoint
        self._collector.settle(checkpoint.size)
        self._outbox.append(FrameKind.CHECKPOINT, checkpoint.height, checkpoint.encode())
        self._outbox.emit(CheckpointAdvanced(checkpoint))
