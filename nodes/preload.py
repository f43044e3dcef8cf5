"""All that a node imports, imported once: the launcher's fork server loads this, and nodes start from its memory.

Freezing the collector's generations keeps the shared pages shared: a collection in a child would write to all of them.
"""

from __future__ import annotations

import gc

import nodes.process

__all__ = ["nodes"]

# The web framework imports a few modules late, on the first request; they are worth sharing too.
import uvicorn.lifespan.off
import uvicorn.loops.asyncio
import uvicorn.protocols.http.auto
import uvicorn.protocols.http.h11_impl  # noqa: F401

gc.collect()
gc.freeze()
