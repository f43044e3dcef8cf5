"""The transition: who may speak, what a refusal undoes, what the log says, and that it is the same on every member."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks.log import BlockRecord, EnvelopeEntry
from ledger.blocks.refusals import EnvelopeRefusal
from ledger.crypto.signatures import verify_batch
from ledger.crypto.sparse_tree import verify_absence, verify_presence
from ledger.encoding import decode
from ledger.limits import VALID_UNTIL_AHEAD_MAX
from ledger.members.departments import Department, EnvelopeKey, department_key, envelope_key_key
from ledger.registers.members.records import AddEnvelopeKey, RevokeEnvelopeKey
from ledger.registers.members.replay import ReplayWindow, replay_window_key
from ledger.state.store import State, key_digest, value_digest
from ledger.state.transition import execute_block
from tests.hash_seeds import printed_under_hash_seeds
from tests.state.small_ledger import (
    HOUSING,
    MARKET,
    NETWORK,
    STRANGER,
    SmallLedger,
    key_of,
    labels,
    proven,
    small_genesis,
)


def add_key(department: str, key_id: int) -> AddEnvelopeKey:
    """Return a good record that adds a key."""
    purpose = f"envelope/{key_id}"
    return AddEnvelopeKey(key_id=key_id, key=proven(NETWORK, department, purpose, key_of(department, purpose)))


REVOKE_NOTHING = RevokeEnvelopeKey(key_id=99, reason="it never was")
"""Refused by its rule: `unknown_envelope_key`."""


def test_each_record_has_its_own_result() -> None:
    """A refused record stands between two accepted ones and changes neither."""
    ledger = SmallLedger()
    assert ledger.put(HOUSING, add_key(HOUSING, 2), REVOKE_NOTHING, add_key(HOUSING, 3)) == [
        "accepted",
        "unknown_envelope_key",
        "accepted",
    ]
    department = ledger.state.get(department_key(HOUSING), Department)
    assert department is not None
    assert department.current_keys == (1, 2, 3)


def test_bytes_that_are_no_record_are_refused_alone() -> None:
    """Unknown tags and broken bytes get `malformed_record`; the records beside them are executed."""
    ledger = SmallLedger()
    assert ledger.put(HOUSING, b"\x93\xa7nothing\x01\x02", b"", add_key(HOUSING, 2)) == [
        "malformed_record",
        "malformed_record",
        "accepted",
    ]


def test_a_refusal_undoes_every_put_of_its_record() -> None:
    """The root after a refused record is that of the state without it, but for the used sequence number."""
    refused, without = SmallLedger(), SmallLedger()
    refused.put(HOUSING, REVOKE_NOTHING)
    without.put(HOUSING, b"no record")
    assert refused.state.root == without.state.root
    assert refused.executions[0].touched == (((),),)


@pytest.mark.parametrize(
    ("label", "change"),
    [
        ("unknown_department", {"department": STRANGER}),
        ("unknown_key", {"key_id": 7}),
        ("expired_envelope", {"valid_until": 0}),
        ("valid_until_too_far", {"valid_until": VALID_UNTIL_AHEAD_MAX + 2}),
        ("replayed_envelope", {"sequence": 0}),
        ("bad_signature", {"key": key_of("somebody else")}),
    ],
)
def test_a_failed_envelope_gives_all_its_records_the_code(label: str, change: dict[str, object]) -> None:
    """The code stands once for each record, and none of them is executed."""
    ledger = SmallLedger(sign=True)
    arguments: dict[str, object] = {"department": HOUSING} | change
    department = arguments.pop("department")
    records = (add_key(HOUSING, 2), REVOKE_NOTHING, add_key(HOUSING, 3))
    execution = ledger.execute(ledger.envelope(department, *records, **arguments))  # type: ignore[arg-type]
    assert labels(execution.results[0]) == [label] * 3
    assert ledger.state.get(envelope_key_key(HOUSING, 2), EnvelopeKey) is None


def test_valid_until_binds_at_its_height_exactly() -> None:
    """At valid-until the envelope is executed, one block later it is expired; 10,000 ahead is allowed."""
    ledger = SmallLedger()
    in_time = ledger.envelope(HOUSING, REVOKE_NOTHING, valid_until=1)
    late = ledger.envelope(HOUSING, REVOKE_NOTHING, valid_until=1)
    farthest = ledger.envelope(HOUSING, REVOKE_NOTHING, valid_until=VALID_UNTIL_AHEAD_MAX + 1)
    results = [*ledger.execute(in_time, farthest).results, *ledger.execute(late).results]
    assert [labels(result) for result in results] == [
        ["unknown_envelope_key"],
        ["unknown_envelope_key"],
        ["expired_envelope"],
    ]


@pytest.mark.parametrize(
    ("valid_until", "expected"),
    [(0, "expired_envelope"), (VALID_UNTIL_AHEAD_MAX + 50, "valid_until_too_far"), (5, "replayed_envelope")],
)
def test_expiry_is_reported_before_replay(valid_until: int, expected: str) -> None:
    """Of several reasons the first in the documented order is given."""
    ledger = SmallLedger()
    execution = ledger.execute(ledger.envelope(HOUSING, REVOKE_NOTHING, sequence=0, valid_until=valid_until))
    assert labels(execution.results[0]) == [expected]


def test_a_valid_signature_uses_up_the_sequence_whatever_the_results() -> None:
    """After a refused record and after an expired envelope the number is gone."""
    ledger = SmallLedger()
    refused = ledger.envelope(HOUSING, REVOKE_NOTHING, sequence=5)
    expired = ledger.envelope(HOUSING, REVOKE_NOTHING, sequence=6, valid_until=0)
    again = [ledger.envelope(HOUSING, REVOKE_NOTHING, sequence=number) for number in (5, 6)]
    results = ledger.execute(refused, expired, *again).results
    assert [labels(result)[0] for result in results] == [
        "unknown_envelope_key",
        "expired_envelope",
        "replayed_envelope",
        "replayed_envelope",
    ]


def test_a_bad_signature_uses_nothing() -> None:
    """The owner of the key can still use the number that somebody put under a false signature."""
    ledger = SmallLedger(sign=True)
    forged = ledger.envelope(HOUSING, REVOKE_NOTHING, sequence=5, key=key_of("somebody else"))
    results = ledger.execute(forged, ledger.envelope(HOUSING, REVOKE_NOTHING, sequence=5)).results
    assert [labels(result)[0] for result in results] == ["bad_signature", "unknown_envelope_key"]


def test_the_same_envelope_twice_in_a_block_is_executed_once() -> None:
    """The second gets `replayed_envelope`."""
    ledger = SmallLedger()
    raw = ledger.envelope(HOUSING, add_key(HOUSING, 2))
    results = ledger.execute(raw, raw).results
    assert [labels(result)[0] for result in results] == ["accepted", "replayed_envelope"]


def test_a_new_key_signs_from_the_next_block_on() -> None:
    """In the block that registers it the key is still unknown."""
    ledger = SmallLedger(sign=True)
    results = ledger.execute(
        ledger.envelope(HOUSING, add_key(HOUSING, 2)),
        ledger.envelope(HOUSING, REVOKE_NOTHING, key_id=2),
    ).results
    results += ledger.execute(ledger.envelope(HOUSING, REVOKE_NOTHING, key_id=2)).results
    assert [labels(result)[0] for result in results] == ["accepted", "unknown_key", "unknown_envelope_key"]


def test_a_revocation_at_height_h_binds_from_the_next_height() -> None:
    """A revoked key still signs later in its last block, and never after."""
    ledger = SmallLedger(sign=True)
    ledger.put(HOUSING, add_key(HOUSING, 2))
    results = ledger.execute(
        ledger.envelope(HOUSING, RevokeEnvelopeKey(key_id=1, reason="gateway replaced")),
        ledger.envelope(HOUSING, REVOKE_NOTHING),
    ).results
    results += ledger.execute(ledger.envelope(HOUSING, REVOKE_NOTHING)).results
    assert [labels(result)[0] for result in results] == ["accepted", "unknown_envelope_key", "revoked_key"]


def test_all_signatures_of_a_block_are_verified_in_one_call() -> None:
    """The batch holds exactly the envelopes whose key may sign, in their order."""
    ledger = SmallLedger(sign=True)
    envelopes = [
        ledger.envelope(HOUSING, REVOKE_NOTHING),
        ledger.envelope(STRANGER, REVOKE_NOTHING),
        ledger.envelope(MARKET, REVOKE_NOTHING),
        ledger.envelope(HOUSING, REVOKE_NOTHING, key_id=9),
    ]
    block = ledger.prepare(envelopes)
    calls: list[list[tuple[bytes, bytes, bytes]]] = []

    def verify(items: object) -> list[bool]:
        calls.append(list(items))  # type: ignore[call-overload]
        return verify_batch(calls[-1])

    execute_block(ledger.state, block, verify)
    assert [[message for _, message, _ in items] for items in calls] == [
        [block.envelopes[0].id, block.envelopes[2].id],
    ]


def test_the_log_gets_one_entry_an_envelope_and_then_the_block_record() -> None:
    """Entries decode to what was signed with its results; the record names the root after the block."""
    ledger = SmallLedger()
    execution = ledger.execute(
        ledger.envelope(HOUSING, add_key(HOUSING, 2), REVOKE_NOTHING), ledger.envelope(MARKET, REVOKE_NOTHING)
    )
    block = ledger.blocks[0]
    entries = [decode(EnvelopeEntry, raw) for raw in execution.entries[:-1]]
    record = decode(BlockRecord, execution.entries[-1])
    assert [entry.header for entry in entries] == [prepared.envelope.header for prepared in block.envelopes]
    assert tuple(entry.results for entry in entries) == execution.results
    assert record == execution.record
    assert (record.height, record.block, record.parent) == (1, block.id, ledger.genesis.chain)
    assert record.state_root == ledger.state.root == execution.tree.root
    assert record.validators_hash == ledger.state.validators.hash


def test_touched_keys_are_those_of_accepted_records() -> None:
    """For each record: what it set, in order; nothing for a refused one."""
    ledger = SmallLedger()
    execution = ledger.execute(ledger.envelope(HOUSING, REVOKE_NOTHING, add_key(HOUSING, 2)))
    (refused, accepted), *_ = execution.touched
    assert refused == ()
    assert envelope_key_key(HOUSING, 2) in accepted
    assert set(accepted) < set(execution.changes)


def test_executing_leaves_the_state_as_it_was() -> None:
    """Execution is pure: twice on one state gives the same, and the state's root is still the parent's."""
    ledger = SmallLedger()
    root, size = ledger.state.root, len(ledger.state)
    block = ledger.prepare([ledger.envelope(HOUSING, add_key(HOUSING, 2))])
    first = execute_block(ledger.state, block, lambda items: [True] * len(items))
    second = execute_block(ledger.state, block, lambda items: [True] * len(items))
    assert first.entries == second.entries
    assert (ledger.state.root, len(ledger.state), ledger.state.height) == (root, size, 0)


def test_a_block_of_another_height_is_the_callers_mistake() -> None:
    """Neither the same block twice nor an execution applied twice gets through."""
    ledger = SmallLedger()
    execution = ledger.execute()
    with pytest.raises(ValueError, match="height 1 executed on the state of height 1"):
        execute_block(ledger.state, ledger.blocks[0], verify_batch)
    with pytest.raises(ValueError, match="execution of height 1"):
        ledger.state.advance(execution)


def test_values_prove_against_the_root_in_the_block_record() -> None:
    """What is there proves present with its bytes, what is not proves absent."""
    ledger = SmallLedger()
    record = ledger.execute(ledger.envelope(HOUSING, add_key(HOUSING, 2))).record
    key = envelope_key_key(HOUSING, 2)
    value = ledger.state.value_bytes(key)
    assert value is not None
    verify_presence(record.state_root, key_digest(key), value_digest(value), ledger.state.prove(key))
    missing = envelope_key_key(HOUSING, 3)
    assert ledger.state.value_bytes(missing) is None
    verify_absence(record.state_root, key_digest(missing), ledger.state.prove(missing))


def test_a_state_rebuilt_from_its_bytes_has_the_same_root_and_goes_on_alike() -> None:
    """The tree is derived: keys and value bytes are all that a snapshot needs."""
    ledger = SmallLedger()
    ledger.put(HOUSING, add_key(HOUSING, 2))
    items = [(key, value.encode()) for key, value in ledger.state.items()]
    rebuilt = State.of_snapshot(
        ledger.genesis, reversed(items), height=ledger.state.height, time_ms=ledger.state.time_ms
    )
    assert rebuilt.root == ledger.state.root
    block = ledger.prepare([ledger.envelope(HOUSING, RevokeEnvelopeKey(key_id=1, reason="moved"))])
    ahead = [execute_block(state, block, lambda items: [True] * len(items)) for state in (ledger.state, rebuilt)]
    assert ahead[0].entries == ahead[1].entries


ENVELOPES = st.lists(
    st.tuples(
        st.sampled_from([HOUSING, MARKET, STRANGER]),
        st.integers(0, 1_030),
        st.lists(st.sampled_from(["add", "revoke", "nothing", "noise"]), min_size=1, max_size=3),
        st.integers(1, 4),
    ),
    max_size=12,
)


@given(blocks=st.lists(ENVELOPES, min_size=1, max_size=3))
def test_replaying_the_blocks_gives_the_same_roots(blocks: list[list[tuple[str, int, list[str], int]]]) -> None:
    """I9: the same height has the same root on every node and on replay from genesis, and no number is used twice."""
    ledger = SmallLedger()
    accepted: set[tuple[str, int]] = set()
    for block in blocks:
        envelopes = []
        for department, sequence, verbs, key_id in block:
            records = {
                "add": add_key(department, key_id),
                "revoke": RevokeEnvelopeKey(key_id=key_id, reason="because"),
                "nothing": REVOKE_NOTHING,
                "noise": b"\x00",
            }
            envelopes.append(ledger.envelope(department, *(records[verb] for verb in verbs), sequence=sequence))
        execution = ledger.execute(*envelopes)
        for (department, sequence, _, _), result in zip(block, execution.results, strict=True):
            if result[0] not in {code.number for code in EnvelopeRefusal}:
                assert (department, sequence) not in accepted
                accepted.add((department, sequence))
    replayed = State.of_genesis(small_genesis())
    for block, execution in zip(ledger.blocks, ledger.executions, strict=True):
        again = execute_block(replayed, block, lambda items: [True] * len(items))
        assert again.entries == execution.entries
        replayed.advance(again)
    assert replayed.root == ledger.state.root


_HISTORY = """
import hashlib
from tests.registers.catalogue import catalogued, identifier, issue, table
from tests.state.small_ledger import HOUSING, MARKET
from tests.state.test_transition import REVOKE_NOTHING, add_key
ledger = catalogued()
for number in (2, 3, 4):
    ledger.execute(*(ledger.envelope(who, add_key(who, number), REVOKE_NOTHING) for who in (MARKET, HOUSING)))
    ledger.put(HOUSING, *(issue(identifier(f"{number}{serial}")) for serial in range(9)), table(revision=number - 1))
print(hashlib.sha256(b"".join(entry for e in ledger.executions for entry in e.entries)).hexdigest())
"""


def test_the_log_does_not_depend_on_the_hash_seed() -> None:
    """Two processes with different seeds for `hash` write the same bytes."""
    digests = printed_under_hash_seeds("-c", _HISTORY)
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 2 * hashlib.sha256().digest_size


def test_a_key_starts_without_a_window_and_gets_one_with_its_first_envelope() -> None:
    """What was never used takes no room in the state."""
    ledger = SmallLedger()
    key = replay_window_key(HOUSING, 1)
    assert ledger.state.get(key, ReplayWindow) is None
    ledger.put(HOUSING, REVOKE_NOTHING)
    window = ledger.state.get(key, ReplayWindow)
    assert window is not None
    assert window.top == 1
