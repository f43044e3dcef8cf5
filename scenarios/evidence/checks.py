"""The checks behind a run's verdict. Each is one function over the evidence, computed after the nodes have stopped.

Nothing here asks a node, and nothing shares code with the member that wrote the journals (`ledger.replica`): a block
id, a log root or a quorum is computed again from the bytes. Bundles are checked as anybody would check them, by
`ledger.proofs.verify`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ledger.proofs.verify import verify_bundle
from scenarios.evidence.deliveries import Fetched, check_fetched
from scenarios.evidence.forms import EvidenceError, pack, payload_leaf
from scenarios.evidence.journal import Journal
from scenarios.evidence.network import Signers, check_checkpoint, check_commit
from scenarios.evidence.sharing import check_deadlines, sharing_of
from scenarios.evidence.trees import RunningRoot, leaf, root
from scenarios.evidence.working_days import WorkingDays


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a gateway's receipt promised for one envelope."""

    envelope: bytes
    height: int
    log_index: int
    results: bytes


@dataclass(frozen=True, slots=True)
class Planted:
    """A wrong record or envelope, and what became of it."""

    code: str
    """The code it must be refused with."""
    number: int
    """The code's number in the log; used for those refused in execution."""
    place: str
    """`execution` or `gateway`."""
    envelope: bytes
    """Id of the envelope."""
    record: int
    """Position of the wrong record in it."""
    answer: str
    """The code with which the gateway answered; empty if it took the envelope."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that the run wrote, and the time at which it must verify."""

    name: str
    content: bytes
    now_ms: int


@dataclass(slots=True)
class Evidence:
    """Everything a run leaves behind that a check may look at."""

    signers: Signers
    journals: Sequence[Journal]
    unreadable: Sequence[str] = ()
    """Why the journals of other nodes could not be read; one reason is enough for no check over journals to hold."""
    acknowledged: Sequence[Acknowledged] = ()
    planted: Sequence[Planted] = ()
    planted_expected: Mapping[str, int] = field(default_factory=dict)
    """How many of each code the scenario plants."""
    bundles: Sequence[Bundle] = ()
    bundle_types_expected: int = 0
    policy: str = ""
    calendar: WorkingDays | None = None
    """The working days that the genesis sets."""
    fetched: Sequence[Fetched] = ()
    """What nodes have fetched from each other's databases."""
    fetches_expected: int = 0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found."""

    name: str
    ok: bool
    detail: str
    """What was counted if it holds, or the first thing that is wrong."""


def run_checks(evidence: Evidence) -> list[CheckResult]:
    """Return the result of every check; evidence that cannot be read is a check that does not hold."""
    results = []
    for check in CHECKS:
        try:
            results.append(CheckResult(check.__name__, True, check(evidence)))
        except EvidenceError as error:
            results.append(CheckResult(check.__name__, False, str(error)))
    return results


def longest(evidence: Evidence) -> Journal:
    """Return the journal that reaches furthest; ties go to the first.

    Raises:
        EvidenceError: There is none, or one cannot be read.
    """
    return max(_journals(evidence), key=lambda journal: journal.height)


def one_block_per_height(evidence: Evidence) -> str:
    """No two journals hold different blocks at one height; each chain is closed, and a quorum's votes commit it."""
    committed: dict[int, tuple[bytes, str]] = {}
    for journal in _journals(evidence):
        if journal.executed_twice:
            raise EvidenceError(f"{journal.node} executed height {journal.executed_twice[0]} twice, with two outcomes")
        before, time_ms = evidence.signers.chain, journal.executed[0].time_ms
        if journal.executed[0].block != before:
            raise EvidenceError(f"{journal.node} began with another genesis")
        for height in range(1, journal.height + 1):
            block, executed = journal.block_at(height), journal.executed[height]
            known, who = committed.setdefault(height, (block.id, journal.node))
            if known != block.id:
                raise EvidenceError(
                    f"height {height}: {who} has {known.hex()[:16]}, {journal.node} {block.id.hex()[:16]}"
                )
            if not block.parent == executed.parent == before:
                raise EvidenceError(f"{journal.node}, height {height}: the parent is not the block before")
            if not block.time_ms == executed.time_ms > time_ms:
                raise EvidenceError(f"{journal.node}, height {height}: the time is not later than the block before")
            if root([payload_leaf(raw) for raw in block.payload]) != block.payload_root:
                raise EvidenceError(f"{journal.node}, height {height}: the payload is not what the header commits to")
            before, time_ms = block.id, block.time_ms
    if not committed:
        raise EvidenceError("no block was committed")
    # One node alone decides alone: it has no votes.
    if len(evidence.signers.consensus) > 1:
        for journal in evidence.journals:
            _check_certificates(evidence.signers, journal, committed)
    return f"{len(committed)} heights in {len(evidence.journals)} journals"


