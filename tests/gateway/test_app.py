"""The application around the routes: deny by default, no trace of the inside, a description that is true."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any, cast

import jsonschema
import pytest

from ledger.errors import InvalidInputError, LedgerError, NotFoundError, NotYetError, StorageFailedError
from nodes.gateway import routes
from nodes.gateway.app import create_app
from nodes.gateway.node_view import NodeView
from nodes.gateway.problems import KINDS, problem_of
from tests.gateway.client import Client, problem
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER, TYPE_CODE

SECRET = "the inside of the node"


@pytest.mark.parametrize(
    "path", ["/", "/api/v1", "/api/v1/blocks/", "/docs", "/redoc", "/api/v2/blocks", "/%2e%2e/etc"]
)
def test_what_is_not_listed_is_not_there(client: Client, path: str) -> None:
    """Unknown paths are problems, not redirects and not pages of the framework."""
    problem(client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/api/v1/state/requests/王芳", "there is no request for data '…' as of block"),
        ("/api/v1/certificates/王芳/trace", "got '…'"),
        ("/api/v1/blocks/13800000001", "there is no block …; the newest is"),
        ("/api/v1/blocks/999", "there is no block 999"),
        ("/api/v1/state/requests/王芳%E2%80%AE%0A", "there is no request for data '…' as of block"),
        (f"/tile/0/{'x001/' * 30}王芳", "not the path of a tile: '…'"),
        (f"/tile/0/{'x001/' * 18}王芳/000", "not the path of a tile: '…'"),
        (f"/tile/0/王芳{'x001/' * 30}", "not the path of a tile: '…'"),
    ],
)
def test_what_was_sent_is_not_repeated(client: Client, path: str, left: str) -> None:
    """A value in a path may name a person; what is said of it can be understood without. Heights are nobody's."""
    detail = client.get(path).json()["detail"]
    assert left in detail
    assert "王芳" not in detail
    assert "13800000001" not in detail


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/api/v1/blocks"), ("PUT", "/checkpoint"), ("BREW", "/livez")])
def test_other_methods_are_problems(client: Client, method: str, path: str) -> None:
    """405 names the methods that there are."""
    response = client.request(method, path)
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


def test_nothing_of_a_failure_gets_out(
    node: MemoryNode, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error nobody foresaw is `internal_error`; what it was stands in the log under the request's id."""

    def fail() -> str:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(node, "policy", fail)
    response = client.get("/policy")
    told = problem(response, 500, "internal_error")
    assert SECRET not in response.text
    assert "Traceback" not in response.text
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.request_id == told["request_id"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInputError(SECRET), "invalid_input"),
        (NotYetError(SECRET), "not_yet"),
        (NotFoundError(SECRET), "not_found"),
        (type("NewError", (InvalidInputError,), {"code": "never_heard_of"})(SECRET), "invalid_input"),
    ],
)
def test_errors_of_the_ledger_are_problems_by_whose_fault_they_are(error: LedgerError, code: str) -> None:
    """The sender's and nobody's are told; a code that is not in the table becomes that of its class."""
    told = problem_of(error)
    assert (told.code, told.detail) == (code, SECRET)


def test_our_own_errors_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """An error of the disk names paths; the log gets it, the client does not."""
    told = problem_of(StorageFailedError(SECRET))
    assert told.code == "internal_error"
    assert SECRET not in told.detail
    assert SECRET in caplog.text


