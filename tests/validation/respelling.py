"""Bytes that are nearly a value: damaged, or spelled in another way than the one that counts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

LONGER_HEADS = {
    "int": [(0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8), (0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8)],
    "text": [(0xD9, 1), (0xDA, 2), (0xDB, 4)],
    "bin": [(0xC4, 1), (0xC5, 2), (0xC6, 4)],
    "array": [(0xDC, 2), (0xDD, 4)],
}
"""Head and bytes of its number, by kind; whether it fits the number or not."""

TELLING_BYTES = bytes([0x00, 0x7F, 0x80, 0x90, 0x91, 0xA0, *range(0xC0, 0xE0), 0xE0, 0xFF])
TELLING_TEXTS = [text.encode() for text in ("é", "e\u0301", "名", "\u0301", "\uac00", "\uf900", "\u302a", "”")] + [
    b"\xff"
]


class Item(NamedTuple):
    """One item of MessagePack: where its head stands, and the number in it."""

    kind: str
    start: int
    end: int
    """Of the head."""
    number: int


def items_of(raw: bytes) -> Iterator[Item]:
    """Yield the items of a canonical value that are numbers or have lengths, in their order."""
    at = 0
    while at < len(raw):
        head = raw[at]
        if head < 0x80:
            kind, end, number = "int", at + 1, head
        elif 0x90 <= head < 0xA0:
            kind, end, number = "array", at + 1, head & 0x0F
        elif 0xA0 <= head < 0xC0:
            kind, end, number = "text", at + 1, head & 0x1F
        else:
            found = [(kind, size) for kind, heads in LONGER_HEADS.items() for known, size in heads if known == head]
            if not found:
                at += 1  # nil, a boolean
                continue
            ((kind, size),) = found
            end = at + 1 + size
            number = int.from_bytes(raw[at + 1 : end])
        yield Item(kind, at, end, number)
        at = end + (number if kind in ("text", "bin") else 0)


def respelled(raw: bytes, rng: random.Random) -> bytes:
    """Return `raw` with one item's head exchanged for another that can say the same, or for one of another kind."""
    item = rng.choice(list(items_of(raw)))
    kind = item.kind if rng.random() < 0.8 else rng.choice(list(LONGER_HEADS))
    head, size = rng.choice(LONGER_HEADS[kind])
    number = item.number & ((1 << 8 * size) - 1)
    return raw[: item.start] + bytes([head]) + number.to_bytes(size) + raw[item.end :]


def retold(raw: bytes, rng: random.Random) -> bytes:
    """Return `raw` with another character in one of its texts, whose length is right again if it was short."""
    item = rng.choice([item for item in items_of(raw) if item.kind == "text"])
    text = raw[item.end : item.end + item.number]
    at = rng.randrange(len(text) + 1)
    text = text[:at] + rng.choice(TELLING_TEXTS) + text[at + rng.randrange(2) :]
    head = bytes([0xA0 | len(text)]) if len(text) < 32 else bytes([0xD9, len(text) & 0xFF])
    return raw[: item.start] + head + text + raw[item.end + item.number :]


def damaged(raw: bytes, rng: random.Random) -> bytes:
    """Return `raw` with one byte turned, exchanged, left out or added."""
    at = rng.randrange(len(raw))
    new = bytes([rng.choice([raw[at] ^ 1 << rng.randrange(8), rng.choice(TELLING_BYTES)])])
    return raw[:at] + rng.choice([new, new, b"", new + raw[at : at + 1]]) + raw[at + 1 :]


def nearly(raw: bytes, rng: random.Random) -> bytes:
    """Return what one or two of these make of a canonical value; sometimes the value itself."""
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        try:
            raw = rng.choice([respelled, retold, damaged])(raw, rng)
        except IndexError:
            # What the first has left has no such item.
            break
    return raw
