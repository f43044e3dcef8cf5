"""The virtual driver: plays a story on a whole network in one process, on a virtual clock, network and disk.

Days pass in seconds, and the same arguments give the same bytes: blocks, journals, bundles. What the departments'
applications do, and what is handed over at the end, is as in the live driver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ledger.blocks.genesis import Parameters
from ledger.blocks.log import BlockRecord
from ledger.consensus.effects import CheckpointAdvanced, Effect
from ledger.encoding import decode
from ledger.errors import LedgerError
from ledger.identifiers import CreditCode, EnvelopeId, Height
from ledger.members.calendar import Day
from ledger.members.validators import ValidatorSet
from ledger.proofs.bundle import build_bundle
from ledger.proofs.policy import make_policy
from ledger.replica import MemberCache, Replica
from scenarios.answers import Answers
from scenarios.beijing.city import City
from scenarios.beijing.network import FoundedNetwork, found_from_seed
from scenarios.evidence.checks import Bundle, Evidence
from scenarios.evidence.forms import read_envelope
from scenarios.evidence.journal import read_journal
from scenarios.evidence.network import read_genesis, read_working_days
from scenarios.simulator.cluster import Cluster, ClusterOptions
from scenarios.simulator.members import Seat
from scenarios.simulator.node import Member, Node, Watcher
from scenarios.story import IssuedCertificate, Phase, Sealer, Story, Submission

NETWORK = "beijing.mulu.example"

IDLE_MS = 3_600_000
"""An idle network makes a block an hour, so that a run of days is not mostly empty blocks."""

CONNECTED_AFTER_MS = 1_000
"""By then all nodes have met; nothing is sent earlier."""

RECEIPT_AFTER_MS_MAX = 10 * 60_000
"""In virtual time, after the last envelope of a phase was sent: beyond many view changes of any network here."""

POLICY_VALID_DAYS = 400
"""From the end of the run."""

DAY_MS = 86_400_000


class VirtualRunFailedError(LedgerError):
    """The story could not be played to its end."""

    code = "run_failed"


class Listener(Protocol):
    """Is told where a run stands; `scenarios.progress.Progress` is one."""

    def phase(self, name: str, total: int) -> None:
        """A phase of `total` records or other things begins."""

    def advance(self, count: int, *, height: int | None = None, refused: int = 0) -> None:
        """So many of them are done."""


@dataclass(slots=True)
class VirtualOutcome:
    """What a virtual run leaves behind. Nothing in it depends on the machine or the hour."""

    evidence: Evidence
    genesis: bytes
    journals: dict[str, bytes]
    """What stands on each node's disk, by short code."""
    unexpected: list[str]
    """Answers that the story did not foresee, and invariants that did not hold, one sentence each."""
    latencies_ms: list[int]
    """From sending an envelope to its receipt, in virtual time."""
    ended_ms: int
    """Unix time on the virtual clock."""
    trace: str
    """One digest over everything that happened, 64 hexadecimal digits."""
    events: int


@dataclass(frozen=True, slots=True)
class _Open:
    """An envelope that waits for its receipt."""

    submission: Submission
    raw: bytes
    sent_ms: int


def virtual_parameters(validators: int) -> Parameters:
    """Return the parameters of a virtual network: times as on real machines, but idle for long."""
    return Parameters(
        engine="solo" if validators == 1 else "jolteon",
        base_timeout_ms=max(1_000, 100 * validators),
        block_interval_ms=max(50, 10 * validators),
        idle_ms=IDLE_MS,
        block_payload_bytes=2 << 20,
        utc_offset_hours=8,
    )


def found(city: City, *, seed: int, start_ms: int) -> FoundedNetwork:
    """Return the city's network, founded at `start_ms` (Unix time) with keys from the seed."""
    parameters = virtual_parameters(len(city.validators))
    return found_from_seed(city, name=NETWORK, seed=seed, created_ms=start_ms, parameters=parameters)


def play(
    network: FoundedNetwork,
    story: Story,
    *,
    seed: int,
    shared_cache: bool = True,
    checked: bool = True,
    listener: Listener | None = None,
) -> VirtualOutcome:
    """Play `story` on a network from its founding on, and return what is left behind.

    Args:
        seed: Decides the delays and ties of the virtual network.
        shared_cache: Whether members share what they have decoded and verified; the outcome is the same without.
        checked: Whether the invariants of consensus are watched on the way.

    Raises:
        VirtualRunFailedError: A gateway refused what it should have taken, or a receipt did not come.
    """
    driver = VirtualDriver(network, story, seed=seed, shared_cache=shared_cache, checked=checked, listener=listener)
    driver.play()
    return driver.collect()


