"""README.md and docs/ cannot rot: their console sessions are run, and what they print is what stands there.

A block of the language `console` is one session of a shell, in a copy of the repository:

- a line that begins with `$ ` is a command, one with `> ` goes on with it, and what follows is what it prints, to both
  streams; nothing below the last command means that its output is not looked at;
- `# exit code 3` at a command's end is the code it ends with; without it, the code is 0;
- a line `...` stands for any lines, also none, and `...` within a line for any text;
- a number before ` s` or ` ms` is a measured time, and matches any other;
- `<!-- console: live -->` above a block: it starts nodes. All such blocks of a file are one story, told in one
  directory, and every number in their output matches any other, because each run has its own.

A block whose commands are of `make` is not run. `# mulu simulate beijing` at such a command's end is what the Makefile
must have behind the target, and its output is compared with what that command prints elsewhere in the file.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.blocks.genesis import Genesis
from ledger.crypto.signatures import verify_batch
from ledger.encoding import decode
from ledger.replica.admission import signing_key
from ledger.state.store import State
from ledger.validation.envelopes import prepare_envelope

PROJECT = Path(__file__).resolve().parents[1]
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]

SESSION_S = 300
"""Far more than the longest session takes on a busy machine."""

ANY_LINES = "..."

_BLOCK = re.compile(r"^(?:<!-- console: (?P<kind>\w+) -->\n)?```console\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_EXIT_CODE = re.compile(r"\s+# exit code (?P<code>\d+)$")
_MAKE = re.compile(r"make (?P<target>\S+)(?:\s+# (?P<recipe>.+))?")
_VARIES = re.compile(r"(?P<any>\.\.\.)|(?P<time>\d+(?:[,.]\d+)*(?= m?s\b))|(?P<number>\d+(?:[,.:]\d+)*)|(?P<space> +)")


@dataclass(frozen=True)
class Step:
    """One command, and what a document says of it."""

    command: str
    exit_code: int
    output: tuple[str, ...] | None
    """Lines; None if the document shows nothing."""


@dataclass(frozen=True)
class Session:
    """One block of a document."""

    place: str
    kind: str
    """`plain`, `live` or `make`."""
    steps: tuple[Step, ...]


def sessions_of(document: Path) -> list[Session]:
    """Return the console blocks of a document, in order."""
    found = []
    content = document.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(content):
        line = content.count("\n", 0, match.start("text")) + 1
        steps = _parse(match["text"])
        kind = "make" if steps[0].command.startswith("make ") else match["kind"] or "plain"
        found.append(Session(f"{document.relative_to(PROJECT)}:{line}", kind, steps))
    return found


def _parse(text: str) -> tuple[Step, ...]:
    steps: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        elif line.startswith("> ") and not steps[-1][1]:
            steps[-1] = (f"{steps[-1][0]}\n{line[2:]}", [])
        else:
            steps[-1][1].append(line)
    return tuple(_step(command, output) for command, output in steps)


def _step(command: str, output: list[str]) -> Step:
    while output and not output[-1]:
        output.pop()
    stated = _EXIT_CODE.search(command)
    return Step(
        command=_EXIT_CODE.sub("", command),
        exit_code=int(stated["code"]) if stated else 0,
        output=tuple(output) or None,
    )


SESSIONS = [session for document in DOCUMENTS for session in sessions_of(document)]
LIVE_DOCUMENTS = sorted({session.place.partition(":")[0] for session in SESSIONS if session.kind == "live"})
MAKE_TARGETS = {
    match["target"]: match["recipe"]
    for match in re.finditer(
        r"^(?P<target>[a-z-]+):[^\n]*\n\t@?(?P<recipe>[^\n]+)",
        (PROJECT / "Makefile").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A copy of the repository's files, because a session may write where it stands."""
    copy = tmp_path / "mulu"
    for file in project_files():
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / file, copy / file)
    return copy


@pytest.mark.parametrize("session", [s for s in SESSIONS if s.kind == "plain"], ids=lambda session: session.place)
def test_a_session_prints_what_the_document_says(session: Session, here: Path) -> None:
    """Who types the commands sees these lines and gets these exit codes."""
    for step, output in zip(session.steps, run(session.steps, here), strict=True):
        assert_agrees(step.output, output, numbers_vary=False)


@pytest.mark.live
@pytest.mark.parametrize("document", LIVE_DOCUMENTS)
def test_a_story_with_nodes_goes_as_the_document_tells_it(document: str, here: Path) -> None:
    """The commands that start nodes work one after the other; only the numbers are of another run."""
    printed: dict[str, str] = {}
    of_document = [session for session in SESSIONS if session.place.startswith(f"{document}:")]
    for session in of_document:
        if session.kind != "live":
            continue
        for step, output in zip(session.steps, run(session.steps, here), strict=True):
            assert_agrees(step.output, output, numbers_vary=True)
            printed[step.command] = output
    for step in (step for session in of_document if session.kind == "make" for step in session.steps):
        recipe = _made(step)
        for command, output in printed.items():
            if recipe and command.startswith(recipe):
                assert_agrees(step.output, output, numbers_vary=True)


@pytest.mark.parametrize("session", [s for s in SESSIONS if s.kind == "make"], ids=lambda session: session.place)
def test_make_runs_what_the_document_says(session: Session) -> None:
    """Each target is in the Makefile, with the command behind it that the document names."""
    for step in session.steps:
        match = _MAKE.fullmatch(step.command)
        assert match, f"{session.place}: {step.command!r} is not `make TARGET   # COMMAND`"
        recipe = MAKE_TARGETS[match["target"]]
        if match["recipe"]:
            assert recipe.replace("$(BIN)/", "").replace(" $(ARGS)", "") == match["recipe"]


