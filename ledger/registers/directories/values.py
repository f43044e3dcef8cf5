"""What the state holds of directories alone, and its keys. What other registers read stands in `catalogue`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ledger.encoding import Canonical, ShortText, UInt63
from ledger.members.departments import CreditCodeText
from ledger.registers.catalogue import DirectoryId, Name


class System(Canonical, tag="directories/system", kw_only=True):
    """An information system that tables may stand in."""

    id: DirectoryId
    owner: CreditCodeText
    name_zh: Name
    name_en: ShortText
    location: ShortText
    """Where it runs, for example `municipal cloud`."""
    protection_level: Annotated[int, Meta(ge=1, le=5)]
    """Of the classified protection scheme."""
    revision: UInt63
    published_height: UInt63


SYSTEMS = b"directories/system/"


def system_key(name: str) -> bytes:
    """Return the state key of a system."""
    return SYSTEMS + name.encode()
