"""Try the four departments of docker-compose.yml on a container engine: build, use, restart one, take down.

    make compose-check
    make compose-check ARGS="--keep"
    BASE=registry.example/python:3.13-slim-bookworm make compose-check

Uses the network as a stranger would, through published gateways, and believes nothing that the policy's keys did not
sign. Steps go to standard error, the verdict is the last line on standard output. Exit codes: 0 all held, 1 something
did not, 7 no container engine runs here.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
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

from ledger.blocks.envelope import Envelope, seal
from ledger.blocks.genesis import ProvenKey, possession_bytes
from ledger.blocks.log import EnvelopeEntry
from ledger.crypto.merkle import leaf_hash, verify_inclusion
from ledger.crypto.signatures import SigningKey
from ledger.encoding import decode
from ledger.errors import LedgerError
from ledger.identifiers import CreditCode, Height, KeyId
from ledger.proofs.cosigned import check_cosigned
from ledger.proofs.notes import SignedCheckpoint, parse_note
from ledger.proofs.policy import Policy, parse_policy
from ledger.registers.members.records import AddEnvelopeKey
from nodes.gateway.routes.envelopes import MEDIA_TYPE
from nodes.keystore import KeyName, Keystore
from nodes.network import KEYS_DIRECTORY, POLICY_FILE, Network, load_network

PROJECT = Path(__file__).resolve().parents[1]
PROJECT_LABEL = "com.docker.compose.project=mulu"
SERVICE_LABEL = "com.docker.compose.service"
GATEWAYS = {
    "bm": "http://127.0.0.1:8101",
    "ay": "http://127.0.0.1:8102",
    "af": "http://127.0.0.1:8103",
    "al": "http://127.0.0.1:8104",
}
REGISTRAR = "X1"
"""Short code of the registrar: it has an envelope key and no node, so nobody else uses up its sequence numbers."""

READY_S, COMMIT_S = 180, 60
"""Longest wait for a container to be healthy, and for a block or a node that catches up."""
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
        """Return the compose command: the engine's plugin, or the program of its own.

        Raises:
            NoEngineError: There is none, or no engine answers.
        """
        if shutil.which("docker") is None or _fails(["docker", "info"]):
            raise NoEngineError("no container engine answers `docker info`; start one and try again")
        for command in (("docker", "compose"), ("docker-compose",)):
            if shutil.which(command[0]) and not _fails([*command, "version"]):
                return cls(command)
        raise NoEngineError("the engine has neither `docker compose` nor `docker-compose`; install one and try again")

    def run(self, *arguments: str) -> None:
        """Run one compose command; its output goes to standard error.

        Raises:
            CheckFailedError: It failed.
        """
        command = [*self.command, *arguments]
        if subprocess.run(command, cwd=PROJECT, stdout=sys.stderr, check=False).returncode:
            raise CheckFailedError(f"`{' '.join(command)}` failed")

    def healthy(self, name: str) -> bool:
        """Return whether the container of a service passes the health check of its image."""
        filters = (f"label={PROJECT_LABEL}", f"label={SERVICE_LABEL}={name}", "health=healthy")
        command = ["docker", "ps", "--quiet", *(f"--filter={text}" for text in filters)]
        return bool(subprocess.run(command, capture_output=True, check=False).stdout.strip())


def _fails(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


@dataclass(frozen=True)
class Recorded:
    """What a receipt proves."""

    index: int
    """Of the envelope's entry in the log."""
    size: int
    """Entries of the log under the checkpoint."""
    cosigners: tuple[CreditCode, ...]


def check(compose: Compose, scratch: Path) -> str:
    """Use the running network; return one sentence on what was seen.

    Raises:
        CheckFailedError: Something did not hold.
        LedgerError: A proof or a form that is wrong.
    """
    for name in GATEWAYS:
        wait_for(f"{name} is healthy", READY_S, partial(compose.healthy, name))

    compose.run("cp", "bm:/network", str(scratch))
    directory = scratch / "network"
    network = load_network(directory)
    policy = parse_policy((directory / POLICY_FILE).read_text(encoding="utf-8"))
    with Keystore.open(directory / REGISTRAR / KEYS_DIRECTORY) as keys:
        envelopes = [new_envelope(network, REGISTRAR, keys, sequence) for sequence in (1, 2, 3)]

    first = record("ay", envelopes[0], policy)
    for name in GATEWAYS:
        wait_for(f"{name} serves a checkpoint that covers it", COMMIT_S, partial(covers, name, policy, first.size))

    compose.run("stop", "al")
    missed = record("ay", envelopes[1], policy)
    compose.run("start", "al")
    wait_for("al is healthy again", READY_S, partial(compose.healthy, "al"))
    wait_for(f"al has caught up with {missed.size} entries", COMMIT_S, partial(covers, "al", policy, missed.size))

    # Three of four make a quorum. With another one away each of the rest is needed, al too.
    compose.run("stop", "bm")
    last = record("al", envelopes[2], policy)
    al = next(department.credit_code for department in policy.departments if department.code == "AL")
    if al not in last.cosigners:
        raise CheckFailedError(f"the checkpoint of {last.size} entries is not cosigned by al")
    compose.run("start", "bm")
    wait_for(f"bm has caught up with {last.size} entries", COMMIT_S, partial(covers, "bm", policy, last.size))
    return (
        f"4 departments; entry {first.index} in a checkpoint of {first.size} entries; al missed entry {missed.index}, "
        f"caught up and cosigned {last.size} entries"
    )


