#!/usr/bin/env bash
# The long form of the tests that rest on chance: syncs killed at random instants, properties over random worlds, fuzz targets.
#
#   tests/run.sh --services-only -- tests/soak.sh [--rounds N] [--seed S] [--cases N] [--fuzz SECONDS]
#
#   --rounds N   rounds of kills with ledgers in SQLite and in PostgreSQL, and with ServiceNow, Assets and Halo as targets, of two kills on average each (default 300)
#   --seed S     what the kills and the estate follow from, 0 to 2^64 - 1 (default: a new one, printed)
#   --cases N    cases of each property (default 500; 0 leaves the properties out)
#   --fuzz N     seconds for each fuzz target (default 600; 0 leaves them out): tests/fuzz.sh, which says what they need
#
# The code is that of the short form: `cargo test --workspace kill:: properties::`. This sets DEWPOINT_SOAK_ROUNDS and DEWPOINT_SOAK_SEED
# for the kills (tests/it/kill.rs, tests/it/kill/remote.rs) and PROPTEST_CASES for the properties. A kill that fails names its seed and round: the same seed
# makes the same estate and the same delays, though not the same instant within the program.
#
# Ends with one line for each of these, with seed, rounds, kills and syncs, one for each fuzz target, and one for the whole. Exit code 0: all held.
set -euo pipefail

fail() {
    printf 'tests/soak.sh: %s\n' "$*" >&2
    exit 2
}

number() {
    [[ ${2-} =~ ^[0-9]+$ ]] || fail "$1 needs a number"
    printf '%s\n' "$2"
}

rounds=300
seed=$((RANDOM << 15 | RANDOM))
cases=500
fuzz=600
while (($# > 0)); do
    case $1 in
    --rounds) rounds=$(number "$1" "${2-}") ;;
    --seed) seed=$(number "$1" "${2-}") ;;
    --cases) cases=$(number "$1" "${2-}") ;;
    --fuzz) fuzz=$(number "$1" "${2-}") ;;
    *) fail "unknown argument $1; see the top of this file" ;;
    esac
    shift 2
done
((rounds > 0)) || fail "--rounds needs at least one"
[[ -n ${DATABASE_URL-} ]] || fail "DATABASE_URL is not set; run it under tests/run.sh --services-only --"
# Said now, not after hours.
if ((fuzz > 0)) && ! cargo fuzz --version >/dev/null 2>&1; then
    fail "cargo-fuzz is not installed: cargo install cargo-fuzz --locked; \`--fuzz 0\` leaves the fuzz targets out"
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
began=$SECONDS
status=0

printf 'soak: seed %s, %s rounds of kills of each kind, %s cases of each property\n' "$seed" "$rounds" "$cases"
DEWPOINT_SOAK_ROUNDS=$rounds DEWPOINT_SOAK_SEED=$seed \
    cargo test --locked --workspace --test it -- kill:: --nocapture 2>&1 | tee "$log" || status=1
if ((cases > 0)); then
    PROPTEST_CASES=$cases cargo test --locked --workspace -- properties:: 2>&1 | tee -a "$log" || status=1
fi
if ((fuzz > 0)); then
    tests/fuzz.sh --seconds "$fuzz" 2>&1 | tee -a "$log" || status=1
fi

printf '\n'
grep -o 'kill: .*: done: .*' "$log" | sed 's/^kill: /soak: /' || true
sed -n 's/^fuzz: /soak: fuzz: /p' "$log"
outcome=held
# One line for each of SQLite, PostgreSQL, ServiceNow, Assets, its first loads and Halo: without them nothing was killed, whatever cargo says.
(($(grep -c 'kill: .*: done: ' "$log" || true) >= 6)) || status=1
((fuzz == 0 || $(grep -c '^fuzz: .*: done: ' "$log" || true) == 3)) || status=1
((status == 0)) || outcome='FAILED'
printf 'soak: %s: seed %s, %s rounds each, %s cases, %s s of each fuzz target, %s s\n' "$outcome" "$seed" "$rounds" "$cases" "$fuzz" "$((SECONDS - began))"
exit "$status"
