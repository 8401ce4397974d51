#!/usr/bin/env bash
# Shuffles real data by the command and proves from outside that nothing was lost: TPC-H's lineitem
# and orders by order key, and 336,776 flights by carrier and tail number, from 2 producers into 16
# partitions. Data and Python packages are made once, below build/.
#
#   scripts/run-demo.sh <fletch>          DEMO_SCALE: the scale factor of TPC-H, default 1
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
fletch=$1
scale=${DEMO_SCALE:-1}
venv=$root/build/venv
data=$root/build/demo/data-$scale
parts=$root/build/demo/parts-$scale
partitions=16

declare -A keys=([lineitem]=l_orderkey [orders]=o_orderkey [flights]=carrier,tailnum)

install_packages() {
    local stamp=$venv/.demo
    [ "$stamp" -nt "$root/tests/demo/requirements.txt" ] && return
    echo "installing into build/venv, by pip:" \
        "$(cat "$root"/tests/{demo/,}requirements.txt | grep -v '^[#-]' | xargs)"
    "$root/scripts/install-python.sh" "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$root/tests/demo/requirements.txt"
    touch "$stamp"
}

shuffle() {
    printf '\n$ fletch shuffle %s.arrow --by %s --partitions %s --producers 2 --sums rows\n' \
        "$1" "${keys[$1]}" "$partitions"
    "$fletch" shuffle "$data/$1.arrow" --by "${keys[$1]}" --partitions "$partitions" \
        --producers 2 --sums rows --out "$parts/$1" --replace
}

# The row sum of the parts as the command tells it, which must be that of the input.
row_sum() {
    "$fletch" verify --json "$data/$1.arrow" -- "$parts/$1" |
        "$venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["b"]["row_sum"])'
}

main() {
    install_packages
    "$venv/bin/python" -B "$root/tests/demo/make_data.py" "$data" "$scale"
    mkdir -p "$parts"
    local name sums=()
    for name in lineitem orders flights; do
        shuffle "$name"
        sums+=("\"$name\": \"$(row_sum "$name")\"")
    done
    printf '\nproof, by programs that share nothing with the library:\n'
    (IFS=,; printf '{%s}' "${sums[*]}") |
        "$venv/bin/python" -B "$root/tests/demo/verify_shuffle.py" "$data" "$parts" "$partitions"
}

main