class _Silent:
    """Tells nobody."""

    def phase(self, name: str, total: int) -> None:
        """Do nothing."""

    def advance(self, count: int, *, height: int | None = None, refused: int = 0) -> None:
        """Do nothing."""


@dataclass
class _Checkpoints(Watcher):
    """Calls back when a node has a larger checkpoint with a quorum."""

    advanced: Callable[[Node], None] = field(default=lambda node: None)

    def carried_out(self, node: Node, effect: Effect) -> None:
        """Pick out the one kind of effect."""
        if isinstance(effect, CheckpointAdvanced):
            self.advanced(node)


class VirtualDriver:
    """Plays one story on one founded network."""

    def __init__(
        self,
        network: FoundedNetwork,
        story: Story,
        *,
        seed: int,
        shared_cache: bool = True,
        checked: bool = True,
        listener: Listener | None = None,
    ) -> None:
        """Build the network; nothing runs before `play`. Arguments as for the function `play`."""
        genesis = network.genesis
        self._network = network
        self._story = story
        self._listener = listener or _Silent()
        self._credit_codes = {founder.code: CreditCode(founder.credit_code) for founder in genesis.founders}
        self._sealers = {
            code: Sealer(chain=genesis.chain, department=credit_code, signer=network.envelopes[code])
            for code, credit_code in self._credit_codes.items()
        }
        shared = MemberCache() if shared_cache else None

        def make_member(seat: Seat) -> Member:
            return Replica(
                genesis=seat.genesis,
                me=seat.code,
                signers=seat.signers,
                verify=seat.verification.batch,
                strict=seat.verification.strict,
                shared=shared,
            )

        self._cluster = Cluster(
            genesis,
            network.nodes,
            seed,
            ClusterOptions(shared_cache=shared_cache, checked=checked),
            make_member=make_member,
            watchers=[_Checkpoints(self._take_receipts)],
        )
        self._open: dict[CreditCode, dict[EnvelopeId, _Open]] = {node.code: {} for node in self._cluster.nodes}
        """By the gateway that owes the receipt."""
        self._unanswered = 0
        """Submissions of the phase that are not sent or have no receipt."""
        self._answers = Answers()
        self._latencies_ms: list[int] = []
        self._height = Height(0)

    def play(self) -> None:
        """Play all phases.

        Raises:
            VirtualRunFailedError: A gateway refused what it should have taken, or a receipt did not come.
        """
        self._cluster.run_until(self._cluster.now_ms + CONNECTED_AFTER_MS)
        for outage in self._story.outages:
            node = self._cluster.node_of(self._credit_codes[outage.department])
            self._cluster.at(outage.from_ms, self._cluster.crash, node.instance)
            self._cluster.at(outage.until_ms, self._cluster.restart, node.instance)
        for phase in self._story.phases():
            self._play_phase(phase)
        if self._story.ends_ms is not None:
            # One more idle block after the end acts upon what fell due by then.
            self._cluster.run_until(self._story.ends_ms + 2 * IDLE_MS)

    def collect(self) -> VirtualOutcome:
        """Fetch the bundles, and return them with all that the departments' disks hold."""
        genesis = self._network.genesis
        raw_genesis = genesis.encode()
        signers = read_genesis(raw_genesis)
        bundles = self._fetch_bundles()
        codes = {credit_code: code for code, credit_code in self._credit_codes.items()}
        journals = {codes[credit_code]: journal for credit_code, journal in self._cluster.journals().items()}
        evidence = Evidence(
            signers=signers,
            journals=[read_journal(code, journal, chain=signers.chain) for code, journal in journals.items()],
            acknowledged=self._answers.acknowledged,
            planted=self._answers.planted,
            planted_expected=self._story.planted_expected,
            bundles=bundles,
            bundle_types_expected=len({issued.type_code for issued in self._story.issued.values()}),
            policy=self._policy(),
            calendar=read_working_days(raw_genesis),
        )
        return VirtualOutcome(
            evidence=evidence,
            genesis=raw_genesis,
            journals=journals,
            unexpected=[*self._answers.unexpected, *self._cluster.finish()],
            latencies_ms=self._latencies_ms,
            ended_ms=self._cluster.now_ms,
            trace=self._cluster.trace.hexdigest(),
            events=self._cluster.trace.events,
        )

    def _play_phase(self, phase: Phase) -> None:
        self._listener.phase(phase.name, sum(len(submission.records) for submission in phase.submissions))
        starts_ms = max(phase.starts_ms, self._cluster.now_ms)
        self._unanswered = len(phase.submissions)
        last_ms = starts_ms
        for submission in phase.submissions:
            at_ms = starts_ms + submission.at_ms
            last_ms = max(last_ms, at_ms)
            self._cluster.at(at_ms, self._send, submission)
        if not self._cluster.run_until(self._all_answered, at_most_ms=last_ms + RECEIPT_AFTER_MS_MAX):
            raise VirtualRunFailedError(f"phase {phase.name!r}: {self._unanswered} envelopes have no receipt")

    def _all_answered(self) -> bool:
        return self._unanswered == 0

    def _send(self, submission: Submission) -> None:
        gateway = self._credit_codes[submission.through]
        raw = self._sealers[submission.department].seal(submission, self._height)
        try:
            envelope = self._cluster.submit(gateway, raw)
        except LedgerError as error:
            self._answers.refused(submission, read_envelope(raw).id, error.code)
            if submission.fault is None:
                raise VirtualRunFailedError(self._answers.unexpected[-1]) from error
            self._answered(submission, refused=len(submission.records))
            return
        if submission.fault is not None:
            self._answers.taken(submission, envelope)
            self._answered(submission)
            return
        self._open[gateway][envelope] = _Open(submission, raw, self._cluster.now_ms)
        # One validator alone may have done everything already.
        self._take_receipts(self._cluster.node_of(gateway))

    def _take_receipts(self, node: Node) -> None:
        """Ask a gateway for the receipts that it owes: its checkpoint has advanced."""
        waiting = self._open[node.code]
        if not waiting:
            return
        member = node.member
        assert isinstance(member, Replica)
        for envelope in list(waiting):
            if (receipt := member.receipt(envelope)) is None:
                continue
            sent = waiting.pop(envelope)
            self._height = max(self._height, receipt.height)
            self._sealers[sent.submission.department].acknowledged = sent.raw
            self._latencies_ms.append(self._cluster.now_ms - sent.sent_ms)
            self._answers.receipt(
                sent.submission,
                envelope,
                height=receipt.height,
                log_index=receipt.index,
                results=receipt.results,
            )
            self._answered(sent.submission, refused=sum(map(bool, receipt.results)))

    def _answered(self, submission: Submission, *, refused: int = 0) -> None:
        self._unanswered -= 1
        self._listener.advance(len(submission.records), height=self._height, refused=refused)

    def _fetch_bundles(self) -> list[Bundle]:
        """Return one bundle a type, of the first certificate that the story leaves valid, with all its fields shown."""
        chosen: dict[str, IssuedCertificate] = {}
        for issued in self._story.issued.values():
            if issued.valid_at_end:
                chosen.setdefault(issued.type_code, issued)
        self._listener.phase("fetch bundles", len(chosen))
        # Any node will do that has everything the receipts speak of.
        server = next(member for member in self._members() if self._attests_to_all(member))
        view = server.attested
        assert view is not None
        # What is known is as of that block, and the reader's clock is taken to stand there too.
        as_of = decode(BlockRecord, view.entry(view.checkpoint.size - 1))
        bundles = []
        for issued in chosen.values():
            content = build_bundle(view, issued.identifier, issued.opening)
            bundles.append(Bundle(f"{issued.identifier}.json", content, as_of.time_ms))
            self._listener.advance(1, height=self._height)
        return bundles

    def _members(self) -> list[Replica]:
        return [node.member for node in self._cluster.nodes if isinstance(node.member, Replica)]

    def _attests_to_all(self, member: Replica) -> bool:
        return member.checkpoint is not None and member.checkpoint.height >= self._height

    def _policy(self) -> str:
        genesis = self._network.genesis
        last_day = Day(self._cluster.now_ms // DAY_MS + POLICY_VALID_DAYS)
        return make_policy(
            ValidatorSet.of_genesis(genesis),
            genesis.founders,
            last_day,
            utc_offset_hours=genesis.parameters.utc_offset_hours,
        )