def equal_roots(evidence: Evidence) -> str:
    """At each height all journals have one state root and one log root, and every checkpoint attests to that root."""
    states: dict[int, bytes] = {}
    logs: dict[int, tuple[int, bytes]] = {}
    for journal in _journals(evidence):
        for height, size, log_root in _log_roots(journal):
            state = states.setdefault(height, journal.executed[height].state_root)
            if state != journal.executed[height].state_root:
                raise EvidenceError(f"height {height}: {journal.node} has another state root")
            if logs.setdefault(height, (size, log_root)) != (size, log_root):
                raise EvidenceError(f"height {height}: {journal.node} has another log root")
    checkpoints = {checkpoint for journal in evidence.journals for checkpoint in journal.checkpoints}
    for journal in evidence.journals:
        checkpoints |= {block.checkpoint for block in journal.blocks.values() if block.checkpoint is not None}
    attested = 0
    for checkpoint in sorted(checkpoints, key=lambda checkpoint: checkpoint.height):
        check_checkpoint(evidence.signers, checkpoint)
        if logs.get(checkpoint.height) != (checkpoint.size, checkpoint.root):
            raise EvidenceError(f"the checkpoint at height {checkpoint.height} attests to what no journal gives")
        attested = checkpoint.height
    if not attested:
        raise EvidenceError("no checkpoint has a quorum")
    return f"{len(states)} heights, checkpoints up to height {attested}"


def every_acknowledged_record_once(evidence: Evidence) -> str:
    """Each acknowledged envelope stands exactly once on the ledger, where and with the results its receipt says."""
    if not evidence.acknowledged:
        raise EvidenceError("nothing was acknowledged")
    places = _places(evidence)
    records = 0
    for receipt in evidence.acknowledged:
        found = places.get(receipt.envelope, [])
        name = receipt.envelope.hex()[:16]
        if len(found) != 1:
            raise EvidenceError(f"envelope {name} was acknowledged and stands {len(found)} times on the ledger")
        promised = (receipt.height, receipt.log_index, receipt.results)
        if found[0] != promised:
            raise EvidenceError(f"envelope {name}: the receipt says {_place(promised)}, the ledger {_place(found[0])}")
        records += len(receipt.results)
    return f"{records} records in {len(evidence.acknowledged)} envelopes"


def every_planted_error_refused(evidence: Evidence) -> str:
    """Each planted error was refused with exactly its code at its place, and as many were planted as intended."""
    places = _places(evidence)
    for planted in evidence.planted:
        found = places.get(planted.envelope, [])
        name = f"{planted.code} in envelope {planted.envelope.hex()[:16]}"
        if planted.place == "execution":
            if len(found) != 1:
                raise EvidenceError(f"{name} stands {len(found)} times on the ledger, not once")
            results = found[0][2]
            got = results[planted.record] if planted.record < len(results) else None
            if got != planted.number:
                raise EvidenceError(f"{name} has code {got} on the ledger, not {planted.number}")
        else:
            if planted.answer != planted.code:
                raise EvidenceError(f"{name} was answered {planted.answer or 'accepted'!r} by the gateway")
            # The original of a replayed envelope is on the ledger, once; nothing else refused at a gateway ever is.
            if len(found) != (planted.code == "replayed_envelope"):
                raise EvidenceError(f"{name} stands {len(found)} times on the ledger")
    counts = Counter(planted.code for planted in evidence.planted)
    if counts != Counter(evidence.planted_expected):
        raise EvidenceError(f"planted {dict(counts)}, intended {dict(evidence.planted_expected)}")
    return f"{len(evidence.planted)} planted errors of {len(counts)} kinds"


