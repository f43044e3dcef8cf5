"""What this machine is and has, for `mulu doctor` and for every figure that depends on it. Nothing is changed."""

from __future__ import annotations

import os
import platform
import resource
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.backends.openssl.backend import backend as openssl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.crypto.backend import active_backend

MEASURED_PACKAGES = ("mulu", "cryptography", "msgspec", "google-crc32c")
"""Those that the speed of validation depends on."""

CPU_FEATURES = ("avx2", "avx512ifma", "sha_ni")
"""Instructions that a native core can make use of, as Linux names them."""


class Backend(NamedTuple):
    """What validates blocks in this installation."""

    name: str
    reason: str


def validation_backend() -> Backend:
    """Return the backend that this process uses, and why this one."""
    active = active_backend()
    return Backend(active.name, active.reason)


def openssl_version() -> str:
    """Return the version of the OpenSSL that `cryptography` uses, for example `OpenSSL 3.5.0 8 Apr 2025`."""
    return openssl.openssl_version_text()


def package_version(name: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def cpu_name() -> str:
    """Return the processor's name as it calls itself."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def cpu_features() -> tuple[str, ...]:
    """Return which of `CPU_FEATURES` this processor has; none where the system does not tell."""
    flags = _cpuinfo().get("flags", "").split()
    return tuple(feature for feature in CPU_FEATURES if feature in flags)


def cores() -> int:
    """Return how many processors this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes(field: str) -> int | None:
    """Return a field of /proc/meminfo, `MemTotal` or `MemAvailable`, or None where the system does not tell."""
    for line in _lines("/proc/meminfo"):
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) * 1024
    return None


def file_system(path: Path) -> str:
    """Return the type of the file system that holds `path`, for example `ext4`; `unknown` where nothing tells."""
    best, kind = Path(), "unknown"
    resolved = path.resolve()
    for line in _lines("/proc/self/mounts"):
        _, mount, found, *_ = line.split()
        point = Path(mount.replace("\\040", " "))
        if resolved.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, found
    return kind


def open_files_limits() -> tuple[int, int]:
    """Return the soft and the hard limit of open files; `sys.maxsize` stands for none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return tuple(sys.maxsize if limit == resource.RLIM_INFINITY else limit for limit in (soft, hard))  # type: ignore[return-value]


def sync_seconds(directory: Path, *, times: int = 5) -> float:
    """Return how long an append of 4 KiB with fdatasync takes in `directory`, the median of `times`.

    Raises:
        OSError: No file can be made there.
    """
    taken = []
    with tempfile.TemporaryFile(dir=directory) as file:
        descriptor = file.fileno()
        for _ in range(times):
            os.write(descriptor, bytes(4096))
            start = time.perf_counter()
            getattr(os, "fdatasync", os.fsync)(descriptor)
            taken.append(time.perf_counter() - start)
    return sorted(taken)[times // 2]


def verifications_per_second(probe_s: float = 0.2) -> float:
    """Return how many Ed25519 signatures one core verifies through `cryptography` in a second, probed for `probe_s`."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public, message = key.public_key(), bytes(32)
    signature = key.sign(message)
    done, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < probe_s:
        for _ in range(50):
            public.verify(signature, message)
        done += 50
    return done / elapsed


def describe(directory: Path) -> dict[str, Any]:
    """Return what a figure measured with files in `directory` must be read with."""
    return {
        "cpu": cpu_name(),
        "cpu_features": list(cpu_features()),
        "cores": cores(),
        "memory_bytes": memory_bytes("MemTotal"),
        "system": f"{platform.system()} {platform.machine()}",
        "file_system": file_system(directory),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "openssl": openssl_version(),
        "packages": {name: package_version(name) for name in MEASURED_PACKAGES},
    }


def _cpuinfo() -> dict[str, str]:
    """Return the fields of the first processor in /proc/cpuinfo."""
    fields: dict[str, str] = {}
    for line in _lines("/proc/cpuinfo"):
        if not line.strip():
            break
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    return fields


def _lines(path: str) -> list[str]:
    """Return the lines of a file of the system, or none where there is no such file."""
    try:
        return Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return []
