"""A network on disk: what its preparation leaves behind, and what it refuses to touch."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.crypto.hashing import sha256
from ledger.errors import StorageFailedError
from ledger.identifiers import CreditCode
from ledger.members.founding import MemberProfile
from nodes.data_directory import DataDirectory, ForeignDataError
from nodes.keystore import KeyName, Keystore
from nodes.network import (
    GENESIS_FILE,
    KEYS_DIRECTORY,
    NETWORK_FILE,
    NetworkFileError,
    NodeAddress,
    PreparedNetwork,
    default_parameters,
    load_network,
    prepare_network,
)
from nodes.safety_file import SafetyFile

AUTHORITY = CreditCode("11110000A00000345W")
MARKET = CreditCode("11110000A00000230N")
REGISTRAR = CreditCode("11110000B00000019G")
CODES = {AUTHORITY: "BM", MARKET: "AY", REGISTRAR: "X1"}


def prepare(out: Path, *, seed: str = "one", listen: str = "") -> PreparedNetwork:
    """Prepare a network of two nodes and a member without a vote."""
    return prepare_network(
        out,
        name="mulu.test.example",
        members=[
            MemberProfile(
                credit_code=credit_code,
                code=code,
                name_zh=code,
                name_en=code,
                name_before="",
                roles=frozenset({"registrar" if credit_code == REGISTRAR else "department"}),
            )
            for credit_code, code in CODES.items()
        ],
        addresses={
            credit_code: NodeAddress(host="127.0.0.1", peer_port=port, gateway_port=port + 10, listen=listen)
            for port, credit_code in enumerate((AUTHORITY, MARKET), start=7000)
        },
        parameters=default_parameters(2),
        calendar=(),
        now=datetime(2026, 1, 5, tzinfo=UTC),
        seed=sha256(seed.encode()),
    )


def test_each_node_gets_a_data_directory_that_never_signed(tmp_path: Path) -> None:
    """A node can open its directory at once, and its safety record says that it has signed nothing."""
    chain = prepare(tmp_path / "network").network.genesis.chain
    for code in ("BM", "AY"):
        with DataDirectory.open(tmp_path / "network" / code, chain) as data:
            safety = SafetyFile.open(data.folder)
            assert (safety.found.payload, safety.found.unreadable) == (None, 0)
            safety.close()
            assert data.journal.names() == []


def test_a_member_without_a_vote_gets_keys_and_no_data(tmp_path: Path) -> None:
    """The registrar can sign envelopes; there is nothing for a node to open."""
    prepared = prepare(tmp_path / "network")
    directory = tmp_path / "network" / "X1"
    assert not DataDirectory.exists(directory)
    with Keystore.open(directory / KEYS_DIRECTORY) as keys:
        assert keys.signers[KeyName.ENVELOPE].public == prepared.envelope_signers["X1"].public


def test_a_directory_of_another_network_is_refused(tmp_path: Path) -> None:
    """Data made for one genesis cannot be opened under another, and the error names both."""
    one = prepare(tmp_path / "one").network.genesis.chain
    two = prepare(tmp_path / "two", seed="two").network.genesis.chain
    with pytest.raises(ForeignDataError) as caught:
        DataDirectory.open(tmp_path / "one" / "BM", two)
    assert (caught.value.expected, caught.value.found) == (two, one)


def test_preparing_twice_in_one_place_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """Keys are never overwritten."""
    prepare(tmp_path / "network")
    before = {path: path.read_bytes() for path in (tmp_path / "network").rglob("*") if path.is_file()}
    with pytest.raises(StorageFailedError, match="not an empty directory"):
        prepare(tmp_path / "network", seed="two")
    assert before == {path: path.read_bytes() for path in (tmp_path / "network").rglob("*") if path.is_file()}


def test_a_file_in_the_place_of_the_network_is_refused(tmp_path: Path) -> None:
    """A path that is a file gets the same clear error."""
    (tmp_path / "network").write_text("notes")
    with pytest.raises(StorageFailedError, match="not an empty directory"):
        prepare(tmp_path / "network")


def test_what_was_prepared_is_what_a_node_reads(tmp_path: Path) -> None:
    """Every node's copy gives the same network, with the address to bind."""
    prepared = prepare(tmp_path / "network", listen="0.0.0.0")
    for directory in (tmp_path / "network", tmp_path / "network" / "BM"):
        network = load_network(directory)
        assert network.genesis == prepared.network.genesis
        assert network.nodes == prepared.network.nodes
        assert {entry.address.listen for entry in network.nodes.values()} == {"0.0.0.0"}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("schema", "mulu.network/2", "is not 'mulu.network/1'"),
        ("chain", "00" * 32, "the genesis beside it"),
        ("nodes", [], "no address for validator"),
        ("nodes", [{"code": "BM"}], "is not a mulu.network/1 file"),
    ],
)
def test_a_network_file_that_does_not_fit_its_genesis_is_refused(
    tmp_path: Path, field: str, value: object, reason: str
) -> None:
    """What is wrong is said with the file's name."""
    prepare(tmp_path / "network")
    file = tmp_path / "network" / "BM" / NETWORK_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    with pytest.raises(NetworkFileError, match=reason) as caught:
        load_network(tmp_path / "network" / "BM")
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("damage", [b"", b"not a genesis", None], ids=["empty", "foreign", "one bit"])
def test_a_damaged_genesis_is_refused_with_its_name(tmp_path: Path, damage: bytes | None) -> None:
    """A file of another kind does not decode; one turned bit makes another chain."""
    prepare(tmp_path / "network")
    file = tmp_path / "network" / "BM" / GENESIS_FILE
    raw = file.read_bytes()
    file.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]) if damage is None else damage)
    with pytest.raises(NetworkFileError) as caught:
        load_network(tmp_path / "network" / "BM")
    assert str(file.parent) in str(caught.value)


def test_a_directory_without_a_network_says_how_one_is_made(tmp_path: Path) -> None:
    """The first mistake anybody makes has its next step in the message."""
    with pytest.raises(NetworkFileError, match="mulu node init"):
        load_network(tmp_path)


@pytest.mark.parametrize("there", [True, False])
def test_a_preparation_that_is_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """Neither keys nor half a network; a directory that was there, empty, is there again."""
    out = tmp_path / "network"
    if there:
        out.mkdir()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DataDirectory, "create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(out)
    assert out.exists() is there
    assert list(tmp_path.rglob("*")) == ([out] if there else [])
