#!/usr/bin/env bash
# Makes a virtual environment with the Python packages of a list, and brings one that is there up to
# date: says so first. What the system's Python has in the wanted version is used as it is.
#
#   scripts/install-python.sh [folder [list]]    default: build/venv tests/requirements.txt
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
venv=${1:-$root/build/venv}
list=${2:-$root/tests/requirements.txt}

[ -x "$venv/bin/python" ] || python3 -m venv --system-site-packages "$venv"
echo "installing Python packages of $list into $venv: $(grep -v '^#' "$list" | tr '\n' ' ')"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --requirement "$list"
