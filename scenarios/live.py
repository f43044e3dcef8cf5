"""The live driver: plays a story on real processes, through the departments' gateways.

It does what the departments' own applications would do: seal records, send them, wait for the receipt, and keep it.
When the story is over it has nodes fetch data from each other's databases, and fetches bundles; once the nodes are
stopped it hands over what they left on disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from msgspec.structs import replace

from ledger.errors import LedgerError
from ledger.identifiers import CreditCode, Height
from ledger.proofs.bundle import with_opening
from nodes.launcher import Launcher
from scenarios.answers import Answers
from scenarios.evidence.checks import Bundle, Evidence
from scenarios.evidence.deliveries import Fetched
from scenarios.evidence.forms import read_envelope
from scenarios.evidence.journal import read_journals
from scenarios.evidence.network import read_genesis, read_working_days
from scenarios.progress import Progress
from scenarios.story import ACCEPTED, IssuedCertificate, Phase, PlannedFetch, Sealer, Story, Submission

READY_TIMEOUT_S = 120.0
"""For all nodes to answer: 53 start in about 20 s on two quiet cores, and a loaded machine takes longer."""

RECEIPT_TIMEOUT_S = 120.0
"""For one receipt. Longer than several view changes at 53 nodes; after it the run has failed."""

WAIT_S = 30
"""How long one request waits at the gateway before it is asked again."""

GATEWAY_BACK_S = 60.0
"""How long an application tries to reach a gateway: a node that lost its power is back by then."""

RETRY_S = 0.5

IN_FLIGHT_PER_GATEWAY = 16
"""Envelopes a department's application sends before it waits for receipts."""

MEDIA_TYPE = "application/vnd.mulu.envelope"

DATABASE_FILE = "department.db"
"""A department's own data, in its node's directory."""


class RunFailedError(LedgerError):
    """The run could not be played to its end; what is on disk is left as it is."""

    code = "run_failed"


@dataclass(frozen=True, slots=True)
class LiveOutcome:
    """What a live run leaves behind."""

    evidence: Evidence
    unexpected: tuple[str, ...]
    """Answers that the story did not foresee, one sentence each."""
    latencies_ms: tuple[float, ...]
    """From sending an envelope to holding its receipt."""


