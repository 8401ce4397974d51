#!/usr/bin/env bash
# Builds a program of Arrow's Java library into a folder, from Maven Central: a JSON of the
# integration format to a file and back, files to streams and back. Wants Maven and a JDK of 17 or
# later. Arrow's own program (arrow-tools) is not published.
#
#   scripts/install-java-tools.sh [folder]    default: build/interop/java
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$root/build/interop/java}
source=$root/tests/golden/java

for tool in mvn javac java; do
    command -v "$tool" >/dev/null || {
        echo "there is no $tool: Maven and a JDK of 17 or later are needed" >&2
        exit 1
    }
done
mkdir -p "$folder"
folder=$(realpath "$folder")
if [ ! -e "$folder/jars/complete" ] || [ "$source/pom.xml" -nt "$folder/jars/complete" ]; then
    mvn --quiet --batch-mode --strict-checksums --file "$source/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies \
        -DoutputDirectory="$folder/jars" -DincludeScope=runtime
    touch "$folder/jars/complete"
fi
javac -cp "$folder/jars/*" -d "$folder/classes" "$source/ArrowInterop.java"
