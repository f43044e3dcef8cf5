"""Do all backends of this machine accept exactly the same signatures? Counted over vectors and crafted signatures."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ledger.crypto import signatures
from ledger.crypto.backend import installed_library
from nodes.measurements.crafted_signatures import many_mixed_order_signatures, small_order_signatures
from nodes.measurements.stages import Signed

VECTORS = Path(__file__).parents[2] / "tests" / "vectors"
"""The published vectors stand with the tests; an installation from a wheel has none, and its count says so."""

SPECCHECK_REFUSED = (6, 7, 8)
"""Cases of the speccheck vectors that ZIP-215 refuses: s of l or more, and an equation that fails even eightfold."""

CHUNK, KEYS = 500, 20
"""Crafted signatures that one process makes and verifies at a time, and their keys: about a second in Python."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What was compared, and what came out."""

    backends: tuple[str, ...]
    vectors: int
    crafted: int
    differences: int
    """Signatures on which two backends disagree, summed over all pairs of backends."""
    unexpected: int
    """Verdicts, of any backend, other than how the signature was made or what was published says."""


def compare_backends(crafted: int, *, seed: int = 215, processes: int = 2) -> Agreement:
    """Let every backend of this machine judge all vectors and `crafted` random mixed-order signatures."""
    judged = [_Judged(item, expected, *_in_python([item])) for item, expected in _vectors()]
    vectors = len(judged)
    sizes = [min(CHUNK, crafted - start) for start in range(0, crafted, CHUNK)]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for chunk in pool.map(_craft_and_judge, itertools.count(seed), sizes):
            judged += chunk
    items, expected = [one.item for one in judged], [one.expected for one in judged]
    verdicts = {"python": [one.in_python for one in judged]}
    library, _ = installed_library()
    for name in library.signature_backends() if library is not None else ():
        assert library is not None
        verdicts[f"native-{name}"] = library.verify_batch(items, os.urandom(signatures.ENTROPY_SIZE), name)
    return Agreement(
        backends=tuple(verdicts),
        vectors=vectors,
        crafted=len(judged) - vectors,
        differences=sum(
            sum(a != b for a, b in zip(one, other, strict=True))
            for one, other in itertools.combinations(verdicts.values(), 2)
        ),
        unexpected=sum(sum(a != b for a, b in zip(found, expected, strict=True)) for found in verdicts.values()),
    )


class _Judged(NamedTuple):
    """A signature with the verdict that it was made or published for, and that of Python."""

    item: Signed
    expected: bool
    in_python: bool


def _craft_and_judge(seed: int, count: int) -> list[_Judged]:
    """Make signatures and judge them in Python: 2 ms for each that OpenSSL refuses, hence in several processes."""
    made = list(itertools.islice(many_mixed_order_signatures(random.Random(seed), keys=KEYS), count))
    verdicts = _in_python([item for item, _ in made])
    return [_Judged(item, expected, verdict) for (item, expected), verdict in zip(made, verdicts, strict=True)]


def _in_python(items: list[Signed]) -> list[bool]:
    return signatures.verify_batch(items)


def _vectors() -> list[tuple[Signed, bool]]:
    """Return all vectors with the verdict of ZIP-215: the 196 pairs of small order, speccheck's and RFC 8032's."""
    vectors = [(item, True) for item in small_order_signatures(b"Zcash")]
    for vector in _published("ed25519_speccheck.json"):
        vectors.append((_signed(vector, "public_key"), vector["case"] not in SPECCHECK_REFUSED))
    for vector in _published("ed25519_rfc8032.json"):
        vectors.append((_signed(vector, "public"), True))
    return vectors


def _published(name: str) -> list[dict[str, Any]]:
    path = VECTORS / name
    return list(json.loads(path.read_text())) if path.exists() else []


def _signed(vector: Mapping[str, str], public: str) -> Signed:
    return bytes.fromhex(vector[public]), bytes.fromhex(vector["message"]), bytes.fromhex(vector["signature"])
