"""Build hook of the distribution: put the native core into it where that is possible, and succeed where it is not.

A wheel carries the library; an editable installation gets it beside the sources, as `ledger/_native.abi3.so`. Without
cargo, without the crates, or when the build fails, the distribution is pure Python and the hook says so. pip shows what
a hook says with `-v` only; `mulu doctor` says at any time what is used.

    MULU_BUILD_NATIVE=0    leave the native core out
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

EXTENSION = "ledger/_native.abi3.so"
"""Where Python looks for it. The suffix is that of the stable interface: one build serves every version of Python."""

BUILT_NAMES = ("libledger_native.so", "libledger_native.dylib")

BUILD_TIMEOUT_S = 900

ENVIRONMENT = {
    # A machine without a way to the crates learns it soon.
    "CARGO_NET_RETRY": "1",
    "CARGO_HTTP_TIMEOUT": "15",
}
"""Settings of the build that the caller's environment may overrule."""


class NotBuiltError(Exception):
    """There is no native core; the message says why."""


class NativeCoreHook(BuildHookInterface[Any]):
    """Adds the native core to wheels and editable installations."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build it and say where it belongs; `version` is `standard` or `editable`."""
        extension = Path(self.root) / EXTENSION
        try:
            built = build(Path(self.root) / "ledger" / "native")
        except NotBuiltError as reason:
            if version == "editable":
                # One of an earlier build would no longer be that of the sources beside it.
                extension.unlink(missing_ok=True)
            self.app.display_warning(f"without the native core: {reason}. The ledger will run in pure Python.")
            return
        if version == "editable":
            replace(extension, built)
        else:
            build_data["force_include"][str(built)] = EXTENSION
            build_data["pure_python"] = False
            build_data["tag"] = f"cp311-abi3-{platform_tag()}"
        self.app.display_info("with the native core")


def build(crate: Path) -> Path:
    """Return the library, built from `crate` by cargo.

    Raises:
        NotBuiltError: It is unwanted, there is no cargo, or cargo failed.
    """
    if os.environ.get("MULU_BUILD_NATIVE") == "0":
        raise NotBuiltError("MULU_BUILD_NATIVE=0 leaves it out")
    cargo = shutil.which("cargo")
    if cargo is None:
        raise NotBuiltError("there is no cargo on the PATH")
    try:
        subprocess.run(
            [cargo, "build", "--release", "--locked"],
            # Cargo reads its configuration from the working directory upwards.
            cwd=crate,
            env=ENVIRONMENT | os.environ,
            check=True,
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
        )
    except subprocess.CalledProcessError as failure:
        raise NotBuiltError(f"cargo failed: {' '.join(failure.stderr.split())[-500:]}") from failure
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise NotBuiltError(f"cargo did not finish: {failure}") from failure
    target = Path(os.environ.get("CARGO_TARGET_DIR", crate / "target"))
    for name in BUILT_NAMES:
        if (library := crate / target / "release" / name).exists():
            return library
    raise NotBuiltError(f"cargo left no library in {target}")


def replace(extension: Path, built: Path) -> None:
    """Put the library in place; a process that has loaded the earlier one keeps that."""
    fresh = extension.with_suffix(".new")
    shutil.copyfile(built, fresh)
    fresh.replace(extension)


def platform_tag() -> str:
    """Return the platform as a wheel's name spells it."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
