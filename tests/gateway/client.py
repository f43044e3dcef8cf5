"""A client that calls the gateway directly, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from fastapi import FastAPI


class Client:
    """Sends requests to an application and returns what it answers. Errors of the application are raised."""

    def __init__(self, app: FastAPI, loop: asyncio.Runner) -> None:
        self.app = app
        self._loop = loop

    def session(self) -> httpx.AsyncClient:
        """Return a client for tests that do several things at once."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://gateway.test")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request."""

        async def send() -> httpx.Response:
            async with self.session() as session:
                return await session.request(method, path, **options)

        return self._loop.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET."""
        return self.request("GET", path, **options)

    def submit(self, raw: bytes, **options: Any) -> httpx.Response:
        """Hand in an envelope."""
        headers = {"Content-Type": "application/vnd.mulu.envelope", **options.pop("headers", {})}
        return self.request("POST", "/api/v1/envelopes", content=raw, headers=headers, **options)

    def together(self, *steps: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> list[Any]:
        """Run several steps at once; return their results in order."""

        async def run() -> list[Any]:
            async with self.session() as session:
                return list(await asyncio.gather(*(step(session) for step in steps)))

        return self._loop.run(run())


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that `response` is this problem, in full, and return it."""
    body: dict[str, Any] = response.json()
    assert (response.status_code, body.get("code")) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert body["status"] == status
    assert body["type"] == f"/api/v1/problems/{code}"
    assert body["request_id"] == response.headers["x-request-id"]
    assert all(body[member] for member in ("title", "detail", "cause", "next_step"))
    return body
