"""Handing in envelopes: every refusal has its code, a receipt is the only acknowledgement, and waiting ends in time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.blocks.envelope import seal
from ledger.blocks.log import EnvelopeEntry
from ledger.crypto.merkle import leaf_hash, verify_inclusion
from ledger.encoding import decode
from ledger.identifiers import Digest, Height, KeyId
from ledger.limits import ENVELOPE_BYTES_MAX
from nodes.gateway.problems import KINDS
from nodes.gateway.routes.envelopes import MEDIA_TYPE, WAIT_MAX_S, preferred_wait_s
from tests.gateway.client import Client, problem
from tests.gateway.memory_node import POOL_MAX, MemoryNode
from tests.proofs.memory_ledger import TYPE
from tests.proofs.small_network import MARKET_REGULATION, PUBLIC_SECURITY, key

PATH = "/api/v1/envelopes"


def test_an_envelope_is_pooled_and_nothing_is_promised(node: MemoryNode, client: Client) -> None:
    """202 with the place to ask at; the id is the header's."""
    raw = node.raw(MARKET_REGULATION, TYPE)
    response = client.submit(raw)
    assert response.status_code == 202
    (envelope,) = node.pool
    assert response.headers["location"] == f"{PATH}/{envelope.hex()}"
    assert response.json() == {"envelope": envelope.hex(), "stage": "pooled", "height": None}
    assert client.get(response.headers["location"]).json()["stage"] == "pooled"
    pending = client.get(f"{PATH}/{envelope.hex()}/receipt")
    assert (pending.status_code, pending.json()["stage"]) == (202, "pooled")
    assert pending.headers["retry-after"]


def test_the_stages_of_an_envelope(node: MemoryNode, client: Client) -> None:
    """Pooled, committed, then the receipt: results, and a proof that leads to the checkpoint's root."""
    location = client.submit(node.raw(MARKET_REGULATION, TYPE)).headers["location"]
    node.execute_pool()
    assert client.get(location).json()["stage"] == "committed"
    assert client.get(location).json()["height"] == 5
    node.cosign()
    status = client.get(location).json()
    assert status["stage"] == "receipt"
    receipt = client.get(f"{location}/receipt").json()
    assert receipt == status["receipt"]
    assert [result["code"] for result in receipt["results"]] == ["type_defined_before"]
    entry, proof = base64.b64decode(receipt["entry"]), receipt["inclusion"]
    path = [bytes.fromhex(node_hash) for node_hash in proof["path"]]
    root = bytes.fromhex(proof["root"])
    verify_inclusion(leaf_hash(entry), index=proof["index"], size=proof["size"], path=path, root=root)
    assert decode(EnvelopeEntry, entry).header.id.hex() == receipt["envelope"]
    assert receipt["checkpoint"] == node.log_note()


def test_an_old_receipt_comes_from_the_index(node: MemoryNode, client: Client) -> None:
    """The member forgets old envelopes; the gateway does not."""
    location = client.submit(node.raw(MARKET_REGULATION, TYPE)).headers["location"]
    node.execute_pool()
    node.cosign()
    before = client.get(f"{location}/receipt").json()
    node.forget()
    assert client.get(f"{location}/receipt").json() == before
    assert client.get(location).json()["height"] == 5


def test_an_old_envelope_without_a_checkpoint_is_committed(node: MemoryNode, client: Client) -> None:
    """Being in the index is not being attested."""
    location = client.submit(node.raw(MARKET_REGULATION, TYPE)).headers["location"]
    node.execute_pool()
    node.forget()
    assert client.get(location).json()["stage"] == "committed"
    assert client.get(f"{location}/receipt").status_code == 202


