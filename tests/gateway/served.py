"""A gateway that commands can ask: served on loopback, on another thread, as another process would."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn

from nodes.gateway.app import create_app
from nodes.gateway.node_view import NodeView


@contextlib.contextmanager
def served(node: NodeView) -> Iterator[str]:
    """Yield the address of the node's gateway."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(node), log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield "http://{}:{}".format(*listener.getsockname())
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
