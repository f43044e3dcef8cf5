"""Try the four departments of docker-compose.yml on a container engine: build, use, restart one, take down.

    make compose-check
    make compose-check ARGS="--keep"

Uses the network as a stranger would, through published gateways, and believes nothing that the policy's keys did not
sign. Steps go to standard error, the verdict is the last line on standard output. Exit codes: 0 all held, 1 something
did not, 7 no container engine runs here.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from ledger.blocks.checkpoint import cosigned_bytes
from ledger.blocks.envelope import Envelope, seal
from ledger.blocks.genesis import ProvenKey, possession_bytes
from ledger.blocks.log import EnvelopeEntry
from ledger.crypto.merkle import leaf_hash, verify_inclusion
from ledger.crypto.signatures import SigningKey, verify_strict
from ledger.encoding import decode
from ledger.errors import LedgerError, SignatureError
from ledger.identifiers import CreditCode, Height, KeyId
from ledger.proofs.notes import SignedCheckpoint, parse_note
from ledger.proofs.policy import Policy, parse_policy
from ledger.registers.members.records import AddEnvelopeKey
from nodes.keystore import KeyName, Keystore
from nodes.network import KEYS_DIRECTORY, POLICY_FILE, Network, load_network

PROJECT = Path(__file__).resolve().parents[1]
GATEWAYS = {
    "bm": "http://127.0.0.1:8101",
    "ay": "http://127.0.0.1:8102",
    "af": "http://127.0.0.1:8103",
    "al": "http://127.0.0.1:8104",
}
REGISTRAR = "X1"
"""Short code of the registrar: it has an envelope key and no node, so nobody else uses up its sequence numbers."""

READY_S, COMMIT_S = 180, 60
"""Longest wait for four containers to answer, and for a block or a restarted node."""
VALID_FOR_BLOCKS = 1_000


class CheckFailedError(Exception):
    """Something did not hold; the message says what."""


class NoEngineError(Exception):
    """There is no container engine to try this on; the message says what was looked for."""


@dataclass(frozen=True)
class Compose:
    """The compose command of the engine that runs here."""

    command: tuple[str, ...]

    @classmethod
    def find(cls) -> Compose:
        """Return the first compose command whose engine answers.

        Raises:
            NoEngineError: None does.
        """
        for engine in ("docker", "podman"):
            if shutil.which(engine) is None or _fails([engine, "info"]):
                continue
            for command in ((engine, "compose"), (f"{engine}-compose",)):
                if shutil.which(command[0]) and not _fails([*command, "version"]):
                    return cls(command)
        raise NoEngineError("neither docker nor podman runs here with a compose command; start one and try again")

    def run(self, *arguments: str) -> None:
        """Run one compose command; its output goes to standard error.

        Raises:
            CheckFailedError: It failed.
        """
        command = [*self.command, *arguments]
        if subprocess.run(command, cwd=PROJECT, stdout=sys.stderr, check=False).returncode:
            raise CheckFailedError(f"`{' '.join(command)}` failed")


def _fails(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def check(compose: Compose, scratch: Path) -> str:
    """Use the running network; return one sentence on what was seen.

    Raises:
        CheckFailedError: Something did not hold.
    """
    for name in GATEWAYS:
        wait_for(f"{name} answers", READY_S, partial(answers, name))

    compose.run("cp", "bm:/network", str(scratch))
    directory = scratch / "network"
    network = load_network(directory)
    policy = parse_policy((directory / POLICY_FILE).read_text(encoding="utf-8"))
    with Keystore.open(directory / REGISTRAR / KEYS_DIRECTORY) as keys:
        envelope = new_envelope(network, REGISTRAR, keys)

    receipt = submit("ay", envelope)
    index, size = check_receipt(receipt, envelope, policy)
    say(f"recorded as entry {index} of {size}, cosigned by a quorum of {policy.quorum}")

    for name in GATEWAYS:
        wait_for(f"{name} serves a checkpoint that covers it", COMMIT_S, partial(covers, name, policy, size))

    compose.run("restart", "al")
    wait_for("al answers again", READY_S, partial(answers, "al"))
    ahead = verified_checkpoint("bm", policy).size
    wait_for(f"al has caught up with {ahead} entries", COMMIT_S, partial(covers, "al", policy, ahead))
    return f"4 departments, entry {index} in a checkpoint of {size} entries, al back at {ahead} entries or more"


def new_envelope(network: Network, code: str, keys: Keystore) -> Envelope:
    """Return an envelope in which a member adds a second key of its own: that needs no earlier record."""
    founder = next(founder for founder in network.genesis.founders if founder.code == code)
    key_id = KeyId(2)
    added = SigningKey.from_seed(b"compose check: a key nobody uses")
    possession = added.sign(
        possession_bytes(network.genesis.name, founder.credit_code, f"envelope/{key_id}", added.public)
    )
    record = AddEnvelopeKey(key_id=key_id, key=ProvenKey(public=added.public, possession=possession))
    return seal(
        [record.encode()],
        chain=network.genesis.chain,
        department=CreditCode(founder.credit_code),
        key_id=KeyId(1),
        sequence=1,
        valid_until=Height(VALID_FOR_BLOCKS),
        signer=keys.signers[KeyName.ENVELOPE],
    )


def submit(name: str, envelope: Envelope) -> Any:
    """Hand an envelope to a gateway, wait until it is committed, and return the receipt."""
    answer = httpx.post(
        f"{GATEWAYS[name]}/api/v1/envelopes",
        params={"wait": COMMIT_S},
        content=envelope.encode(),
        headers={"Content-Type": "application/octet-stream"},
        timeout=COMMIT_S + 10,
    )
    if answer.status_code != httpx.codes.OK:
        raise CheckFailedError(f"{name} answered {answer.status_code} to an envelope: {answer.text[:500]}")
    return answer.json()


def check_receipt(receipt: Any, envelope: Envelope, policy: Policy) -> tuple[int, int]:
    """Return index and log size after checking that a quorum of the policy vouches for the envelope as accepted.

    Raises:
        CheckFailedError: Another envelope, a refused record, or too few cosignatures.
        LedgerError: A proof or a form that is wrong.
    """
    checkpoint = parse_note(receipt["checkpoint"])
    check_quorum(checkpoint, policy)
    logged = receipt["logged"]
    raw, index = base64.b64decode(logged["entry"]), int(logged["index"])
    path = [base64.b64decode(sibling) for sibling in logged["path"]]
    verify_inclusion(leaf_hash(raw), index=index, size=checkpoint.size, path=path, root=checkpoint.root)
    entry = decode(EnvelopeEntry, raw)
    if entry.header != envelope.header:
        raise CheckFailedError(f"the receipt is for envelope {entry.header.id.hex()}, not {envelope.header.id.hex()}")
    if any(entry.results):
        raise CheckFailedError(f"the record was refused with codes {list(entry.results)}")
    return index, checkpoint.size


def check_quorum(checkpoint: SignedCheckpoint, policy: Policy) -> None:
    """Check that distinct cosigners of the policy, at least a quorum, signed the checkpoint.

    Raises:
        CheckFailedError: Another log, or too few of them.
    """
    if checkpoint.origin != policy.origin:
        raise CheckFailedError(f"a checkpoint of {checkpoint.origin}, not {policy.origin}")
    signers = set()
    for line in checkpoint.lines:
        cosigner = policy.cosigner_keys.get((line.name, line.key_hash))
        if cosigner is None:
            continue
        credit_code, public = cosigner
        time_s, signature = int.from_bytes(line.signature[:8], "big"), line.signature[8:]
        try:
            verify_strict(public, cosigned_bytes(checkpoint.body, time_s), signature)
        except SignatureError:
            continue
        signers.add(credit_code)
    if len(signers) < policy.quorum:
        raise CheckFailedError(f"{len(signers)} cosignatures verify; the policy asks for {policy.quorum}")


def verified_checkpoint(name: str, policy: Policy) -> SignedCheckpoint:
    """Return a gateway's newest checkpoint after checking it against the policy."""
    checkpoint = parse_note(get(name, "/checkpoint").text)
    check_quorum(checkpoint, policy)
    return checkpoint


