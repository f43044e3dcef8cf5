"""`verify.html` in a real browser, opened from the disk with the network cut: the verdicts and the page itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from ledger import verify as stand_alone
from tests.proofs.cases import POLICY, good_cases
from tests.proofs.mutations import mutants
from tests.proofs.other_verifiers import PAGE, Chromium, chromium
from tests.proofs.test_agreement import answers, by_mulu

SOURCE = PAGE.read_text(encoding="utf-8")

SHOWN = """async () => {
  for (let turn = 0; turn < 500; turn++) {
    const verdict = document.querySelector("[data-verdict]"), json = document.querySelector("#json pre");
    if (verdict) return {verdict: verdict.dataset.verdict, text: verdict.textContent, json: json.textContent,
      width: document.documentElement.scrollWidth, language: document.documentElement.lang};
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}"""

IN_CHINESE = """async () => {
  while (!document.querySelector("#statement").textContent.includes("没有核实的事项")) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
  return document.querySelector("[data-verdict]").textContent;
}"""


@pytest.fixture(scope="module")
def browser(optional_tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Return a browser as wide as a telephone, on the page."""
    program = optional_tool("chromium")
    with chromium(program, tmp_path_factory.mktemp("profile")) as running:
        running.send("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=True)
        yield running


def test_a_browser_gives_the_verdicts_of_mulu_verify_on_100_bundles(browser: Chromium) -> None:
    """Good ones word for word, changed ones answer for answer."""
    good = good_cases()
    for case in good:
        assert browser.statement(case) == by_mulu(case), case.name
    changed = list(islice(mutants(good, 120, 17), 100 - len(good)))
    assert len(good) + len(changed) == 100
    for case in changed:
        assert answers(browser.statement(case)) == answers(by_mulu(case)), case.name


def test_the_page_has_no_network(browser: Chromium) -> None:
    """Neither the browser's, which is cut here, nor a right to one: its own policy forbids every connection."""
    assert "default-src 'none'" in SOURCE
    assert browser.run("async (address) => fetch(address).then(() => 'reached', () => 'cut')", PAGE.as_uri()) == "cut"
    assert not re.search(r"""\b(?:src|href)=|@import|url\(|\bimport\b""", SOURCE.replace("importKey", ""))


def test_who_chooses_two_files_reads_the_statement(browser: Chromium, tmp_path: Path) -> None:
    """On 400 pixels without scrolling sideways, in both languages, with the JSON of the other verifiers below."""
    case = next(case for case in good_cases() if case.name == "with hops")
    (tmp_path / "bundle.json").write_bytes(case.data)
    (tmp_path / "policy.txt").write_text(POLICY, encoding="utf-8")
    now = "2025-09-15T08:21:00+08:00"
    browser.run("(now) => { document.querySelector('#now').value = now; }", now)
    browser.choose("#policy", tmp_path / "policy.txt")
    browser.choose("#bundle", tmp_path / "bundle.json")
    shown = browser.run(SHOWN, None)
    now_ms = 1_757_895_660_000
    assert json.loads(shown["json"]) == stand_alone.verify(case.data, POLICY, now_ms=now_ms)
    assert (shown["verdict"], shown["language"]) == ("established", "en")
    assert "Established" in shown["text"]
    assert shown["width"] <= 400
    browser.run("() => document.querySelector('#language').click()", None)
    translated = browser.run(IN_CHINESE, None)
    assert "已证实" in translated


def test_what_a_bundle_says_is_never_markup() -> None:
    """The page sets texts as texts: there is no way in it from a string to an element."""
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|DOMParser", SOURCE)


def test_the_page_and_the_stand_alone_file_have_one_table_of_kinds() -> None:
    """What fields a value has stands in both, letter for letter."""
    table = SOURCE.partition("String.raw`\n")[2].partition("`;")[0]
    assert table.replace("\\\n", "") == stand_alone.KINDS.lstrip("\n").replace("\\\n", "")
