"""The page of a certificate, for whoever follows the QR code on paper: what this node can prove, in two languages.

Built from the same bundle that the node hands out, by way of the verifier; so the page says no more than the bundle
proves, and says it as the node's word, because a page proves nothing. It has no script, loads nothing, and its policy
(CSP) allows it neither.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ledger.proofs.statement import Moment, Provenance, Statement, printable
from ledger.registers.certificates.values import Status
from nodes.words import STATUSES, Words, record_words

Language = Literal["zh", "en"]
Problem = Literal["unknown", "mistyped", "not_yet"]
"""Why there is nothing to show."""

_STYLE = files("nodes.gateway").joinpath("templates", "certificate.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language",
}
"""What every answer of this kind carries. A referrer would tell other sites whose certificate somebody looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the page says of a certificate that there is."""

    good: bool
    status: str
    sentences: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    cosigned: str
    signers: tuple[str, ...]
    not_shown: tuple[str, ...]


def preferred_language(accepted: str) -> Language:
    """Return the language of the page for a header `Accept-Language`; Chinese if it prefers neither.

    Source: RFC 9110, section 12.5.4.
    """
    weights = {"zh": 0.0, "en": 0.0}
    for part in accepted.split(","):
        name, _, weight = part.strip().lower().partition(";q=")
        language = name.partition("-")[0]
        if language in weights:
            try:
                weights[language] = max(weights[language], float(weight or 1))
            except ValueError:
                continue
    return "en" if weights["en"] > weights["zh"] else "zh"


def page_of(statement: Statement, *, node: str, language: Language) -> str:
    """Return the page of a genuine certificate.

    Args:
        node: Name of the department whose node this is.
    """
    proven, as_of, status = statement.provenance, statement.as_of, statement.status
    assert proven is not None, "the node proves what its state has"
    assert as_of is not None
    assert status is not None
    words = _TEXTS[language]
    quorum = statement.quorum
    assert quorum is not None
    answer = Answer(
        good=status is Status.VALID and bool(statement.fresh),
        status=_in(language, STATUSES[status]),
        sentences=tuple(_sentences(statement, as_of, words)),
        rows=tuple(_rows(proven, language, words)),
        cosigned=words["cosigned"].format(signed=quorum.signed, of=quorum.of, needed=quorum.needed),
        signers=statement.signers,
        not_shown=tuple(words[key] for key in ("later", "holder", "content", "truth")),
    )
    return _render(
        language,
        node=node,
        title=proven.type.name,
        identifier=proven.certificate,
        api=f"/api/v1/certificates/{proven.certificate}",
        answer=answer,
        problem="",
        advice="",
    )


def page_without_certificate(identifier: str, problem: Problem, *, node: str, as_of: str, language: Language) -> str:
    """Return the page that says why there is nothing to show.

    Args:
        as_of: The last block that was looked at, for people.
    """
    words = _TEXTS[language]
    return _render(
        language,
        node=node,
        title=words["title"],
        identifier=identifier,
        api="",
        answer=None,
        problem=words[problem].format(as_of=as_of),
        advice=words[f"{problem}_advice"],
    )


def _sentences(statement: Statement, as_of: Moment, words: dict[str, str]) -> Iterator[str]:
    yield words["as_of"].format(as_of=as_of.text())
    if not statement.fresh:
        yield words["old"]


def _rows(proven: Provenance, language: Language, words: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield words["issuer"], f"{proven.issuer.name} [{proven.issuer.id}]"
    if proven.issuer_formerly:
        yield words["formerly"], proven.issuer_formerly
    if proven.issuer_ended is not None:
        yield words["ended"], words["block"].format(height=proven.issuer_ended)
    if (successor := proven.successor) is not None:
        yield words["successor"], f"{successor.name} [{successor.id}]"
    yield words["term"], f"{proven.valid_from} – {proven.valid_until or words['open']}"
    if proven.replaced_by is not None:
        yield words["replaced_by"], proven.replaced_by
    grounds = proven.responsibility
    yield words["responsibility"], f"{grounds.id} {grounds.name}"
    yield words["approved_by"], grounds.approved_by
    yield words["recorded"], proven.recorded.text()
    for event in proven.events[1:]:
        yield _in(language, record_words(event.what)), event.by


def _in(language: Language, words: Words) -> str:
    return words.zh if language == "zh" else words.en


def _render(language: Language, **values: Any) -> str:
    template = _environment().get_template("certificate.html.jinja")
    # The style is the project's own, and its hash stands in the header: it goes in as it is.
    return template.render(words=_TEXTS[language], style=Markup(_STYLE), **values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("nodes.gateway", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # What comes from a ledger can hold characters that turn the direction of what stands around them.
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else printable(value),
    )


_TEXTS: dict[Language, dict[str, str]] = {
    "en": {
        "lang": "en",
        "other": "zh",
        "other_lang": "zh-Hans",
        "other_name": "中文",
        "title": "Certificate",
        "node": "Node of",
        "as_of": "As of {as_of}",
        "old": "This is older than a week: the node has had no news since. Ask another node.",
        "issuer": "Issued by",
        "formerly": "Formerly",
        "ended": "Ended",
        "block": "with block {height}",
        "successor": "Passed to",
        "term": "Term",
        "open": "no fixed end",
        "replaced_by": "Replaced by",
        "responsibility": "Under",
        "approved_by": "Approved by",
        "recorded": "Recorded",
        "cosigned": "Cosigned by {signed} of {of} departments; {needed} are needed",
        "check": "Check it yourself",
        "take_no_word": (
            "This page is the word of one node. The bundle proves the same without trusting it: check it offline with "
            "`mulu verify` or in a browser, under a policy from somebody whom you trust."
        ),
        "bundle": "Bundle, the file that proves this certificate",
        "verify_page": "Page that verifies bundles in the browser",
        "trace": "Each step on the way here, as JSON",
        "not_shown": "What this page does not show",
        "later": "what happened after that block",
        "holder": "who holds the certificate, and that whoever shows it is its holder",
        "content": "what the certificate says: none of that is on the ledger",
        "truth": "that what was certified is true: the ledger shows who vouched for it, when, and with which right",
        "unknown": "The ledger has no such certificate as of {as_of}.",
        "unknown_advice": "It may be forged, or so new that this node has not heard of it. Ask whoever issued it.",
        "mistyped": "This is not the identifier of a certificate.",
        "mistyped_advice": "Its check character does not fit: a character is wrong. Compare it with the certificate.",
        "not_yet": "This node cannot say anything yet.",
        "not_yet_advice": "No quorum has cosigned a checkpoint that it knows. Try again in a minute.",
    },
    "zh": {
        "lang": "zh-Hans",
        "other": "en",
        "other_lang": "en",
        "other_name": "English",
        "title": "电子证照",
        "node": "节点：",
        "as_of": "截至 {as_of}",
        "old": "以上信息已超过一周：此后本节点没有收到新的区块，请向其他节点查询。",
        "issuer": "颁发机关",
        "formerly": "原名",
        "ended": "撤销于",
        "block": "区块 {height}",
        "successor": "现由",
        "term": "有效期",
        "open": "长期",
        "replaced_by": "已替换为",
        "responsibility": "依据职责",
        "approved_by": "批准部门",
        "recorded": "上链",
        "cosigned": "{of} 个部门中有 {signed} 个联署，至少需要 {needed} 个",
        "check": "自行核实",
        "take_no_word": (
            "本页只是一个节点的说法。证明文件可以在不信任本节点的情况下证明同样的内容："
            "请用 mulu verify 或浏览器离线核实，信任策略须来自您信任的人。"
        ),
        "bundle": "证明文件",
        "verify_page": "在浏览器中核实证明文件的页面",
        "trace": "全部经过（JSON）",
        "not_shown": "本页没有表明的事项",
        "later": "上述区块之后发生的事",
        "holder": "证照由谁持有，以及出示者就是持证主体",
        "content": "证照的内容：账本上没有",
        "truth": "所证明的事项属实：账本只表明谁、何时、依据何种职责作出了证明",
        "unknown": "截至 {as_of}，账本上没有这个证照。",
        "unknown_advice": "它可能是伪造的，也可能刚刚颁发、本节点尚未收到。请向颁发机关查询。",
        "mistyped": "这不是证照标识。",
        "mistyped_advice": "校验码不符，说明有字符写错了。请与证照核对。",
        "not_yet": "本节点暂时无法回答。",
        "not_yet_advice": "它还没有收到达到法定数量部门联署的检查点，请稍后再试。",
    },
}
