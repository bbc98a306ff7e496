#!/usr/bin/env bash
# Runs the models of the storage engine's concurrency through the orders of their steps. Prints what
# failed, each model with its executions, a line for people and a line of JSON; exit code 1 if a model
# failed, or if there were fewer executions than there should be.
#
# usage: crates/storage/loom.sh [FILTER]
# CARGO and LEAST, the least executions of all models together, may be set. A FILTER is a part of the
# name of a test, and no number of executions is then asked for.
set -uo pipefail
cd "$(dirname "$0")/../.."
cargo="${CARGO:-cargo}"
filter="${1:-}"
least="${LEAST:-$([[ -z "$filter" ]] && echo 80000 || echo 1)}"
# A target folder of its own, since all crates are built with another cfg.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export RUSTFLAGS="${RUSTFLAGS:-} --cfg loom"

"$cargo" test --quiet --locked --release -p any-store-storage --lib --no-run || exit 1
begun=$SECONDS
output="$("$cargo" test --quiet --locked --release -p any-store-storage --lib \
    "loom_models::$filter" -- --nocapture 2>&1)"
passed=$?
seconds=$((SECONDS - begun))
models=$(grep -c '^loom ' <<<"$output")
executions=$(awk '$1 == "loom" { sum += $3 } END { print sum + 0 }' <<<"$output")
failures=0

if [[ $passed -ne 0 ]]; then
    failures=$(grep -c '^test .* FAILED$\|^    loom_models::' <<<"$output")
    [[ $failures -gt 0 ]] || failures=1
    grep -v '^$\|^loom ' <<<"$output" | sed 's/^/FAILED /'
fi
if [[ $executions -lt $least ]]; then
    echo "FAILED did too little: $executions executions where $least are due"
    failures=$((failures + 1))
fi
awk '$1 == "loom" { printf "%-26s %8d executions %7.1f s\n", $2, $3, $4 }' <<<"$output"
verdict="nothing wrong"
[[ $failures -eq 0 ]] || verdict="$failures FAILURES"
echo "loom: $models models, $executions executions in $seconds s: $verdict"
printf '{"rig":"loom","models":%d,"loom_executions":%d,"failures":%d,"seconds":%d,"toolchain":"%s","commit":"%s"}\n' \
    "$models" "$executions" "$failures" "$seconds" \
    "$(rustc --version)" "$(git describe --always --dirty --abbrev=12)"
[[ $failures -eq 0 ]]
