"""The page that a certificate's QR code leads to: what it says, in which language, and that it can do nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import html5lib  # type: ignore[import-untyped]
import pytest

from ledger.registers.certificates.identifier import IdentifierParts, format_identifier
from ledger.registers.certificates.records import RevokeCertificate, SuspendCertificate
from nodes.gateway.certificate_page import preferred_language
from nodes.gateway.routes import certificate_page
from tests.gateway.client import Client
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER, TYPE_CODE
from tests.proofs.other_verifiers import chromium
from tests.proofs.small_network import MARKET_REGULATION

PATH = f"/certificates/{IDENTIFIER}"
CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
ENGLISH = {"Accept-Language": "en-GB,en;q=0.9"}
UNKNOWN = format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "99999999999", 1))


@pytest.fixture(autouse=True)
def minutes_later(empty_node: MemoryNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the page five minutes after the last block."""
    monkeypatch.setattr(certificate_page, "_now_ms", lambda: empty_node.state.time_ms + 300_000)


def text_of(page: str) -> str:
    """Return what a reader sees of a page, which is HTML without a mistake."""
    document = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    return " ".join("".join(document.find("body").itertext()).split())


def test_a_valid_certificate_has_a_page_in_both_languages(client: Client) -> None:
    """Who issued it, under which responsibility, since when, and who cosigned; with the way to check it."""
    for headers, language, parts in (
        (ENGLISH, "en", ("Valid", "Issued by", "3 of 4 departments", "Node of Government Services")),
        (CHINESE, "zh", ("有效", "颁发机关", "4 个部门中有 3 个联署", "政务服务")),
    ):
        answer = client.get(PATH, headers=headers)
        assert (answer.status_code, answer.headers["content-language"]) == (200, language)
        shown = text_of(answer.text)
        for part in (*parts, IDENTIFIER, "Market Regulation", "AY-01", "营业执照", "2025-09-15 – 2026-09-"):
            assert part in shown, part
        assert f'href="/api/v1/certificates/{IDENTIFIER}/bundle"' in answer.text
    assert client.get(f"/api/v1/certificates/{IDENTIFIER}/bundle").status_code == 200


def test_who_asks_for_a_language_gets_it(client: Client) -> None:
    """The link on the page goes before what the browser prefers."""
    assert "颁发机关" in client.get(PATH, params={"lang": "zh"}, headers=ENGLISH).text
    assert "Issued by" in client.get(PATH, params={"lang": "en"}, headers=CHINESE).text


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "zh"),
        ("fr", "zh"),
        ("en", "en"),
        ("EN-us;q=0.5, zh;q=0.4", "en"),
        ("en;q=x, zh", "zh"),
        ("zh-Hant-TW, en;q=0.9", "zh"),
        ("de, en;q=0.3", "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_prefers(accepted: str, language: str) -> None:
    """By weight; Chinese if it wants neither."""
    assert preferred_language(accepted) == language


@pytest.mark.parametrize(
    ("record", "english", "chinese"),
    [
        (SuspendCertificate(certificate=IDENTIFIER, reason="inspection"), "Suspended", "暂扣"),
        (RevokeCertificate(certificate=IDENTIFIER, kind="revoked", reason="fraud"), "Revoked", "吊销"),
    ],
)
def test_the_page_says_what_became_of_it(
    node: MemoryNode, client: Client, record: SuspendCertificate, english: str, chinese: str
) -> None:
    """Once a checkpoint covers it; never in the colour of a valid one."""
    node.execute(node.sign(MARKET_REGULATION, record))
    node.cosign()
    for headers, word in ((ENGLISH, english), (CHINESE, chinese)):
        page = client.get(PATH, headers=headers).text
        assert f'<p class="status bad">{word}</p>' in page


def test_old_news_are_called_old(node: MemoryNode, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that was cut off a week ago does not vouch for today."""
    monkeypatch.setattr(certificate_page, "_now_ms", lambda: node.state.time_ms + 8 * 86_400_000)
    page = client.get(PATH, headers=ENGLISH).text
    assert "older than a week" in page
    assert '<p class="status bad">Valid</p>' in page


@pytest.mark.parametrize(
    ("identifier", "english", "chinese"),
    [
        (UNKNOWN, "has no such certificate", "账本上没有这个证照"),
        (IDENTIFIER[:-1] + "0", "not the identifier", "不是证照标识"),
        ("%3Cscript%3Ealert(1)", "not the identifier", "不是证照标识"),
        ("x" * 3_000, "not the identifier", "不是证照标识"),
    ],
)
def test_what_is_not_there_gets_a_page_too(client: Client, identifier: str, english: str, chinese: str) -> None:
    """404, with a sentence that helps, and nothing of what was asked for as markup."""
    for headers, part in ((ENGLISH, english), (CHINESE, chinese)):
        answer = client.get(f"/certificates/{identifier}", headers=headers)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert part in text_of(answer.text)
        assert "<script" not in answer.text
        assert len(answer.text) < 8_000


def test_without_a_checkpoint_the_page_says_not_yet(empty_client: Client) -> None:
    """503, to be asked again."""
    answer = empty_client.get(PATH, headers=ENGLISH)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "cannot say anything yet" in text_of(answer.text)


def test_the_page_may_load_nothing_and_run_nothing(client: Client) -> None:
    """Its policy allows its own style, by hash, and nothing else; it has no script and no form."""
    for path in (PATH, f"/certificates/{UNKNOWN}"):
        answer = client.get(path)
        style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
        assert style is not None
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        assert answer.headers["content-security-policy"] == (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert not re.search(r"<script|<form|<img|style=|\bon\w+=|https?:", answer.text)


def test_on_a_telephone_nothing_stands_out_of_the_screen(
    client: Client, optional_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    """360 pixels wide, in both languages and of any length of identifier."""
    program = optional_tool("chromium")
    width = (
        "async (html) => { document.documentElement.innerHTML = html; return document.documentElement.scrollWidth; }"
    )
    with chromium(program, tmp_path / "profile") as browser:
        browser.send("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
        for path, headers in ((PATH, ENGLISH), (PATH, CHINESE), (f"/certificates/{'9' * 200}", ENGLISH)):
            assert browser.run(width, client.get(path, headers=headers).text) <= 360
