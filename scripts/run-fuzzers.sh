#!/bin/sh
# Runs fuzz targets one after the other, each for some seconds, from the golden files (Arrow's own
# too, where FLETCH_ARROW_TESTING_DIR has them), the seeds and what was found before. What it learns
# stays in BUILD/corpus, what it finds in BUILD/found.
#
#   run-fuzzers.sh BUILD SECONDS TARGET...
set -eu

build=$1
seconds=$2
shift 2
source=$(cd "$(dirname "$0")/.." && pwd)
seeds=$build/tests/fuzz/seeds
programs=$build/tests/fuzz
failures=

"$programs/make_seeds" "$seeds"
for kind in http2 grpc flight; do
    if [ -x "$programs/mutations_$kind" ]; then
        "$programs/mutations_$kind" 1 64 "$seeds/$kind"
    fi
done
for target in "$@"; do
    mkdir -p "$build/corpus/$target" "$build/found"
    folders=$build/corpus/$target
    max_bytes=65536
    case $target in
    codec) folders="$folders $seeds/codec" ;;
    http2 | grpc)
        folders="$folders $seeds/$target"
        max_bytes=4096 # each is fed byte by byte, and more than once
        ;;
    flight) folders="$folders $seeds/flight" ;;
    flight_server) max_bytes=16384 ;; # its seeds are in tests/fuzz/corpus
    file) folders="$folders $seeds/file $source/tests/golden/data" ;;
    *) folders="$folders $seeds/stream $seeds/file $source/tests/golden/data" ;;
    esac
    case $target in
    stream | file | partition)
        for kind in stream file; do
            arrow=${FLETCH_ARROW_TESTING_DIR:-}/data/arrow-ipc-$kind
            if [ -d "$arrow" ]; then
                folders="$folders $arrow"
            fi
        done
        ;;
    esac
    if [ -d "$source/tests/fuzz/corpus/$target" ]; then
        folders="$folders $source/tests/fuzz/corpus/$target"
    fi
    dictionary=$source/tests/fuzz/$target.dict
    [ -f "$dictionary" ] || dictionary=
    echo "== $target for $seconds s"
    # shellcheck disable=SC2086 # several folders
    "$programs/fuzz_$target" -max_total_time="$seconds" -max_len="$max_bytes" -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$build/found/$target-" \
        ${dictionary:+-dict=$dictionary} $folders || failures="$failures $target"
done
if [ -n "$failures" ]; then
    echo "found something:$failures; it lies in $build/found" >&2
    exit 1
fi
