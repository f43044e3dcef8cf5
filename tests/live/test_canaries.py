"""A thousand values of people who do not exist go through every path of the exchange, and turn up nowhere else."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from ledger.errors import LedgerError
from ledger.identifiers import CreditCode
from ledger.registers.sharing.records import RevokeGrant
from ledger.registers.sharing.values import Condition
from nodes import launcher as launcher_module
from nodes.exchange.chunk_files import SEALED, stem
from nodes.exchange.client import RemoteProvider
from nodes.exchange.control import FetchData, FetchedData, FindReaders, Forget, TellLedger, command
from nodes.exchange.messages import Question
from nodes.exchange.service import OUTBOX_FOLDER, STORE_FILE
from nodes.exchange.wire import ExchangeAddress, ExchangeKeys
from nodes.gateway.routes.envelopes import MEDIA_TYPE
from nodes.keystore import Keystore
from nodes.launcher import Launcher
from nodes.process import INDEX_FILE, LOG_FILE
from tests.exchange.canaries import CanarySearch, Person, canary_values, made_up_people, spellings
from tests.live.captured import EXCHANGE_FRAMES, PEER_FRAMES, run_captured
from tests.live.network import READY_S, WAIT_S, first_departments, height_of, prepare, wait_for
from tests.live.shared_table import OWNER, REQUESTER, bind, publish, request, tell

pytestmark = [pytest.mark.live, pytest.mark.slow]

PEOPLE = made_up_people(11)
SEARCH = CanarySearch.of(canary_values(PEOPLE))
ITEMS = {"name": "name", "identity_number": "identity number", "phone": "phone", "address": "address"}
SEEN, CHECKED, SMALL, ENDED = "AL-R1", "AL-R2", "AL-R3", "AL-R4"
"""Grants: of all columns, of verification, of few rows, and one that is revoked."""

Places = dict[str, bytes]
"""What was left, by what it is and whose."""


class Paths:
    """Every path on which a value can go, taken by the two departments of one network."""

    def __init__(self, launcher: Launcher, database: Path, outputs: Path) -> None:
        self.launcher, self.database, self.outputs = launcher, database, outputs
        self.codes: list[str] = []
        """How each command ended, `fetched` or the code of its refusal."""
        self.problems: list[bytes] = []
        self._people = cycle(PEOPLE)

    def person(self) -> Person:
        """Return the next person."""
        return next(self._people)

    def change(self, statement: str, *values: Any) -> None:
        """Change the owner's database."""
        with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as owner:
            owner.execute(statement, values)

    def fetch(self, output: str, grant: str = SEEN, **question: Any) -> FetchedData | None:
        """Have the requester's node fetch; note how it ended."""
        what = FetchData(question=asking(grant, **question), output=str(self.outputs / output))
        try:
            fetched: FetchedData = command(self.launcher.directory(REQUESTER), what)
        except LedgerError as error:
            self.codes.append(error.code)
            return None
        self.codes.append("fetched")
        return fetched

    def take_all(self) -> None:
        """Take every path once."""
        self.granted()
        self.verified()
        self.refused()
        self.tampered()
        self.drifted()
        self.failing()
        self.told()
        self.asked_over_http()

    def granted(self) -> None:
        """All rows into each form of output, and those of one person."""
        for suffix in ("jsonl", "csv", "db"):
            fetched = self.fetch(f"all.{suffix}")
            assert fetched is not None
            assert fetched.rows == len(PEOPLE)
        one = self.person()
        self.fetch("one.jsonl", selection={"name": (one.name,), "phone": (one.phone,)})

    def verified(self) -> None:
        """Whether somebody is there: a yes and a no."""
        one, other = self.person(), self.person()
        self.fetch("yes.jsonl", CHECKED, selection={"identity number": (one.identity_number,)})
        self.fetch("no.jsonl", CHECKED, selection={"identity number": (one.identity_number,), "name": (other.name,)})

    def refused(self) -> None:
        """What the provider or the ledger refuses, with a value wherever a question has room for one."""
        one = self.person()
        tell(self.launcher, OWNER, RevokeGrant(grant=ENDED, reason="the purpose has ended"))
        self.fetch("1.jsonl", fields=(one.name,))
        self.fetch("2.jsonl", selection={one.address: (one.name,)})
        self.fetch("3.jsonl", CHECKED, selection={"phone": (one.phone,)})
        self.fetch("4.jsonl", table=one.identity_number)
        self.fetch("5.jsonl", CHECKED, selection={"identity number": (one.name + "\0",)})
        self.fetch("6.jsonl", SMALL)
        self.fetch("7.jsonl", ENDED, selection={"name": (one.name,)})
        self.fetch("8.jsonl", one.identity_number)
        self.fetch("9.jsonl", fields=("name",) * 2 + (one.phone,), table=one.name)

    def tampered(self) -> None:
        """The sealed bytes are changed at the provider after they were offered."""
        one = self.person()
        selection = {"name": (one.name,)}
        offer = self._ask_only(asking(SEEN, selection=selection))
        name = stem(SEEN, offer.delivery.number) + SEALED
        sealed = self.launcher.directory(OWNER) / OUTBOX_FOLDER / name
        content = bytearray(sealed.read_bytes())
        content[len(content) // 2] ^= 1
        sealed.write_bytes(content)
        self.fetch("tampered.jsonl", selection=selection)

    def _ask_only(self, question: Question) -> Any:
        """Return the provider's offer to the requester, as a second program with the requester's keys gets it."""
        network = self.launcher.network
        copied = self.outputs / "keys"
        shutil.copytree(self.launcher.directory(REQUESTER) / "keys", copied)
        copied.chmod(0o700)
        owner = network.node_of(OWNER)
        registered = {one.credit_code: one.tls for one in network.validators.validators}
        spki = registered[CreditCode(owner.credit_code)]
        with Keystore.open(copied) as keys:
            exchange = ExchangeKeys(keys.tls, {spki: owner.credit_code}, [owner.certificate_pem.encode()])
        address = owner.address
        with contextlib.closing(
            RemoteProvider(exchange.dial(ExchangeAddress(address.host, address.exchange_port, spki)))
        ) as provider:
            return provider.ask(question, lambda _: None)

    def drifted(self) -> None:
        """The table has a column more, with a value as its default."""
        one = self.person()
        self.change(f"ALTER TABLE people ADD COLUMN remark TEXT DEFAULT '{one.name}'")
        self.fetch("drifted.jsonl", selection={"name": (one.name,)})
        self.change("ALTER TABLE people DROP COLUMN remark")

    def failing(self) -> None:
        """The database holds text that is none, which its driver quotes in full; then it is gone."""
        one = self.person()
        self.change("UPDATE people SET address = CAST(? AS TEXT) WHERE id = 7", one.address.encode() + b"\xff")
        self.fetch("broken.jsonl", selection={"name": (PEOPLE[6].name,)})
        self.change("UPDATE people SET address = ? WHERE id = 7", PEOPLE[6].address)
        away = self.database.with_suffix(".away")
        self.database.rename(away)
        self.fetch("away.jsonl", selection={"name": (one.name,)})
        away.rename(self.database)

    def told(self) -> None:
        """Commands about persons, and what is no command's business."""
        owner = self.launcher.directory(OWNER)
        for person in PEOPLE[:20]:
            assert command(owner, FindReaders(identifier=person.name)).deliveries
        one = self.person()
        for wrong in (
            TellLedger(record=one.name.encode()),
            TellLedger(record=RevokeGrant(grant=SEEN, reason=one.name).encode()[:-3]),
        ):
            with pytest.raises(LedgerError) as refused:
                command(owner, wrong)
            self.codes.append(refused.value.code)
        command(owner, Forget(grant=SEEN, number=1))
        command(self.launcher.directory(REQUESTER), Forget(grant=SEEN, number=1))

    def asked_over_http(self) -> None:
        """A value wherever a request of HTTP has room for one; each answer that is a problem is kept."""
        one = self.person()
        with httpx.Client(base_url=self.launcher.gateway_url(OWNER), timeout=WAIT_S, trust_env=False) as client:
            for value in one:
                for path in (
                    f"/{value}",
                    f"/api/v1/{value}",
                    f"/api/v1/state/requests/{value}",
                    f"/api/v1/state/{value}",
                    f"/api/v1/certificates/{value}/trace",
                    f"/api/v1/certificates/{value}/bundle",
                    f"/api/v1/certificates/{value}/absence",
                    f"/api/v1/sharing/requests/{value}",
                    f"/api/v1/sharing/scores/{value}",
                    f"/api/v1/blocks/{value}",
                    f"/api/v1/envelopes/{value}/receipt",
                    f"/tile/{value}/0",
                ):
                    self._keep(client.get(path))
                for name in ("sharing", "department", "limit", "cursor", value):
                    for path in ("/api/v1/catalogue/data-items", "/api/v1/sharing/requests"):
                        self._keep(client.get(path, params={name: value}))
                # With the sign it is no id of an event, which a phone would be: the stream would begin, and not end.
                self._keep(client.get("/api/v1/events", params={"after": f"-{value}"}))
                self._keep(client.get("/api/v1/proofs/state", params={"key": value}))
                self._keep(client.get("/api/v1/proofs/inclusion", params={"index": value}))
                for body in (value.encode(), b"\x96" + value.encode("utf-16"), b"{" + value.encode()):
                    for media_type in (MEDIA_TYPE, f"text/{value.encode().hex()}"):
                        self._keep(client.post("/api/v1/envelopes", content=body, headers={"Content-Type": media_type}))
                self._keep(client.request(value.encode().hex().upper()[:20], "/api/v1/node"))

    def _keep(self, answer: httpx.Response) -> None:
        if answer.status_code >= 400:
            self.problems.append(answer.content)


def asking(
    grant: str, *, table: str = "", fields: tuple[str, ...] = (), selection: Mapping[str, tuple[str, ...]] | None = None
) -> Question:
    """Return a question, its selection by information item."""
    conditions = tuple(Condition(information_item=item, values=values) for item, values in (selection or {}).items())
    question = Question(grant="AL-R1", table=table, fields=fields, selection=conditions)
    return replace(question, grant=grant)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, Places]:
    """All paths, taken on four nodes that write down their frames, and what is left once these have stopped."""
    root = tmp_path_factory.mktemp("canaries")
    database = root / "people.db"
    with contextlib.closing(sqlite3.connect(database)) as owner:
        owner.execute(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, identity_number TEXT, phone INTEGER, address TEXT)"
        )
        owner.executemany("INSERT INTO people (name, identity_number, phone, address) VALUES (?, ?, ?, ?)", PEOPLE)
        owner.commit()
    (root / "outputs").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launcher_module, "_child", run_captured)
        with prepare(root / "network", first_departments(4), log_level="DEBUG") as launcher:
            bind(launcher, database, "people", subject="name")
            launcher.start_all()
            launcher.wait_ready(READY_S)
            publish(launcher, database, "people", ITEMS)
            request(launcher, SEEN, ITEMS.values())
            request(launcher, CHECKED, ("identity number", "name"), mode="verification", volume_max=100)
            request(launcher, SMALL, ITEMS.values(), volume_max=10)
            request(launcher, ENDED, ITEMS.values())
            taken = Paths(launcher, database, root / "outputs")
            taken.take_all()
            places = {"problems": b"\n".join(taken.problems)}
            for code in launcher.codes:
                places |= answers_of(launcher, code)
            wait_for("what was asked to be forgotten", lambda: not open_questions(launcher.directory(OWNER)))
            # As they lie there while the nodes run, write-ahead logs included.
            for code in launcher.codes:
                places |= {f"{name}, running": content for name, content in files_of(launcher.directory(code)).items()}
        for code in launcher.codes:
            places |= files_of(launcher.directory(code))
    return taken, places


