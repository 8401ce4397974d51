"""Who may include whom."""

import posixpath

from source import Finding

# A folder of src/ may include its own files and those of the folders named here.
LAYERS = {
    "base": (),
    "sync": ("base",),
    "memory": ("base", "sync"),
    "arrow": ("base", "memory"),
    "partition": ("base", "memory", "arrow"),
    "net": ("base", "sync", "memory"),
    "http2": ("base", "memory"),
    "grpc": ("base", "memory", "http2"),
    "rpc": ("base", "memory", "net", "http2", "grpc"),
    "flight": ("base", "memory", "sync", "arrow", "net", "http2", "grpc", "rpc"),
    "shm": ("base", "sync", "memory", "arrow"),
    "spill": ("base", "sync", "memory", "arrow"),
    "shuffle": ("base", "sync", "memory", "arrow", "partition", "net", "http2", "grpc", "rpc",
                "flight", "shm", "spill"),
    "pump": ("base", "sync", "memory", "arrow", "partition", "net", "http2", "grpc", "rpc", "flight",
             "spill", "shuffle"),
    "flow": ("base", "sync", "memory", "arrow", "partition", "net", "http2", "grpc", "rpc",
             "flight", "shm", "spill", "shuffle"),
    "service": ("base", "sync", "memory", "arrow", "partition", "net", "http2", "grpc", "rpc",
                "flight", "shm", "spill", "shuffle", "pump"),
}

# Third-party headers, and the one file or folder of src/ that may include them.
THIRD_PARTY = {
    "nghttp2/": "src/http2/",
    "openssl/": "src/net/",
    "zstd.h": "src/arrow/codec_zstd.c",
    "lz4.h": "src/arrow/codec_lz4.c",
    "lz4frame.h": "src/arrow/codec_lz4.c",
    "jansson.h": "src/service/",
}

C_HEADERS = {
    "assert.h", "complex.h", "ctype.h", "errno.h", "fenv.h", "float.h", "inttypes.h", "limits.h",
    "math.h", "stdalign.h", "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h",
    "stdio.h", "stdlib.h", "stdnoreturn.h", "string.h", "time.h", "uchar.h", "wchar.h",
}
SYSTEM_HEADERS = {
    "dirent.h", "dlfcn.h", "fcntl.h", "netdb.h", "poll.h", "pthread.h", "sched.h", "signal.h",
    "strings.h", "unistd.h", "immintrin.h", "arm_neon.h", "arm_acle.h",
}
SYSTEM_FOLDERS = ("sys/", "linux/", "asm/", "net/", "netinet/", "arpa/")

PUBLIC_ONLY = ("programs", "python", "examples")


def check_layers(tree):
    """A folder of src/ includes only the folders that it stands on."""
    for file in tree.library:
        folder = file.path.split("/")[1] if file.under("src") else None
        if file.under("src") and folder not in LAYERS:
            yield Finding(file.path, 1, f"'{folder}' is no folder of the table of layers")
            continue
        for line, name, quoted in file.includes:
            target = name.split("/")[0]
            if not quoted or "/" not in name or target not in LAYERS:
                continue
            if folder is None:
                yield Finding(file.path, line, f"a public header includes '{name}' of src/")
            elif target != folder and target not in LAYERS[folder]:
                yield Finding(file.path, line, f"{folder} may not include {target}: '{name}'")


def check_include_form(tree):
    """Our own headers are included from src/ in quotes, or as <fletching/...>."""
    for file in tree.library:
        for line, name, quoted in file.includes:
            if name.startswith("fletching/"):
                known = "include/" + name in tree.by_path
                if quoted or not known:
                    yield Finding(file.path, line,
                                  f"<{name}> is not a public header in angle brackets")
            elif quoted and "src/" + name not in tree.by_path:
                yield Finding(file.path, line, f"'{name}' is not written from src/")


def third_party_home(name):
    for prefix, home in THIRD_PARTY.items():
        if name == prefix or (prefix.endswith("/") and name.startswith(prefix)):
            return home
    return None


def check_third_party(tree):
    """A third-party header stays in its one place; any other must be C's or the system's."""
    for file in tree.library:
        for line, name, quoted in file.includes:
            if quoted or name.startswith("fletching/"):
                continue
            home = third_party_home(name)
            if home is None:
                if name not in C_HEADERS | SYSTEM_HEADERS and not name.startswith(SYSTEM_FOLDERS):
                    yield Finding(file.path, line, f"<{name}> is in no table of tests/tidy")
            elif not file.path.startswith(home):
                yield Finding(file.path, line, f"<{name}> belongs into {home} alone")


def check_public_only(tree):
    """Programs, bindings and examples use public headers only."""
    for file in tree.files:
        if not (file.is_c_or_cpp and file.under(*PUBLIC_ONLY)):
            continue
        folder = posixpath.dirname(file.path)
        for line, name, quoted in file.includes:
            included = posixpath.normpath(f"{folder}/{name}")
            is_own = included in tree.by_path and tree.by_path[included].under(*PUBLIC_ONLY)
            if quoted and not is_own:
                yield Finding(file.path, line, f"'{name}' is not of this folder and not public")


def included_paths(tree, file):
    for line, name, _ in file.includes:
        for candidate in ("src/" + name, "include/" + name):
            if candidate in tree.by_path:
                yield line, candidate


def check_cycles(tree):
    """No header includes itself, by whatever way."""
    finished = set()

    def visit(path, way):
        for line, target in included_paths(tree, tree.by_path[path]):
            if target in way:
                yield Finding(path, line, f"includes '{target}' in a circle")
            elif target not in finished:
                yield from visit(target, way | {target})
        finished.add(path)

    for file in tree.library:
        if file.path not in finished:
            yield from visit(file.path, {file.path})
