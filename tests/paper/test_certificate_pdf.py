"""`mulu certificate pdf`: the page, what is attached to it, its seal, and what other people's programs say of them."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]

from nodes.cli import main
from nodes.paper import page
from nodes.paper.fonts import NoFontError, find_font
from nodes.pkcs8 import to_pem
from nodes.words import STATUSES
from tests.conftest import skip_or_fail
from tests.proofs.cases import POLICY, Case, good_cases
from tests.proofs.memory_ledger import IDENTIFIER

SITE = "https://mulu.example"
NOW = "2025-09-15T08:30:00+08:00"
CREDIT_CODE = "11110000A00000230N"


def case(name: str) -> Case:
    """Return a good bundle by its name."""
    return next(found for found in good_cases() if found.name == name)


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A font of one box that stands for every character a page of these tests can have, and for no other."""
    words = "".join(word for status in STATUSES.values() for word in status)
    sources = Path(page.__file__), Path(page.__file__).parents[1] / "words.py"
    text = words + POLICY + "".join(source.read_text(encoding="utf-8") for source in sources)
    text += "虚构商贸有限公司企业名称经营范围图书零售住所路一号登记处市场主体登记营业执照事实单位"
    pen = TTGlyphPen(None)
    for place, move in ((100, pen.moveTo), (600, pen.lineTo)):
        move((place, 0))
    pen.lineTo((600, 600))
    pen.closePath()
    codes = sorted({ord(character) for character in text if character.isprintable()})
    builder = FontBuilder(1_000)
    builder.setupGlyphOrder([".notdef", "box"])
    builder.setupCharacterMap(dict.fromkeys(codes, "box"))
    builder.setupGlyf({".notdef": pen.glyph(), "box": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (700, 0), "box": (700, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Boxes", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    path = tmp_path_factory.mktemp("font") / "boxes.ttf"
    builder.save(path)
    return path


@pytest.fixture(scope="module")
def seal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A seal of Market Regulation."""
    folder = tmp_path_factory.mktemp("keys") / "seal"
    assert main(["certificate", "seal", str(folder), "--name", "市场监督管理局", "--credit-code", CREDIT_CODE]) == 0
    return folder


def make(folder: Path, bundle: bytes, *options: str) -> int:
    """Return the exit code of `mulu certificate pdf` on a bundle, whose page becomes `page.pdf`."""
    (folder / "bundle.json").write_bytes(bundle)
    (folder / "policy.txt").write_text(POLICY, encoding="utf-8")
    files = [str(folder / "bundle.json"), "--policy", str(folder / "policy.txt"), "--out", str(folder / "page.pdf")]
    return main(["certificate", "pdf", *files, "--site", SITE, "--now", NOW, *options])


def pdfsig(tool: Path, file: Path) -> str:
    """Return what poppler says of the signatures in a file."""
    return subprocess.run([tool, file], capture_output=True, text=True, check=False).stdout


def test_poppler_finds_the_seal_valid_and_the_whole_file_under_it(
    optional_tool: Callable[[str], Path], tmp_path: Path, font: Path, seal: Path
) -> None:
    """One PAdES signature over everything, by the department's name."""
    tool = optional_tool("pdfsig")
    assert make(tmp_path, case("all fields and the holder").data, "--seal", str(seal), "--font", str(font)) == 0
    said = pdfsig(tool, tmp_path / "page.pdf")
    assert said.count("Signature #") == 1
    for line in (
        "Signature Type: ETSI.CAdES.detached",
        "Signature Validation: Signature is Valid.",
        "Total document signed",
        f"OID.2.5.4.97=NTRCN-{CREDIT_CODE}",
        "市场监督管理局",
    ):
        assert line in said


def test_poppler_sees_that_a_sealed_file_was_changed(
    optional_tool: Callable[[str], Path], tmp_path: Path, font: Path, seal: Path
) -> None:
    """A byte of the page, and bytes after the end."""
    tool = optional_tool("pdfsig")
    assert make(tmp_path, case("hidden").data, "--seal", str(seal), "--font", str(font)) == 0
    good = (tmp_path / "page.pdf").read_bytes()
    place = good.index(b"/Title")
    changed = good[: place + 12] + bytes([good[place + 12] ^ 1]) + good[place + 13 :]
    (tmp_path / "changed.pdf").write_bytes(changed)
    assert "Signature is Valid" not in pdfsig(tool, tmp_path / "changed.pdf")


def test_what_poppler_detaches_verifies(
    optional_tool: Callable[[str], Path],
    tmp_path: Path,
    font: Path,
    seal: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The bundle comes out as it went in, and `mulu verify` gives the same statement as before."""
    pdfdetach = optional_tool("pdfsig").with_name("pdfdetach")
    assert make(tmp_path, case("with hops").data, "--seal", str(seal), "--font", str(font)) == 0
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run([pdfdetach, "-saveall", "-o", out, tmp_path / "page.pdf"], check=True, capture_output=True)
    assert (out / "bundle.json").read_bytes() == case("with hops").data
    capsys.readouterr()
    found = ["verify", str(out / "bundle.json"), "--policy", str(out / "policy.txt"), "--now", NOW, "--require"]
    assert main([*found, "genuine", "--json"]) == 0
    assert capsys.readouterr().out.strip() == (out / "statement.json").read_text(encoding="utf-8")


def test_the_code_on_the_page_is_the_address_of_the_certificate(
    optional_tool: Callable[[str], Path], tmp_path: Path, font: Path
) -> None:
    """Read from the printed page, as a telephone would."""
    pdftoppm, zbarimg = optional_tool("pdfsig").with_name("pdftoppm"), optional_tool("zbarimg")
    assert make(tmp_path, case("hidden").data, "--font", str(font)) == 0
    subprocess.run([pdftoppm, "-png", "-r", "150", "-singlefile", tmp_path / "page.pdf", tmp_path / "page"], check=True)
    read = subprocess.run([zbarimg, "--raw", "-q", tmp_path / "page.png"], capture_output=True, text=True, check=True)
    assert read.stdout.strip() == f"{SITE}/certificates/{IDENTIFIER}"


def test_a_page_shows_what_the_bundle_proves(
    optional_tool: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As text that can be searched, Chinese too, in the system's own font; and it says that it has no seal."""
    pdftotext = optional_tool("pdfsig").with_name("pdftotext")
    try:
        find_font(None)
    except NoFontError:
        skip_or_fail("needs a font with Chinese characters (Debian package: fonts-noto-cjk)")
    assert make(tmp_path, case("changed and lifted").data) == 0
    assert "no seal" in capsys.readouterr().err
    shown = subprocess.run([pdftotext, tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True).stdout
    for part in (
        "Business licence (营业执照)",
        "有效 Valid",
        "Market Regulation",
        "AY-01 Register businesses (市场主体登记)",
        "虚构商贸有限公司",
        "解除暂扣 Suspension lifted",
        "3 of 4",
        "2025-09-15",
    ):
        assert part in shown.replace("\n", " "), part


@pytest.mark.parametrize("name", [found.name for found in good_cases() if found.name != "absent"])
def test_every_genuine_certificate_gets_a_page(name: str, tmp_path: Path, font: Path) -> None:
    """Suspended, revoked, replaced, of a department that is no more: the page says so."""
    assert make(tmp_path, case(name).data, "--font", str(font)) == 0
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF-")


def test_a_bundle_that_is_not_genuine_gets_no_page(
    tmp_path: Path, font: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A forged one ends with 3, one that cannot be read with 4, one that proves an absence with what it is."""
    good = case("hidden").data
    forged = good.replace(b"20250915001", b"20250915002")
    for bundle, code in ((forged, 3), (good[:-1], 4), (case("absent").data, 3)):
        assert make(tmp_path, bundle, "--font", str(font)) == code
        assert capsys.readouterr().err
        assert not (tmp_path / "page.pdf").exists()


def test_a_font_that_cannot_draw_the_page_is_named(
    tmp_path: Path, font: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that lacks a character, one that is none, one that is not there, and a system without any."""
    no_font = tmp_path / "no font.ttf"
    no_font.write_bytes(b"not a font")
    monkeypatch.setattr("nodes.paper.fonts.FOLDERS", (str(tmp_path / "nowhere"),))
    monkeypatch.delenv("MULU_PDF_FONT", raising=False)
    for options, sentence in (
        (("--font", str(no_font)), "is not a font"),
        (("--font", str(tmp_path / "nowhere.ttf")), "there is no font"),
        ((), "fonts-noto-cjk"),
    ):
        assert make(tmp_path, case("hidden").data, *options) == 7
        assert sentence in capsys.readouterr().err
    monkeypatch.setattr("nodes.paper.page._how_to_check", lambda paper: ["龘"])
    assert make(tmp_path, case("hidden").data, "--font", str(font)) == 7
    assert "龘" in capsys.readouterr().err


def test_a_seal_key_is_its_owners_alone_and_is_never_overwritten(
    tmp_path: Path, seal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0600 from the start; a second call leaves it alone; a mistyped credit code makes nothing."""
    assert stat.S_IMODE((seal / "seal.pem").stat().st_mode) == 0o600
    before = (seal / "seal.pem").read_bytes()
    assert main(["certificate", "seal", str(seal), "--name", "x", "--credit-code", CREDIT_CODE]) == 1
    assert (seal / "seal.pem").read_bytes() == before
    assert (
        main(["certificate", "seal", str(tmp_path / "a"), "--name", "x", "--credit-code", CREDIT_CODE[:-1] + "A"]) == 6
    )
    assert not (tmp_path / "a").exists()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", " ", "Market\nRegulation", "Market\x1b[2J", "\u202eMarket", "局" * 22])
def test_a_name_that_no_seal_can_have_makes_none(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Readers show it as whose seal it is: no line ends and no orders to a terminal, and as short as X.509 wants it."""
    assert main(["certificate", "seal", str(tmp_path / "seal"), "--name", name, "--credit-code", CREDIT_CODE]) == 1
    assert "no certificate can have the name" in capsys.readouterr().err
    assert not (tmp_path / "seal").exists()


@pytest.mark.parametrize("broken", ["no key", "no certificate", "another certificate", "an Ed25519 key"])
def test_a_seal_that_cannot_be_used_makes_no_file(
    broken: str, tmp_path: Path, font: Path, seal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1 with one sentence."""
    key, certificate = (seal / "seal.pem").read_bytes(), (seal / "seal.certificate.pem").read_bytes()
    if broken == "another certificate":
        other = tmp_path / "other"
        assert main(["certificate", "seal", str(other), "--name", "x", "--credit-code", CREDIT_CODE]) == 0
        certificate = (other / "seal.certificate.pem").read_bytes()
    if broken == "an Ed25519 key":
        key = to_pem(Ed25519PrivateKey.from_private_bytes(bytes(32)), None)
    folder = tmp_path / "seal"
    folder.mkdir()
    if broken != "no key":
        (folder / "seal.pem").write_bytes(key)
    if broken != "no certificate":
        (folder / "seal.certificate.pem").write_bytes(certificate)
    capsys.readouterr()
    assert make(tmp_path, case("hidden").data, "--font", str(font), "--seal", str(folder)) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "page.pdf").exists()
