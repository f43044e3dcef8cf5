"""The corpus of the measurements: it is what it claims to be, whatever the envelopes' size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from ledger.blocks.block import Block
from ledger.crypto.signatures import verify_batch
from ledger.encoding import decode
from ledger.registers import RULEBOOK, code_of
from ledger.state.transition import execute_block
from ledger.validation.envelopes import prepare_block
from scenarios.beijing.actor import REFUSED_SHARE, SHARES
from scenarios.beijing.corpus import Corpus, make_corpus

KINDS = {
    "certificates.issue": "issue",
    "certificates.change": "status",
    "certificates.suspend": "status",
    "certificates.lift": "status",
    "certificates.revoke": "status",
    "directories.publish_data_item": "data",
    "directories.publish_table": "data",
    "directories.publish_responsibility": "responsibility",
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Six departments with a hundred records each."""
    return make_corpus(3, departments=6, records_per_department=100, state_keys=500)


def results_of(corpus: Corpus, blocks: Iterable[bytes]) -> dict[str, tuple[str, ...]]:
    """Execute the blocks on the corpus's state; return the results in words by department, in its order."""
    state = corpus.state()
    results: dict[str, tuple[str, ...]] = {}
    for raw in blocks:
        block = decode(Block, raw)
        prepared = prepare_block(block.header.id, block.header, block.payload)
        execution = execute_block(state, prepared, verify_batch)
        state.advance(execution)
        for envelope, codes in zip(prepared.envelopes, execution.results, strict=True):
            department = envelope.envelope.header.department
            words = tuple(code_of(code).label if code else "accepted" for code in codes)
            results[department] = results.get(department, ()) + words
    return results


@pytest.mark.parametrize("k", [1, 7, 100])
def test_every_record_ends_as_the_corpus_says(corpus: Corpus, k: int) -> None:
    """Under real signatures and rules, with any number of records to an envelope, over several blocks."""
    blocks = corpus.blocks(k, records_per_block=150)
    assert len(blocks) > 1
    assert results_of(corpus, blocks) == corpus.expected


def test_the_records_have_their_shares(corpus: Corpus) -> None:
    """Kinds are in proportion to within the wrong ones; the wrong ones are as many as announced."""
    kinds = Counter(
        KINDS[type(RULEBOOK.decode_record(record)).__struct_config__.tag]
        for records in corpus.records.values()
        for record in records
    )
    slack = corpus.refused_count
    assert all(abs(kinds[kind] - share * corpus.record_count) <= slack for kind, share in SHARES.items())
    assert corpus.refused_count == REFUSED_SHARE * corpus.record_count
    assert len({label for labels in corpus.expected.values() for label in labels}) >= 3


def test_the_same_seed_gives_the_same_bytes(corpus: Corpus) -> None:
    """A figure can be measured again on exactly the same input."""
    again = make_corpus(3, departments=6, records_per_department=100, state_keys=500)
    assert (again.items, again.records, again.blocks(50)) == (corpus.items, corpus.records, corpus.blocks(50))
    assert make_corpus(4, departments=6, records_per_department=100, state_keys=500).records != corpus.records


def test_the_state_holds_as_many_keys_as_asked_for(corpus: Corpus) -> None:
    """Certificates fill the state up."""
    assert 500 <= len(corpus.state()) < 600
