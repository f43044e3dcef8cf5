"""Changed bundles: every field of every good one, every class of byte, and parts of one grafted onto another.

A seed gives the same mutants on every run. Most keep the form of a bundle in canonical JSON, because what reads as
nothing at all shows little of a verifier.
"""

from __future__ import annotations

import copy
import json
import random
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgpack

from tests.proofs.cases import Case

Path = tuple[str | int, ...]

PACKED = ("value", "record", "entry")
"""Keys of a bundle under which MessagePack stands, but for those of fields and of a foreign leaf."""


def mutants(cases: Sequence[Case], count: int, seed: int) -> Iterator[Case]:
    """Yield so many changed cases, each with a name that says what was changed: kinds of change take turns."""
    rng = random.Random(seed)
    changes = (_field, _value, _structure, _graft, _note, _byte)
    for number in range(count):
        case, change = cases[number % len(cases)], changes[number // len(cases) % len(changes)]
        what, data = change(case, cases, rng)
        if data != case.data:
            yield replace(case, name=f"{number}: {case.name}, {what}", data=data)


def spelled(document: Any) -> bytes:
    """Return canonical JSON, also of what no bundle may hold."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def paths_of(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value in a document, the document itself excluded."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield (*path, name)
        yield from paths_of(item, (*path, name))


def at(document: Any, path: Path) -> Any:
    """Return the value at a path."""
    for step in path:
        document = document[step]
    return document


def with_value(document: Any, path: Path, value: Any) -> Any:
    """Return a copy of the document with another value at a path."""
    changed = copy.deepcopy(document)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def _field(case: Case, cases: Sequence[Case], rng: random.Random) -> tuple[str, bytes]:
    """One number, text or byte string is another one of its type."""
    document = json.loads(case.data)
    leaves = [path for path in paths_of(document) if not isinstance(at(document, path), dict | list)]
    path = rng.choice(leaves)
    return f"another {path}", spelled(with_value(document, path, _other_leaf(at(document, path), rng)))


def _other_leaf(value: Any, rng: random.Random) -> Any:
    if isinstance(value, int):
        return rng.choice([value + 1, value - 1, 0, value * 2, 2**53 - 1, 2**53, 2**63, -value, True, float(value)])
    try:
        data = b64decode(value, validate=True)
    except ValueError:
        return _other_text(value, rng)
    return b64encode(_other_bytes(data, rng)).decode() if rng.random() < 0.9 else _other_text(value, rng)


def _other_text(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    inserted = rng.choice(
        ["0", "9", "a", "Z", "=", "+", "/", " ", "\n", "\0", "\x7f", "é", "e\u0301", "\ud800", "企", "𠮷", "—"]
    )
    return rng.choice(
        [text[:place] + inserted + text[place:], text[:place] + inserted + text[place + 1 :], text[:place]]
    )


def _other_bytes(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    turned = bytes([(data[place] if place < len(data) else 0) ^ 1 << rng.randrange(8)])
    byte = rng.choice([b"\x00", b"\x01", b"\x7f", b"\x80", b"\xc0", b"\xc1", b"\xcc", b"\xd9", b"\xff"])
    return rng.choice(
        [
            data[:place] + turned + data[place + 1 :],
            data[:place] + byte + data[place + 1 :],
            data[:place] + byte + data[place:],
            data[:place] + data[place + 1 :],
            data[:place],
            data + byte,
            bytes(len(data)),
            data[::-1],
        ]
    )


def _value(case: Case, cases: Sequence[Case], rng: random.Random) -> tuple[str, bytes]:
    """Something inside a MessagePack value is another thing, encoded again, now and then not in the shortest form."""
    document = json.loads(case.data)
    packed = [path for path in paths_of(document) if path[-1] in PACKED and path[0] not in ("content", "absence")]
    path = rng.choice(packed)
    raw = msgpack.unpackb(b64decode(at(document, path)))
    place = rng.choice(list(paths_of(raw)))
    old = at(raw, place)
    if rng.random() < 0.1:
        data = _spelled_longer(raw, place)
    else:
        data = msgpack.packb(with_value(raw, place, _other_part(old, rng)), unicode_errors="surrogatepass")
    return f"another {path} {place}", spelled(with_value(document, path, b64encode(data).decode()))


def _other_part(value: Any, rng: random.Random) -> Any:
    strange = [
        None,
        True,
        0,
        1,
        -1,
        2**63,
        2**64 - 1,
        "",
        "e\u0301",
        b"",
        [],
        {},
        1.0,
        msgpack.ExtType(5, b""),
        "x" * 300,
    ]
    if rng.random() < 0.25:
        return rng.choice(strange)
    if isinstance(value, bool) or value is None:
        return rng.choice([True, False, 5, "2025-10-01"])
    if isinstance(value, int):
        return rng.choice([value + 1, max(0, value - 1), value + 2**32, 0])
    if isinstance(value, str):
        return _other_text(value, rng)
    if isinstance(value, bytes):
        return _other_bytes(value, rng)
    return rng.choice([value[:-1], value + value[-1:], value[::-1]])


def _spelled_longer(raw: Any, place: Path) -> bytes:
    """Return MessagePack in which what stands at `place` has a longer form than it needs."""
    marker = "a text that stands nowhere else"
    data = msgpack.packb(with_value(raw, place, marker))
    value = at(raw, place)
    match value:
        case int():
            longer = (
                b"\xd3" + value.to_bytes(8, "big", signed=True) if value < 2**63 else b"\xcf" + value.to_bytes(8, "big")
            )
        case str():
            longer = b"\xdb" + len(value.encode()).to_bytes(4, "big") + value.encode()
        case bytes():
            longer = b"\xc6" + len(value).to_bytes(4, "big") + value
        case _:
            longer = b"\xdd\0\0\0\0"
    return data.replace(msgpack.packb(marker), longer)


def _structure(case: Case, cases: Sequence[Case], rng: random.Random) -> tuple[str, bytes]:
    """A key or an item is missing, there twice, null, of another type, elsewhere, or one too many."""
    document = json.loads(case.data)
    path = rng.choice(list(paths_of(document)))
    holder, last = at(document, path[:-1]), path[-1]
    alike = [other for other in paths_of(document) if type(at(document, other)) is type(at(document, path))]
    other = rng.choice(alike)
    change: Callable[[], Any] = rng.choice(
        [
            lambda: holder.pop(last),
            lambda: holder.__setitem__(last, None),
            lambda: holder.__setitem__(last, rng.choice([[], {}, 0, "", True, 1.5])),
            lambda: holder.__setitem__(last, copy.deepcopy(at(document, other))),
            lambda: holder.insert(last, holder[last]) if isinstance(holder, list) else holder.update({"remark": 1}),
            lambda: holder.reverse() if isinstance(holder, list) else holder.update({"__proto__": holder[last]}),
        ]
    )
    change()
    return f"another structure at {path}", spelled(document)


def _graft(case: Case, cases: Sequence[Case], rng: random.Random) -> tuple[str, bytes]:
    """Parts are those of another good bundle: a true state, log entry, opening or checkpoint, of another time."""
    document, other = json.loads(case.data), json.loads(rng.choice(cases).data)
    shared = [path for path in paths_of(document) if len(path) <= 3 and path in set(paths_of(other))]
    chosen = rng.sample(shared, min(len(shared), rng.choice([1, 1, 2, 3])))
    if rng.random() < 0.3:
        chosen = [("block",), ("checkpoint",)]
    for path in chosen:
        try:
            document = with_value(document, path, copy.deepcopy(at(other, path)))
        except (KeyError, IndexError, TypeError):
            continue
    return f"{chosen} of another bundle", spelled(document)


def _note(case: Case, cases: Sequence[Case], rng: random.Random) -> tuple[str, bytes]:
    """The checkpoint has other letters or other lines."""
    document = json.loads(case.data)
    lines = document["checkpoint"].split("\n")
    place = rng.randrange(len(lines))
    if rng.random() < 0.6:
        lines[place] = _other_text(lines[place], rng)
    else:
        other = rng.randrange(len(lines))
        rng.choice(
            [
                lambda: lines.pop(place),
                lambda: lines.insert(other, lines[place]),
                lambda: lines.__setitem__(place, lines[other]),
                lambda: lines.insert(place, ""),
            ]
        )()
    document["checkpoint"] = "\n".join(lines)
    return f"another line {place} of the checkpoint", spelled(document)


def _byte(case: Case, cases: Sequence[Case], rng: random.Random) -> tuple[str, bytes]:
    """The file has another byte, one more, one less, or ends early."""
    return "another byte", _other_bytes(case.data, rng)
