"""The register of members: keys come and go, numbers and public keys never twice, sequences never twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.blocks.genesis import ProvenKey
from ledger.limits import ENVELOPE_KEYS_MAX, KEY_CHECKS_PER_BLOCK_MAX, SEQUENCE_WINDOW
from ledger.members.departments import (
    Department,
    EnvelopeKey,
    KeyOwner,
    department_key,
    envelope_key_key,
    key_owner_key,
)
from ledger.registers.members.records import AddEnvelopeKey, RevokeEnvelopeKey
from ledger.registers.members.replay import NOTHING_USED, ReplayWindow, WindowInUse, is_fresh
from tests.state.small_ledger import HOUSING, MARKET, NETWORK, TAX, SmallLedger, key_of, labels, proven, small_genesis

SMALL_ORDER = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
"""A point of order 8, from ZIP-215's list."""


def added(department: str, key_id: int, *, name: str | None = None) -> AddEnvelopeKey:
    """Return a record that adds a key with a good proof."""
    purpose = f"envelope/{key_id}"
    return AddEnvelopeKey(key_id=key_id, key=proven(NETWORK, department, purpose, key_of(department, name or purpose)))


def department_of(ledger: SmallLedger, credit_code: str) -> Department:
    """Return the department's value."""
    department = ledger.state.get(department_key(credit_code), Department)
    assert department is not None
    return department


def test_every_founder_is_a_department_with_key_1() -> None:
    """Names and roles are those of genesis; all of its public keys have an owner on the ledger."""
    state = SmallLedger().state
    for founder in small_genesis().founders:
        department = state.get(department_key(founder.credit_code), Department)
        key = state.get(envelope_key_key(founder.credit_code, 1), EnvelopeKey)
        assert department is not None
        assert key is not None
        assert (department.roles, department.current_keys, department.valid_from) == (founder.roles, (1,), 0)
        assert key.public == founder.envelope_key.public
    consensus = key_of(HOUSING, "consensus").public
    assert state.get(key_owner_key(consensus), KeyOwner) == KeyOwner(department=HOUSING, purpose="consensus")


def test_a_key_is_valid_from_the_height_after_its_record_to_that_of_its_revocation() -> None:
    """Both heights stand in the value, with the reason."""
    ledger = SmallLedger()
    ledger.put(HOUSING, added(HOUSING, 5))
    ledger.execute()
    assert ledger.put(HOUSING, RevokeEnvelopeKey(key_id=5, reason="laptop lost")) == ["accepted"]
    key = ledger.state.get(envelope_key_key(HOUSING, 5), EnvelopeKey)
    assert key is not None
    assert (key.valid_from, key.valid_to, key.revocation_reason) == (2, 3, "laptop lost")
    assert department_of(ledger, HOUSING).current_keys == (1,)


def test_key_numbers_and_public_keys_are_used_once_for_ever() -> None:
    """Not even after a revocation, not by another department, and not for another purpose."""
    ledger = SmallLedger()
    assert ledger.put(
        HOUSING,
        added(HOUSING, 2),
        RevokeEnvelopeKey(key_id=2, reason="rotated"),
        added(HOUSING, 2, name="another key"),
        added(HOUSING, 3, name="envelope/2"),
        added(HOUSING, 3, name="consensus"),
    ) == ["accepted", "accepted", "key_number_used", "public_key_used", "public_key_used"]
    stolen = proven(NETWORK, MARKET, "envelope/2", key_of(HOUSING, "envelope/2"))
    assert ledger.put(MARKET, AddEnvelopeKey(key_id=2, key=stolen)) == ["public_key_used"]


@pytest.mark.parametrize(
    ("network", "department", "purpose"),
    [("mulu.other.example", HOUSING, "envelope/2"), (NETWORK, MARKET, "envelope/2"), (NETWORK, HOUSING, "envelope/3")],
)
def test_possession_is_proven_for_this_network_department_and_number(
    network: str, department: str, purpose: str
) -> None:
    """A proof made for anything else does not carry over."""
    key = proven(network, department, purpose, key_of("fresh"))
    assert SmallLedger().put(HOUSING, AddEnvelopeKey(key_id=2, key=key)) == ["no_possession"]


def test_a_key_anyone_can_sign_for_is_refused() -> None:
    """Under a key of small order a signature without a secret verifies now and then; the key's own check refuses it."""
    identity = (1).to_bytes(32, "little")
    results = {
        SmallLedger().put(
            HOUSING,
            AddEnvelopeKey(key_id=key_id, key=ProvenKey(public=SMALL_ORDER, possession=identity + bytes(32))),
        )[0]
        for key_id in range(2, 60)
    }
    assert results == {"no_possession", "unsafe_key"}


