#!/usr/bin/env bash
# Is the sweep awake? Builds it with each planted bug and demands that it fails, and without any and
# demands that it passes. Prints one line each; exit code 1 if the apparatus slept or cried wolf.
#
# usage: crates/sim/planted.sh [BUG...]
# CARGO, IMAGES and SEED may be set, and SWEEP to further flags of the sweep.
set -uo pipefail
cd "$(dirname "$0")/../.."
cargo="${CARGO:-cargo}"
images="${IMAGES:-4000}"
seed="${SEED:-1}"
target="${CARGO_TARGET_DIR:-target}"
bugs=("$@")
[[ ${#bugs[@]} -gt 0 ]] || bugs=(skip_log_sync skip_file_sync keep_uncommitted_tail)
failed=0

# Builds into a target folder of its own, so that no other build is thrown away, and sweeps.
sweep() { # name, rustflags
    local dir="$target/planted/$1" binary
    RUSTFLAGS="$2" CARGO_TARGET_DIR="$dir" "$cargo" build --quiet --locked --profile test \
        -p any-store-sim --bin crash_sweep || return 3
    binary="$dir/debug/crash_sweep"
    # shellcheck disable=SC2086 # the flags are meant to be split
    output="$("$binary" --seed "$seed" --images "$images" --max-violations 3 ${SWEEP:-})"
}

report() { # verdict, name, text
    printf '%-6s %-24s %s\n' "$1" "$2" "$3"
    [[ "$1" == ok ]] || failed=1
}

sweep none ""
case $? in
    0) report ok none "passes: $(grep '^crash sweep' <<<"$output")" ;;
    3) report FAILED none "does not build" ;;
    *) report FAILED none "finds a bug that nobody planted: $(grep -m1 '^FAILED' <<<"$output")" ;;
esac
for bug in "${bugs[@]}"; do
    sweep "$bug" "--cfg planted=\"$bug\""
    case $? in
        # A sweep that merely did too little also fails: only a violation counts as a catch.
        1)
            if grep -q '"violations":[1-9]' <<<"$output"; then
                report ok "$bug" "caught: $(grep -m1 '^FAILED' <<<"$output" | cut -c8-160)"
            else
                report FAILED "$bug" "not caught, and the sweep did too little"
            fi
            ;;
        0) report FAILED "$bug" "not caught in $images images" ;;
        *) report FAILED "$bug" "does not build or run" ;;
    esac
done
exit "$failed"
