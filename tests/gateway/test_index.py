"""The query index: what goes in comes out, restarts add nothing twice, and what cannot be trusted is built anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.crypto.hashing import sha256
from ledger.identifiers import ChainId, Digest, Height
from ledger.registers.certificates.values import CERTIFICATES, certificate_key
from ledger.registers.directories.records import ApproveDataItem
from ledger.registers.shared import responsibility_key
from ledger.registers.sharing.duties import BREACHES
from ledger.registers.sharing.figures import score_key
from ledger.registers.sharing.values import objection_key
from nodes.index import IndexLockedError, IndexUnavailableError, QueryIndex, queries
from nodes.index.rows import kind_of
from nodes.index.schema import NO_RECORD, TABLES_BY_HEIGHT
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER
from tests.proofs.small_network import GOVERNMENT_SERVICES, MARKET_REGULATION, PUBLIC_SECURITY
from tests.registers import governed
from tests.registers.catalogue import data_item
from tests.state.small_ledger import DAY_MS


def open_index(node: MemoryNode, *, height: int | None = None, lock_wait_s: float = 0.05) -> QueryIndex:
    """Open the node's index again, as a restart does."""
    journal_height = node.state.height if height is None else Height(height)
    return QueryIndex.open(node.path, chain=node.genesis.chain, journal_height=journal_height, lock_wait_s=lock_wait_s)


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables."""
    connection = sqlite3.connect(path)
    try:
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in TABLES_BY_HEIGHT}
    finally:
        connection.close()


def test_blocks_envelopes_and_entries_are_found(node: MemoryNode) -> None:
    """What was executed stands in the index under height, position, id and log index."""
    head = node.index.ask(queries.head)
    assert head is not None
    assert (head.height, head.block_id, head.log_size) == (4, node.parent, node.log.size)
    assert (head.envelopes, head.records, head.accepted) == (1, 2, 1)
    (envelope,) = node.index.ask(queries.envelopes_of, 4, 0, 10)
    assert node.index.ask(queries.envelopes_with_id, envelope.id, 10) == [envelope]
    assert envelope.results[0] == 0
    kinds = [record.kind for record in node.index.ask(queries.records_of, 4, 0, 0)]
    assert kinds == ["certificates.issue", "certificates.define_type"]
    for index in range(1, node.log.size):
        found = node.index.ask(queries.entry, index)
        assert found is not None
        assert found[1] == node.entries[index]


def test_history_names_the_records_that_changed_a_key(node: MemoryNode) -> None:
    """A responsibility has its publication and its approval, each with who, when and where."""
    changes = node.index.ask(queries.history, responsibility_key("AY-01"), (0, 0, 0), 10)
    told = [(change.kind, change.height, change.number) for change in changes]
    assert told == [("directories.publish_responsibility", 1, 0), ("directories.approve_responsibility", 2, 0)]
    assert [node.entries.index(node.entries[c.log_index or 0]) for c in changes] == [1, 3]
    assert node.index.ask(queries.keys, CERTIFICATES, b"", 10) == [certificate_key(IDENTIFIER)]


def test_history_names_every_key_that_a_passed_deadline_changed(node: MemoryNode) -> None:
    """No record did: what was due, the breach, the deadline and the score have changed before the first of them."""
    for member, record in (
        (MARKET_REGULATION, data_item("AY-01-D1", under="AY-01")),
        (GOVERNMENT_SERVICES, ApproveDataItem(id="AY-01-D1", revision=1)),
        (PUBLIC_SECURITY, governed.objection(of="AY-01-D1")),
    ):
        node.execute(node.sign(member, record))
    node.execute(time_ms=node.state.time_ms + 20 * DAY_MS)
    touched = set(node.executed[-1].touched_by_deadlines[0])
    assert {objection_key("AY-O1"), score_key(MARKET_REGULATION.credit_code)} <= touched
    for key in touched:
        last = node.index.ask(queries.history, key, (0, 0, 0), 10)[-1]
        assert (last.height, last.number, last.kind) == (node.state.height, NO_RECORD, None)
    (breach,) = node.index.ask(queries.keys, BREACHES, b"", 10)
    assert breach in touched


def test_handing_in_what_is_there_changes_nothing(node: MemoryNode) -> None:
    """A restart executes old blocks again; the index skips them, and counts them for nobody."""
    node.index.close()
    before = content(node.path)
    with open_index(node) as index:
        counted: list[Height] = []
        index.on_indexed = lambda height, counts: counted.append(height)
        for effect in node.executed:
            index.executed(effect)
        index.flush()
        assert index.height == 4
    assert counted == []
    assert content(node.path) == before


def test_an_index_that_is_behind_catches_up(node: MemoryNode) -> None:
    """Blocks that the process could not write before it ended are written by the next."""
    before = content_after_close(node)
    connection = sqlite3.connect(node.path)
    for table in TABLES_BY_HEIGHT:
        connection.execute(f"DELETE FROM {table} WHERE height > 2")
    connection.commit()
    connection.close()
    with open_index(node) as index:
        assert index.height == 2
        for effect in node.executed:
            index.executed(effect)
    assert content(node.path) == before


def content_after_close(node: MemoryNode) -> dict[str, list[tuple[object, ...]]]:
    """Close the node's index and return its rows."""
    node.index.close()
    return content(node.path)


