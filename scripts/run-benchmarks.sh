#!/usr/bin/env bash
# Runs benchmarks of a build folder, one after the other, with the arguments that follow.
#
#   scripts/run-benchmarks.sh <folder> <names> [argument...]       names: "spsc_ring wait", or all
set -euo pipefail

folder=$1 names=$2
shift 2
failed=0
count=0
for program in "$folder"/bench_*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    name=${program##*/bench_}
    [ "$names" = all ] || [[ " $names " == *" $name "* ]] || continue
    count=$((count + 1))
    printf '\n== %s %s\n' "$(basename "$program")" "$*"
    "$program" "$@" || { echo "failed: $program" >&2; failed=1; }
done
[ "$count" -gt 0 ] || { echo "no benchmark in $folder" >&2; failed=1; }
exit "$failed"
