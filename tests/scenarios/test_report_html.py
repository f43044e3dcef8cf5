"""The report for people: valid, self-contained, safe and the same each time."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest

from scenarios.beijing.city import ROLES, City
from scenarios.beijing.city_files import load_city
from scenarios.evidence.checks import CHECKS, Bundle
from scenarios.evidence.summary import BlockOnLedger, DepartmentFigures
from scenarios.report import CertificateFigures, SimulationResult, Timing, result_of
from scenarios.report_html import CHECKS_IN_WORDS, department_map, report_html
from tests.evidence.small_run import SmallRun, good_run

CITY = load_city()
FOUR = replace(CITY.first(4), certificate_types=CITY.certificate_types)
"""Four departments, and the names of all types: the one that the small run issues belongs to somebody else."""
HTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</title><script>alert(1)</script>\"'&\x00\x0b\u202e]]>{{ 7*7 }}"


def result(run: SmallRun, city: City, **options: Any) -> SimulationResult:
    """Return the result of a small virtual run unless told otherwise."""
    given = {"scenario": "beijing", "engine": "jolteon", "mode": "virtual", "seed": 5, "backend": "openssl"}
    return result_of(run.read(), city, **(given | options))


def page(run: SmallRun | None = None, city: City | None = None, **options: Any) -> bytes:
    """Return the report of a small run."""
    run, city = run or good_run(), city or FOUR
    return report_html(result(run, city, **options), run.evidence, city)


def parse(data: bytes) -> Element:
    """Return the document; the parser raises on the first error of form."""
    document: Element = html5lib.HTMLParser(strict=True).parse(data.decode())
    return document


def text_of(document: Element) -> str:
    """Return all text with single blanks."""
    return " ".join("".join(document.itertext()).split())


@pytest.mark.parametrize("mode", ["live", "virtual"])
def test_the_page_is_valid_and_tells_the_whole_run(mode: str) -> None:
    """Verdict, the checks in words, members, refusals with cause and next step, types, and the command."""
    timing = Timing.of([5.0, 8.0], set_up_s=1, run_s=2) if mode == "live" else None
    document = parse(page(mode=mode, timing=timing))
    text = text_of(document)
    assert (
        document.find(f".//{HTML}h1").text
        == "All 7 checks hold: 4 departments put 5 records on one ledger of 5 blocks."
    )
    for words, _ in CHECKS_IN_WORDS.values():
        assert words in text
    for row in FOUR.departments:
        assert row.name_en in text
        assert row.name_zh in text
    for phrase in (
        "the sequence number was used before or is outside the key's window",
        "use the next number",
        "Project approval document",
        "mulu verify bundles/licence.json --policy policy.txt",
    ):
        assert phrase in text
    assert ("--now 2025-09-15T08:05:01+08:00" in text) == (mode == "virtual")
    assert ("half of all receipts within" in text) == (mode == "live")


def test_the_legend_names_the_roles_on_the_map_and_no_others() -> None:
    """Four departments have no auditor among them; a whole city has."""
    run = good_run()
    assert "audits" not in text_of(parse(page(run)))
    assert "approves responsibilities" in text_of(parse(page(run)))
    assert set(department_map(result(run, CITY), CITY).legend) == ROLES


def test_every_check_has_words() -> None:
    """A check without a plain sentence could not be shown."""
    assert list(CHECKS_IN_WORDS) == [check.__name__ for check in CHECKS]


def test_a_failed_run_says_so_first() -> None:
    """Title, sentence and the mark of the check that fails, with what is wrong."""
    run = good_run()
    run.evidence.acknowledged = []
    document = parse(page(run))
    assert document.find(f".//{HTML}title").text.startswith("Not all is well")
    assert document.find(f".//{HTML}h1").text.startswith("1 of 7 checks does not hold")
    assert "fails Nothing lost, nothing twice" in text_of(document)
    assert "nothing was acknowledged" in text_of(document)


def test_unreadable_evidence_still_makes_a_page() -> None:
    """No blocks, no certificates, and the reason."""
    run = good_run()
    run.spoil_bytes = lambda data: b""
    text = text_of(parse(page(run)))
    assert "There is no block to draw." in text
    assert "the journal does not begin with the genesis" in text


def test_texts_from_outside_stay_texts() -> None:
    """Names with markup, quotes, template syntax, control characters or a turned direction change nothing."""
    run, city = good_run(), FOUR
    rows = tuple(replace(row, name_en=HOSTILE, name_zh=HOSTILE) for row in city.departments)
    types = tuple(replace(row, name_en=HOSTILE, name_zh=HOSTILE) for row in city.certificate_types)
    run.evidence.bundles = [Bundle(f"{HOSTILE}.json", b"", 0)]
    city = replace(city, departments=rows, certificate_types=types)
    data = page(run, city, unexpected=[HOSTILE])
    document = parse(data)
    assert document.find(f".//{HTML}script") is None
    assert document.find(f".//{SVG}script") is None
    assert len(document.findall(f".//{HTML}title")) == 1
    # Some texts are cut or broken into lines for the drawing; the table has them whole.
    assert "</title><script>alert(1)</script>\"'&\ufffd\ufffd\ufffd]]>{{ 7*7 }}" in text_of(document)
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", data.decode())


def test_the_page_needs_nothing_from_outside() -> None:
    """No script, no address that is loaded, no style or font from elsewhere, and a policy that would forbid them."""
    data = page().decode()
    document = parse(data.encode())
    elements = {element.tag.split("}")[-1] for element in document.iter() if isinstance(element.tag, str)}
    assert not elements & {"script", "link", "img", "iframe", "object", "embed", "image", "use", "base", "form", "a"}
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)|\bon[a-z]+=", data)
    (policy,) = [m for m in document.iter(f"{HTML}meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.get("content") == "default-src 'none'; style-src 'unsafe-inline'"


def test_a_screen_reader_finds_its_way() -> None:
    """One main heading, none skipped; every drawing named or hidden; every reference to an id leads somewhere."""
    document = parse(page())
    levels = [
        int(e.tag[-1]) for e in document.iter() if isinstance(e.tag, str) and re.fullmatch(f"{HTML}h[1-6]", e.tag)
    ]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [element.get("id") for element in document.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for drawing in document.iter(f"{SVG}svg"):
        assert drawing.get("aria-hidden") == "true" or drawing.get("role") == "img"
    for element in document.iter():
        for name in (element.get("aria-labelledby") or "").split():
            assert name in ids
    assert document.find(f"./{HTML}body/..").get("lang") == "en"


def test_light_and_dark_have_enough_contrast() -> None:
    """Text has at least 4.5:1 against what it stands on, and marks in drawings 3:1, by the formula of WCAG 2."""
    palettes = re.findall(r":root \{(.*?)\}", page().decode(), re.S)[:2]
    for palette in palettes:
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", palette))
        for text in ("text", "soft"):
            for ground in ("page", "card", "faint"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for tone in ("teal", "red"):
            assert contrast(colours[tone], colours[f"{tone}-soft"]) >= 4.5, tone
        for mark in ("teal", "red", "amber", "blue", "violet", "plain"):
            assert contrast(colours[mark], colours["card"]) >= 3, mark


def test_the_same_run_gives_the_same_bytes() -> None:
    """Nothing in a virtual run's page comes from the machine or the moment."""
    assert page() == page()


