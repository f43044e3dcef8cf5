"""The checks behind a run's verdict. Each is one function over the evidence, computed after the nodes have stopped.

Nothing here asks a node and nothing shares code with the member that wrote the journals (`ledger.replica`): a block id,
a log root or a quorum is computed again from the bytes. Bundles are checked as anybody would, by `ledger.proofs.verify`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ledger.proofs.verify import verify_bundle
from scenarios.evidence.journal import EvidenceError, Journal, StoredBlock, pack, tagged_hash, unpack
from scenarios.evidence.network import Signers, check_checkpoint, commit_of
from scenarios.evidence.trees import RunningRoot, leaf, root, tagged_leaf

ACCEPTED = 0
EMPTY_LOG = (0, b"")


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
    acknowledged: Sequence[Acknowledged] = ()
    planted: Sequence[Planted] = ()
    planted_expected: Mapping[str, int] = field(default_factory=dict)
    """How many of each code the scenario plants."""
    bundles: Sequence[Bundle] = ()
    bundle_types_expected: int = 0
    policy: str = ""


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


def one_block_per_height(evidence: Evidence) -> str:
    """No two journals hold different blocks at one height; each chain is closed, and a quorum's votes commit it."""
    ids: dict[int, tuple[bytes, str]] = {}
    for journal in evidence.journals:
        if journal.executed_twice:
            raise EvidenceError(f"{journal.node} executed height {journal.executed_twice[0]} twice, with two outcomes")
        if sorted(journal.executed) != list(range(journal.height + 1)):
            raise EvidenceError(f"{journal.node}'s heights have gaps")
        for height in range(1, journal.height + 1):
            block, executed = _block_at(journal, height), journal.executed[height]
            known, who = ids.setdefault(height, (block.id, journal.node))
            if known != block.id:
                raise EvidenceError(f"height {height}: {who} has {known.hex()[:16]}, {journal.node} {block.id.hex()[:16]}")
            before = evidence.signers.chain if height == 1 else _block_at(journal, height - 1).id
            if not block.parent == executed.parent == before:
                raise EvidenceError(f"{journal.node}, height {height}: the parent is not the block before")
            if root([tagged_leaf("payload", raw) for raw in block.envelopes]) != block.payload_root:
                raise EvidenceError(f"{journal.node}, height {height}: the payload is not what the header commits to")
    for journal in evidence.journals:
        _check_committed(evidence.signers, journal)
    if not ids:
        raise EvidenceError("no block was committed")
    return f"{len(ids)} heights in {len(evidence.journals)} journals"


def equal_roots(evidence: Evidence) -> str:
    """At each height all journals have one state root and one log root, and every checkpoint attests to that root."""
    states: dict[int, bytes] = {}
    logs: dict[int, tuple[int, bytes]] = {}
    for journal in evidence.journals:
        for height, size, log_root in _log_roots(journal):
            state = states.setdefault(height, journal.executed[height].state_root)
            if state != journal.executed[height].state_root:
                raise EvidenceError(f"height {height}: {journal.node} has another state root")
            if logs.setdefault(height, (size, log_root)) != (size, log_root):
                raise EvidenceError(f"height {height}: {journal.node} has another log root")
    attested = 0
    seen: set[bytes] = set()
    for journal in evidence.journals:
        carried = [block.checkpoint for block in journal.blocks.values() if block.checkpoint is not None]
        for checkpoint in [*journal.checkpoints, *carried]:
            if (key := pack(checkpoint)) in seen:
                continue
            seen.add(key)
            height, size, log_root = check_checkpoint(evidence.signers, checkpoint)
            if height in logs and logs[height] != (size, log_root):
                raise EvidenceError(f"the checkpoint at height {height} attests to another root than the journals give")
            attested = max(attested, height)
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
            raise EvidenceError(f"envelope {name}: the receipt says {promised}, the ledger {found[0]}")
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
            if (got := found[0][2][planted.record]) != planted.number:
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
    for bundle in evidence.bundles:
        statement = verify_bundle(bundle.content, evidence.policy, now_ms=bundle.now_ms)
        if statement.exit_code != 0:
            raise EvidenceError(f"{bundle.name} does not verify: {statement.summary}")
    if not evidence.bundles or len(evidence.bundles) < evidence.bundle_types_expected:
        raise EvidenceError(f"{len(evidence.bundles)} bundles for {evidence.bundle_types_expected} types issued")
    return f"{len(evidence.bundles)} bundles"


CHECKS: tuple[Callable[[Evidence], str], ...] = (
    one_block_per_height,
    equal_roots,
    every_acknowledged_record_once,
    every_planted_error_refused,
    every_bundle_verifies,
)


def _block_at(journal: Journal, height: int) -> StoredBlock:
    executed = journal.executed[height]
    block = journal.blocks.get(executed.block)
    if block is None or block.height != height:
        raise EvidenceError(f"{journal.node}, height {height}: the executed block is not in the journal")
    return block


def _check_committed(signers: Signers, journal: Journal) -> None:
    """Check that a quorum's votes commit the last executed block; the chain of parents commits those below it."""
    if not journal.height:
        return
    if len(signers.consensus) == 1:
        # One node alone decides alone: `solo` has no votes.
        return
    last = _block_at(journal, journal.height)
    for certificate in reversed(journal.quorum_certificates):
        if certificate[2][-1] is not None and certificate[2][-1][3] == last.id:
            commit_of(signers, certificate)
            return
    raise EvidenceError(f"{journal.node}: no quorum certificate commits its last block, height {journal.height}")


def _log_roots(journal: Journal) -> Iterator[tuple[int, int, bytes]]:
    """Yield `(height, log size, log root)` after each executed height, from the entries' bytes."""
    log = RunningRoot()
    for height in range(journal.height + 1):
        executed = journal.executed.get(height)
        if executed is None:
            raise EvidenceError(f"{journal.node}: height {height} is missing")
        envelopes = _block_at(journal, height).envelopes if height else ()
        if len(envelopes) != len(executed.results):
            raise EvidenceError(f"{journal.node}, height {height}: results for another number of envelopes")
        for raw, results in zip(envelopes, executed.results, strict=True):
            _, _, header, suite, signature, _ = unpack(raw)
            log.append(leaf(pack(["log-envelope", 1, header, suite, signature, results])))
        log.append(leaf(executed.record))
        yield height, log.size, log.root()


def _places(evidence: Evidence) -> dict[bytes, list[tuple[int, int, bytes]]]:
    """Return, for each envelope id, where it stands: `(height, log index, results)`, by the longest journal."""
    journal = max(evidence.journals, key=lambda journal: journal.height)
    places: dict[bytes, list[tuple[int, int, bytes]]] = {}
    index = 1
    for height in range(1, journal.height + 1):
        envelopes = _block_at(journal, height).envelopes
        for raw, results in zip(envelopes, journal.executed[height].results, strict=True):
            envelope = tagged_hash("envelope", pack(unpack(raw)[2]))
            places.setdefault(envelope, []).append((height, index, results))
            index += 1
        index += 1
    return places
