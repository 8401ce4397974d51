#!/usr/bin/env bash
# Builds the rings of Java and Rust that ours are compared with, each a program of its own, below a
# folder: <folder>/java and <folder>/rust. Wants Maven and a JDK of 17 or later, and Cargo 1.85 or
# later; what cannot be built is left out, and told.
#
#   scripts/build-foreign-rings.sh <folder>
set -euo pipefail

folder=$(mkdir -p "$1" && cd "$1" && pwd)
peers=$(cd "$(dirname "$0")/../bench/peers" && pwd)

build_java() {
    local jar
    for jar in com.lmax:disruptor:4.0.0 org.jctools:jctools-core:4.0.5; do
        mvn --quiet --batch-mode --strict-checksums \
            org.apache.maven.plugins:maven-dependency-plugin:2.8:copy -Dartifact="$jar" \
            -DoutputDirectory="$folder/java/jars" || return
    done
    javac -cp "$folder/java/jars/*" -d "$folder/java/classes" "$peers"/java/src/*.java
}

build_rust() {
    cargo build --quiet --locked --release --manifest-path "$peers/rust/Cargo.toml" \
        --target-dir "$folder/rust"
}

for kind in java rust; do
    "build_$kind" || echo "the rings of $kind cannot be built here: left out" >&2
done
