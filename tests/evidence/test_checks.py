"""Each check holds for good evidence, and each kind of bad evidence turns exactly the checks it should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as with_fields

import msgspec
import pytest
from msgspec.structs import replace

from ledger.blocks.block import Block
from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.blocks.envelope import Envelope
from ledger.blocks.log import ExecutedBlock
from ledger.consensus.messages import QuorumCertificate
from ledger.encoding import decode
from ledger.identifiers import Digest
from ledger.members.calendar import parse_day
from ledger.members.validators import ValidatorSet
from ledger.proofs.policy import make_policy
from ledger.storage.frames import FrameKind
from scenarios.evidence import checks
from scenarios.evidence.checks import CHECKS, run_checks
from scenarios.evidence.summary import accepted_by_kind, blocks_of, longest, refused_by_code
from tests.evidence.small_run import (
    LAST,
    NODES,
    SmallRun,
    certify,
    checkpoint_over,
    good_run,
    record_run,
    rewrite,
)
from tests.proofs.small_network import MARKET_REGULATION, found

BLOCKS = checks.one_block_per_height.__name__
ROOTS = checks.equal_roots.__name__
ACKNOWLEDGED = checks.every_acknowledged_record_once.__name__
PLANTED = checks.every_planted_error_refused.__name__
BUNDLES = checks.every_bundle_verifies.__name__
BREACHES = checks.every_breach_recorded.__name__
DELIVERIES = checks.every_delivery_matches.__name__

BLOCK, QUORUM_CERTIFICATE, EXECUTED, CHECKPOINT = (
    FrameKind.BLOCK,
    FrameKind.QUORUM_CERTIFICATE,
    FrameKind.EXECUTED,
    FrameKind.CHECKPOINT,
)

Spoil = Callable[[SmallRun], None]


def test_every_check_holds_for_good_evidence() -> None:
    """Seven checks, each with what it counted."""
    results = run_checks(good_run().read())
    assert [(result.name, result.ok, result.detail) for result in results] == [
        (BLOCKS, True, "5 heights in 4 journals"),
        (ROOTS, True, "6 heights, checkpoints up to height 5"),
        (ACKNOWLEDGED, True, "7 records in 5 envelopes"),
        (PLANTED, True, "4 planted errors of 3 kinds"),
        (BREACHES, True, "0 breaches of 0 requests and what followed"),
        (DELIVERIES, True, "no node fetched anything"),
        (BUNDLES, True, "1 bundles of 1 types"),
    ]


def test_a_fetch_that_was_begun_and_did_not_end_is_found() -> None:
    """A delivery that is missing among those that came is no delivery that matches."""
    evidence = good_run().read()
    evidence.fetches_expected = 1
    (result,) = [result for result in run_checks(evidence) if result.name == DELIVERIES]
    assert (result.ok, result.detail) == (False, "0 fetches ended well, 1 were begun")


def test_the_ledger_is_counted_by_kind_and_code() -> None:
    """Refusals in execution come from the ledger, those at gateways from their answers."""
    evidence = good_run().read()
    assert accepted_by_kind(evidence) == {
        "certificates.define_type": 1,
        "certificates.issue": 1,
        "directories.approve_responsibility": 1,
        "directories.publish_responsibility": 2,
    }
    assert refused_by_code(evidence) == {"replayed_envelope": 1, "type_defined_before": 2, "wrong_chain": 1}
    blocks = list(blocks_of(longest(evidence)))
    assert [(block.height, block.author, block.envelopes, block.records) for block in blocks] == [
        (1, 1, 2, 2),
        (2, 2, 1, 1),
        (3, 3, 1, 1),
        (4, 0, 1, 3),
        (5, 1, 0, 0),
    ]


def test_a_journal_that_ends_earlier_is_no_contradiction() -> None:
    """A node that was killed has executed less; what it has is held to the same rules."""
    run = good_run()
    # Block 5 commits block 4, and nothing it knows commits block 5.
    run.journals[LAST] = [frame for frame in run.journals[LAST] if frame.kind is BLOCK or frame.height <= 4]
    assert run.failed() == set()


# --------------------------------------------------------------------------------------------------- spoilt journals


def fork(run: SmallRun) -> None:
    # One history up to height 5; then a quorum certifies two blocks, one of them a millisecond later.
    one = record_run(lambda ledger: ledger.execute())
    other = record_run(lambda ledger: ledger.execute(time_ms=ledger.state.time_ms + 1))
    run.journals = {node: list(other.frames if node == LAST else one.frames) for node in NODES}


def certificate_for_another_block(run: SmallRun) -> None:
    certificate = _last_certificate(run)
    commit = replace(certificate.vote.commit, height=3)
    vote = replace(certificate.vote, commit=commit)
    _set_certificate(run, certify(vote), keep=True)


def gap(run: SmallRun) -> None:
    run.spoil(EXECUTED, 2, lambda payload: None)


def no_block(run: SmallRun) -> None:
    run.spoil(BLOCK, 3, lambda payload: None)


def two_outcomes(run: SmallRun) -> None:
    frames = run.journals[LAST]
    (twin,) = [frame for frame in frames if (frame.kind, frame.height) == (EXECUTED, 2)]
    changed = rewrite(ExecutedBlock, lambda e: replace(e, results=(b"\x20",)))(twin.payload)
    frames.append(type(twin)(EXECUTED, twin.height, changed))


def other_records_behind_one_header(run: SmallRun) -> None:
    def exchange(block: Block) -> Block:
        envelope = decode(Envelope, block.payload[0])
        return replace(block, payload=(replace(envelope, records=envelope.records[:1] * 3).encode(),))

    run.spoil(BLOCK, 4, rewrite(Block, exchange))


def payload_in_another_order(run: SmallRun) -> None:
    run.spoil(BLOCK, 1, rewrite(Block, lambda block: replace(block, payload=block.payload[::-1])))


def forged_vote(run: SmallRun) -> None:
    certificate = _last_certificate(run)
    forged = bytes([certificate.signatures[70] ^ 1])
    _set_certificate(
        run, replace(certificate, signatures=certificate.signatures[:70] + forged + certificate.signatures[71:])
    )


def votes_of_two(run: SmallRun) -> None:
    _set_certificate(run, certify(_last_certificate(run).vote, voters=(0, 1)))


def a_voter_twice(run: SmallRun) -> None:
    _set_certificate(run, certify(_last_certificate(run).vote, voters=(0, 1, 1)))


def a_voter_without_signature(run: SmallRun) -> None:
    certificate = _last_certificate(run)
    _set_certificate(run, replace(certificate, signatures=certificate.signatures[:-64]))


def a_voter_that_is_none(run: SmallRun) -> None:
    certificate = _last_certificate(run)
    _set_certificate(run, replace(certificate, voters=(0, 1, 7)))


def votes_across_a_gap_of_rounds(run: SmallRun) -> None:
    vote = _last_certificate(run).vote
    _set_certificate(run, certify(replace(vote, round=vote.round + 1)))


def no_certificate(run: SmallRun) -> None:
    run.spoil(QUORUM_CERTIFICATE, 6, lambda payload: None)


def other_time(run: SmallRun) -> None:
    run.spoil(EXECUTED, 5, _executed(lambda e: replace(e, record=replace(e.record, time_ms=e.record.time_ms + 1))))


def other_state_root(run: SmallRun) -> None:
    run.spoil(EXECUTED, 3, _executed(lambda e: replace(e, record=replace(e.record, state_root=Digest(bytes(32))))))


def other_validators(run: SmallRun) -> None:
    run.spoil(EXECUTED, 3, _executed(lambda e: replace(e, record=replace(e.record, validators_hash=Digest(bytes(32))))))


def other_result(run: SmallRun) -> None:
    run.spoil(EXECUTED, 2, _executed(lambda e: replace(e, results=(b"\x11",))))


def no_result(run: SmallRun) -> None:
    run.spoil(EXECUTED, 2, _executed(lambda e: replace(e, results=())))


def too_many_codes(run: SmallRun) -> None:
    run.spoil(EXECUTED, 2, _executed(lambda e: replace(e, results=(b"\x00\x00",))))


def other_result_everywhere(run: SmallRun) -> None:
    for node in NODES:
        run.spoil(EXECUTED, 2, _executed(lambda e: replace(e, results=(b"\x11",))), node)


def checkpoint_over_another_root(run: SmallRun) -> None:
    run.spoil(CHECKPOINT, 5, lambda payload: checkpoint_over(bytes(32), size=11, height=5).encode())


def checkpoint_of_another_height(run: SmallRun) -> None:
    run.spoil(CHECKPOINT, 5, rewrite(QuorumCheckpoint, lambda checkpoint: replace(checkpoint, height=99)))


def bad_cosignature(run: SmallRun) -> None:
    def spoil(checkpoint: QuorumCheckpoint) -> QuorumCheckpoint:
        first, *others = checkpoint.cosignatures
        return replace(checkpoint, cosignatures=(replace(first, time_s=first.time_s + 1), *others))

    run.spoil(CHECKPOINT, 5, rewrite(QuorumCheckpoint, spoil))


def cosignatures_of_two(run: SmallRun) -> None:
    run.spoil(CHECKPOINT, 5, rewrite(QuorumCheckpoint, lambda c: replace(c, cosignatures=c.cosignatures[:2])))


def a_cosigner_twice(run: SmallRun) -> None:
    run.spoil(
        CHECKPOINT,
        5,
        rewrite(QuorumCheckpoint, lambda c: replace(c, cosignatures=(*c.cosignatures[:2], c.cosignatures[1]))),
    )


def bad_checkpoint_in_a_block(run: SmallRun) -> None:
    ledger = record_run(lambda ledger: ledger.execute(carried=checkpoint_over(bytes(32), size=3, height=1)))
    run.journals = {node: list(ledger.frames) for node in NODES}


# -------------------------------------------------------------------- spoilt receipts, plantings and bundles


def unknown_receipt(run: SmallRun) -> None:
    _set_receipt(run, envelope=bytes(32))


def receipt_with_other_results(run: SmallRun) -> None:
    _set_receipt(run, results=b"\x01")


def receipt_with_other_index(run: SmallRun) -> None:
    _set_receipt(run, log_index=run.evidence.acknowledged[3].log_index + 1)


def receipt_with_other_height(run: SmallRun) -> None:
    _set_receipt(run, height=run.evidence.acknowledged[3].height - 1)


def no_receipt(run: SmallRun) -> None:
    run.evidence.acknowledged = []


def envelope_on_the_ledger_twice(run: SmallRun) -> None:
    ledger = record_run(lambda ledger: ledger.execute(ledger.envelopes[6]))
    run.journals = {node: list(ledger.frames) for node in NODES}
    assert ledger.envelopes[6].header.department == MARKET_REGULATION.credit_code


def planted_error_accepted(run: SmallRun) -> None:
    _set_planted(run, 0, record=1)


def planted_error_with_another_code(run: SmallRun) -> None:
    _set_planted(run, 0, number=104)


def planted_error_beyond_its_envelope(run: SmallRun) -> None:
    _set_planted(run, 0, record=3)


def planted_error_not_on_the_ledger(run: SmallRun) -> None:
    _set_planted(run, 0, envelope=bytes(32))


def gateway_took_it(run: SmallRun) -> None:
    _set_planted(run, 3, answer="")


def gateway_answered_another_code(run: SmallRun) -> None:
    _set_planted(run, 3, answer="bad_signature")


def refused_at_the_gateway_and_yet_on_the_ledger(run: SmallRun) -> None:
    _set_planted(run, 3, envelope=run.evidence.acknowledged[1].envelope)


def replay_of_nothing(run: SmallRun) -> None:
    _set_planted(run, 2, envelope=bytes(32))


def fewer_planted_than_intended(run: SmallRun) -> None:
    run.evidence.planted = run.evidence.planted[:-1]


def more_planted_than_intended(run: SmallRun) -> None:
    run.evidence.planted = [*run.evidence.planted, run.evidence.planted[0]]


def bundle_with_a_byte_changed(run: SmallRun) -> None:
    (bundle,) = run.evidence.bundles
    content = bundle.content.replace(b'"position":1', b'"position":0', 1)
    assert content != bundle.content
    run.evidence.bundles = [with_fields(bundle, content=content)]


def bundle_too_old(run: SmallRun) -> None:
    (bundle,) = run.evidence.bundles
    run.evidence.bundles = [with_fields(bundle, now_ms=bundle.now_ms + 8 * 86_400_000)]


def no_bundle(run: SmallRun) -> None:
    run.evidence.bundles = []


def bundle_of_one_type_of_two(run: SmallRun) -> None:
    run.evidence.bundle_types_expected = 2
    run.evidence.bundles = [*run.evidence.bundles, *run.evidence.bundles]


def policy_of_another_network(run: SmallRun) -> None:
    other = found("mulu.elsewhere.example")
    run.evidence.policy = make_policy(ValidatorSet.of_genesis(other), other.founders, parse_day("2027-12-31"))


def policy_unreadable(run: SmallRun) -> None:
    run.evidence.policy = ""


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (fork, {BLOCKS, ROOTS}),
        (certificate_for_another_block, {BLOCKS}),
        (gap, {BLOCKS, ROOTS}),
        (no_block, {BLOCKS, ROOTS}),
        (two_outcomes, {BLOCKS}),
        (other_records_behind_one_header, {BLOCKS}),
        (payload_in_another_order, {BLOCKS, ROOTS}),
        (forged_vote, {BLOCKS}),
        (votes_of_two, {BLOCKS}),
        (a_voter_twice, {BLOCKS}),
        (a_voter_without_signature, {BLOCKS}),
        (a_voter_that_is_none, {BLOCKS}),
        (votes_across_a_gap_of_rounds, {BLOCKS}),
        (no_certificate, {BLOCKS}),
        (other_time, {BLOCKS, ROOTS}),
        (other_state_root, {ROOTS}),
        (other_validators, {ROOTS}),
        (other_result, {ROOTS}),
        (no_result, {ROOTS}),
        (too_many_codes, {ROOTS}),
        (other_result_everywhere, {ROOTS, ACKNOWLEDGED}),
        (checkpoint_over_another_root, {ROOTS}),
        (checkpoint_of_another_height, {ROOTS}),
        (bad_cosignature, {ROOTS}),
        (cosignatures_of_two, {ROOTS}),
        (a_cosigner_twice, {ROOTS}),
        (bad_checkpoint_in_a_block, {ROOTS}),
        (unknown_receipt, {ACKNOWLEDGED}),
        (receipt_with_other_results, {ACKNOWLEDGED}),
        (receipt_with_other_index, {ACKNOWLEDGED}),
        (receipt_with_other_height, {ACKNOWLEDGED}),
        (no_receipt, {ACKNOWLEDGED}),
        (envelope_on_the_ledger_twice, {ACKNOWLEDGED}),
        (planted_error_accepted, {PLANTED}),
        (planted_error_with_another_code, {PLANTED}),
        (planted_error_beyond_its_envelope, {PLANTED}),
        (planted_error_not_on_the_ledger, {PLANTED}),
        (gateway_took_it, {PLANTED}),
        (gateway_answered_another_code, {PLANTED}),
        (refused_at_the_gateway_and_yet_on_the_ledger, {PLANTED}),
        (replay_of_nothing, {PLANTED}),
        (fewer_planted_than_intended, {PLANTED}),
        (more_planted_than_intended, {PLANTED}),
        (bundle_with_a_byte_changed, {BUNDLES}),
        (bundle_too_old, {BUNDLES}),
        (no_bundle, {BUNDLES}),
        (bundle_of_one_type_of_two, {BUNDLES}),
        (policy_of_another_network, {BUNDLES}),
        (policy_unreadable, {BUNDLES}),
    ],
    ids=lambda value: value.__name__.replace("_", " ") if callable(value) else "",
)
def test_bad_evidence_turns_exactly_the_checks_it_should(spoil: Spoil, expected: set[str]) -> None:
    """One thing is spoilt; the checks about it no longer hold, and all others still do."""
    run = good_run()
    spoil(run)
    assert run.failed() == expected


def test_an_unreadable_journal_fails_every_check_over_journals() -> None:
    """Nothing can be said of the network while one node's journal is closed; bundles stand on their own."""
    run = good_run()
    run.spoil_bytes = lambda data: b""
    assert run.failed() == {check.__name__ for check in CHECKS} - {BUNDLES}


