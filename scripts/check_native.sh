#!/usr/bin/env sh
# Look for memory errors and wrong answers in the native core, beyond its tests.
#
#   scripts/check_native.sh fuzz [SECONDS]   each target for so long (60), guided by coverage, under AddressSanitizer
#   scripts/check_native.sh sanitize         the crate's own tests under AddressSanitizer, vector code included
#   scripts/check_native.sh miri             what has no vector code, interpreted: needs the nightly toolchain with Miri
#
# Sanitizers are no part of stable Rust, but its toolchain has them: RUSTC_BOOTSTRAP lets it use what it has.
set -eu
cd "$(dirname "$0")/../ledger/native"

host=$(rustc -vV | sed -n 's/^host: //p')
# Compiled in another way than the installation, so beside it.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/checks"

case "${1:-}" in
fuzz)
    command -v cargo-fuzz >/dev/null || {
        echo "needs cargo-fuzz: cargo install --locked cargo-fuzz" >&2
        exit 1
    }
    export RUSTC_BOOTSTRAP=1
    for target in envelopes signatures sparse_tree; do
        echo "== fuzzing $target"
        cargo fuzz run "$target" -- -max_total_time="${2:-60}" -print_final_stats=1 -verbosity=0
    done
    ;;
sanitize)
    # A test may keep what it compares with until the end.
    ASAN_OPTIONS=detect_leaks=0 RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address \
        cargo test --release --locked --no-default-features --lib --target "$host"
    ;;
miri)
    cargo +nightly miri test --no-default-features --lib -- canonical:: envelopes::
    ;;
*)
    sed -n 's/^#   //p' "$0" >&2
    exit 2
    ;;
esac
