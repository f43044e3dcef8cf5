"""Attacks and accidents that verifiers of logs have fallen for: what all three verifiers say of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785

from ledger.blocks.checkpoint import (
    NOTE_COSIGNATURE,
    cosignature_line,
    cosigned_bytes,
    log_line,
    verifier_key,
)
from ledger.blocks.envelope import Envelope
from ledger.crypto.hashing import sha256
from ledger.members.calendar import parse_day
from ledger.members.validators import ValidatorSet
from ledger.proofs.bundle import build_bundle
from ledger.proofs.notes import parse_note
from ledger.proofs.policy import make_policy
from ledger.registers.certificates.records import LiftSuspension, RevokeCertificate, SuspendCertificate
from tests.proofs.cases import GENESIS, POLICY, Case, good_cases
from tests.proofs.memory_ledger import IDENTIFIER, MemoryLedger, ledger_with_certificate
from tests.proofs.other_verifiers import Node, by_stand_alone
from tests.proofs.small_network import MARKET_REGULATION, MEMBERS, REGISTRAR, found, key
from tests.proofs.test_agreement import by_mulu
from tests.proofs.test_verify import zip215_only_signature

EXIT_CODES = {"established": 0, "refuted": 3, "not established": 4}
VALIDATORS = ValidatorSet.of_genesis(GENESIS)
CODES = {member.credit_code: member.code for member in MEMBERS}
GOOD = next(case for case in good_cases() if case.name == "hidden")
BUNDLE = json.loads(GOOD.data)
BODY = parse_note(BUNDLE["checkpoint"]).body
LINES = BUNDLE["checkpoint"].partition("\n\n")[2].splitlines()


@dataclass(frozen=True)
class Attack:
    """A file, perhaps under another policy, and what must be said of it."""

    name: str
    case: Case
    exit_code: int
    genuine: bool | None
    words: str
    """In the reason that `mulu verify` gives."""


def with_checkpoint(body: str, lines: list[str]) -> Case:
    """Return the good bundle with other lines below a checkpoint."""
    return spelled(BUNDLE | {"checkpoint": body + "\n" + "".join(f"{line}\n" for line in lines)})


def spelled(document: dict[str, Any], policy: str = POLICY, now_ms: int = GOOD.now_ms) -> Case:
    """Return the case of a changed document."""
    return Case("", rfc8785.dumps(document), now_ms, policy)


def signed_by(network: str, body: str, keys: ValidatorSet = VALIDATORS) -> list[str]:
    """Return the lines of a log and of three cosigners whose keys are those of `network`, under the names of `keys`."""
    lines = [log_line(keys.origin, keys.validators[0].log, key(network, "AF", "log").sign(body.encode()))]
    for index in range(3):
        private = key(network, CODES[keys.validators[index].credit_code], "cosigner")
        signature = private.sign(cosigned_bytes(body, 7))
        lines.append(cosignature_line(keys.cosigner_name(index), keys.validators[index].cosigner, 7, signature))
    return lines


def attacks() -> Iterator[Attack]:
    """Yield each with its name."""
    yield Attack("a quorum minus one", with_checkpoint(BODY, LINES[:-1]), 4, None, "2 of 4 departments cosigned")
    yield Attack("a cosigner twice", with_checkpoint(BODY, [*LINES[:-1], LINES[-2]]), 4, None, "repeated")
    yield Attack("no department at all", with_checkpoint(BODY, LINES[:1]), 4, None, "0 of 4 departments cosigned")
    retired = found("mulu.test.example", MEMBERS[:1] + MEMBERS[2:])
    chain = make_policy(ValidatorSet.of_genesis(retired), retired.founders, parse_day("2027-12-31"))
    yield Attack("a checkpoint of another network", replace(GOOD, policy=chain), 4, None, "the policy is for")
    yield from _policies()
    # Sigstore's, of 2022: the path led to a root, and nobody looked whether that root was the signed one.
    document = json.loads(GOOD.data)
    forged = json.loads(build_bundle(ledger_with_certificate(found("mulu.forged.example")).view(), IDENTIFIER))
    path_alone = forged | {"checkpoint": document["checkpoint"]}
    yield Attack("a path that does not lead to the signed root", spelled(path_alone), 3, False, "root")
    # And: the root was signed, by keys that came along with it. Here they come under our names, first with the hashes
    # of our keys, then with their own.
    _, size, root = forged["checkpoint"].partition("\n\n")[0].split("\n")
    body = f"{VALIDATORS.origin}\n{size}\n{root}\n"
    forged_set = ValidatorSet.of_genesis(found("mulu.forged.example"))
    for keys, exit_code, genuine, words in (
        (VALIDATORS, 3, False, "verify"),
        (forged_set, 4, None, "log key of the policy"),
    ):
        signed = signed_by("mulu.forged.example", body, keys)
        lines = [line.replace(forged_set.origin, VALIDATORS.origin) for line in signed]
        note = body + "\n" + "".join(f"{line}\n" for line in lines)
        whose = "ours" if keys is VALIDATORS else "theirs"
        name = f"a root signed with keys that came along, their hashes {whose}"
        yield Attack(name, spelled(forged | {"checkpoint": note}), exit_code, genuine, words)
    yield Attack(
        "a root of another log, rightly signed there", spelled(forged), 4, None, "the policy is for mulu.test.example"
    )
    yield from _histories()
    yield Attack("a signature that only ZIP-215 accepts", _liberal(), 4, None, "not checkable by standard tools")
    ahead = replace(GOOD, now_ms=GOOD.now_ms - 86_400_000)
    yield Attack("a clock a day behind", ahead, 4, True, "ahead of this clock")
    yield Attack("a clock in the year 9000", replace(GOOD, now_ms=221_845_392_000_000), 4, None, "was to be used until")


def _policies() -> Iterator[Attack]:
    past = make_policy(VALIDATORS, GENESIS.founders, parse_day("2025-09-14"))
    yield Attack("a policy past its date", replace(GOOD, policy=past), 4, None, "was to be used until 2025-09-14")
    lines = POLICY.split("\n")
    # The same network in another epoch: another cosigner in the place of one that has retired.
    retired = found("mulu.retired.example")
    newer = ValidatorSet.of_genesis(retired).validators[0]
    name = VALIDATORS.cosigner_name(0)
    replaced = [
        f"witness {VALIDATORS.validators[0].credit_code} {verifier_key(name, NOTE_COSIGNATURE, newer.cosigner)}"
        if line.startswith(f"witness {VALIDATORS.validators[0].credit_code} ")
        else line.replace("# epoch 0", "# epoch 1")
        for line in lines
    ]
    yield Attack(
        "cosigned by a validator set that has retired",
        replace(GOOD, policy="\n".join(replaced)),
        4,
        None,
        "knows no cosigner",
    )


def _histories() -> Iterator[Attack]:
    ledger = ledger_with_certificate(GENESIS)
    before = json.loads(build_bundle(ledger.view(), IDENTIFIER))
    for record in (
        SuspendCertificate(certificate=IDENTIFIER, reason="inspection"),
        LiftSuspension(certificate=IDENTIFIER, reason="inspection passed"),
        RevokeCertificate(certificate=IDENTIFIER, kind="revoked", reason="fraud"),
    ):
        ledger.execute(ledger.sign(MARKET_REGULATION, record))
    view = ledger.view()
    after = json.loads(build_bundle(view, IDENTIFIER))
    now_ms = ledger.state.time_ms
    truncated = after | {"records": after["records"][:-1]}
    yield Attack("a history without its last record", spelled(truncated, now_ms=now_ms), 3, False, "records are here")
    truncated = after | {"records": [after["records"][0], after["records"][-1]]}
    yield Attack("a history with a gap", spelled(truncated, now_ms=now_ms), 3, False, "records are here")
    for proof in (before["block"], before["approval"]["logged"], before["records"][0]["logged"]):
        proof["path"] = msgspec.to_builtins(tuple(view.inclusion_path(proof["index"])))
    old = before | {"checkpoint": after["checkpoint"]}
    yield Attack(
        "an old block record under a fresh checkpoint", spelled(old, now_ms=now_ms), 4, None, "says nothing about now"
    )
    old = old | {"block": after["block"]}
    yield Attack("an old state under a fresh block record", spelled(old, now_ms=now_ms), 3, False, "root")
    yield Attack("the revoked certificate itself", spelled(after, now_ms=now_ms), 3, True, "it was revoked at")


def _liberal() -> Case:
    """Return a bundle whose approval has a signature that the ledger accepts, and no standard tool does."""
    ledger = MemoryLedger(GENESIS)
    seed = sha256(f"{GENESIS.name}/{REGISTRAR.code}/envelope/1".encode())

    def crafted(envelope: Envelope) -> Envelope:
        if envelope.header.department != REGISTRAR.credit_code:
            return envelope
        return msgspec.structs.replace(envelope, signature=zip215_only_signature(seed, envelope.header.id))

    for envelopes in ledger_with_certificate(GENESIS).blocks():
        ledger.execute(*map(crafted, envelopes))
    return Case("", build_bundle(ledger.view(), IDENTIFIER), ledger.state.time_ms)


@pytest.fixture(scope="module")
def node(optional_tool: Callable[[str], Path]) -> Iterator[Node]:
    """Return the page's script in Node.js."""
    running = Node(optional_tool("node"))
    yield running
    running.close()


@pytest.mark.parametrize("attack", list(attacks()), ids=lambda attack: attack.name)
def test_each_gets_the_right_statement_of_all_three(attack: Attack, node: Node) -> None:
    """Its exit code, whether that is a forgery or unknown, and a reason that names what is wrong."""
    statement = by_mulu(attack.case)
    assert (EXIT_CODES[statement["verdict"]], statement["genuine"]) == (attack.exit_code, attack.genuine)
    assert attack.words in statement["reasons"][0]
    for other in (by_stand_alone(attack.case), node.statement(attack.case)):
        assert (other["verdict"], other["genuine"]) == (statement["verdict"], statement["genuine"])
        assert len(other["reasons"][0]) > 10