def test_no_journal_at_all_fails_every_check_over_journals() -> None:
    """An empty run proves nothing."""
    run = good_run()
    run.journals = {}
    assert run.failed() == {check.__name__ for check in CHECKS} - {BUNDLES}


def _executed(change: Callable[[ExecutedBlock], ExecutedBlock]) -> Callable[[bytes], bytes]:
    return rewrite(ExecutedBlock, change)


def _last_certificate(run: SmallRun) -> QuorumCertificate:
    (frame,) = [frame for frame in run.journals[LAST] if frame.kind is QUORUM_CERTIFICATE]
    return decode(QuorumCertificate, frame.payload)


def _set_certificate(run: SmallRun, certificate: QuorumCertificate, *, keep: bool = False) -> None:
    """Put a certificate in the place of the last node's only one, or before it."""
    frames = run.journals[LAST]
    (place,) = [i for i, frame in enumerate(frames) if frame.kind is QUORUM_CERTIFICATE]
    frame = type(frames[place])(QUORUM_CERTIFICATE, frames[place].height, msgspec.msgpack.encode(certificate))
    frames[place : place + (not keep)] = [frame]


def _set_receipt(run: SmallRun, **changes: object) -> None:
    receipts = list(run.evidence.acknowledged)
    receipts[3] = with_fields(receipts[3], **changes)
    run.evidence.acknowledged = receipts


def _set_planted(run: SmallRun, position: int, **changes: object) -> None:
    planted = list(run.evidence.planted)
    planted[position] = with_fields(planted[position], **changes)
    run.evidence.planted = planted