def test_the_page_of_the_whole_city_is_small_and_whole() -> None:
    """53 departments, all types and 5,000 blocks stay below half a megabyte; no bar leaves the drawing."""
    run = good_run()
    blocks = tuple(BlockOnLedger(h, 1_757_894_400_000 + h * 9_000, h % 53, 3, 40) for h in range(1, 5_001))
    whole = replace(
        result(run, CITY),
        departments=53,
        height=len(blocks),
        blocks=(*result(run, CITY).blocks, *blocks[5:]),
        by_department={row.code: DepartmentFigures(row.data_sets, row.rank % 4, 94) for row in CITY.departments},
        certificates=tuple(
            CertificateFigures(
                code=row.code,
                name_en=row.name_en,
                name_zh=row.name_zh,
                department=row.department,
                by_status={"valid": 1_000, "revoked": 7},
            )
            for row in CITY.certificate_types
        ),
    )
    data = report_html(whole, run.read(), CITY)
    assert len(data) < 500_000
    drawings = [d for d in parse(data).iter(f"{SVG}svg") if d.get("aria-labelledby")]
    for drawing in drawings:
        _, _, width, height = map(float, drawing.get("viewBox").split())
        for bar in drawing.iter(f"{SVG}rect"):
            assert 0 <= float(bar.get("x")) <= float(bar.get("x")) + float(bar.get("width")) <= width
            assert 0 <= float(bar.get("y")) <= float(bar.get("y")) + float(bar.get("height")) <= height


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours."""
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`. Source: WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
