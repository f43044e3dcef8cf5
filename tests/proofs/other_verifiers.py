"""The two verifiers that share no code with Mulu, asked for their statements: the stand-alone file, and the page.

The page's script runs in Node.js by itself, and in Chromium from a `file://` address with the network cut.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger import verify as stand_alone
from tests.proofs.cases import Case

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "ledger" / "verify.html"

Statement = dict[str, Any]


def by_stand_alone(case: Case) -> Statement:
    """Return what `python -m ledger.verify` says."""
    statement: Statement = stand_alone.verify(
        case.data, case.policy, now_ms=case.now_ms, max_age_s=604_800, require=case.require
    )
    return statement


def question(case: Case) -> Mapping[str, Any]:
    """Return a case as the page's script takes it."""
    return {
        "data": base64.b64encode(case.data).decode(),
        "policy": case.policy,
        "options": {"nowMs": case.now_ms, "maxAgeS": 604_800, "require": case.require},
    }


ASK = """async ({data, policy, options}) => asJson(await verify(
  Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)), policy, options))"""
"""A function of the page's script from a question to a statement."""

_NODE_PROGRAM = """
const {readFileSync} = require("node:fs"), {createInterface} = require("node:readline");
const script = readFileSync(process.argv[1], "utf8").split("<script>")[1].split("</script>")[0];
const run = new Function(`${script}; return eval(arguments[0]);`);
(async () => {
  for await (const line of createInterface({input: process.stdin})) {
    const {program, argument} = JSON.parse(line);
    const integers = (_, value) => typeof value === "bigint" ? Number(value) : value;
    console.log(JSON.stringify(await run(program)(argument), integers));
  }
})();
"""


class Node:
    """The page's script in Node.js."""

    def __init__(self, program: Path) -> None:
        command = [program, "-e", _NODE_PROGRAM, PAGE]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def run(self, program: str, argument: Any) -> Any:
        """Return what a function of the page's script returns for an argument."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"program": program, "argument": argument}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def statement(self, case: Case) -> Statement:
        """Return what the page says."""
        answer: Statement = self.run(ASK, question(case))
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Chromium:
    """The page in a real browser, driven over a pipe by the DevTools protocol; no port is opened."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = os.fdopen(read, "rb"), os.fdopen(write, "wb")
        self._buffer = b""
        self._number = 0
        self._session: str | None = None

    def send(self, method: str, **parameters: Any) -> Any:
        """Return the result of one command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._write.write(json.dumps(message).encode() + b"\0")
        self._write.flush()
        for answer in self._messages():
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
        raise AssertionError(f"the browser ended before it answered {method}")

    def open(self, address: str) -> None:
        """Open a page and wait until it is loaded."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Page.enable")
        self.send("Page.navigate", url=address)
        assert any(message.get("method") == "Page.loadEventFired" for message in self._messages_until_load())

    def run(self, program: str, argument: Any) -> Any:
        """Return what a function of the page's script returns for an argument."""
        expression = f"({program})({json.dumps(argument)})"
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def statement(self, case: Case) -> Statement:
        """Return what the page says."""
        answer: Statement = self.run(ASK, question(case))
        return answer

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file as a person does, in the page's own field."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" not in self._buffer:
                if not (more := self._read.read1(1 << 16)):
                    return
                self._buffer += more
            message, _, self._buffer = self._buffer.partition(b"\0")
            yield json.loads(message)

    def _messages_until_load(self) -> Iterable[dict[str, Any]]:
        for message in self._messages():
            yield message
            if message.get("method") == "Page.loadEventFired":
                return

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self.send("Browser.close")
        self._read.close()
        self._write.close()


@contextmanager
def chromium(program: Path, profile: Path, *, width: int = 1_000) -> Iterator[Chromium]:
    """Run a headless browser that finds no network, on the page."""
    ours_read, theirs_write = os.pipe()
    theirs_read, ours_write = os.pipe()
    command = [
        str(program),
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en-US"),
        # Every name leads nowhere, and the proxy is a port that nobody listens on.
        *("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>"),
        f"--user-data-dir={profile}",
        f"--window-size={width},1400",
        "--remote-debugging-pipe",
        "about:blank",
    ]

    def pipes() -> None:
        # The protocol fixes the numbers: the browser reads commands on 3 and writes answers on 4. The copies first,
        # because one of the originals can have either number.
        read, write = os.dup(theirs_read), os.dup(theirs_write)
        os.dup2(read, 3)
        os.dup2(write, 4)

    process = subprocess.Popen(
        command, preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(theirs_read)
    os.close(theirs_write)
    browser = Chromium(ours_read, ours_write)
    try:
        browser.open(PAGE.as_uri())
        yield browser
        browser.close()
    finally:
        process.kill()
        process.wait()
