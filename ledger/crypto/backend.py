"""Which code does the arithmetic of signatures and trees: the native core where it is installed, else Python.

Both give the same results for every input, so the choice belongs to a process, not to the protocol, and nothing that is
signed or hashed depends on it. This layer asks here, and `ledger.validation.envelopes` for whole payloads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.errors import LedgerError

NATIVE_VERSION = "0.1.0"
"""The one version of the native core that this code is for: the distribution's, as in `ledger/native/Cargo.toml`."""

NATIVE_INTERFACE = 7
"""What this code expects the native core to offer. Within one version the sources change, and a library that was built
from earlier ones may still lie about."""

CHOICES = ("auto", "python", "native", "native-portable")
"""What a process can be told: the fastest there is, no native code, native code or an error, or native code that
verifies signatures as on any processor although this one can do it faster."""


class BackendUnavailableError(LedgerError):
    """The backend that was asked for does not exist, or cannot run here; choose another, or build the native core."""

    code = "backend_unavailable"


class NativeTree(Protocol):
    """One version of a sparse Merkle tree: see `ledger/_native.pyi`."""

    @property
    def root(self) -> bytes: ...
    def update(self, changes: Iterable[tuple[bytes, bytes | None]]) -> NativeTree: ...
    def update_hashed(
        self, keys: Sequence[bytes], values: Sequence[bytes], key_prefix: bytes, value_prefix: bytes
    ) -> NativeTree: ...
    def descend(self, key: bytes) -> tuple[tuple[bytes, bytes] | None, list[bytes]]: ...


class Library(Protocol):
    """What a native core offers: see `ledger/_native.pyi`."""

    VERSION: str
    INTERFACE: int

    @property
    def SparseTree(self) -> Callable[[bytes, bytes], NativeTree]: ...  # noqa: N802
    def signature_backends(self) -> list[str]: ...
    def verify_batch(self, items: Iterable[tuple[bytes, bytes, bytes]], entropy: bytes, backend: str) -> list[bool]: ...
    def is_prime_order(self, public: bytes) -> bool: ...
    def verify_batch_strictly(
        self, items: Iterable[tuple[bytes, bytes, bytes]], entropy: bytes, backend: str
    ) -> list[bool]: ...
    def hash_leaves(self, prefix: bytes, entries: Sequence[bytes]) -> list[bytes]: ...
    def truncated_macs_of_lines(self, inner: bytes, outer: bytes, text: bytes, size: int) -> bytes: ...
    def merkle_root(self, leaf_hashes: Sequence[bytes]) -> bytes: ...
    def merkle_root_of(self, prefix: bytes, entries: Sequence[bytes]) -> bytes: ...
    def examine_envelopes(
        self, raws: Sequence[bytes], chain: bytes, header_prefix: bytes, record_prefix: bytes
    ) -> tuple[list[bytes], list[bytes], list[int]] | None: ...


@dataclass(frozen=True, slots=True)
class Backend:
    """The code that runs, and why this one."""

    name: str
    """`python`, or `native-` and the library's name for its signature backend."""
    reason: str
    library: Library | None = None
    """None for `python`."""

    @property
    def signature_backend(self) -> str:
        """The library's own name for what verifies signatures."""
        return self.name.removeprefix("native-")


def installed_library() -> tuple[Library | None, str]:
    """Return the native core of this installation, or None; and in the second case what importing it said."""
    try:
        from ledger import _native
    except ImportError as error:
        return None, str(error)
    return _native, ""


def choose(choice: str, library: Library | None, problem: str = "") -> Backend:
    """Return the backend that `choice` means where `library` is what is installed.

    Args:
        choice: One of `CHOICES`.
        problem: Why there is no library.

    Raises:
        BackendUnavailableError: There is no such choice, or native code was asked for that cannot be had.
    """
    if choice not in CHOICES:
        raise BackendUnavailableError(f"there is no backend {choice!r}; choose one of {', '.join(CHOICES)}")
    if choice == "python":
        return Backend("python", "chosen for this process")
    if library is None:
        problem = f"the native core is not installed ({problem})"
    elif library.VERSION != NATIVE_VERSION:
        problem = f"the native core is of version {library.VERSION}, this is {NATIVE_VERSION}: build it again"
    elif (interface := getattr(library, "INTERFACE", 0)) != NATIVE_INTERFACE:
        problem = f"the native core has interface {interface}, and {NATIVE_INTERFACE} is wanted: build it again"
    else:
        found = library.signature_backends()
        if choice == "native-portable":
            return Backend("native-portable", "chosen for this process", library)
        return Backend(f"native-{found[0]}", f"of the native core, this processor can run {', '.join(found)}", library)
    if choice != "auto":
        raise BackendUnavailableError(problem)
    return Backend("python", f"{problem}; signatures are verified one by one by OpenSSL")


_active = choose("auto", *installed_library())


def active_backend() -> Backend:
    """Return the backend of this process."""
    return _active


def use_backend(choice: str) -> Backend:
    """Make `choice`, one of `CHOICES`, the backend of this process, and return it.

    Raises:
        BackendUnavailableError: As for `choose()`; the backend is the one it was.
    """
    global _active
    _active = choose(choice, *installed_library())
    return _active