class LiveDriver:
    """Plays one story on one launched network."""

    def __init__(
        self, launcher: Launcher, story: Story, progress: Progress, fetches: Sequence[PlannedFetch] = ()
    ) -> None:
        """Args: `fetches` are under unconditional items; the providers' nodes are bound to `DATABASE_FILE`."""
        self._launcher = launcher
        self._story = story
        self._progress = progress
        self._fetches = fetches
        self._fetched: list[Fetched] = []
        genesis = launcher.network.genesis
        self._sealers = {
            founder.code: Sealer(
                chain=genesis.chain,
                department=CreditCode(founder.credit_code),
                signer=launcher.envelope_signers[founder.code],
            )
            for founder in genesis.founders
        }
        self._places = {code: asyncio.Semaphore(IN_FLIGHT_PER_GATEWAY) for code in launcher.codes}
        self._answers = Answers()
        self._bundles: list[Bundle] = []
        self._latencies_ms: list[float] = []
        self._height = Height(0)

    async def play(self) -> None:
        """Play all phases, then fetch the bundles.

        Raises:
            RunFailedError: A receipt did not come, or a gateway was gone.
            NodeFailedError: A node ended by itself.
        """
        # Idle connections are kept: the client would otherwise close one that a request has just been given.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)
        timeout = httpx.Timeout(WAIT_S + 60, connect=30)
        async with httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False) as client:
            for phase in self._story.phases():
                await self._play_phase(client, phase)
            if self._fetches:
                await self._fetch_data(client)
            await self._fetch_bundles(client)

    def collect(self, root: Path) -> LiveOutcome:
        """Read what the nodes, now stopped, left under `root`, and return it with what the gateways promised."""
        raw_genesis = self._launcher.network.genesis.encode()
        signers = read_genesis(raw_genesis)
        journals, unreadable = read_journals({code: root / code for code in self._launcher.codes}, chain=signers.chain)
        evidence = Evidence(
            signers=signers,
            journals=journals,
            unreadable=unreadable,
            acknowledged=self._answers.acknowledged,
            planted=self._answers.planted,
            planted_expected=self._story.planted_expected,
            bundles=self._bundles,
            bundle_types_expected=len({issued.type_code for issued in self._story.issued.values()}),
            policy=(root / "policy.txt").read_text(),
            calendar=read_working_days(raw_genesis),
            fetched=self._fetched,
            fetches_expected=len(self._fetches),
        )
        return LiveOutcome(evidence, tuple(self._answers.unexpected), tuple(self._latencies_ms))

    async def _play_phase(self, client: httpx.AsyncClient, phase: Phase) -> None:
        self._progress.phase(phase.name, sum(len(submission.records) for submission in phase.submissions))
        began = time.monotonic()

        async def send_on_time(submission: Submission) -> None:
            await asyncio.sleep(max(0.0, submission.at_ms / 1000 - (time.monotonic() - began)))
            async with self._places[submission.through]:
                refused = await self._send(client, submission)
            self._progress.advance(len(submission.records), height=self._height, refused=refused)

        try:
            async with asyncio.TaskGroup() as tasks:
                for submission in phase.submissions:
                    tasks.create_task(send_on_time(submission))
        except* (RunFailedError, httpx.HTTPError) as errors:
            # A node that has died explains a connection that broke better than the connection does.
            self._launcher.check_running()
            first = errors.exceptions[0]
            raise RunFailedError(f"phase {phase.name!r}: {str(first) or repr(first)}") from first
        self._launcher.check_running()

    async def _send(self, client: httpx.AsyncClient, submission: Submission) -> int:
        """Send one envelope and see it through; return how many of its records were refused."""
        sealer = self._sealers[submission.department]
        raw = sealer.seal(submission, self._height)
        envelope = read_envelope(raw).id
        url = f"{self._launcher.gateway_url(submission.through)}/api/v1/envelopes"
        began = time.monotonic()
        answer, again = await self._hand_in(client, url, raw)
        code = _problem_code(answer)
        # The first try got through, and only its answer was lost: the receipt is there, or will be.
        pooled_before = again and code == "replayed_envelope" and submission.fault is None
        if code and not pooled_before:
            self._answers.refused(submission, envelope, code)
            return len(submission.records)
        if submission.fault is not None:
            self._answers.taken(submission, envelope)
            return 0
        receipt = await self._receipt(client, url, raw, envelope, answer)
        self._latencies_ms.append((time.monotonic() - began) * 1000)
        self._height = max(self._height, Height(receipt["height"]))
        sealer.acknowledged = raw
        results = [result["number"] for result in receipt["results"]]
        self._answers.receipt(
            submission, envelope, height=receipt["height"], log_index=receipt["log_index"], results=results
        )
        return sum(map(bool, results))

    async def _hand_in(self, client: httpx.AsyncClient, url: str, raw: bytes) -> tuple[httpx.Response, bool]:
        """Hand an envelope in; return the answer, and whether it was not the first try."""
        headers = {"Content-Type": MEDIA_TYPE}
        return await _ask(partial(client.post, url, params={"wait": WAIT_S}, content=raw, headers=headers))

    async def _receipt(
        self, client: httpx.AsyncClient, url: str, raw: bytes, envelope: bytes, answer: httpx.Response
    ) -> Mapping[str, Any]:
        """Return the receipt in `answer`, or ask below `url` until it is there."""
        place = f"{url}/{envelope.hex()}/receipt"
        deadline = time.monotonic() + RECEIPT_TIMEOUT_S
        while answer.status_code != 200:
            if time.monotonic() > deadline:
                raise RunFailedError(f"{place}: no receipt within {RECEIPT_TIMEOUT_S:g} s")
            match _problem_code(answer):
                case "" | "replayed_envelope":
                    answer, _ = await _ask(partial(client.get, place, params={"wait": WAIT_S}))
                case "unknown_envelope":
                    # Pooled is not promised: the node lost its power before it had passed the envelope on.
                    answer, _ = await self._hand_in(client, url, raw)
                case _:
                    raise RunFailedError(f"{answer.url} answered {answer.status_code}: {answer.text[:300]}")
        receipt: Mapping[str, Any] = answer.json()
        return receipt

    async def _fetch_data(self, client: httpx.AsyncClient) -> None:
        """Have the requests granted, then let the requesters' nodes fetch, all at once; they sign for themselves."""
        await self._play_phase(client, self._requests())
        self._progress.phase("fetch granted data", len(self._fetches))

        async def fetch(planned: PlannedFetch) -> None:
            grant = planned.request.id
            output = self._launcher.directory(planned.requester) / f"{grant}.jsonl"
            try:
                number = await asyncio.to_thread(self._launcher.fetch, planned.requester, grant, output)
            except LedgerError as error:
                # What is missing then is for the check to find.
                self._progress.note(f"{planned.requester} could not fetch under {grant}: {error} [{error.code}]")
                return
            database = self._launcher.directory(planned.provider) / DATABASE_FILE
            self._fetched.append(Fetched(grant, number, output, database))
            self._progress.advance(1, height=self._height)

        await asyncio.gather(*map(fetch, self._fetches))
        self._launcher.check_running()

    def _requests(self) -> Phase:
        return Phase(
            name="request data of other nodes",
            submissions=tuple(
                Submission(
                    department=planned.requester,
                    through=planned.requester,
                    records=(replace(planned.request, recipient_key=self._launcher.recipient_key(planned.requester)),),
                    expected=(ACCEPTED,),
                )
                for planned in self._fetches
            ),
        )

    async def _fetch_bundles(self, client: httpx.AsyncClient) -> None:
        """Fetch one bundle a type, of a certificate that the story leaves valid, and add what its issuer may show."""
        chosen: dict[str, IssuedCertificate] = {}
        for issued in self._story.issued.values():
            if issued.valid_at_end:
                chosen.setdefault(issued.type_code, issued)
        self._progress.phase("fetch bundles", len(chosen))
        codes = self._launcher.codes
        for position, issued in enumerate(chosen.values()):
            url = self._launcher.gateway_url(codes[position % len(codes)])
            place = f"{url}/api/v1/certificates/{issued.identifier}/bundle"
            answer, _ = await _ask(partial(client.get, place))
            if answer.status_code != 200:
                raise RunFailedError(f"{answer.url} answered {answer.status_code}: {answer.text[:300]}")
            content = with_opening(answer.content, issued.opening)
            self._bundles.append(Bundle(f"{issued.identifier}.json", content, int(time.time() * 1000)))
            self._progress.advance(1, height=self._height)


async def _ask(request: Callable[[], Awaitable[httpx.Response]]) -> tuple[httpx.Response, bool]:
    """Send a request again and again while the gateway cannot be reached: what is sent here does no harm twice.

    Returns:
        The answer, and whether it was not the first try.
    """
    deadline = time.monotonic() + GATEWAY_BACK_S
    again = False
    while True:
        try:
            answer = await request()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            again = True
        else:
            # A node that has just started, or is about to end, says so.
            if answer.status_code != 503 or time.monotonic() > deadline:
                return answer, again
        await asyncio.sleep(RETRY_S)


def _problem_code(answer: httpx.Response) -> str:
    """Return the code of a problem, or nothing if the answer is none."""
    if answer.status_code < 400:
        return ""
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return f"http_{answer.status_code}"
