#!/usr/bin/env bash
# Builds peers of Flight into a folder, each from its language's own registry: Java (flight-core,
# with Maven and a JDK of 17 or later), Node (apache-arrow and grpc-js, with npm), Rust
# (arrow-flight, with Cargo 1.85 or later). Flight's own description of its messages comes out of
# Java's package.
#
#   scripts/install-flight-peers.sh [folder]    default: build/interop
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mkdir -p "${1:-$root/build/interop}" && cd "${1:-$root/build/interop}" && pwd)
peers=$root/tests/interop
java=$folder/java-flight
node=$folder/node

for tool in mvn javac jar node npm cargo; do
    command -v "$tool" >/dev/null || {
        echo "there is no $tool: Maven, a JDK of 17, Node 18, Cargo 1.85, or later, are needed" >&2
        exit 1
    }
done

if [ ! -e "$java/jars/complete" ] || [ "$peers/java/pom.xml" -nt "$java/jars/complete" ]; then
    mvn --quiet --batch-mode --strict-checksums --file "$peers/java/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies \
        -DoutputDirectory="$java/jars" -DincludeScope=runtime
    touch "$java/jars/complete"
fi
javac -cp "$java/jars/*" -d "$java/classes" "$peers/java/FlightPeer.java"
(cd "$java" && jar --extract --file jars/flight-core-*.jar Flight.proto)

mkdir -p "$node"
cp "$peers"/node/* "$node"
[ "$node/node_modules/.package-lock.json" -nt "$peers/node/package-lock.json" ] ||
    npm --prefix "$node" --silent --no-audit --no-fund ci

cargo build --quiet --locked --manifest-path "$peers/rust/Cargo.toml" --target-dir "$folder/rust"
