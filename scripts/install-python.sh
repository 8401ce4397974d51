#!/usr/bin/env bash
# Makes a virtual environment with the Python packages that tests compare with
# (tests/requirements.txt), and brings one that is there up to date. What the system's Python has in
# the wanted version is used as it is.
#
#   scripts/install-python.sh [folder]          default: build/venv
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
venv=${1:-$root/build/venv}

[ -x "$venv/bin/python" ] || python3 -m venv --system-site-packages "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --requirement "$root/tests/requirements.txt"