def test_a_block_checks_so_many_keys_of_a_department_and_no_more() -> None:
    """Refused ones count, since they cost as much; those of others do not; and the next block checks as many."""
    ledger = SmallLedger()
    bad = AddEnvelopeKey(key_id=500, key=replace(added(HOUSING, 500).key, possession=bytes(64)))
    further = [added(HOUSING, key_id) for key_id in range(2, 1 + KEY_CHECKS_PER_BLOCK_MAX)]
    rest = [added(HOUSING, key_id) for key_id in range(100, 102)]
    tax, housing = ledger.envelope(TAX, added(TAX, 2)), ledger.envelope(HOUSING, bad, *further, *rest)
    execution = ledger.execute(housing, tax)
    assert labels(execution.results[0]) == [
        "no_possession",
        *["accepted"] * len(further),
        *["too_many_key_checks"] * 2,
    ]
    assert labels(execution.results[1]) == ["accepted"]
    assert ledger.put(HOUSING, *rest) == ["accepted", "accepted"]


def test_a_department_has_at_most_256_keys_at_once() -> None:
    """They stand in one value, which each further key writes anew. A revoked one makes room."""
    ledger = SmallLedger()
    for first in range(2, 2 + ENVELOPE_KEYS_MAX, KEY_CHECKS_PER_BLOCK_MAX):
        ledger.put(HOUSING, *(added(HOUSING, key_id) for key_id in range(first, first + KEY_CHECKS_PER_BLOCK_MAX)))
    assert len(department_of(ledger, HOUSING).current_keys) == ENVELOPE_KEYS_MAX
    further = added(HOUSING, 2 + ENVELOPE_KEYS_MAX)
    assert ledger.put(HOUSING, further) == ["too_many_keys"]
    ledger.put(HOUSING, RevokeEnvelopeKey(key_id=2, reason="its gateway is gone"))
    assert ledger.put(HOUSING, further) == ["accepted"]


def test_the_last_key_stays() -> None:
    """A department that revoked all its keys could never speak again."""
    ledger = SmallLedger()
    assert ledger.put(
        TAX,
        RevokeEnvelopeKey(key_id=1, reason="lost"),
        added(TAX, 2),
        RevokeEnvelopeKey(key_id=1, reason="lost"),
        RevokeEnvelopeKey(key_id=1, reason="again"),
        RevokeEnvelopeKey(key_id=9, reason="never was"),
        RevokeEnvelopeKey(key_id=2, reason="lost too"),
    ) == ["last_key", "accepted", "accepted", "key_revoked_before", "unknown_envelope_key", "last_key"]


def test_nobody_touches_the_keys_of_another() -> None:
    """Records speak of the signing department's keys alone."""
    ledger = SmallLedger()
    ledger.put(HOUSING, added(HOUSING, 2))
    assert ledger.put(MARKET, RevokeEnvelopeKey(key_id=2, reason="mischief")) == ["unknown_envelope_key"]
    assert department_of(ledger, HOUSING).current_keys == (1, 2)


@given(st.lists(st.tuples(st.sampled_from([HOUSING, TAX]), st.booleans(), st.integers(1, 4)), max_size=20))
def test_current_keys_are_those_not_revoked_and_never_none(steps: list[tuple[str, bool, int]]) -> None:
    """Whatever is added and revoked: the department's list agrees with its keys, and is not empty."""
    ledger = SmallLedger()
    for department, add, key_id in steps:
        record = added(department, key_id) if add else RevokeEnvelopeKey(key_id=key_id, reason="because")
        ledger.execute(ledger.envelope(department, record, key_id=department_of(ledger, department).current_keys[0]))
    for credit_code in (HOUSING, TAX):
        keys = [ledger.state.get(envelope_key_key(credit_code, number), EnvelopeKey) for number in range(1, 5)]
        current = tuple(key.key_id for key in keys if key is not None and key.valid_to is None)
        assert department_of(ledger, credit_code).current_keys == current != ()


def used(window: ReplayWindow, number: int) -> ReplayWindow:
    """Return the window after `number` was used, if it is fresh, and else as it was."""
    in_use = WindowInUse(window)
    assert in_use.use(number) == is_fresh(window, number)
    return in_use.value()


@given(st.lists(st.one_of(st.integers(0, 3 * SEQUENCE_WINDOW), st.integers(0, (1 << 63) - 1)), max_size=60))
def test_the_window_says_of_a_number_what_the_rule_says(numbers: list[int]) -> None:
    """A number is fresh iff top - 1,024 < number <= top + 1,024 and it was not used: compared with a plain set."""
    window, in_use, numbers_used = NOTHING_USED, WindowInUse(NOTHING_USED), {0}
    for number in numbers:
        top = max(numbers_used)
        expected = top - SEQUENCE_WINDOW < number <= top + SEQUENCE_WINDOW and number not in numbers_used
        assert is_fresh(window, number) == expected
        window = used(window, number)
        assert in_use.use(number) == expected
        if expected:
            numbers_used.add(number)
        assert window.top == max(numbers_used)
    assert in_use.value() == window


@given(st.permutations(range(1, 200)))
def test_numbers_may_come_in_any_order_within_the_window(order: list[int]) -> None:
    """A gateway with many envelopes under way loses none of them, and none passes twice."""
    window = NOTHING_USED
    for number in order:
        assert is_fresh(window, number)
        window = used(window, number)
    assert not any(is_fresh(window, number) for number in range(200))
