"""Hashing many values at once, with and without the native core."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.hashing import truncated_macs, truncated_macs_of_lines


@pytest.mark.usefixtures("each_backend")
@given(key=st.binary(max_size=64), values=st.lists(st.binary(max_size=200), max_size=20), size=st.integers(1, 32))
def test_truncated_macs_are_those_of_the_standard_library(key: bytes, values: list[bytes], size: int) -> None:
    """One after the other, each cut to its size; and those of lines too, whatever stands in them."""
    padded = key.ljust(64, b"\x00")
    inner, outer = bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)

    def expected(values: list[bytes]) -> bytes:
        return b"".join(hmac.digest(key, value, hashlib.sha256)[:size] for value in values)

    assert truncated_macs(inner, outer, values, size) == expected(values)
    text = b"\n".join(values)
    assert truncated_macs_of_lines(inner, outer, text, size) == expected(text.split(b"\n"))
