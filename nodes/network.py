"""A network on disk before its nodes run: one directory a department, and what all of them must know.

    NETWORK/
      genesis               the founding bytes; their hash names the network
      network.json          where each node listens, with its transport certificate
      policy.txt            whom a verifier trusts
      BM/  AY/  ...         one directory a member: its keys
        genesis, network.json   copies, so that a node's directory is all a node needs
        chain-id, safety, journal/   its data directory (`nodes.data_directory`), of a member that never signed

A member without a vote has a directory with keys and no node. The policy is written last: where it is, all is there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from ledger.blocks.genesis import CalendarDay, Genesis, Parameters
from ledger.crypto.signatures import Signer
from ledger.encoding import decode
from ledger.errors import DecodeError, LedgerError, StorageFailedError
from ledger.identifiers import CreditCode, Digest
from ledger.members.calendar import Day
from ledger.members.founding import MemberProfile, NodeSigners, found_member, found_network
from ledger.members.validators import ValidatorSet
from ledger.proofs.policy import make_policy, parse_policy
from ledger.proofs.tools_policy import make_tools_policy
from nodes.data_directory import DataDirectory
from nodes.files import write_file
from nodes.keystore import KeyName, Keystore, derive
from nodes.transport.tls import certificate_spki_hash

GENESIS_FILE, NETWORK_FILE, POLICY_FILE = "genesis", "network.json", "policy.txt"
KEYS_DIRECTORY = "keys"
SCHEMA = "mulu.network/1"

DAY_MS = 86_400_000

POLICY_VALID_DAYS = 365
"""A verifier asks for a new policy once a year; validator sets change more rarely."""


class NetworkFileError(LedgerError):
    """`network.json` or `genesis` cannot be used; the message names the file and what is wrong in it."""

    code = "bad_network_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    """Where a node is reached, and where it listens."""

    host: str
    """Name or address under which the others reach it."""
    peer_port: int
    gateway_port: int
    listen: str = ""
    """Address of this machine to bind, for example `0.0.0.0` in a container; empty to bind `host` itself."""
    exchange_port: int = 0
    """Where its data can be fetched; 0 if it delivers none."""

    @property
    def gateway_url(self) -> str:
        """Base address of the node's HTTP interface."""
        return f"http://{self.host}:{self.gateway_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEntry:
    """What everybody knows of one node."""

    code: str
    credit_code: CreditCode
    address: NodeAddress
    certificate_pem: str


@dataclass(frozen=True, kw_only=True)
class Network:
    """The network as its files tell it."""

    genesis: Genesis
    validators: ValidatorSet
    nodes: Mapping[CreditCode, NodeEntry]

    def node_of(self, code: str) -> NodeEntry:
        """Return the node of the department with this short code.

        Raises:
            NetworkFileError: There is none.
        """
        for entry in self.nodes.values():
            if entry.code == code:
                return entry
        known = ", ".join(sorted(entry.code for entry in self.nodes.values()))
        raise NetworkFileError(f"no node of a department {code!r} in this network; there are {known}")


@dataclass(frozen=True, kw_only=True)
class PreparedNetwork:
    """A new network, and who can sign envelopes for its members, by short code."""

    network: Network
    envelope_signers: Mapping[str, Signer]


def default_parameters(
    validators: int, *, engine: str = "jolteon", idle_ms: int = 10_000, utc_offset_hours: int = 8
) -> Parameters:
    """Return the parameters that suit a number of validators on one machine (P16)."""
    return Parameters(
        engine=engine,
        base_timeout_ms=max(1_000, 100 * validators),
        block_interval_ms=max(50, 10 * validators),
        idle_ms=idle_ms,
        block_payload_bytes=2 << 20,
        utc_offset_hours=utc_offset_hours,
    )


