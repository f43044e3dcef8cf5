"""Which backend of `ledger.crypto.backend` the environment of a process asks for."""

from __future__ import annotations

import os

from ledger.crypto.backend import Backend, use_backend

VARIABLE = "MULU_BACKEND"
"""Environment variable with one of `ledger.crypto.backend.CHOICES`."""


def choose_backend() -> Backend:
    """Make the backend that the environment asks for, the fastest by default, that of this process, and return it.

    Raises:
        BackendUnavailableError: It asks for one that there is not.
    """
    return use_backend(os.environ.get(VARIABLE) or "auto")