def _damage(node: MemoryNode) -> None:
    node.path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 8_000)


def _empty(node: MemoryNode) -> None:
    node.path.write_bytes(b"")


def _other_version(node: MemoryNode) -> None:
    _run(node, "PRAGMA user_version = 99")


def _other_chain(node: MemoryNode) -> None:
    _run(node, f"UPDATE network SET chain = X'{bytes(32).hex()}'")


def _no_chain(node: MemoryNode) -> None:
    _run(node, "DELETE FROM network")


def _lost_table(node: MemoryNode) -> None:
    _run(node, "DROP TABLE blocks")


def _ahead(node: MemoryNode) -> None:
    _run(node, "UPDATE blocks SET height = 5 WHERE height = 4")


def _run(node: MemoryNode, statement: str) -> None:
    connection = sqlite3.connect(node.path)
    connection.execute(statement)
    connection.commit()
    connection.close()


SPOILT = (_damage, _empty, _other_version, _other_chain, _no_chain, _lost_table, _ahead)


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__.strip("_"))
def test_a_file_that_cannot_be_trusted_is_built_anew(
    node: MemoryNode, spoil: Callable[[MemoryNode], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Damaged, of another version or network, or ahead of the journal: deleted with a warning, and whole afterwards."""
    before = content_after_close(node)
    spoil(node)
    with open_index(node) as index:
        assert index.height == 0
        for effect in node.executed:
            index.executed(effect)
    assert content(node.path) == before
    assert "is built anew" in caplog.text


def test_a_page_damaged_inside_is_found_at_the_start(node: MemoryNode) -> None:
    """The header may be whole and a table not; the check looks at every page."""
    node.index.close()
    data = bytearray(node.path.read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    node.path.write_bytes(data)
    with open_index(node) as index:
        assert index.height == 0


def test_another_block_at_the_same_height_is_replaced(node: MemoryNode, tmp_path: Path) -> None:
    """The journal is right: from the first block that differs on, the index is written again."""
    node.index.close()
    before = content(node.path)
    _run(node, f"UPDATE blocks SET block_id = X'{bytes(32).hex()}' WHERE height = 3")
    with open_index(node) as index:
        for effect in node.executed:
            index.executed(effect)
    assert content(node.path) == before


def test_a_locked_file_is_one_clear_error(node: MemoryNode) -> None:
    """Another process that writes keeps the node from starting, and the file as it is."""
    node.index.close()
    before = content(node.path)
    other = sqlite3.connect(node.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(IndexLockedError, match="locked by another process") as caught:
            open_index(node)
        assert caught.value.code == "index_locked"
    finally:
        other.close()
    assert content(node.path) == before


def test_a_gap_stops_the_index_and_not_the_node(node: MemoryNode) -> None:
    """A block that does not follow is not indexed, and neither is any after it; what is there can still be read."""
    node.index.close()
    node.path.unlink()
    with open_index(node) as index:
        for effect in (node.executed[0], node.executed[2], node.executed[3]):
            index.executed(effect)
        index.flush()
        assert "block 3 was not indexed" in index.failure
        assert index.height == 1
        assert index.ask(queries.head) is not None


def test_a_closed_index_says_so(node: MemoryNode) -> None:
    """A question after the end is an error that a client may try again on."""
    node.index.close()
    node.index.close()
    with pytest.raises(IndexUnavailableError):
        node.index.ask(queries.head)


def test_an_index_belongs_to_one_network(node: MemoryNode, caplog: pytest.LogCaptureFixture) -> None:
    """The same file under another chain id starts at nothing."""
    node.index.close()
    other = ChainId(Digest(sha256(b"another network")))
    with QueryIndex.open(node.path, chain=other, journal_height=Height(9)) as index:
        assert index.height == 0
    assert "it is of network" in caplog.text


@pytest.mark.parametrize(
    "record", [b"", b"\xc1", b"\x90", b"\x91\x01", b"\x91\xa1x", b"\x91\xa2\xff\xfe", b"\xdd" + b"\xff" * 4]
)
def test_what_is_no_record_has_no_kind(record: bytes) -> None:
    """Bytes that departments may put on the ledger never stop the index."""
    assert kind_of(record) is None
