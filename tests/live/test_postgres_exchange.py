"""Real nodes, one before a PostgreSQL server: what leaves it, what the server itself refuses, what memory it takes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import errors, sql

from ledger.proofs.delivery import verify_receipt
from ledger.registers.sharing.values import Condition
from nodes import launcher as launcher_module
from nodes.exchange.control import FetchData, FetchedData, ShowReceipt, command
from nodes.exchange.databases import PostgresBinding
from nodes.exchange.databases.postgres_roles import role_of
from nodes.exchange.errors import CommandFailedError
from nodes.exchange.messages import Question
from nodes.exchange.requester import Progress, Report
from nodes.launcher import Launcher
from nodes.measurements.private_postgres import Cluster, private_cluster
from nodes.network import POLICY_FILE
from tests.exchange.conftest import set_up_statements
from tests.live.dying import DEADLY, run_dying
from tests.live.network import READY_S, first_departments, prepare, wait_for
from tests.live.shared_table import OWNER, REQUESTER, bind, publish, request

pytestmark = [pytest.mark.live, pytest.mark.slow]

MANY, FEW = 1_000_000, 60_000
GROWTH_KIB_MAX = 100 << 10
ALL_OF_ONE, ALL_OF_ANOTHER, CUT = "AL-R1", "AL-R2", "AL-R3"
"""Grants: of the district with many permits, of the one with few, and of that one again."""

ITEMS = {"permit_no": "permit number", "holder": "name", "district": "district", "phone": "phone"}
FILL = f"""
CREATE TABLE permits (id INTEGER PRIMARY KEY, permit_no TEXT, holder TEXT, district TEXT, phone TEXT);
INSERT INTO permits SELECT n, 'P-' || n, '持有人' || n, CASE WHEN n <= {FEW} THEN '朝阳' ELSE '海淀' END, '138' || n
    FROM generate_series(1, {FEW + MANY}) n;
"""


@pytest.fixture(scope="module")
def cluster(optional_tool: Callable[[str], Path]) -> Iterator[Cluster]:
    """A private server with the permits of one department, and its three roles."""
    with private_cluster(optional_tool("postgres")) as cluster, cluster.database("registry"):
        with psycopg.connect(cluster.connection_text("registry", "postgres")) as superuser:
            superuser.execute("CREATE ROLE registry_owner LOGIN")
            superuser.execute("ALTER DATABASE registry OWNER TO registry_owner")
            superuser.execute("ALTER SCHEMA public OWNER TO registry_owner")
            superuser.execute(set_up_statements())
        with psycopg.connect(cluster.connection_text("registry", "registry_owner")) as owner:
            owner.execute(FILL.encode())
        yield cluster


@pytest.fixture(scope="module")
def launched(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Four nodes; the table of one is published, and parts of it are granted to another."""
    database = PostgresBinding(
        cluster.connection_text("registry", "mulu_reader"), cluster.connection_text("registry", "mulu_steward")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launcher_module, "_child", run_dying)
        with prepare(tmp_path_factory.mktemp("postgres") / "network", first_departments(4)) as launcher:
            bind(launcher, database, "permits", subject="name")
            launcher.start_all()
            launcher.wait_ready(READY_S)
            publish(launcher, database, "permits", ITEMS)
            for grant, district in (ALL_OF_ONE, "海淀"), (ALL_OF_ANOTHER, "朝阳"), (CUT, "朝阳"):
                rows = (Condition(information_item="district", values=(district,)),)
                request(launcher, grant, ("permit number", "name"), selection=rows, volume_max=MANY)
            yield launcher


def fetch(launcher: Launcher, grant: str, output: Path, report: Report = lambda _: None) -> FetchedData:
    """Have the requester's node fetch all that a grant opens."""
    question = Question(grant=grant, table="", fields=(), selection=())
    fetched = command(launcher.directory(REQUESTER), FetchData(question=question, output=str(output)), report)
    assert isinstance(fetched, FetchedData)
    return fetched


def permits(numbers: range) -> list[dict[str, str]]:
    """Return the granted columns of permits."""
    return [{"permit_no": f"P-{number}", "holder": f"持有人{number}"} for number in numbers]


