"""Proving a trace: each step by its own place in the log, the status by the certificate's bundle, under one policy.

What the node answers is a claim. A step holds if its record is in the log under a checkpoint that counts, was accepted,
is of the kind, by the department and about the thing that the node says. The bundle holds every record that set the
certificate, so that a trace cannot leave one out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import msgspec

from ledger.blocks.log import EnvelopeEntry
from ledger.encoding import decode
from ledger.errors import DecodeError, InvalidInputError, NotFoundError, NotYetError
from ledger.proofs.statement import STATUS_WORDS, Statement
from ledger.proofs.tlog_proof import ProofExtra, parse_tlog_proof
from ledger.proofs.verify import verify_bundle
from ledger.proofs.verify_entry import verify_entry
from ledger.registers import decode_record
from ledger.registers.certificates.values import Status
from nodes.tracing.chain import PROVEN, Chain, Proof, Step

Fetch = Callable[[str], bytes]
"""Returns what the node's gateway gives for a path; raises what `nodes.commands.gateway_client.fetch` raises."""

WORKERS = 8
"""Proofs that are asked for at once."""

INDIRECT = "members.carry_out_reorganisation"
"""A record that moves what it does not name: the plan that it carries out does."""


def claimed(trace: Mapping[str, Any]) -> Chain:
    """Return the chain as a node tells it, nothing proven yet.

    Raises:
        KeyError, TypeError: It is not the answer of a gateway.
    """
    nobody_looked = Proof(None, "nobody has looked")
    return Chain(
        trace=trace,
        steps=[
            Step(
                subject=step["subject"],
                id=step["id"],
                kind=step["kind"],
                department=step["department"],
                height=step["recorded"]["height"],
                time=step["recorded"]["time"],
                log_index=step["log_index"],
                position=step["position"],
                proof=nobody_looked,
            )
            for step in trace["steps"]
        ],
        status=nobody_looked,
    )


def prove(chain: Chain, fetch: Fetch, policy: str, *, now_ms: int) -> Chain:
    """Return the chain with what proofs from the same node say of each step and of the status."""
    with ThreadPoolExecutor(WORKERS) as threads:
        proofs = list(threads.map(lambda step: _prove_step(step, fetch, policy, now_ms), chain.steps))
    steps = [replace(step, proof=proof) for step, proof in zip(chain.steps, proofs, strict=True)]
    return replace(chain, steps=steps, status=_prove_status(chain, fetch, policy, now_ms))


def _prove_step(step: Step, fetch: Fetch, policy: str, now_ms: int) -> Proof:
    if step.log_index is None:
        return Proof(None, "no record says it: it follows from the time of its block")
    try:
        data = fetch(f"/api/v1/entries/{step.log_index}/tlog-proof?record={step.position}")
    except (NotFoundError, NotYetError, InvalidInputError) as error:
        return Proof(None, str(error))
    statement = verify_entry(data, policy.encode(), now_ms=now_ms)
    if not statement.established:
        return Proof(statement.established, statement.reason)
    return _compare(step, data)


def _compare(step: Step, data: bytes) -> Proof:
    """Compare what a proof shows, which holds, with what it should show."""
    proof = parse_tlog_proof(data.decode())
    extra = decode(ProofExtra, proof.extra or b"")
    if extra.record is None or (proof.index, extra.record.position) != (step.log_index, step.position):
        return Proof(False, "the proof is of another record")
    try:
        record = decode_record(extra.record.record)
    except DecodeError:
        return Proof(False, "the record is of no known kind")
    kind = str(record.__struct_config__.tag)
    if kind != step.kind:
        return Proof(False, f"the record is {kind}, not {step.kind}")
    signer = decode(EnvelopeEntry, extra.entry).header.department
    if step.department is None or signer != step.department["credit_code"]:
        return Proof(False, f"the record was signed by {signer}")
    if kind != INDIRECT and step.id not in msgspec.structs.astuple(record):
        return Proof(False, f"the record is not about {step.id}")
    return PROVEN


def _prove_status(chain: Chain, fetch: Fetch, policy: str, now_ms: int) -> Proof:
    trace = chain.trace
    try:
        bundle = fetch(f"/api/v1/certificates/{trace['certificate']}/bundle")
    except (NotFoundError, NotYetError, InvalidInputError) as error:
        return Proof(None, str(error))
    statement = verify_bundle(bundle, policy, now_ms=now_ms, require="genuine")
    if statement.provenance is None:
        return Proof(statement.genuine, "; ".join(statement.reasons))
    assert statement.as_of is not None
    if statement.provenance.certificate != trace["certificate"]:
        return Proof(False, "the proof is of another certificate")
    told = _told(chain)
    proven = {(event.index, event.what) for event in statement.provenance.events}
    if told == proven and _same_status(statement, trace["status"]):
        return PROVEN
    if statement.as_of.height != trace["as_of"]["height"]:
        # A checkpoint is a few blocks behind the last one, and blocks come while somebody asks.
        return Proof(None, f"what is proven is as of block {statement.as_of.height}; ask again")
    if missing := sorted(proven - told):
        return Proof(False, f"the node does not tell of {missing[0][1]} at log entry {missing[0][0]}")
    return Proof(False, f"the ledger has another status, or fewer steps: {_status_word(statement)}")


def _told(chain: Chain) -> set[tuple[int, str]]:
    """Return place and kind of the steps that set the certificate, as the node tells them."""
    return {
        (step.log_index, step.kind)
        for step in chain.of("certificate")
        if step.log_index is not None and step.kind is not None
    }


def _same_status(statement: Statement, told: str) -> bool:
    # The end of the term is looked at as of now in the one and as of the last block in the other.
    by_date = {Status.VALID.value, Status.EXPIRED.value, Status.NOT_YET_VALID.value}
    assert statement.status is not None
    return statement.status.value == told or {statement.status.value, told} <= by_date


def _status_word(statement: Statement) -> str:
    assert statement.status is not None
    return STATUS_WORDS[statement.status]
