#!/usr/bin/env bash
# Are the rigs awake? Builds them with the planted bugs, plants one after the other and demands that
# its rig finds a violation, in one seed after the other. Prints a line for each, and one of JSON;
# exit code 1 if the apparatus slept.
#
# usage: crates/sim/planted.sh all         each bug, and each rig without one, which must pass
#        crates/sim/planted.sh rotate [N]  N bugs, 4 unless told, others with every commit
#        crates/sim/planted.sh BUG...
# CARGO may be set, and PATIENCE, the seconds that one run of a rig may take; with TABLE=1 the lines are rows of the table in docs/testing.md.
set -uo pipefail
cd "$(dirname "$0")/../.."
cargo="${CARGO:-cargo}"
# A target folder of its own, so that no other build is thrown away.
target="${CARGO_TARGET_DIR:-target}/planted"
# A rig that needs more seeds for a bug is asleep.
max_seeds=5
# No rig hangs, whatever is planted.
patience="${PATIENCE:-200}"

sweep="crash_sweep --images 4000 --max-violations 1"
modes="rig faults --script modes --runs 4000"
rot="rig corruption --flips 2000 --restamped 1"
# Name | rig | what is wrong.
bugs=(
    "skip_log_sync|$sweep|the log is not synced, so a durable commit is not"
    "skip_file_sync|$sweep|the log's space is used again before the pages copied from it are on the disk"
    "skip_directory_sync|$sweep|a new or removed name is not synced"
    "publish_before_sync|$sweep|a \`Sync::Full\` commit is visible and acknowledged before its sync"
    "retry_sync|$modes|a sync of the log that failed is tried again, and believed"
    "publish_before_append|$modes|readers are given a commit before its record is written"
    "ignore_short_write|$modes|a write that did a part is taken for whole"
    "copy_unchecked|$rot|a checkpoint copies an image from the log without looking at its check"
    "header_ahead|$sweep --script modes|a checkpoint's header names the newest commit, and not the one that was copied"
    "reuse_salt|$sweep|every generation of the log has the same salt, and recovery asks for nothing else"
    "page_unchecked|$sweep|a page's check is not looked at"
    "header_unchecked|$rot|a header slot's check is not looked at"
    "undo_partly|$sweep|going back to a savepoint leaves one page as it is, with its entries"
    "pass_readers|$sweep|a checkpoint passes the oldest snapshot, so what a reader needs is overwritten"
    "keep_uncommitted_tail|$sweep|recovery takes a record whose check fails"
    "stop_early|$sweep|recovery gives up the last commit"
    "error_as_end|$modes|an error on reading the log is taken for its end"
    "leak_run|$sweep|the runs of a removed value stay taken"
    "unique_outside_snapshot|rig model --histories 500|a unique index is checked as of the transaction's beginning"
    "spill_unverified|$sweep|recovery takes a spill for whole without looking at its images"
    "release_before_header|$sweep|the log's space is used again before the header that gives it back is synced"
    "skip_base|$sweep|a checkpoint leaves out the base record"
)
caught=0
failed=0

# Runs a rig with a bug and a seed; 0 if it found a violation, not if it merely did too little, and 124
# if it was not done in time.
finds() { # bug, seed, command...
    local bug="$1" seed="$2"
    shift 2
    output="$(ANY_STORE_PLANTED="$bug" ANY_STORE_FIRST_FAILURE_ENDS=1 RUST_BACKTRACE=0 \
        timeout "$patience" "$target/debug/$1" "${@:2}" --seed "$seed" 2>&1)"
    [[ $? -ne 124 ]] || return 124
    found="$(grep '^FAILED' <<<"$output" | grep -v -m1 'did too little\|only [0-9]')"
    [[ -n "$found" ]]
}

report() { # verdict, name, text
    [[ -n "${TABLE:-}" ]] || printf '%-6s %-24s %s\n' "$1" "$2" "$3"
    [[ "$1" == ok ]] || failed=1
}

plant() { # bug, command, what is wrong
    local begun seconds seed
    read -ra command <<<"$2"
    begun=$(date +%s%N)
    for ((seed = 1; seed <= max_seeds; seed++)); do
        finds "$1" "$seed" "${command[@]}"
        case $? in
            0) ;;
            124) break ;;
            *) continue ;;
        esac
        seconds="$(awk "BEGIN { printf \"%.1f\", ($(date +%s%N) - $begun) / 1e9 }")"
        caught=$((caught + 1))
        report ok "$1" "$seed seeds, $seconds s: ${found:7:110}"
        local rig="${command[*]:0:2}"
        [[ -z "${TABLE:-}" ]] || echo "| \`$1\` | $3 | \`${rig%% --*}\` | $seed | $seconds |"
        return
    done
    report FAILED "$1" "not caught by $2"
}

control() { # command
    read -ra command <<<"$1"
    if finds "" 1 "${command[@]}"; then
        report FAILED none "a bug that nobody planted: ${found:7:110}"
    else
        report ok none "nothing found by ${command[*]}"
    fi
}

if ! RUSTFLAGS="${RUSTFLAGS:-} --cfg planted" CARGO_TARGET_DIR="$target" "$cargo" build --quiet \
    --locked --profile test -p any-store-sim -p any-store-rigs --bin crash_sweep --bin rig; then
    report FAILED none "does not build"
    exit 1
fi

count=${#bugs[@]}
chosen=()
case "${1:-all}" in
    all)
        chosen=("${bugs[@]}")
        while read -r command; do control "$command"; done < <(
            printf '%s\n' "${bugs[@]}" | cut -d'|' -f2 | sort -u
        )
        ;;
    rotate)
        first=$(($(git rev-list --count HEAD) * ${2:-4}))
        for ((step = 0; step < ${2:-4}; step++)); do
            chosen+=("${bugs[(first + step) % count]}")
        done
        ;;
    *)
        for name in "$@"; do
            for bug in "${bugs[@]}"; do [[ "${bug%%|*}" != "$name" ]] || chosen+=("$bug"); done
        done
        [[ ${#chosen[@]} -eq $# ]] || { echo "planted.sh: no such bug among: $*" >&2; exit 2; }
        ;;
esac
for bug in "${chosen[@]}"; do
    IFS='|' read -r name command wrong <<<"$bug"
    plant "$name" "$command" "$wrong"
done
printf '{"rig":"planted","planted":%d,"caught":%d,"failures":%d,"seconds":%d,"toolchain":"%s","commit":"%s"}\n' \
    "${#chosen[@]}" "$caught" "$failed" "$SECONDS" \
    "$(rustc --version)" "$(git describe --always --dirty --abbrev=12)"
exit "$failed"