def answers_of(launcher: Launcher, code: str) -> Places:
    """Return a node's metrics, and its stream of events up to now."""
    base, events, last = launcher.gateway_url(code), b"", height_of(launcher, code)
    with httpx.stream("GET", f"{base}/api/v1/events", params={"after": "0"}, timeout=WAIT_S, trust_env=False) as stream:
        for piece in stream.iter_bytes():
            events += piece
            if f"\nid: {last}-".encode() in events:
                break
    metrics = httpx.get(f"{base}/metrics", timeout=WAIT_S, trust_env=False).content
    return {f"{code}: metrics": metrics, f"{code}: events": events}


def open_questions(directory: Path) -> int:
    """Return how many questions a node still keeps, because their deliveries are not answered."""
    with contextlib.closing(sqlite3.connect(f"file:{directory / STORE_FILE}?mode=ro", uri=True)) as store:
        (count,) = store.execute("SELECT count(*) FROM sent WHERE question IS NOT NULL").fetchone()
    return int(count)


def files_of(directory: Path) -> Places:
    """Return all on a node's disk but its keys; of a database also its values, which pages may cut in two."""
    places = {}
    for path in sorted(directory.rglob("*")):
        if not path.is_file() or path.is_socket() or "keys" in path.parts:
            continue
        name = f"{directory.name}: {path.relative_to(directory)}"
        places[name] = path.read_bytes().rstrip(b"\0")
        if path.suffix == ".db":
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                places[f"{name}, values"] = "\n".join(database.iterdump()).encode()
    return places


