#!/usr/bin/env bash
# Builds Arrow's integration tools of Go into a folder, from the Go module proxy: a JSON of theirs
# to a file and back, files to streams and back, their client and server of Flight; and a producer
# and consumer of shuffles. Needs Go 1.24 or newer; some minutes at first.
#
#   scripts/install-go-tools.sh [folder]    default: build/interop
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$root/build/interop}
version=v18.8.0
module=github.com/apache/arrow-go/v18/arrow

command -v go >/dev/null || {
    echo "there is no go command; version 1.24 or newer is needed" >&2
    exit 1
}
mkdir -p "$folder"
for package in ipc/cmd/{arrow-json-integration-test,arrow-file-to-stream,arrow-stream-to-file} \
    internal/flight_integration/cmd/arrow-flight-integration-{client,server}; do
    [ -x "$folder/${package##*/}" ] ||
        GOBIN=$(realpath "$folder") go install "$module/$package@$version"
done
# A producer and a consumer of shuffles of our own, with the same module.
(cd "$root/tests/interop/go" && go build -o "$(realpath "$folder")/shuffle-peer" .)
