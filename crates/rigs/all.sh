#!/usr/bin/env bash
# Runs all rigs, at the size of every change or at that of a long run. Prints what each found and did;
# exit code 1 if anything was wrong. With a folder, each rig's line of JSON goes into a file there.
#
# usage: crates/rigs/all.sh submission|long [FOLDER]
# CARGO and SEED may be set, and ONLY to the names of the rigs to run.
set -uo pipefail
cd "$(dirname "$0")/../.."
cargo="${CARGO:-cargo}"
seed="${SEED:-1}"
size="${1:-submission}"
folder="${2:-}"
target="${CARGO_TARGET_DIR:-target}/debug"
failed=0

# Name | at every change | in a long run
rigs=(
    "crash_sweep|crash_sweep --images 14000|crash_sweep --images 240000"
    "crash|rig crash --images 7000 --script attributes --script create --script modes --script reuse --script grow --script overflow|rig crash --images 60000"
    "faults|rig faults|rig faults --all"
    "model|rig model --histories 2000|rig model --histories 20000"
    "isolation|rig isolation --reads 200000|rig isolation --reads 5000000"
    "processes|rig processes --kills 50|rig processes --kills 1000"
    "corruption|rig corruption --flips 5000 --restamped 2000|rig corruption --flips 100000 --restamped 30000"
    "memory|rig memory|rig memory"
)

"$cargo" build --quiet --locked --profile test -p any-store-sim -p any-store-rigs --bins || exit 1
for line in "${rigs[@]}"; do
    IFS='|' read -r name submission long <<<"$line"
    [[ -z "${ONLY:-}" || " $ONLY " == *" $name "* ]] || continue
    [[ "$size" == long ]] && command="$long" || command="$submission"
    read -ra words <<<"$command"
    printf '%s --seed %s\n' "$command" "$seed"
    output="$("$target/${words[0]}" "${words[@]:1}" --seed "$seed" 2>&1)" || failed=1
    printf '%s\n' "$output"
    [[ -z "$folder" ]] || tail -n 1 <<<"$output" >"$folder/$name.json"
done

# What these machines cannot show is said, and never counted.
nightly=$(rustup component list --toolchain nightly 2>/dev/null | grep -c '^miri.*installed')
[[ "$nightly" -gt 0 ]] || echo "not run: Miri and sanitizers (no toolchain has them)"
[[ -e /dev/mapper/control ]] || echo "not run: a real disk that loses power (no device mapper)"
echo "not run: a soak of hours"
exit "$failed"
