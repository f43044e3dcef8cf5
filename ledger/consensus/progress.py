"""What certificates have moved: the highest ones, the current round, and the blocks that are committed.

Everything that comes here is verified; a member is moved by certificates alone, whoever showed them (P14, P15).
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.consensus.block_tree import BlockTree, TreeBlock, committed_by
from ledger.consensus.effects import Committed, Send
from ledger.consensus.messages import QuorumCertificate, TimeoutCertificate, genesis_certificate
from ledger.consensus.outbox import SYNC_TIMER
from ledger.consensus.pacemaker import Pacemaker
from ledger.consensus.setting import Setting
from ledger.consensus.sync import RETRY_MS, BlockSync
from ledger.identifiers import BlockId, Height, ValidatorIndex
from ledger.storage.frames import FrameKind

ROUNDS_BEHIND_KEPT = 8
"""Votes and proposals of ended rounds that are kept to recognise a second, different one (I13)."""


class Progress:
    """The tree of blocks, the certificates held, and the round they lead to."""

    def __init__(
        self, setting: Setting, *, created_ms: int, on_commit: Callable[[], None], on_round: Callable[[], None]
    ) -> None:
        """Begin at the genesis.

        Args:
            created_ms: Time of the genesis, Unix milliseconds.
            on_commit: Called when the log has grown.
            on_round: Called when a round has begun, before anything is done in it.
        """
        validators = setting.validators
        self._safety = setting.safety
        self._leaders = setting.leaders
        self._application = setting.application
        self._outbox = setting.outbox
        self._on_commit, self._on_round = on_commit, on_round
        self.tree = BlockTree(validators.chain, created_ms=created_ms, history=setting.leaders.history)
        self.pacemaker = Pacemaker(setting.timing.base_timeout_ms)
        self.sync = BlockSync(setting.me)
        self.high_qc = genesis_certificate(validators.chain, validators.epoch)
        """The quorum certificate with the highest round that this member holds."""
        self.tree.root.certificate = self.high_qc
        self.high_tc: TimeoutCertificate | None = None
        self.timeout_qc = self.high_qc
        """The certificate that the own last timeout names, found again while recovering."""
        self.entered_ms = created_ms
        """When the current round began here."""

    @property
    def round(self) -> int:
        """The current round."""
        return self.pacemaker.round

    @property
    def oldest_round_kept(self) -> int:
        """What was said in earlier rounds is forgotten."""
        return self.pacemaker.round - ROUNDS_BEHIND_KEPT

    @property
    def tip(self) -> TreeBlock | None:
        """The block of the highest quorum certificate, which the next one extends; None while it is missing."""
        return self.tree.get(self.high_qc.block)

    @property
    def leader(self) -> ValidatorIndex | None:
        """Who leads the current round by the certificates held here; None while the block to extend is missing."""
        parent = self.tip
        return None if parent is None else self._leaders.leader(self.pacemaker.round, parent, self.tree)

    @property
    def entry_tc(self) -> TimeoutCertificate | None:
        """What proves entry to the current round, unless the highest quorum certificate does (P7)."""
        return None if self.high_qc.round == self.pacemaker.round - 1 else self.high_tc

    def take_quorum_certificate(self, certificate: QuorumCertificate, now_ms: int, *, heard: bool = True) -> None:
        """Move by a verified certificate: the highest one, the round, what it commits. Never raises.

        Args:
            heard: Whether an own vote inside is compared with the safety record.
        """
        if certificate.round == 0:
            return
        if heard and self._safety is not None:
            self._safety.hear_quorum_certificate(certificate)
        mine = self._safety.record.last_timeout if self._safety is not None else None
        if mine is not None and mine.high_qc_round == certificate.round != self.timeout_qc.round:
            self.timeout_qc = certificate
        block = self.tree.get(certificate.block)
        newest = certificate.round > self.high_qc.round
        if newest:
            self.high_qc = certificate
            if block is not None:
                self.journal(block)
            self._journal_quorum_certificate(certificate, block)
        if block is not None:
            self._note_certified(block, certificate, journaled=newest)
        elif newest and self.sync.want(certificate):
            self.fetch(now_ms)
        self._enter_after(certificate.round, now_ms)

    def take_timeout_certificate(self, certificate: TimeoutCertificate, now_ms: int, *, heard: bool = True) -> None:
        """Move by a verified certificate of timeouts: first by the certificate inside, then to the next round."""
        if heard and self._safety is not None:
            self._safety.hear_timeout_certificate(certificate)
        self.take_quorum_certificate(certificate.high_qc, now_ms, heard=heard)
        if certificate.round < self.pacemaker.round:
            return
        self.high_tc = certificate
        self._outbox.append(FrameKind.TIMEOUT_CERTIFICATE, self.tree.root.height, certificate.encode())
        self._enter_after(certificate.round, now_ms)

    def add(self, block: TreeBlock) -> None:
        """Add a valid block whose parent stands in the tree; its certificate may have been here before it."""
        self.tree.add(block)
        if self.high_qc.block == block.id:
            self._note_certified(block, self.high_qc, journaled=True)

    def journal(self, block: TreeBlock) -> None:
        """Journal the block and its ancestors, oldest first, as far as the journal does not hold them."""
        missing = []
        for ancestor in self.tree.chain_down(block):
            if ancestor.journaled:
                break
            missing.append(ancestor)
        for one in reversed(missing):
            assert one.proposal is not None
            one.journaled = True
            self._outbox.append(FrameKind.BLOCK, one.height, one.proposal.raw)

    def fetch_missing_tip(self, now_ms: int) -> None:
        """Fetch the block of the highest certificate if this member has begun without it."""
        if self.tip is None:
            self.sync.want(self.high_qc)
            self.fetch(now_ms)

    def fetch(self, now_ms: int) -> None:
        """Ask for the blocks on the way to the target, and again if they do not come (P19)."""
        request, signers = self.sync.ask(self.tree.root.height)
        if request is not None:
            self._outbox.emit_all(Send(signer, request.encode()) for signer in signers)
            self._outbox.arm(SYNC_TIMER, now_ms + RETRY_MS)

    def _note_certified(self, block: TreeBlock, certificate: QuorumCertificate, *, journaled: bool) -> None:
        """A block of the tree has a certificate: commit what this commits (P14), and stop fetching it."""
        block.certificate = block.certificate or certificate
        self.journal(block)
        target = committed_by(certificate.vote)
        if target is not None:
            self._commit(target, certificate, journaled=journaled)
        wanted = self.sync.target
        if wanted is not None and (wanted.block == block.id or wanted.round <= self.tree.root.round):
            self.sync.arrived()
            self._outbox.disarm(SYNC_TIMER)

    def _commit(self, target: BlockId, certificate: QuorumCertificate, *, journaled: bool) -> None:
        """Commit `target` and its ancestors, oldest first, each once; what commits them is journaled before."""
        block = self.tree.get(target)
        if block is None or block.height <= self.tree.root.height:
            return
        if not journaled:
            self._journal_quorum_certificate(certificate, block)
        for one in self.tree.commit(target):
            assert one.proposal is not None
            self._outbox.emit(Committed(Height(one.height), one.id, one.round))
            self._outbox.emit_all(self._application.commit(one.proposal))
            self.pacemaker.note_commit(one.round)
        self._on_commit()

    def _journal_quorum_certificate(self, certificate: QuorumCertificate, block: TreeBlock | None) -> None:
        height = block.height if block is not None else self.tree.root.height
        self._outbox.append(FrameKind.QUORUM_CERTIFICATE, height, certificate.encode())

    def _enter_after(self, certified_round: int, now_ms: int) -> None:
        if self.pacemaker.enter_after(certified_round):
            self.entered_ms = now_ms
            self._on_round()
