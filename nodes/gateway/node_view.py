"""What the gateway sees of its node: `NodeView`, and `RunningNode`, which gives it over the real one.

Everything but the index is read on the event loop's thread, where the member lives, and costs look-ups, not walks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.blocks.genesis import Genesis
from ledger.consensus.effects import CheckpointAdvanced, Executed
from ledger.crypto.merkle import LogTree
from ledger.crypto.signatures import Signer
from ledger.errors import NotYetError
from ledger.identifiers import CreditCode, EnvelopeId, Height
from ledger.proofs.view import LedgerView
from ledger.replica import EnvelopeStatus, Receipt, Replica
from ledger.state.store import State
from nodes.gateway.progress import Progress
from nodes.index import QueryIndex
from nodes.network import Network, NodeEntry, policy_of, tools_policy_of
from nodes.observe import Gauges, NodeMetrics

if TYPE_CHECKING:
    from nodes.runner import Runner


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A validator besides this one."""

    code: str
    credit_code: CreditCode
    connected: bool


class NodeView(Protocol):
    """A node as its gateway sees it."""

    @property
    def me(self) -> CreditCode:
        """The department whose node this is."""

    @property
    def genesis(self) -> Genesis: ...

    @property
    def index(self) -> QueryIndex: ...

    @property
    def progress(self) -> Progress:
        """News of blocks that can be read in the index, and of checkpoints."""

    @property
    def metrics(self) -> NodeMetrics: ...

    @property
    def state(self) -> State:
        """As of the last executed block."""

    @property
    def log(self) -> LogTree:
        """As of the last executed block."""

    @property
    def checkpoint(self) -> QuorumCheckpoint | None:
        """The newest with a quorum."""

    @property
    def attested(self) -> LedgerView | None:
        """The ledger as of that checkpoint."""

    def log_note(self) -> str | None:
        """Return that checkpoint as a signed note."""

    def policy(self) -> str:
        """Return the policy that trusts this network's validators."""

    def tools_policy(self) -> str:
        """Return the policy for tools that know at most 32 witnesses, with the addresses of those that it names.

        Raises:
            NoToolsPolicyError: The network is too large for one.
        """

    @property
    def log_signer(self) -> Signer | None:
        """The key for what this node says alone about its log."""

    def cosigned_sizes(self) -> Sequence[int]:
        """Return the log sizes that this node has cosigned of late, newest first."""

    def own_note(self, size: int) -> str | None:
        """Return this node's log line and cosignature for the log at `size`, or None if it has not cosigned that."""

    def submit(self, raw: bytes) -> EnvelopeId:
        """Take an envelope into the pool.

        Raises:
            InvalidInputError: It is refused; the error's code says why.
            NotYetError: Not now.
        """

    def status_of(self, envelope: EnvelopeId) -> EnvelopeStatus:
        """Return how far an envelope of late has come; the index knows of older ones."""

    def receipt(self, envelope: EnvelopeId) -> Receipt | None:
        """Return the receipt of an envelope of late, once a checkpoint with a quorum covers it."""

    def peers(self) -> Sequence[PeerStatus]: ...

    def why_not_ready(self) -> Sequence[str]:
        """Return what keeps this node from doing its part; empty if it is ready."""


class NodeNotRunningError(NotYetError):
    """The node has not started yet, or is about to stop."""

    code = "not_yet"


