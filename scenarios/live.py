"""The live driver: plays a story on real processes, through the departments' gateways.

It does what the departments' own applications would do: seal records, send them, wait for the receipt, and keep it. When
the story is over it fetches bundles, stops the nodes, and hands over what they leave on disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ledger.errors import LedgerError
from ledger.identifiers import CreditCode, Height
from ledger.proofs.bundle import with_opening
from ledger.registers import RULEBOOK
from nodes.launcher import Launcher
from scenarios.evidence.checks import Acknowledged, Bundle, Evidence, Planted
from scenarios.evidence.journal import pack, read_journal_directory, tagged_hash, unpack
from scenarios.evidence.network import read_genesis
from scenarios.progress import Progress
from scenarios.story import ACCEPTED, Phase, Sealer, Story, Submission

READY_TIMEOUT_S = 90.0
"""For all nodes to answer: 53 start in about 15 s on two cores, and a loaded machine takes longer."""

RECEIPT_TIMEOUT_S = 120.0
"""For one receipt. Longer than several view changes at 53 nodes; after it the run has failed."""

WAIT_S = 30
"""How long one request waits at the gateway before it is asked again."""

IN_FLIGHT_PER_GATEWAY = 16


class RunFailedError(LedgerError):
    """The run could not be played to its end; what is on disk is left as it is."""

    code = "run_failed"


@dataclass(slots=True)
class LiveOutcome:
    """What a live run leaves behind."""

    evidence: Evidence
    unexpected: list[str] = field(default_factory=list)
    """Answers that the story did not foresee, one sentence each."""
    latencies_ms: list[float] = field(default_factory=list)
    """From sending an envelope to holding its receipt."""


class LiveDriver:
    """Plays one story on one launched network."""

    def __init__(self, launcher: Launcher, story: Story, progress: Progress) -> None:
        self._launcher = launcher
        self._story = story
        self._progress = progress
        genesis = launcher.network.genesis
        codes = {founder.code: CreditCode(founder.credit_code) for founder in genesis.founders}
        self._sealers: Mapping[str, Sealer] = {
            code: Sealer(chain=genesis.chain, department=credit_code, signer=launcher.envelope_signers[code])
            for code, credit_code in codes.items()
        }
        self._sealing = {code: asyncio.Lock() for code in codes}
        self._places = {code: asyncio.Semaphore(IN_FLIGHT_PER_GATEWAY) for code in codes}
        self._height = Height(0)
        self._acknowledged: list[Acknowledged] = []
        self._planted: list[Planted] = []
        self._bundles: list[Bundle] = []
        self._outcome = LiveOutcome(evidence=Evidence(signers=read_genesis(genesis.encode()), journals=()))
        self._numbers = {code.label: code.number for code in RULEBOOK.codes.values()}

    async def play(self) -> None:
        """Play all phases, then fetch the bundles.

        Raises:
            RunFailedError: A receipt did not come, or a gateway was gone.
            NodeFailedError: A node ended by itself.
        """
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        timeout = httpx.Timeout(WAIT_S + 30, connect=10)
        async with httpx.AsyncClient(limits=limits, timeout=timeout) as client:
            for phase in self._story.phases():
                await self._play_phase(client, phase)
                self._launcher.check_running()
            await self._fetch_bundles(client)

    def collect(self, root: Path) -> LiveOutcome:
        """Read what the nodes, now stopped, left under `root`, and return it with what the gateways promised."""
        evidence = self._outcome.evidence
        evidence.journals = [read_journal_directory(code, root / code) for code in self._launcher.codes]
        evidence.acknowledged = self._acknowledged
        evidence.planted = self._planted
        evidence.planted_expected = self._story.planted_expected
        evidence.bundles = self._bundles
        evidence.bundle_types_expected = len({issued.type_code for issued in self._story.issued.values()})
        evidence.policy = (root / "policy.txt").read_text()
        return self._outcome

    async def _play_phase(self, client: httpx.AsyncClient, phase: Phase) -> None:
        self._progress.phase(phase.name, sum(len(s.records) for s in phase.submissions))
        began = time.monotonic()

        async def send_on_time(submission: Submission) -> None:
            await asyncio.sleep(max(0.0, submission.at_ms / 1000 - (time.monotonic() - began)))
            async with self._places[submission.through]:
                await self._send(client, submission)
            self._progress.advance(len(submission.records), height=self._height)

        try:
            async with asyncio.TaskGroup() as tasks:
                for submission in phase.submissions:
                    tasks.create_task(send_on_time(submission))
        except* (RunFailedError, httpx.HTTPError) as errors:
            self._launcher.check_running()
            first = errors.exceptions[0]
            raise RunFailedError(f"phase {phase.name!r}: {first or type(first).__name__}") from first

    async def _send(self, client: httpx.AsyncClient, submission: Submission) -> None:
        async with self._sealing[submission.department]:
            raw = self._sealers[submission.department].seal(submission, self._height)
        url = self._launcher.gateway_url(submission.through)
        envelope = tagged_hash("envelope", pack(unpack(raw)[2]))
        began = time.monotonic()
        answer = await client.post(
            f"{url}/api/v1/envelopes",
            params={"wait": WAIT_S},
            content=raw,
            headers={"content-type": "application/vnd.mulu.envelope"},
        )
        if answer.status_code >= 400:
            self._note_refusal(submission, envelope, answer)
            return
        receipt = await self._receipt(client, url, envelope, answer)
        self._outcome.latencies_ms.append((time.monotonic() - began) * 1000)
        self._note_receipt(submission, raw, envelope, receipt)

    async def _receipt(
        self, client: httpx.AsyncClient, url: str, envelope: bytes, answer: httpx.Response
    ) -> Mapping[str, Any]:
        """Return the receipt in `answer`, or ask for it until it is there."""
        deadline = time.monotonic() + RECEIPT_TIMEOUT_S
        while answer.status_code == 202:
            if time.monotonic() > deadline:
                raise RunFailedError(f"no receipt for envelope {envelope.hex()[:16]} after {RECEIPT_TIMEOUT_S:g} s")
            answer = await client.get(f"{url}/api/v1/envelopes/{envelope.hex()}/receipt", params={"wait": WAIT_S})
        if answer.status_code != 200:
            raise RunFailedError(f"{answer.url} answered {answer.status_code}: {answer.text[:300]}")
        receipt: Mapping[str, Any] = answer.json()
        return receipt

    def _note_refusal(self, submission: Submission, envelope: bytes, answer: httpx.Response) -> None:
        code = _problem_code(answer)
        if submission.fault is None:
            raise RunFailedError(
                f"{submission.through}'s gateway refused an envelope of {submission.department}: "
                f"{answer.status_code} {code}: {answer.text[:300]}"
            )
        self._planted.append(
            Planted(code=submission.fault.value, number=0, place="gateway", envelope=envelope, record=0, answer=code)
        )

    def _note_receipt(self, submission: Submission, raw: bytes, envelope: bytes, receipt: Mapping[str, Any]) -> None:
        results = bytes(result["number"] for result in receipt["results"])
        self._height = max(self._height, Height(receipt["height"]))
        if submission.fault is not None:
            self._planted.append(
                Planted(code=submission.fault.value, number=0, place="gateway", envelope=envelope, record=0, answer="")
            )
            return
        self._sealers[submission.department].acknowledged = raw
        self._acknowledged.append(
            Acknowledged(envelope=envelope, height=receipt["height"], log_index=receipt["log_index"], results=results)
        )
        for position, (expected, got) in enumerate(zip(submission.expected, receipt["results"], strict=True)):
            if expected != ACCEPTED:
                self._planted.append(
                    Planted(
                        code=expected,
                        number=self._numbers[expected],
                        place="execution",
                        envelope=envelope,
                        record=position,
                        answer="",
                    )
                )
            if got["code"] != expected:
                self._outcome.unexpected.append(
                    f"{type(submission.records[position]).__name__} of {submission.department} in envelope "
                    f"{envelope.hex()[:16]}: {got['code']}, where the story has {expected}"
                )

    async def _fetch_bundles(self, client: httpx.AsyncClient) -> None:
        """Fetch one bundle a type, of a certificate that the story leaves valid, and add what its issuer may show."""
        chosen = {}
        for issued in self._story.issued.values():
            if issued.valid_at_end:
                chosen.setdefault(issued.type_code, issued)
        self._progress.phase("fetch bundles", len(chosen))
        codes = self._launcher.codes
        for position, issued in enumerate(chosen.values()):
            url = self._launcher.gateway_url(codes[position % len(codes)])
            answer = await client.get(f"{url}/api/v1/certificates/{issued.identifier}/bundle")
            if answer.status_code != 200:
                raise RunFailedError(f"{answer.url} answered {answer.status_code}: {answer.text[:300]}")
            content = with_opening(answer.content, issued.opening)
            self._bundles.append(Bundle(f"{issued.identifier}.json", content, int(time.time() * 1000)))
            self._progress.advance(1, height=self._height)


def _problem_code(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return f"http_{answer.status_code}"