def new_envelope(network: Network, code: str, keys: Keystore, sequence: int) -> Envelope:
    """Return an envelope in which a member adds a further key of its own: that needs no earlier record.

    Args:
        sequence: From 1. The key added is the one after it, because members start with key 1.
    """
    founder = next(founder for founder in network.genesis.founders if founder.code == code)
    key_id = KeyId(sequence + 1)
    added = SigningKey.from_seed(hashlib.sha256(b"compose check: key %d, which nobody uses" % key_id).digest())
    possession = added.sign(
        possession_bytes(network.genesis.name, founder.credit_code, f"envelope/{key_id}", added.public)
    )
    record = AddEnvelopeKey(key_id=key_id, key=ProvenKey(public=added.public, possession=possession))
    return seal(
        [record.encode()],
        chain=network.genesis.chain,
        department=CreditCode(founder.credit_code),
        key_id=KeyId(1),
        sequence=sequence,
        valid_until=Height(VALID_FOR_BLOCKS),
        signer=keys.signers[KeyName.ENVELOPE],
    )


def record(name: str, envelope: Envelope, policy: Policy) -> Recorded:
    """Hand an envelope to a gateway and return what its receipt proves."""
    recorded = check_receipt(submit(name, envelope), envelope, policy)
    signed_by = ", ".join(map(policy.name_of, recorded.cosigners))
    say(f"recorded through {name} as entry {recorded.index} of {recorded.size}, cosigned by {signed_by}")
    return recorded


def submit(name: str, envelope: Envelope) -> Any:
    """Hand an envelope to a gateway, wait until a checkpoint covers it, and return the receipt.

    Raises:
        CheckFailedError: The gateway refused it, or had no receipt in time.
    """
    answer = httpx.post(
        f"{GATEWAYS[name]}/api/v1/envelopes",
        params={"wait": COMMIT_S},
        content=envelope.encode(),
        headers={"Content-Type": MEDIA_TYPE},
        timeout=COMMIT_S + 10,
    )
    if answer.status_code != httpx.codes.OK:
        raise CheckFailedError(f"{name} answered {answer.status_code} to an envelope: {answer.text[:500]}")
    return answer.json()


def check_receipt(receipt: Any, envelope: Envelope, policy: Policy) -> Recorded:
    """Return what a receipt proves, after checking that a quorum of the policy vouches for the envelope as accepted.

    Only the signed checkpoint and what hashes up to it are looked at; the rest of a receipt is there for reading.

    Raises:
        CheckFailedError: Another envelope, or a refused record.
        LedgerError: A proof or a form that is wrong, or not a quorum.
    """
    checkpoint = parse_note(receipt["checkpoint"])
    cosigners = check_cosigned(checkpoint, policy)
    raw, index = base64.b64decode(receipt["entry"]), int(receipt["inclusion"]["index"])
    path = [bytes.fromhex(sibling) for sibling in receipt["inclusion"]["path"]]
    verify_inclusion(leaf_hash(raw), index=index, size=checkpoint.size, path=path, root=checkpoint.root)
    entry = decode(EnvelopeEntry, raw)
    if entry.header != envelope.header:
        raise CheckFailedError(f"the receipt is for envelope {entry.header.id.hex()}, not {envelope.header.id.hex()}")
    if any(entry.results):
        raise CheckFailedError(f"the record was refused with codes {list(entry.results)}")
    return Recorded(index, checkpoint.size, cosigners)


def verified_checkpoint(name: str, policy: Policy) -> SignedCheckpoint:
    """Return a gateway's newest checkpoint after checking it against the policy."""
    checkpoint = parse_note(get(name, "/checkpoint").text)
    check_cosigned(checkpoint, policy)
    return checkpoint


def covers(name: str, policy: Policy, size: int) -> bool:
    """Return whether a gateway's newest checkpoint covers `size` entries."""
    return verified_checkpoint(name, policy).size >= size


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


def try_out(compose: Compose, *, keep: bool) -> str:
    """Build and start the network, check it, take it down; return one sentence on what was seen.

    Args:
        keep: Leave it running at the end.

    Raises:
        CheckFailedError: Something did not hold.
        LedgerError: A proof or a form that is wrong.
        httpx.HTTPError: A gateway broke off.
    """
    # What an earlier try left behind would be another network.
    compose.run("down", "--volumes", "--remove-orphans")
    try:
        compose.run("up", "--build", "--detach")
        with tempfile.TemporaryDirectory() as scratch:
            return check(compose, Path(scratch))
    except Exception:
        compose.run("logs", "--tail", "50")
        raise
    finally:
        if not keep:
            compose.run("down", "--volumes", "--remove-orphans")


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description="Try docker-compose.yml on the container engine of this machine.")
    parser.add_argument("--keep", action="store_true", help="leave the containers running at the end")
    options = parser.parse_args()
    try:
        seen = try_out(Compose.find(), keep=options.keep)
    except NoEngineError as error:
        say(str(error))
        return 7
    except (CheckFailedError, LedgerError, httpx.HTTPError) as error:
        print(json.dumps({"ok": False, "reason": str(error)}))
        return 1
    print(json.dumps({"ok": True, "seen": seen}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
