#!/bin/sh
# Make a virtual environment with everything the targets of the Makefile need.
#
#   scripts/setup.sh .venv
#
# Prints to stderr only, so that `make simulate` has the result alone on stdout.
set -eu

venv=$1
started=$(date +%s)

say() { echo "set-up: $*" >&2; }

# A name on the PATH can be a launcher for a version that is not installed, so each one is run, not only found.
find_python() {
    for name in python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    say "no Python >= 3.11 found (tried python3.13, python3.12, python3.11, python3); install one and run make again"
    exit 1
}

# Debian ships the interpreter without these two, and `venv` alone would leave an environment that has no pip.
require_venv() {
    if ! "$1" -c 'import venv, ensurepip' 2>/dev/null; then
        say "$1 lacks the venv module; on Debian and Ubuntu: apt-get install python3-venv"
        exit 1
    fi
}

rm -f "$venv/.ready"
if "$venv/bin/python" -m pip --version >/dev/null 2>&1 &&
    "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "using the environment in $venv"
else
    python=$(find_python)
    require_venv "$python"
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi

if command -v cargo >/dev/null 2>&1; then
    say "installing packages, and building the native core with $(cargo --version 2>/dev/null || echo 'a cargo that does not run')"
else
    say "installing packages; cargo is not on the PATH and not needed"
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[all]' >&2
say "validation runs on $("$venv/bin/python" -c 'from ledger.crypto.backend import active_backend as active
print(f"{active().name}: {active().reason}")')"

# Tests run programs of other people, and no test reaches for the network: their modules are fetched here, and compiled.
if command -v go >/dev/null 2>&1; then
    (cd tests/foreign/go && go mod download && go build ./...) >&2 ||
        say "the programs in tests/foreign/go cannot be built here: tests that run them will skip"
fi

touch "$venv/.ready"
echo "set-up took $(($(date +%s) - started)) s" >&2