def test_each_path_ended_as_it_must(paths: tuple[Paths, Places]) -> None:
    """So that what is searched has seen what it should have."""
    assert paths[0].codes == [
        *["fetched"] * 4,
        *["fetched"] * 2,
        *["field_not_held", "field_not_held", "column_not_granted", "bad_question", "bad_question"],
        *["volume_exceeded", "grant_ended", "unknown_grant", "bad_question"],
        "delivery_tampered",
        "schema_drifted",
        *["query_failed", "database_unavailable"],
        *["not_canonical", "not_canonical"],
    ]


def test_the_values_are_where_they_belong(paths: tuple[Paths, Places]) -> None:
    """All thousand of them, at the provider and in what the requester has fetched: the search does see them."""
    for path in (paths[0].database, paths[0].outputs / "all.csv", paths[0].outputs / "all.db"):
        values = path.read_bytes()
        if path.suffix == ".db":
            with contextlib.closing(sqlite3.connect(path)) as database:
                values = "\n".join(database.iterdump()).encode()
        assert len({sighting.value for sighting in SEARCH.find(values)}) == 1_000


def test_the_values_are_nowhere_else(paths: tuple[Paths, Places]) -> None:
    """Not in journals, indexes, stores, logs, metrics, problems, events, nor in what nodes have said to each other."""
    assert {place: found[:3] for place, content in paths[1].items() if (found := SEARCH.find(content))} == {}