class RunningNode:
    """The real node: its runner and the member inside, its index. Hears of blocks and checkpoints as a follower."""

    def __init__(self, *, entry: NodeEntry, network: Network, index: QueryIndex) -> None:
        """Stand for the node of `entry`. `attach` comes before anything is asked."""
        self.me = entry.credit_code
        self.genesis = network.genesis
        self.index = index
        self.progress = Progress()
        self.metrics = NodeMetrics(self._gauges)
        self._network = network
        self._runner: Runner | None = None

    def attach(self, runner: Runner) -> None:
        """Take the runner, on the thread of the loop that it runs on."""
        self._runner = runner
        loop = asyncio.get_running_loop()

        def indexed(_: Height, counts: Mapping[tuple[str, int], int]) -> None:
            self.metrics.count_records(counts)
            loop.call_soon_threadsafe(self.progress.advance)

        self.index.on_indexed = indexed

    def close(self) -> None:
        """End all that waits and all streams, because the node stops."""
        self.index.on_indexed = None
        self.progress.close()

    def executed(self, effect: Executed) -> None:
        """Nothing: there is news once the index has the block."""

    def checkpoint_advanced(self, effect: CheckpointAdvanced) -> None:
        """Wake those who wait for receipts."""
        self.progress.advance()

    @property
    def state(self) -> State:
        return self._running.replica.state

    @property
    def log(self) -> LogTree:
        return self._running.replica.log

    @property
    def checkpoint(self) -> QuorumCheckpoint | None:
        return self._running.replica.checkpoint

    @property
    def attested(self) -> LedgerView | None:
        return self._running.replica.attested

    def log_note(self) -> str | None:
        return self._running.replica.log_note()

    def policy(self) -> str:
        return policy_of(self.genesis, self.state.validators)

    def tools_policy(self) -> str:
        return tools_policy_of(self._network)

    @property
    def log_signer(self) -> Signer | None:
        return self._running.replica.log_signer

    def cosigned_sizes(self) -> Sequence[int]:
        return self._durable.cosigned_sizes

    def own_note(self, size: int) -> str | None:
        return self._durable.own_note(size)

    def submit(self, raw: bytes) -> EnvelopeId:
        return self._running.submit(raw)

    def status_of(self, envelope: EnvelopeId) -> EnvelopeStatus:
        return self._running.replica.status_of(envelope)

    def receipt(self, envelope: EnvelopeId) -> Receipt | None:
        return self._running.replica.receipt(envelope)

    def peers(self) -> Sequence[PeerStatus]:
        connected = self._running.peers.connected
        return [
            PeerStatus(entry.code, entry.credit_code, entry.credit_code in connected)
            for entry in self._network.nodes.values()
            if entry.credit_code != self.me
        ]

    def why_not_ready(self) -> Sequence[str]:
        runner, validators = self._running, self._network.validators
        reasons = []
        if self.progress.closed:
            reasons.append("the node is stopping")
        if runner.counters.signing_stopped:
            reasons.append(f"it signs nothing in this epoch: {runner.counters.signing_stopped}")
        if runner.counters.signing_paused:
            reasons.append(f"it signs nothing for now: {runner.counters.signing_paused}")
        # It counts itself.
        reached = 1 + len(runner.peers.connected)
        if reached < validators.quorum:
            reasons.append(f"{reached} of {len(validators)} validators are connected, {validators.quorum} are a quorum")
        return reasons

    @property
    def _running(self) -> Runner:
        if self._runner is None:
            raise NodeNotRunningError("the node is starting")
        return self._runner

    @property
    def _durable(self) -> Replica:
        """The member, all of whose signatures are on the disk: one that is not must not leave the node (P20)."""
        if not self._running.running:
            raise NodeNotRunningError("the node has stopped")
        return self._running.replica

    def _gauges(self) -> Gauges:
        runner = self._running
        names = {entry.credit_code: entry.code for entry in self._network.nodes.values()}
        sync_times_s, runner.counters.sync_times_s = runner.counters.sync_times_s, []
        return Gauges(
            height=int(self.state.height),
            checkpoint_height=0 if self.checkpoint is None else self.checkpoint.height,
            round=runner.counters.rounds,
            pool_envelopes=len(runner.replica.pool),
            peers_connected=len(runner.peers.connected),
            peers_expected=len(self._network.validators) - 1,
            journal_bytes=runner.journal.end,
            index_height=int(self.index.height),
            index_failed=bool(self.index.failure),
            frames_dropped={
                names[peer]: counters.frames_dropped + counters.frames_unsent
                for peer, counters in runner.peers.counters.items()
            },
            messages_refused=runner.counters.messages_refused,
            leads=runner.replica.engine.leader == self._network.validators.index_of(self.me),
            disk_free_bytes=runner.counters.disk_free_bytes,
            signing_paused=bool(runner.counters.signing_paused),
            sync_times_s=sync_times_s,
        )
