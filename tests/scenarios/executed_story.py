"""A story executed without a network: each phase is one block over a state."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.blocks.genesis import Parameters
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import verify_batch
from ledger.identifiers import Digest, Height
from ledger.registers import code_of
from ledger.state.store import State
from ledger.state.transition import execute_block
from ledger.validation.envelopes import prepare_block
from scenarios.beijing.city import City
from scenarios.beijing.network import found_from_seed
from scenarios.story import ACCEPTED, Phase, Sealer, Story, Submission
from tests.headers import uncertified_header

PARAMETERS = Parameters(
    engine="solo",
    base_timeout_ms=1_000,
    block_interval_ms=200,
    idle_ms=3_600_000,
    block_payload_bytes=1 << 20,
    utc_offset_hours=8,
)


@dataclass
class ExecutedStory:
    """The state after the story, and how each submission that no gateway refuses ended."""

    state: State
    outcomes: list[tuple[Phase, Submission, tuple[str, ...]]] = field(default_factory=list)


def execute_story(city: City, story: Story, start_ms: int) -> ExecutedStory:
    """Execute a story phase by phase. Signatures are made and verified as on a network.

    Envelopes stand in a phase's block in the order of their hashes: any order must do.
    """
    network = found_from_seed(city, name="mulu.test.example", seed=1, created_ms=start_ms, parameters=PARAMETERS)
    chain = network.genesis.chain
    state = State.of_genesis(network.genesis)
    executed = ExecutedStory(state)
    parent = Digest(chain)
    sealers = {row.code: Sealer(chain, row.uscc, network.envelopes[row.code]) for row in city.departments}
    for phase in story.phases():
        sealed = [
            (sealers[submission.department].seal(submission, Height(state.height)), submission)
            for submission in phase.submissions
            if submission.fault is None
        ]
        sealed.sort(key=lambda pair: sha256(pair[0]))
        envelopes = [raw for raw, _ in sealed]
        last_ms = max(submission.at_ms for submission in phase.submissions)
        header = uncertified_header(
            chain,
            envelopes,
            parent=parent,
            height=state.height + 1,
            time_ms=max(phase.starts_ms + last_ms, state.time_ms + 1),
        )
        block = prepare_block(header.id, header, envelopes)
        execution = execute_block(state, block, verify_batch)
        state.advance(execution)
        parent = Digest(block.id)
        for (_, submission), results in zip(sealed, execution.results, strict=True):
            labels = tuple(code_of(number).label if number else ACCEPTED for number in results)
            executed.outcomes.append((phase, submission, labels))
    return executed