def test_requests_are_logged_by_pattern(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """What stands in a path may be somebody's certificate: log and metrics have the pattern alone."""
    caplog.set_level(logging.INFO, logger="nodes")
    client.get(f"/api/v1/state/certificates/{IDENTIFIER}")
    client.get("/wp-login.php")
    metrics = client.get("/metrics").text
    told = [(record.route, record.status) for record in caplog.records if record.message == "request"]  # type: ignore[attr-defined]
    assert told[:2] == [("/api/v1/state/certificates/{name}", 200), ("unknown", 404)]
    line = 'mulu_requests_total{method="GET",route="/api/v1/state/certificates/{name}",status="200"} 1.0'
    assert line in metrics
    ours = [vars(record) for record in caplog.records if record.name == "nodes.gateway.app"]
    assert IDENTIFIER not in metrics + str(ours)
    assert "wp-login" not in metrics


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """The OpenAPI document, made once: it takes a while, and is the same for every node."""
    return create_app(cast(NodeView, None)).openapi()


def test_the_description_is_served(client: Client, description: dict[str, Any]) -> None:
    """Where clients look for it, without a page that would load scripts from elsewhere."""
    assert client.get("/openapi.json").json() == json.loads(json.dumps(description))


def test_every_route_is_described(description: dict[str, Any]) -> None:
    """Each operation has an id of its own, a summary, a description, tags, and says which problems it gives."""
    operations = [op for path in description["paths"].values() for op in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) >= 40
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]
        assert "500" in operation["responses"]
        assert "422" not in operation["responses"] or "application/problem+json" in str(operation["responses"]["422"])
    written = sum(len(module.router.routes) for module in vars(routes).values() if hasattr(module, "router"))
    assert len(operations) == written


def test_the_description_is_valid(description: dict[str, Any]) -> None:
    """OpenAPI 3.1: every schema is a JSON Schema, every reference leads somewhere."""
    assert description["openapi"].startswith("3.1")
    schemas = description["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(description)
    for reference in text.split('"$ref": "')[1:]:
        name = reference.split('"')[0].removeprefix("#/components/schemas/")
        assert name in schemas, name
    assert "HTTPValidationError" not in text


ANSWERS = {
    "/api/v1/node": "NodeForm",
    "/api/v1/blocks": "BlockPage",
    "/api/v1/blocks/{height}": "BlockForm",
    "/api/v1/blocks/{height}/envelopes": "EnvelopePage",
    "/api/v1/entries/{index}": "EntryForm",
    "/api/v1/state/certificates/{name}": "ValueForm",
    "/api/v1/state/certificates/{name}/history": "HistoryPage",
    "/api/v1/certificates/{identifier}/trace": "Trace",
    "/api/v1/catalogue": "Catalogue",
    "/api/v1/proofs/inclusion": "InclusionProof",
    "/api/v1/proofs/consistency": "ConsistencyProof",
    "/api/v1/proofs/state": "StateProofForm",
}
QUERIES = {
    "/api/v1/proofs/inclusion": "?index=1",
    "/api/v1/proofs/consistency": "?old=2",
    "/api/v1/proofs/state": "?key=directories/responsibility/AY-01",
}


@pytest.mark.parametrize("path", ANSWERS)
def test_answers_are_as_they_are_described(client: Client, description: dict[str, Any], path: str) -> None:
    """What comes fits the schema that the description names for it."""
    described = description["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert described["$ref"].endswith(ANSWERS[path])
    real = path.format(height=4, index=2, name=IDENTIFIER, identifier=IDENTIFIER) + QUERIES.get(path, "")
    answer = client.get(real).json()
    jsonschema.validate(answer, {**described, "components": description["components"]})


def test_problems_are_as_they_are_described(client: Client, description: dict[str, Any]) -> None:
    """A problem fits its schema too."""
    told = client.get(f"/api/v1/state/types/{TYPE_CODE[:-1]}").json()
    jsonschema.validate(told, {"$ref": "#/components/schemas/Problem", "components": description["components"]})


def test_every_code_has_a_status_a_cause_and_a_next_step() -> None:
    """The table is whole: what can be answered can be acted upon."""
    for code, kind in KINDS.items():
        assert code == code.lower()
        assert 400 <= kind.status < 600
        assert kind.cause
        assert kind.next_step


def test_the_loop_is_free_while_the_index_reads(
    node: MemoryNode, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question that takes long holds nobody else up: it runs on another thread."""
    go_on, began = threading.Event(), threading.Event()
    ask = node.index.ask

    def slow(*args: Any, **kwargs: Any) -> Any:
        began.set()
        assert go_on.wait(10)
        return ask(*args, **kwargs)

    monkeypatch.setattr(node.index, "ask", slow)

    async def wait_for_the_question(session: Any) -> int:
        while not began.is_set():
            await asyncio.sleep(0)
        status: int = (await session.get("/livez")).status_code
        go_on.set()
        return status

    async def blocks(session: Any) -> int:
        status: int = (await session.get("/api/v1/blocks")).status_code
        return status

    assert client.together(blocks, wait_for_the_question) == [200, 200]
