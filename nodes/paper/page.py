"""The page: what was proven of a certificate, in Chinese and English, with a code that leads to its page at a node."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import segno
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import TTFFont

from ledger.proofs.statement import Provenance, Statement, printable
from nodes.paper.fonts import FontFile, NoFontError
from nodes.words import STATUSES, record_words

FAMILY = "page"
MARGIN_MM = 16.0
LABEL_MM = 44.0
QR_MM = 34.0
LINE_MM = 5.3
TITLE_PT, HEADING_PT, TEXT_PT, SMALL_PT = 20.0, 11.5, 9.5, 7.5
GREY, RULE = (95, 95, 95), (200, 200, 200)

QR_ERROR_CORRECTION = "m"
"""15 % of the code may be unreadable: paper gets folded and stamped."""

BUNDLE_NAME, POLICY_NAME, STATEMENT_NAME = "bundle.json", "policy.txt", "statement.json"
"""What the attached files are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What goes onto the page and into the file."""

    statement: Statement
    """Of a genuine certificate."""
    bundle: bytes
    policy: bytes
    statement_json: bytes
    page_url: str
    """Address of the certificate's page at a node."""
    made: datetime
    """Aware: when the file is made."""
    sealed_by: str
    """Who will seal the file; empty if nobody does."""


def draw(paper: Paper, font: FontFile) -> bytes:
    """Return the PDF, not sealed yet, with the three files attached.

    Raises:
        NoFontError: The font cannot be used, or lacks characters that the page needs.
    """
    proven = paper.statement.provenance
    assert proven is not None, "only a genuine certificate gets a page"
    page = _Page(font)
    with closing(page.font_file()):
        page.set_title(f"{proven.type.name} {proven.certificate}")
        page.set_creator("Mulu")
        page.set_creation_date(paper.made)
        page.set_lang("zh-CN")
        page.add_page()
        _draw_head(page, paper, proven)
        _draw_findings(page, paper, proven)
        _draw_end(page, paper)
        page.check_characters(font)
        for name, data, kind in (
            (BUNDLE_NAME, paper.bundle, "application/json"),
            (POLICY_NAME, paper.policy, "text/plain"),
            (STATEMENT_NAME, paper.statement_json, "application/json"),
        ):
            page.embed_file(
                basename=name,
                bytes=data,
                mime_type=kind,
                modification_date=paper.made,
                associated_file_relationship="Data",
            )
        return bytes(page.output())