def covers(name: str, policy: Policy, size: int) -> bool:
    """Return whether a gateway's newest checkpoint covers `size` entries."""
    return verified_checkpoint(name, policy).size >= size


def answers(name: str) -> bool:
    """Return whether a gateway says that its node lives."""
    return get(name, "/livez").is_success


def get(name: str, path: str) -> httpx.Response:
    """Return a gateway's answer.

    Raises:
        httpx.HTTPError: None came, or it is not a good one.
    """
    return httpx.get(f"{GATEWAYS[name]}{path}", timeout=5).raise_for_status()


def wait_for(what: str, limit_s: float, holds: Callable[[], bool]) -> None:
    """Return once `holds` does, tried every half second. A gateway that does not answer is one that does not hold yet.

    Raises:
        CheckFailedError: It did not in `limit_s` seconds.
    """
    deadline, last = time.monotonic() + limit_s, "not so yet"
    while time.monotonic() < deadline:
        try:
            if holds():
                say(what)
                return
        except httpx.HTTPError as error:
            last = repr(error)
        time.sleep(0.5)
    raise CheckFailedError(f"waited {limit_s} s for: {what} ({last})")


def say(what: str) -> None:
    """Report one step."""
    print(f"compose-check: {what}", file=sys.stderr)


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description="Try docker-compose.yml on the container engine of this machine.")
    parser.add_argument("--keep", action="store_true", help="leave the containers running at the end")
    options = parser.parse_args()
    try:
        compose = Compose.find()
    except NoEngineError as error:
        say(str(error))
        return 7
    try:
        # What an earlier try left behind would be another network.
        compose.run("down", "--volumes", "--remove-orphans")
        compose.run("up", "--build", "--detach")
        with tempfile.TemporaryDirectory() as scratch:
            seen = check(compose, Path(scratch))
    except (CheckFailedError, LedgerError, httpx.HTTPError) as error:
        compose.run("logs", "--tail", "50")
        print(json.dumps({"ok": False, "reason": str(error)}))
        return 1
    finally:
        if not options.keep:
            compose.run("down", "--volumes", "--remove-orphans")
    print(json.dumps({"ok": True, "seen": seen}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
