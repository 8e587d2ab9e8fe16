#!/usr/bin/env bash
# Runs the fuzz targets (fuzz/): what Dewpoint reads from people, by libFuzzer, one target after another.
#
#   tests/fuzz.sh [--seconds N] [--seed S] [TARGET…]
#
#   --seconds N  how long each target runs (default 600)
#   --seed S     what libFuzzer's choices follow from, 1 to 2^32 - 1 (default: a new one, printed)
#   TARGET       configuration, rules, inventory (default: all)
#
# Needs cargo-fuzz and a C++ compiler; the toolchain is that of all other builds, since no sanitizer is used: Dewpoint has no `unsafe`. A panic is a
# crash, also one that would be caught; so is an input that takes more than 20 s or 1 GiB.
#
# Begins with the seeds of fuzz/exercise/seeds.rs and with what earlier runs found (fuzz/corpus/TARGET, which can be removed). An input that crashes
# is kept in fuzz/artifacts/TARGET. Ends with a line for each target. Exit code 0: nothing crashed.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/setup/common.sh
. tests/setup/common.sh

number() {
    [[ ${2-} =~ ^[0-9]{1,10}$ ]] || fail "$1 needs a number"
    printf '%s\n' "$2"
}

seconds=600
seed=$((RANDOM << 15 | RANDOM | 1))
targets=()
while (($# > 0)); do
    case $1 in
    --seconds) seconds=$(number "$1" "${2-}") && shift ;;
    --seed) seed=$(number "$1" "${2-}") && shift ;;
    configuration | rules | inventory) targets+=("$1") ;;
    *) fail "unknown argument $1; see the top of this file" ;;
    esac
    shift
done
((${#targets[@]} > 0)) || targets=(configuration rules inventory)
((seconds > 0 && seed > 0)) || fail "--seconds and --seed need at least 1"

need_command cargo "install Rust 1.95 or later"
cargo fuzz --version >/dev/null 2>&1 || fail "cargo-fuzz is not installed: cargo install cargo-fuzz --locked"
need_command c++ "install g++; libFuzzer is compiled from C++"

say "building"
target_dir=$CARGO_TARGET_DIR/fuzz
cargo fuzz build --sanitizer none --codegen-units 8 --target-dir "$target_dir"
binaries=$target_dir/$(rustc -vV | sed -n 's/^host: //p')/release

log=$(mktemp)
trap 'rm -f "$log"' EXIT
lines=()
status=0
for target in "${targets[@]}"; do
    corpus=fuzz/corpus/$target artifacts=fuzz/artifacts/$target
    mkdir -p "$corpus" "$artifacts"
    DEWPOINT_FUZZ_SEEDS=$corpus "$binaries/$target"
    say "$target for $seconds s"
    code=0
    "$binaries/$target" "$corpus" -seed="$seed" -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=1024 \
        -dict="fuzz/dictionaries/$target.dict" -artifact_prefix="$artifacts/" -print_final_stats=1 2>&1 | tee "$log" || code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    took=$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$log")
    if [[ $code == 0 && -n $runs && -n $took ]]; then
        lines+=("$target: done: $runs runs in $took s, seed $seed, no crash")
    else
        status=1
        input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        lines+=("$target: FAILED: ${runs:-no} runs, seed $seed, input ${input:-not kept (code $code)}; again: $binaries/$target ${input:-$corpus}")
    fi
done

printf '\n'
printf 'fuzz: %s\n' "${lines[@]}"
exit "$status"