@pytest.mark.parametrize("way", ["query", "header"])
def test_waiting_gives_the_receipt(node: MemoryNode, client: Client, way: str) -> None:
    """The answer comes with the checkpoint that covers the envelope, not before."""
    raw = node.raw(MARKET_REGULATION, TYPE)
    headers = {"Content-Type": MEDIA_TYPE} | ({"Prefer": "respond-async, wait=30"} if way == "header" else {})
    params = {"wait": 30} if way == "query" else {}

    async def submit(session: httpx.AsyncClient) -> httpx.Response:
        return await session.post(PATH, content=raw, headers=headers, params=params)

    async def go_on(_: httpx.AsyncClient) -> None:
        while not node.pool:
            await asyncio.sleep(0)
        node.execute_pool()
        await asyncio.sleep(0)
        node.cosign()

    response, _ = client.together(submit, go_on)
    assert response.status_code == 200
    assert response.json()["height"] == 5
    assert response.headers["content-location"] == f"{response.headers['location']}/receipt"
    assert response.headers.get("preference-applied") == ("wait=30" if way == "header" else None)


def test_waiting_ends_without_a_receipt(node: MemoryNode, client: Client) -> None:
    """After the time that was asked for, the answer is what it would have been without waiting."""
    node.progress.close()
    response = client.submit(node.raw(MARKET_REGULATION, TYPE), params={"wait": 60})
    assert response.status_code == 202
    assert response.json()["stage"] == "pooled"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=5", 5),
        ("respond-async, WAIT = 7 ; x=y", 7),
        ('wait="9"', 9),
        ("wait=999999", WAIT_MAX_S),
        ("wait=-1", None),
        ("wait=soon, wait=3", 3),
        ("await=3", None),
    ],
)
def test_preferences_are_read_as_rfc_7240_writes_them(header: str | None, seconds: int | None) -> None:
    """What is not understood is ignored; more than the bound is the bound."""
    assert preferred_wait_s(header) == seconds


def _sealed(node: MemoryNode, records: list[bytes] | None = None, **changes: object) -> bytes:
    """Return an envelope of Market Regulation in which something is another."""
    options = {
        "chain": node.genesis.chain,
        "department": MARKET_REGULATION.credit_code,
        "key_id": KeyId(1),
        "sequence": 100,
        "valid_until": Height(1_000),
        "signer": key(node.genesis.name, MARKET_REGULATION.code, "envelope/1"),
        **changes,
    }
    return seal(records or [TYPE.encode()], **options).encode()  # type: ignore[arg-type]


REFUSED = {
    "wrong_chain": (422, lambda node: _sealed(node, chain=Digest(bytes(32)))),
    "unknown_department": (403, lambda node: _sealed(node, department="11110000A00000134D")),
    "unknown_key": (403, lambda node: _sealed(node, key_id=7)),
    "bad_signature": (403, lambda node: _sealed(node, signer=key("somebody else"))),
    "expired_envelope": (422, lambda node: _sealed(node, valid_until=2)),
    "valid_until_too_far": (422, lambda node: _sealed(node, valid_until=50_000)),
    "malformed_record": (422, lambda node: _sealed(node, [b"\x93\x01\x02\x03"])),
    "not_canonical": (422, lambda node: _sealed(node) + b"\x00"),
}


@pytest.mark.parametrize("code", REFUSED)
def test_every_refusal_is_a_problem_with_its_code(node: MemoryNode, client: Client, code: str) -> None:
    """Malformed 422, not allowed 403; cause and next step come with it, and nothing is pooled."""
    status, make = REFUSED[code]
    problem(client.submit(make(node)), status, code)
    assert not node.pool


def test_records_that_were_exchanged_are_a_problem(node: MemoryNode, client: Client) -> None:
    """The header commits to the records; others under it are refused."""
    envelope = node.sign(MARKET_REGULATION, TYPE)
    other = replace(envelope, records=(replace(TYPE, term="P2Y").encode(),))
    problem(client.submit(other.encode()), 422, "records_mismatch")


def test_a_replay_is_told_where_the_receipt_is(node: MemoryNode, client: Client) -> None:
    """Who sends the same again after a broken connection learns what became of it."""
    raw = node.raw(MARKET_REGULATION, TYPE)
    location = client.submit(raw).headers["location"]
    node.execute_pool()
    told = problem(client.submit(raw), 409, "replayed_envelope")
    assert f"{PATH}/{told['envelope']}" == location
    other = _sealed(node, [replace(TYPE, term="P2Y").encode()], sequence=5)
    assert "envelope" not in problem(client.submit(other), 409, "replayed_envelope")