def every_bundle_verifies(evidence: Evidence) -> str:
    """Each bundle is genuine, valid and fresh under the run's policy, and there is one for every type issued."""
    types = set()
    for bundle in evidence.bundles:
        statement = verify_bundle(bundle.content, evidence.policy, now_ms=bundle.now_ms)
        if statement.exit_code != 0 or statement.provenance is None:
            why = statement.reasons[0] if statement.reasons else statement.verdict.value
            raise EvidenceError(f"{bundle.name} does not verify: {why}")
        types.add(statement.provenance.type.id)
    if not types or len(types) < evidence.bundle_types_expected:
        raise EvidenceError(
            f"bundles of {len(types)} types; certificates of {evidence.bundle_types_expected} were issued"
        )
    return f"{len(evidence.bundles)} bundles of {len(types)} types"


def every_breach_recorded(evidence: Evidence) -> str:
    """Whatever was not done in time is a breach, in the first block after the deadline; nothing else is."""
    if evidence.calendar is None:
        raise EvidenceError("the genesis and its calendar are not there")
    journal = longest(evidence)
    sharing = sharing_of(journal, evidence.calendar)
    check_deadlines(journal, sharing)
    return f"{len(sharing.breaches)} breaches of {len(sharing.requests)} requests and what followed"


def every_delivery_matches(evidence: Evidence) -> str:
    """What a node has fetched from another is what was granted of that one's database, and both have signed for it."""
    journal = longest(evidence)
    if len(evidence.fetched) != evidence.fetches_expected:
        raise EvidenceError(f"{len(evidence.fetched)} fetches ended well, {evidence.fetches_expected} were begun")
    if not evidence.fetched:
        return "no node fetched anything"
    rows = check_fetched(journal, evidence.fetched)
    return f"{rows} rows in {len(evidence.fetched)} deliveries from node to node"


CHECKS: tuple[Callable[[Evidence], str], ...] = (
    one_block_per_height,
    equal_roots,
    every_acknowledged_record_once,
    every_planted_error_refused,
    every_breach_recorded,
    every_delivery_matches,
    every_bundle_verifies,
)


def _journals(evidence: Evidence) -> Sequence[Journal]:
    if evidence.unreadable:
        raise EvidenceError(evidence.unreadable[0])
    if not evidence.journals:
        raise EvidenceError("there is no journal")
    return evidence.journals


def _check_certificates(signers: Signers, journal: Journal, committed: Mapping[int, tuple[bytes, str]]) -> None:
    """Check that votes commit the last executed block, which commits those below it, and that none commit another."""
    last = journal.block_at(journal.height).id if journal.height else None
    for certificate in reversed(journal.certificates):
        if (commit := certificate.commit) is None:
            continue
        if commit.height in committed and committed[commit.height][0] != commit.block:
            raise EvidenceError(
                f"{journal.node} holds a certificate that commits another block at height {commit.height}"
            )
        if commit.block == last:
            check_commit(signers, certificate)
            last = None
    if last is not None:
        raise EvidenceError(f"{journal.node}: no quorum certificate commits its last block, height {journal.height}")


def _log_roots(journal: Journal) -> Iterator[tuple[int, int, bytes]]:
    """Yield `(height, log size, log root)` after each executed height, from the entries' bytes."""
    log = RunningRoot()
    for height in range(journal.height + 1):
        for envelope, results in journal.results_at(height):
            log.append(leaf(pack(("log-envelope", 1, *envelope.signed, results))))
        log.append(leaf(journal.executed[height].record))
        yield height, log.size, log.root()


def _places(evidence: Evidence) -> dict[bytes, list[tuple[int, int, bytes]]]:
    """Return, for each envelope id, where it stands: `(height, log index, results)`, by the longest journal."""
    journal = longest(evidence)
    places: dict[bytes, list[tuple[int, int, bytes]]] = {}
    # Entry 0 of the log is the block record of the genesis; every other block's record follows its envelopes.
    index = 1
    for height in range(1, journal.height + 1):
        for envelope, results in journal.results_at(height):
            places.setdefault(envelope.id, []).append((height, index, results))
            index += 1
        index += 1
    return places


def _place(place: tuple[int, int, bytes]) -> str:
    height, index, results = place
    return f"height {height}, entry {index}, results {list(results)}"
