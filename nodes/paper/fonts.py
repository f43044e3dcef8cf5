"""The font of the page: one of the system's that has Chinese characters, of which the used ones go into the file.

No font is shipped, because one with Chinese characters has some megabytes, and every system that people read Chinese on
has one. What is embedded looks the same on every screen and in thirty years, which a reference to a reader's font does
not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import NotYetError

FONT_VARIABLE = "MULU_PDF_FONT"

FOLDERS = (
    "~/.local/share/fonts",
    "~/.fonts",
    "/usr/local/share/fonts",
    "/usr/share/fonts",
    "~/Library/Fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
    "C:/Windows/Fonts",
)
"""Where systems keep fonts; looked through to the bottom."""

FAMILIES = (
    ("NotoSansCJKsc-Regular.otf", 0),
    ("NotoSansSC-Regular.otf", 0),
    ("NotoSansSC-Regular.ttf", 0),
    ("NotoSansCJK-Regular.ttc", 2),
    ("SourceHanSansSC-Regular.otf", 0),
    ("SourceHanSansCN-Regular.otf", 0),
    ("wqy-microhei.ttc", 0),
    ("wqy-zenhei.ttc", 0),
    ("DroidSansFallbackFull.ttf", 0),
    ("msyh.ttc", 0),
    ("Deng.ttf", 0),
    ("simhei.ttf", 0),
    ("STHeiti Light.ttc", 1),
    ("Hiragino Sans GB.ttc", 0),
    ("Arial Unicode.ttf", 0),
)
"""Files of usual fonts with simplified Chinese, the best first, and which font of a collection is the simplified."""


MAGIC = (b"\x00\x01\x00\x00", b"true", b"OTTO", b"ttcf")
"""What files of TrueType and OpenType fonts and of collections begin with (OpenType 1.9, "otff")."""


class NoFontError(NotYetError):
    """No font can draw the page. Install one, or name one."""

    code = "no_font"


@dataclass(frozen=True, slots=True)
class FontFile:
    """A font, and its number in a collection."""

    path: Path
    number: int = 0


def find_font(named: Path | None) -> FontFile:
    """Return the font that was named, by the option or in the environment, or else the best of the system's.

    Raises:
        NoFontError: There is none.
    """
    if named is None and (value := os.environ.get(FONT_VARIABLE)):
        named = Path(value)
    if named is not None:
        if not named.is_file():
            raise NoFontError(f"there is no font at {named}")
        with named.open("rb") as file:
            if file.read(4) not in MAGIC:
                raise NoFontError(f"{named} is not a font (TrueType, OpenType or a collection of them)")
        return FontFile(named, dict(FAMILIES).get(named.name, 0))
    found = {path.name: path for path in _font_files()}
    for name, number in FAMILIES:
        if name in found:
            return FontFile(found[name], number)
    raise NoFontError(
        "no font with Chinese characters was found: install one (Debian: fonts-noto-cjk), "
        f"or name one with --font or {FONT_VARIABLE}"
    )


def _font_files() -> Iterator[Path]:
    for folder in FOLDERS:
        for suffix in ("otf", "ttf", "ttc"):
            yield from Path(folder).expanduser().rglob(f"*.{suffix}")
