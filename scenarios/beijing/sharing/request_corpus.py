"""Requests for data as blocks for measurements: each department asks the others for what they share unconditionally."""

from __future__ import annotations

import random
from dataclasses import replace

from ledger.identifiers import CreditCode
from ledger.registers import RULEBOOK
from ledger.registers.catalogue import DataItem
from ledger.registers.sharing.records import RequestSharing
from scenarios.beijing.corpus import Corpus, make_corpus
from scenarios.beijing.sharing.desk import BASES, PURPOSES

REQUESTS_PER_DEPARTMENT = 256
_LAST_DAY = "2026-03-01"
_UNCONDITIONAL = 1


def make_request_corpus(seed: int = 1, *, departments: int = 53, requests: int = REQUESTS_PER_DEPARTMENT) -> Corpus:
    """Return the corpus of a seed: `requests` requests of each department, all of which are granted at once."""
    corpus = make_corpus(seed, departments=departments, records_per_department=requests)
    rng = random.Random(f"mulu requests {seed}")
    values = (RULEBOOK.decode_value(raw) for _, raw in corpus.items)
    items = [one for one in values if isinstance(one, DataItem) and _is_unconditional(one)]

    def ask(code: CreditCode, number: int) -> bytes:
        item = rng.choice([item for item in items if item.owner != code])
        names = [one.name for one in item.metadata.information_items]
        return RequestSharing(
            id=f"{code}-R{number}",
            data_item=item.id,
            fields=tuple(names[: rng.randint(1, len(names))]),
            selection=(),
            purpose=rng.choice(PURPOSES),
            legal_basis=rng.choice(BASES),
            mode=item.metadata.sharing.mode,
            volume_max=10_000,
            last_day=_LAST_DAY,
            recipient_key=rng.randbytes(32),
            renews=None,
        ).encode()

    return replace(
        corpus,
        records={code: tuple(ask(code, number) for number in range(1, requests + 1)) for code in corpus.records},
        expected=dict.fromkeys(corpus.records, ("accepted",) * requests),
    )


def _is_unconditional(item: DataItem) -> bool:
    return item.counts and item.metadata.sharing.type == _UNCONDITIONAL