def prepare_network(
    out: Path,
    *,
    name: str,
    members: Sequence[MemberProfile],
    addresses: Mapping[CreditCode, NodeAddress],
    parameters: Parameters,
    calendar: Iterable[CalendarDay],
    now: datetime,
    seed: bytes | None = None,
) -> PreparedNetwork:
    """Make keys, the genesis and the files of a new network under `out`, which must not exist or be empty.

    Args:
        addresses: One for each member with a vote; the others get keys only.
        now: Aware; becomes the genesis time.
        seed: For simulations: the same seed gives the same Ed25519 keys.

    Raises:
        StorageFailedError: `out` is a file or holds something already; what is there is left alone. Whatever fails
            later leaves nothing behind.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StorageFailedError(
            f"{out} is there already and not an empty directory: give the path of a new one, or remove it yourself"
        )
    with _whole_or_gone(out):
        founders, nodes, signers = [], [], {}
        for member in members:
            directory = out / member.code
            directory.mkdir(mode=0o700)
            with Keystore.create(
                directory / KEYS_DIRECTORY,
                common_name=f"{member.code}.{name}",
                now=now,
                seed=None if seed is None else derive(seed, member.credit_code),
            ) as keys:
                address = addresses.get(member.credit_code)
                certificate = keys.tls.certificate_pem
                signers[member.code] = keys.signers[KeyName.ENVELOPE]
                founders.append(
                    found_member(
                        member,
                        network=name,
                        envelope=keys.signers[KeyName.ENVELOPE],
                        node=None if address is None else node_signers(keys),
                        tls=None if address is None else Digest(certificate_spki_hash(certificate)),
                    )
                )
                if address is not None:
                    nodes.append(
                        NodeEntry(
                            code=member.code,
                            credit_code=member.credit_code,
                            address=address,
                            certificate_pem=certificate.decode(),
                        )
                    )
        genesis = found_network(
            name=name,
            created_ms=int(now.timestamp() * 1000),
            parameters=parameters,
            calendar=calendar,
            founders=founders,
        )
        network = Network(
            genesis=genesis,
            validators=ValidatorSet.of_genesis(genesis),
            nodes={entry.credit_code: entry for entry in nodes},
        )
        files = {GENESIS_FILE: genesis.encode(), NETWORK_FILE: _network_json(network)}
        for directory in (out, *(out / entry.code for entry in nodes)):
            for file, content in files.items():
                write_file(directory / file, content)
        for entry in nodes:
            DataDirectory.create(out / entry.code, genesis.chain)
        write_file(out / POLICY_FILE, policy_of(genesis, network.validators).encode())
        return PreparedNetwork(network=network, envelope_signers=signers)


@contextmanager
def _whole_or_gone(directory: Path) -> Iterator[None]:
    """Make an empty directory and leave nothing of it behind if the block fails or is interrupted: half a network is
    none, and its keys would be lying around.
    """
    existed = directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for child in directory.iterdir():
            shutil.rmtree(child) if child.is_dir() else child.unlink()
        if not existed:
            directory.rmdir()
        raise


def policy_of(genesis: Genesis, validators: ValidatorSet) -> str:
    """Return the policy of a network's first epoch: what `policy.txt` holds, and what every node serves."""
    until = Day(genesis.created_ms // DAY_MS + POLICY_VALID_DAYS)
    return make_policy(validators, genesis.founders, until, utc_offset_hours=genesis.parameters.utc_offset_hours)


def tools_policy_of(network: Network) -> str:
    """Return the policy for tools that know at most 32 witnesses, with the gateways as this network's file has them.

    Raises:
        NoToolsPolicyError: The network is too large for one.
    """
    policy = parse_policy(policy_of(network.genesis, network.validators))
    return make_tools_policy(policy, {code: entry.address.gateway_url for code, entry in network.nodes.items()})


def load_network(directory: Path) -> Network:
    """Read the network's files in `directory` and check that they agree.

    The keys in the genesis were checked when it was made: its hash names the network, and a node's data directory holds
    that name. Checking some hundred keys again would take each node half a second at every start.

    Raises:
        NetworkFileError: A file is missing, unreadable, or does not agree with the genesis.
    """
    try:
        raw_genesis = (directory / GENESIS_FILE).read_bytes()
        raw_network = (directory / NETWORK_FILE).read_bytes()
    except OSError as error:
        raise NetworkFileError(
            f"{error.filename}: {error.strerror}; `mulu node init` makes the files of a network"
        ) from error
    try:
        genesis = decode(Genesis, raw_genesis)
    except DecodeError as error:
        raise NetworkFileError(f"{directory / GENESIS_FILE} is not a genesis: {error}") from error
    validators = ValidatorSet.of_genesis(genesis)
    nodes = _parse_network_json(directory / NETWORK_FILE, raw_network, genesis.chain.hex())
    for validator in validators.validators:
        entry = nodes.get(validator.credit_code)
        if entry is None:
            raise NetworkFileError(f"{directory / NETWORK_FILE}: no address for validator {validator.credit_code}")
        if certificate_spki_hash(entry.certificate_pem.encode()) != validator.tls:
            raise NetworkFileError(
                f"{directory / NETWORK_FILE}: the transport certificate of {entry.code} is not the registered one"
            )
    return Network(genesis=genesis, validators=validators, nodes=nodes)


def node_signers(keys: Keystore) -> NodeSigners:
    """Return the three signing keys of a validator from its keystore."""
    return NodeSigners(
        consensus=keys.signers[KeyName.CONSENSUS],
        cosigner=keys.signers[KeyName.COSIGNER],
        log=keys.signers[KeyName.LOG],
    )


def _network_json(network: Network) -> bytes:
    document = {
        "schema": SCHEMA,
        "chain": network.genesis.chain.hex(),
        "nodes": [asdict(entry) for entry in network.nodes.values()],
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _parse_network_json(path: Path, raw: bytes, chain: str) -> dict[CreditCode, NodeEntry]:
    try:
        document = json.loads(raw)
        if document["schema"] != SCHEMA:
            raise NetworkFileError(f"{path}: schema {document['schema']!r} is not {SCHEMA!r}")
        if document["chain"] != chain:
            raise NetworkFileError(
                f"{path} is of network {document['chain'][:16]}, the genesis beside it of {chain[:16]}"
            )
        entries = [
            NodeEntry(
                code=node["code"],
                credit_code=CreditCode(node["credit_code"]),
                address=NodeAddress(**node["address"]),
                certificate_pem=node["certificate_pem"],
            )
            for node in document["nodes"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise NetworkFileError(f"{path} is not a {SCHEMA} file: {error!r}") from error
    return {entry.credit_code: entry for entry in entries}
