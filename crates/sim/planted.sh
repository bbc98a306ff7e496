#!/usr/bin/env bash
# Is the sweep awake? Builds it with the planted bugs, plants one after the other and demands that it
# fails, and none and demands that it passes. Prints one line each; exit code 1 if the apparatus slept
# or cried wolf.
#
# usage: crates/sim/planted.sh [BUG...]
# CARGO, IMAGES and SEED may be set, and SWEEP to further flags of the sweep.
set -uo pipefail
cd "$(dirname "$0")/../.."
cargo="${CARGO:-cargo}"
images="${IMAGES:-4000}"
seed="${SEED:-1}"
# A target folder of its own, so that no other build is thrown away.
target="${CARGO_TARGET_DIR:-target}/planted"
bugs=("$@")
[[ ${#bugs[@]} -gt 0 ]] || bugs=(
    skip_log_sync
    skip_file_sync
    keep_uncommitted_tail
    release_before_header
    skip_base
    spill_unverified
    publish_before_sync
)
failed=0

sweep() { # bug
    # shellcheck disable=SC2086 # the flags are meant to be split
    output="$(ANY_STORE_PLANTED="$1" "$target/debug/crash_sweep" \
        --seed "$seed" --images "$images" --max-violations 3 ${SWEEP:-} 2>&1)"
}

report() { # verdict, name, text
    printf '%-6s %-24s %s\n' "$1" "$2" "$3"
    [[ "$1" == ok ]] || failed=1
}

if ! RUSTFLAGS="${RUSTFLAGS:-} --cfg planted" CARGO_TARGET_DIR="$target" "$cargo" build --quiet \
    --locked --profile test -p any-store-sim --bin crash_sweep; then
    report FAILED none "does not build"
    exit 1
fi
if sweep ""; then
    report ok none "passes: $(grep '^crash sweep' <<<"$output")"
else
    report FAILED none "finds a bug that nobody planted: $(grep -m1 '^FAILED' <<<"$output")"
fi
for bug in "${bugs[@]}"; do
    sweep "$bug"
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
        *) report FAILED "$bug" "does not run" ;;
    esac
done
exit "$failed"
