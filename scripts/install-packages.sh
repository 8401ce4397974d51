#!/usr/bin/env bash
# Installs the packages that a set of tools consists of, by apt: says so first, and asks for nothing
# that is there already. Where there is no apt, it names what is missing and fails.
#
#   scripts/install-packages.sh <set>...        sets: compile demo test bench format coverage cross
#                                               fuzz interop
set -euo pipefail

# One line for each package: sets, name, and how to see that it is there if dpkg does not know it.
table() {
    cat <<'TABLE'
compile,test,bench  gcc                    command gcc
compile,test,bench  libc6-dev              header stdio.h
compile,test,bench  cmake                  command cmake
compile,test,bench  ninja-build            command ninja
compile,test,bench  liblz4-dev             header lz4.h
compile,test,bench  libzstd-dev            header zstd.h
compile,test,bench  libnghttp2-dev         header nghttp2/nghttp2.h
compile,test,bench  libjansson-dev         header jansson.h
compile,test,bench  g++                    command g++
compile,test,bench  libtomlplusplus-dev    header toml++/toml.h
test,bench          pkg-config             command pkg-config
demo,test           python3                command python3
demo,test           python3-venv           python ensurepip
test                git                    command git
test                binutils               command nm
test                libcmocka-dev          module cmocka
test                curl                   command curl
test                nghttp2-client         command h2load
bench               libck-dev              header ck_ring.h
bench               libcuckoo-dev          header libcuckoo/cuckoohash_map.hh
bench               libdpdk-dev            module libdpdk
bench               liburcu-dev            header urcu/wfcqueue.h
bench               libboost-dev           header boost/lockfree/queue.hpp
bench               libreaderwriterqueue-dev header readerwriterqueue/readerwriterqueue.h
bench               libconcurrentqueue-dev header concurrentqueue/concurrentqueue.h
bench               libtbb-dev             header oneapi/tbb/concurrent_queue.h
bench               libxenium-dev          header xenium/ramalhete_queue.hpp
bench               libatomic-queue-dev    header atomic_queue/atomic_queue.h
bench               libmimalloc-dev        header mimalloc.h
bench               libjemalloc-dev        header jemalloc/jemalloc.h
bench               libgrpc++-dev          module grpc++
bench               maven                  command mvn
bench               default-jdk-headless   command javac
format              clang-format           command clang-format
coverage            gcovr                  command gcovr
fuzz                clang                  command clang
fuzz                libclang-rt-dev        fuzzer clang
cross               gcc-aarch64-linux-gnu  command aarch64-linux-gnu-gcc
cross               libc6-dev-arm64-cross  command aarch64-linux-gnu-gcc
cross               qemu-user              command qemu-aarch64
interop             maven                  command mvn
interop             default-jdk-headless   command javac
interop             nodejs                 command node
interop             npm                    command npm
TABLE
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

is_there() {
    local kind=$1 name=$2
    case $kind in
    command) command -v "$name" >/dev/null ;;
    python) python3 -c "import $name" 2>/dev/null ;;
    module) pkg-config --exists "$name" 2>/dev/null ;;
    fuzzer) echo "int x;" | "$name" -x c -fsanitize=fuzzer-no-link -c -o /dev/null - 2>/dev/null &&
        [ -e "$("$name" -print-file-name="libclang_rt.fuzzer-$(uname -m).a")" ] ;;
    header) echo "#include <$name>" | ${CXX:-c++} -x c++ -std=c++17 -E - >/dev/null 2>&1 ;;
    esac
}

# Names of the packages of the sets "$@" that are missing.
missing_of() {
    local sets name kind probe wanted
    while read -r sets name kind probe; do
        for wanted in "$@"; do
            case ",$sets," in
            *,"$wanted",*) is_installed "$name" || is_there "$kind" "$probe" || echo "$name" ;;
            esac
        done
    done < <(table) | sort -u
}

apt() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || return 1
        as_root=(sudo)
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=300 "$@"
}

main() {
    local missing=()
    mapfile -t missing < <(missing_of "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "missing, and there is no apt-get to install them: ${missing[*]}" >&2
        return 1
    fi
    echo "installing packages for $*: ${missing[*]}"
    # The lists of a fresh machine are empty or old: fetched only if they turn out not to do.
    apt install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return
    apt update && apt install -y --no-install-recommends "${missing[@]}" >/dev/null && return
    echo "could not install them; as root: apt-get install ${missing[*]}" >&2
    return 1
}

main "$@"