def lines_of(output: Path) -> list[dict[str, str]]:
    """Return the rows of an output."""
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def records_of(launcher: Launcher, grant: str, count: int) -> list[str]:
    """Return the kinds of the accepted records that have set a grant, oldest first, once there are `count`."""

    def look() -> list[str] | None:
        answer = httpx.get(f"{launcher.gateway_url('BM')}/api/v1/state/grants/{grant}/history", trust_env=False)
        kinds = [change["kind"] for change in answer.json()["items"]] if answer.status_code == 200 else []
        return kinds if len(kinds) >= count else None

    return wait_for(f"{count} records about {grant}", look)


def memory_kib(pid: int, name: str) -> int:
    """Return one line of what the kernel says of a process: `VmRSS` is what it has, `VmHWM` the most it had."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def test_what_was_granted_arrives_and_the_server_refuses_the_rest(
    launched: Launcher, cluster: Cluster, tmp_path: Path
) -> None:
    """Exactly the columns and rows of the grant; its role may read no other column, and sees no other row."""
    fetched = fetch(launched, ALL_OF_ANOTHER, tmp_path / "rows.jsonl")
    assert fetched.rows == FEW
    assert lines_of(tmp_path / "rows.jsonl") == permits(range(1, FEW + 1))
    with psycopg.connect(cluster.connection_text("registry", "mulu_reader"), autocommit=True) as reader:
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute("SELECT permit_no FROM permits")
        reader.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role_of(reader, ALL_OF_ANOTHER))))
        for column in "phone", "district", "id", "*":
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute(f"SELECT {column} FROM permits".encode())
        seen = reader.execute("SELECT permit_no FROM permits WHERE permit_no IN ('P-7', %s)", (f"P-{FEW + 7}",))
        assert seen.fetchall() == [("P-7",)]
        assert reader.execute("SELECT count(permit_no) FROM permits").fetchone() == (FEW,)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to see the memory of a process")
def test_a_million_rows_take_little_memory_at_the_provider(launched: Launcher, tmp_path: Path) -> None:
    """The most that its process ever has is less than 100 MiB above what it had before."""
    provider, stages = launched.pid(OWNER), set()
    # Start the kernel's record of the most that the process had anew.
    Path(f"/proc/{provider}/clear_refs").write_text("5", encoding="ascii")
    before = memory_kib(provider, "VmRSS")
    fetched = fetch(launched, ALL_OF_ONE, tmp_path / "rows.csv", lambda progress: stages.add(progress.stage))
    assert memory_kib(provider, "VmHWM") - before < GROWTH_KIB_MAX
    assert fetched.rows == MANY
    assert stages == {"reading", "fetching", "writing"}
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as lines:
        assert next(lines) == "permit_no,holder\r\n"
        for number, line in enumerate(lines, FEW + 1):
            assert line == f"P-{number},持有人{number}\r\n"
    assert number == FEW + MANY


def test_a_delivery_that_was_cut_goes_on_and_arrives_once(launched: Launcher, tmp_path: Path) -> None:
    """The provider dies after one chunk; what had come is not fetched again, and the ledger knows of one delivery."""
    (launched.directory(OWNER) / DEADLY).write_text("0", encoding="ascii")
    seen: list[Progress] = []
    output = tmp_path / "rows.jsonl"
    with pytest.raises(CommandFailedError) as failed:
        fetch(launched, CUT, output, seen.append)
    assert failed.value.code == "connection_cut"
    launched.kill(OWNER)
    assert not output.exists()
    assert not (launched.directory(OWNER) / DEADLY).exists()
    launched.start(OWNER)
    launched.wait_ready(READY_S)
    again: list[Progress] = []
    fetched = fetch(launched, CUT, output, again.append)
    assert fetched == FetchedData(grant=CUT, number=1, rows=FEW, output=str(output))
    assert lines_of(output) == permits(range(1, FEW + 1))
    chunks = [(progress.done, progress.total) for progress in again if progress.stage == "fetching"]
    assert chunks[0][0] == 1
    assert chunks[-1][0] == chunks[-1][1] > 1
    assert "reading" not in {progress.stage for progress in again}
    assert records_of(launched, CUT, 3) == ["sharing.request", "sharing.deliver", "sharing.acknowledge"]
    receipt = command(launched.directory(REQUESTER), ShowReceipt(grant=CUT, number=1)).text
    assert verify_receipt(receipt, (launched.root / POLICY_FILE).read_text(encoding="utf-8")).delivery.rows == FEW