MARKS: Mapping[str, bytes] = {
    "journal/": SEEN.encode(),
    INDEX_FILE: SEEN.encode(),
    STORE_FILE: SEEN.encode(),
    "safety": b"",
    LOG_FILE: b'"started"',
    PEER_FRAMES: SEEN.encode(),
    EXCHANGE_FRAMES: b"exchange-sealed-question",
    "metrics": b"mulu_height",
    "events": b"event: block",
    "problems": b'"code":"not_found"',
}
"""Places by a part of their names, and what stands in each of them."""


@pytest.mark.parametrize("place", MARKS)
def test_what_is_searched_is_the_real_thing(paths: tuple[Paths, Places], place: str) -> None:
    """Each place was found and holds what it is for, at the two departments at least."""
    contents = [content for name, content in paths[1].items() if place in name]
    assert sum(MARKS[place] in content for content in contents) >= (1 if place == "problems" else 2)


def leaked(content: bytes, *patterns: bytes) -> bytes:
    """Return the content of a place in the midst of which each pattern has leaked."""
    step = len(content) // (len(patterns) + 1)
    pieces = [content[number * step : (number + 1) * step] + pattern for number, pattern in enumerate(patterns)]
    return b"".join(pieces) + content[len(patterns) * step :]


@pytest.mark.parametrize("place", MARKS)
def test_a_leak_would_be_found(paths: tuple[Paths, Places], place: str) -> None:
    """The control: one value leaks in each encoding into each place, and every one of them is found."""
    name = next(name for name in paths[1] if place in name)
    phone = PEOPLE[3].phone
    for value in (PEOPLE[3].name, phone):
        written = dict(spellings(value))
        found = SEARCH.find(leaked(paths[1][name], *written.values()))
        assert {sighting.encoding for sighting in found if sighting.value == value} == set(written)