def test_a_full_pool_asks_to_come_again(node: MemoryNode, client: Client) -> None:
    """503 with Retry-After, and the envelope may be sent again as it is."""
    for _ in range(POOL_MAX):
        assert client.submit(node.raw(PUBLIC_SECURITY, TYPE)).status_code == 202
    response = client.submit(node.raw(PUBLIC_SECURITY, TYPE))
    problem(response, 503, "pool_full")
    assert int(response.headers["retry-after"]) > 0


def test_another_type_of_body_is_refused_unread(node: MemoryNode, client: Client) -> None:
    """A browser cannot send this type across origins without asking, so the type is required."""
    raw = node.raw(MARKET_REGULATION, TYPE)
    response = client.submit(raw, headers={"Content-Type": "text/plain"})
    problem(response, 415, "unsupported_media_type")
    assert response.headers["accept"] == MEDIA_TYPE


def test_a_long_body_is_not_read_to_its_end(client: Client) -> None:
    """The bound holds while the body streams, whatever length was stated."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64 * ENVELOPE_BYTES_MAX:
            sent += 65_536
            yield bytes(65_536)

    response = client.submit(endless())  # type: ignore[arg-type]
    problem(response, 413, "oversize")
    assert sent <= ENVELOPE_BYTES_MAX + 2 * 65_536
    assert response.headers["connection"] == "close"


def test_a_long_body_is_refused_by_its_stated_length(client: Client) -> None:
    """Nothing of it is read."""
    headers = {"Content-Length": str(ENVELOPE_BYTES_MAX + 1)}
    problem(client.submit(b"", headers=headers), 413, "oversize")


def test_a_body_that_does_not_come_ends_the_request(
    client: Client, node: MemoryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who opens a request and sends nothing keeps neither it nor the connection open."""
    monkeypatch.setattr("nodes.gateway.routes.envelopes.BODY_TIMEOUT_S", 0.01)

    async def never() -> AsyncIterator[bytes]:
        yield b"\x00"
        await asyncio.Event().wait()

    answer = client.submit(never())  # type: ignore[arg-type]
    problem(answer, 408, "request_timeout")
    assert answer.headers["connection"] == "close"


# Nothing in these is pooled, so that one node serves all examples.
FUZZ = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(body=st.binary(max_size=400))
def test_whatever_is_sent_is_a_problem(client: Client, body: bytes) -> None:
    """Bytes that are no envelope are refused as such; nothing else comes out."""
    problem(client.submit(body), 422, "not_canonical")


@FUZZ
@given(place=st.integers(min_value=0), value=st.integers(min_value=1, max_value=255))
def test_a_turned_byte_is_never_pooled(node: MemoryNode, client: Client, place: int, value: int) -> None:
    """A good envelope with one byte changed gets a problem of the table, whatever the byte."""
    raw = bytearray(_sealed(node, sequence=900))
    raw[place % len(raw)] ^= value
    response = client.submit(bytes(raw))
    assert response.json()["code"] in KINDS
    assert response.status_code in {403, 409, 422}
    assert not node.pool


@pytest.mark.parametrize("path", ["00", "zz" * 32, "A" * 64, "0" * 63, "0" * 65])
def test_an_id_that_cannot_be_is_an_invalid_parameter(client: Client, path: str) -> None:
    """64 lower-case hexadecimal digits, nothing else."""
    told = problem(client.get(f"{PATH}/{path}"), 422, "invalid_parameter")
    assert told["errors"][0]["where"] == "path/envelope"
    del told["request_id"]
    assert f"'{path}'" not in str(told)


def test_an_unknown_envelope_is_not_found(client: Client) -> None:
    """404, for the status and for the receipt."""
    problem(client.get(f"{PATH}/{'0' * 64}"), 404, "unknown_envelope")
    problem(client.get(f"{PATH}/{'0' * 64}/receipt"), 404, "unknown_envelope")


@pytest.mark.parametrize("wait", ["-1", "61", "x", "1.5"])
def test_a_wait_out_of_bounds_is_an_invalid_parameter(node: MemoryNode, client: Client, wait: str) -> None:
    """The query is exact; only the header is a wish. Nothing is pooled."""
    problem(client.submit(node.raw(MARKET_REGULATION, TYPE), params={"wait": wait}), 422, "invalid_parameter")
    assert not node.pool