def test_the_example_for_the_gateway_makes_an_envelope_that_is_admitted(here: Path) -> None:
    """An engineer who copies the lines from docs/gateway.md gets bytes that the ledger takes."""
    page = (PROJECT / "docs" / "gateway.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (here / "envelope.py").write_text(example, encoding="utf-8")
    made = "mulu node init --departments 4 --out network && python envelope.py > envelope"
    run([Step(made, 0, None)], here)
    genesis = decode(Genesis, (here / "network" / "genesis").read_bytes())
    prepared = prepare_envelope((here / "envelope").read_bytes(), genesis.chain)
    header = prepared.envelope.header
    public = signing_key(header, State.of_genesis(genesis))
    assert verify_batch([(public, header.id, prepared.envelope.signature)]) == [True]
    assert None not in prepared.records


def test_an_output_agrees_only_if_its_fixed_parts_do() -> None:
    """The comparison can fail: on another word, a missing line, a line too many, a number that is no time."""
    said = ("All 5 checks hold", "...", "took 3.1 s, one ... of four")
    assert agrees(said, "All 5 checks hold\na\nb\ntook 12 s, one or two of four\n")
    assert agrees(said, "All 5 checks hold\ntook 1,204 s, one  of four\n")
    assert not agrees(said, "All 4 checks hold\ntook 3.1 s, one part of four\n")
    assert agrees(said, "All 4 checks hold\ntook 3.1 s, one part of four\n", numbers_vary=True)
    assert not agrees(said, "All 5 checks hold\ntook 3.1 s, one part of five\n")
    assert not agrees(said, "All 5 checks hold\ntook 3.1 s, one part of four\nmore\n")
    assert not agrees(said, "took 3.1 s, one part of four\n")


def test_the_copy_has_nothing_that_an_earlier_session_left() -> None:
    """Whoever followed the documents by hand has `out/` and `network/` at the top; the copy has neither."""
    copied = {file.parts[0] for file in project_files()}
    assert {"README.md", "docs", "scenarios"} <= copied
    assert not copied & {"out", "network", ".venv", ".git"}


def project_files() -> list[Path]:
    """Return the files of the project, relative to it: what git knows or would take, and not what it ignores."""
    listing = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    with suppress(OSError, subprocess.CalledProcessError):
        listed = subprocess.run(listing, capture_output=True, check=True).stdout.decode().split("\0")
        return [file for name in listed if name and (PROJECT / (file := Path(name))).is_file()]
    # An unpacked distribution is no checkout.
    left = {"out", "network", "target", "build", "dist"}
    return [
        file
        for file in (path.relative_to(PROJECT) for path in PROJECT.rglob("*") if path.is_file())
        if not left & set(file.parts) and not any(part.startswith(".") for part in file.parts) and file.suffix != ".so"
    ]


def _made(step: Step) -> str | None:
    match = _MAKE.fullmatch(step.command)
    return match["recipe"] if match else None


def run(steps: Sequence[Step], here: Path) -> list[str]:
    """Run the commands in one shell; return what each printed, after comparing its exit code."""
    marker = "= this command ended with"
    script = "".join(f"{step.command}\nprintf '\\n{marker} %d\\n' $?\n" for step in steps)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    transcript = here / ".transcript"
    with transcript.open("wb") as file:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=here,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            shell.wait(SESSION_S)
        finally:
            # What the session left running in the background is in the shell's own group.
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    parts = re.split(rf"\n{marker} (\d+)\n", transcript.read_text(encoding="utf-8"))
    outputs, codes = parts[:-1:2], parts[1::2]
    assert len(outputs) == len(steps), f"the session ended early:\n{transcript.read_text(encoding='utf-8')}"
    for step, output, code in zip(steps, outputs, codes, strict=True):
        assert int(code) == step.exit_code, f"{step.command!r} ended with {code}, not {step.exit_code}:\n{output}"
    return outputs


def assert_agrees(said: tuple[str, ...] | None, output: str, *, numbers_vary: bool) -> None:
    """Fail with both texts if they differ in more than they may."""
    if said is None:
        return
    text = "\n".join(said)
    assert agrees(said, output, numbers_vary=numbers_vary), f"the document says\n{text}\n\nand it printed\n{output}"


def agrees(said: Sequence[str], output: str, *, numbers_vary: bool = False) -> bool:
    """Return whether `output` is what a document says."""
    pattern = "".join(r"(?:.*\n)*" if line == ANY_LINES else _pattern_of(line, numbers_vary) + r"\n" for line in said)
    return re.fullmatch(pattern, output if output.endswith("\n") else f"{output}\n") is not None


def _pattern_of(line: str, numbers_vary: bool) -> str:
    parts, position = [], 0
    for match in _VARIES.finditer(line):
        parts += [re.escape(line[position : match.start()]), _varying(match, numbers_vary)]
        position = match.end()
    return "".join(parts) + re.escape(line[position:])


def _varying(match: re.Match[str], numbers_vary: bool) -> str:
    if match["any"]:
        return ".*"
    if match["time"] or (match["number"] and numbers_vary):
        return r"\d+(?:[,.:]\d+)*"
    if match["space"] and numbers_vary:
        # Columns are as wide as their numbers.
        return " +"
    return re.escape(match[0])
