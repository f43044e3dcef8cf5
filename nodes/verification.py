"""How a node verifies signatures: in batches, with randomness of the operating system."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ledger.crypto import signatures


def verify_batch(items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """Return for each `(public, message, signature)`, in order, whether ZIP-215 accepts it.

    The randomness is drawn now, when the signatures are fixed, so nobody who signed can have known it.
    """
    return signatures.verify_batch(items, os.urandom(signatures.ENTROPY_SIZE))
