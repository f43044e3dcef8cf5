"""The exchange of one node: both sides of deliveries, with what they need of the node, its disk and its database.

DIRECTORY/database.toml       which database, if there is one (`nodes.exchange.databases.binding`)
DIRECTORY/exchange.db         what is kept of each delivery
DIRECTORY/outbox/, inbox/     sealed chunks that wait to be fetched, or opened
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from pathlib import Path

from nodes.exchange.chunk_files import ChunkFolder
from nodes.exchange.client import dialler
from nodes.exchange.databases import open_database, read_binding
from nodes.exchange.node_ledger import Node, NodeLedger
from nodes.exchange.provider import Bound, Provider
from nodes.exchange.requester import Requester
from nodes.exchange.server import ExchangeServer
from nodes.exchange.store import ExchangeStore
from nodes.exchange.wire import ExchangeAddress, ExchangeKeys
from nodes.keystore import KeyName, Keystore
from nodes.network import Network

logger = logging.getLogger(__name__)

BINDING_FILE = "database.toml"
STORE_FILE = "exchange.db"
OUTBOX_FOLDER, INBOX_FOLDER = "outbox", "inbox"

SETTLE_S = 5.0
"""Between two looks at which deliveries were answered, whose sealed bytes can go, and at which grants have ended."""


class Exchange:
    """Made on the event loop of a node that runs; closed before that loop ends."""

    def __init__(
        self, directory: Path, *, node: Node, network: Network, keys: Keystore, listener: socket.socket | None
    ) -> None:
        """Open what is on the disk, and serve on `listener`, which the exchange owns from here on; None serves nobody.

        Raises:
            BindingError: The file that binds the node to its database cannot be used.
            StorageFailedError: `exchange.db` cannot be used.
        """
        self._node = node
        self.ledger = NodeLedger(node, keys.signers[KeyName.ENVELOPE], asyncio.get_running_loop())
        self.recipient_key = keys.exchange.public_key().public_bytes_raw()
        """What a request names, so that deliveries under its grant can be opened here."""
        self._bound = _bound(directory / BINDING_FILE)
        self.store = ExchangeStore(directory / STORE_FILE)
        others = [entry for entry in network.nodes.values() if entry.credit_code != node.me]
        registered = {validator.credit_code: validator.tls for validator in network.validators.validators}
        exchange_keys = ExchangeKeys(
            keys.tls,
            {registered[entry.credit_code]: entry.credit_code for entry in others},
            [entry.certificate_pem.encode() for entry in others],
        )
        addresses = {
            entry.credit_code: ExchangeAddress(
                entry.address.host, entry.address.exchange_port, registered[entry.credit_code]
            )
            for entry in others
            if entry.address.exchange_port
        }
        self.provider = Provider(
            self.ledger, self._bound, folder=ChunkFolder(directory / OUTBOX_FOLDER), store=self.store
        )
        self.requester = Requester(
            self.ledger,
            dialler(exchange_keys, addresses),
            keys.exchange,
            folder=ChunkFolder(directory / INBOX_FOLDER),
            store=self.store,
        )
        self._server = None if listener is None else ExchangeServer(self.provider, exchange_keys, listener)
        if self._server is not None:
            self._server.start()
        self._settling = asyncio.create_task(self._keep_settling(), name="settle deliveries")

    async def close(self) -> None:
        """Cut all connections and wait for what is under way to end; the next start goes on from there."""
        self._settling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._settling
        if self._server is not None:
            # On a thread, since those that are served may be waiting for this loop.
            await asyncio.to_thread(self._server.close)
        if self._bound.database is not None:
            self._bound.database.close()
        self.store.close()

    async def _keep_settling(self) -> None:
        while not self._node.progress.closed:
            for clear in (self.provider.settle, self.provider.release, self.requester.settle):
                try:
                    await asyncio.to_thread(clear)
                except Exception:
                    # What is not cleared up now is cleared up by the next look, or after the next start.
                    logger.exception("what is over could not be cleared up")
            await asyncio.sleep(SETTLE_S)


def _bound(path: Path) -> Bound:
    """Return the database that the file at `path` binds; none if there is no such file."""
    if not path.exists():
        return Bound(database=None, tables={}, subjects={})
    binding = read_binding(path)
    return Bound(database=open_database(binding), tables=binding.tables, subjects=binding.subjects)