class _Page(FPDF):
    """A4, one font, labels on the left and texts on the right."""

    def __init__(self, font: FontFile) -> None:
        super().__init__(format="A4")
        self.set_margins(MARGIN_MM, MARGIN_MM, MARGIN_MM)
        self.set_auto_page_break(True, MARGIN_MM)
        try:
            self.add_font(FAMILY, "", font.path, collection_font_number=font.number)
        except Exception as error:  # What the library raises for a file that is no font is not of one kind.
            raise NoFontError(f"{font.path} cannot be used as a font: {error}") from error
        self.set_font(FAMILY, size=TEXT_PT)

    def text_line(self, text: str, size_pt: float, *, grey: bool = False, width_mm: float = 0) -> None:
        """Write a paragraph from the left margin."""
        self.set_font(FAMILY, size=size_pt)
        self.set_text_color(*(GREY if grey else (0, 0, 0)))
        self.multi_cell(
            width_mm,
            LINE_MM * size_pt / TEXT_PT,
            printable(text),
            align="L",
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )

    def heading(self, text: str) -> None:
        """Begin a part."""
        self.ln(2.5)
        # The heading stays with what it is the heading of.
        if self.will_page_break(4 * LINE_MM):
            self.add_page()
        self.text_line(text, HEADING_PT)
        self.set_draw_color(*RULE)
        self.line(MARGIN_MM, self.get_y(), self.w - MARGIN_MM, self.get_y())
        self.ln(1)

    def row(self, label: str, text: str) -> None:
        """Write a label and what belongs to it."""
        if self.will_page_break(LINE_MM):
            self.add_page()
        top, page = self.get_y(), self.page
        self.set_font(FAMILY, size=TEXT_PT)
        self.set_text_color(*GREY)
        self.multi_cell(LABEL_MM, LINE_MM, printable(label), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        below = self.get_y()
        self.set_text_color(0, 0, 0)
        self.set_xy(MARGIN_MM + LABEL_MM, top)
        self.multi_cell(0, LINE_MM, printable(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        if self.page == page:
            self.set_y(max(below, self.get_y()))

    def font_file(self) -> TTFFont:
        """Return the font. It holds its file open until it is closed."""
        font = self.fonts[FAMILY]
        assert isinstance(font, TTFFont)
        return font

    def check_characters(self, font: FontFile) -> None:
        """Check that the font had a glyph for every character so far.

        Raises:
            NoFontError: It had not: the page would show boxes.
        """
        if missing := "".join(map(chr, self.font_file().missing_glyphs)):
            raise NoFontError(f"{font.path} cannot draw {missing!r}: name another font with --font")

    def footer(self) -> None:
        """Number the page."""
        self.set_y(-12)
        self.set_font(FAMILY, size=SMALL_PT)
        self.set_text_color(*GREY)
        self.cell(0, 5, f"{self.page_no()}", align="R")


def _draw_head(page: _Page, paper: Paper, proven: Provenance) -> None:
    _draw_code(page, paper.page_url, page.w - MARGIN_MM - QR_MM, MARGIN_MM)
    width = page.w - 2 * MARGIN_MM - QR_MM - 6
    page.text_line(proven.type.name, TITLE_PT, width_mm=width)
    page.text_line(proven.certificate, TEXT_PT, grey=True, width_mm=width)
    page.ln(2)
    page.text_line(_answer(paper.statement), HEADING_PT, width_mm=width)
    page.text_line(f"扫码到节点查询 Look it up at a node: {paper.page_url}", SMALL_PT, grey=True, width_mm=width)
    page.set_y(max(page.get_y(), MARGIN_MM + QR_MM))


def _draw_code(page: _Page, url: str, left_mm: float, top_mm: float) -> None:
    """Draw the modules of the QR code as rectangles: sharp at any size, and no picture to decode."""
    code = segno.make_qr(url, error=QR_ERROR_CORRECTION)
    rows = [bytes(row) for row in code.matrix_iter(border=code.default_border_size)]
    module_mm = QR_MM / len(rows)
    page.set_fill_color(0, 0, 0)
    for y, row in enumerate(rows):
        for first, length in _runs(row):
            page.rect(left_mm + first * module_mm, top_mm + y * module_mm, length * module_mm, module_mm, style="F")
    page.link(left_mm, top_mm, QR_MM, QR_MM, url)


def _draw_findings(page: _Page, paper: Paper, proven: Provenance) -> None:
    page.heading("已证明的事项 What is proven")
    for label, text in _proven_rows(proven):
        page.row(label, text)
    if proven.fields or proven.holder is not None:
        page.heading("证照内容 What the certificate says")
        if proven.holder is not None:
            page.row("持证主体 Holder", proven.holder)
        for name, value in proven.fields:
            page.row(name, value)
    if len(proven.events) > 1:
        page.heading("变更经过 What happened to it")
        for event in proven.events[1:]:
            page.row(record_words(event.what).both(), f"{event.by}, log entry {event.index}")
    if proven.received:
        page.heading("颁发前收到的共享数据 Data that the issuer had received")
        for data in proven.received:
            page.row(data.data_item, f"{data.provider} → {data.requester}: {data.purpose}")
    if (quorum := paper.statement.quorum) is not None:
        page.heading(
            f"联署部门 Cosigned by {quorum.signed} of {quorum.of} departments; {quorum.needed} are needed",
        )
        page.text_line("；".join(paper.statement.signers), TEXT_PT)


def _draw_end(page: _Page, paper: Paper) -> None:
    page.heading("没有核实的事项 What was not checked")
    for sentence in paper.statement.not_checked:
        page.text_line(f"· {sentence}", TEXT_PT)
    page.heading("如何核实 How to check")
    for sentence in _how_to_check(paper):
        page.text_line(sentence, SMALL_PT, grey=True)


def _answer(statement: Statement) -> str:
    assert statement.status is not None
    assert statement.as_of is not None
    return f"{STATUSES[statement.status].both()}, 截至 as of {statement.as_of.text()}"


def _proven_rows(proven: Provenance) -> Iterator[tuple[str, str]]:
    yield "颁发机关 Issued by", f"{proven.issuer.name} [{proven.issuer.id}]"
    if proven.issuer_formerly:
        yield "原名 Formerly", proven.issuer_formerly
    if proven.issuer_ended is not None:
        yield "撤销于 Ended", f"区块 block {proven.issuer_ended}"
    if (successor := proven.successor) is not None:
        yield "现由 Passed to", f"{successor.name} [{successor.id}], 区块 block {successor.height}"
    yield "证照类型 Type", f"{proven.type.name} [{proven.type.id}]"
    grounds = proven.responsibility
    yield "依据职责 Under", f"{grounds.id} {grounds.name}"
    yield "批准部门 Approved by", f"{grounds.approved_by}, 区块 block {grounds.approved_height}"
    yield "上链 Recorded", proven.recorded.text()
    yield "有效期 Term", f"{proven.valid_from} – {proven.valid_until or '长期 no fixed end'}"
    if proven.replaced_by is not None:
        yield "已替换为 Replaced by", proven.replaced_by


def _how_to_check(paper: Paper) -> Iterator[str]:
    digest = hashlib.sha256(paper.policy).hexdigest()
    yield (
        f"本文件附有 {BUNDLE_NAME} 和 {POLICY_NAME}。证明证照的是附件而不是本页："
        "用 mulu verify 或 verify.html 核实附件，信任策略须来自您信任的人。"
    )
    yield (
        f"{BUNDLE_NAME} and {POLICY_NAME} are attached. What proves the certificate is the attached bundle, not this "
        f"page: check it with `mulu verify {BUNDLE_NAME} --policy POLICY` or verify.html, under a policy from somebody "
        f"whom you trust. The attached one has the SHA-256 {digest}."
    )
    if paper.sealed_by:
        yield (
            f"电子印章 Sealed by {paper.sealed_by}: the seal shows that the file is as it left them. "
            "Compare its certificate with what they have published."
        )


def _runs(row: bytes) -> Iterator[tuple[int, int]]:
    """Yield first place and length of each run of dark modules."""
    first = None
    for place, dark in enumerate((*row, 0)):
        if dark and first is None:
            first = place
        elif not dark and first is not None:
            yield first, place - first
            first = None
