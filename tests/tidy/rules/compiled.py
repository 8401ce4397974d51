"""What only tools can tell: compilers about headers, nm about the library, clang-format."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from source import Finding

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wundef", "-Wstrict-prototypes", "-Werror")
CPP_WARNINGS = tuple(word for word in WARNINGS if word != "-Wstrict-prototypes")
LOCKS = re.compile(r"(?:pthread_(?:mutex|cond|rwlock|spin|barrier)|sem_|mtx_|cnd_)")
CLANG_FORMAT_VERSION = 14


def output_of(command, text=None, root=None):
    return subprocess.run(command, input=text, cwd=root, capture_output=True, text=True,
                          check=False)


def header_jobs(tree):
    """(header, what it is compiled as, command)."""
    public = ("-I", "include")
    for file in tree.library:
        if file.suffix != ".h":
            continue
        if file.under("include"):
            for standard in ("c11", "c17"):
                yield file, standard, (tree.c_compiler, "-x", "c", f"-std={standard}",
                                       *WARNINGS, *public)
            yield file, "c++17", (tree.cpp_compiler, "-x", "c++", "-std=c++17",
                                  *CPP_WARNINGS, *public)
        else:
            yield file, "c17", (tree.c_compiler, "-x", "c", "-std=c17", *WARNINGS, *public,
                                "-I", "src")


def check_headers(tree):
    """Each header compiles alone: public ones as C11, C17 and C++17, private ones as C17."""

    def compile_alone(job):
        file, standard, command = job
        name = file.path.partition("/")[2]
        source = f"#include <{name}>\n#include <{name}>\nextern int not_empty;\n"
        result = output_of((*command, "-fsyntax-only", "-"), source, tree.root)
        if result.returncode == 0:
            return None
        error = re.search(r"error: .*", result.stderr)
        return Finding(file.path, 1, f"alone as {standard}: "
                                     f"{error[0] if error else result.stderr.strip()}")

    with ThreadPoolExecutor(2) as pool:
        yield from filter(None, pool.map(compile_alone, list(header_jobs(tree))))


def declared_exports(tree):
    """Function name -> (path, line) of its FLETCH_EXPORT declaration."""
    declared = {}
    for file in tree.public_headers:
        code = "\n".join("" if line.lstrip().startswith("#") else line for line in file.code_lines)
        for match in re.finditer(r"\bFLETCH_EXPORT\b([^;]*?)(\w+)\s*\(", code):
            declared[match[2]] = (file.path, code.count("\n", 0, match.start(2)) + 1)
    return declared


def mapped_symbols(file):
    """Symbol -> line, of the global parts of a version script."""
    symbols, is_global = {}, False
    for number, line in enumerate(file.code_lines, 1):
        if re.match(r"\s*global:", line):
            is_global = True
        elif re.match(r"\s*local:", line):
            is_global = False
        elif is_global:
            for name in re.findall(r"(\w+)\s*;", line):
                symbols[name] = number
    return symbols


def exported_symbols(tree):
    """Symbol -> version node, as nm sees them; the nodes' own names are left out."""
    listing = output_of(("nm", "-D", "--defined-only", str(tree.shared_library))).stdout
    exported = {}
    for line in listing.splitlines():
        kind, _, symbol = line.partition(" ")[2].partition(" ")
        name, _, node = symbol.partition("@")
        if kind != "A":
            exported[name] = node.lstrip("@")
    return exported


def check_exports(tree):
    """Exports of the shared library = src/fletching.map = FLETCH_EXPORT declarations."""
    script = tree.by_path.get("src/fletching.map")
    if script is None or tree.shared_library is None:
        tree.notes.append("exports: skipped, there is no shared library to look into")
        return
    declared, mapped = declared_exports(tree), mapped_symbols(script)
    exported = exported_symbols(tree)
    for name, (path, line) in sorted(declared.items()):
        if name not in mapped:
            yield Finding(path, line, f"'{name}' is declared for export and not in {script.path}")
    for name, line in sorted(mapped.items()):
        if name not in declared:
            yield Finding(script.path, line, f"'{name}' is mapped and not declared for export")
        elif name not in exported and not (tree.without and name.startswith(tree.without)):
            yield Finding(script.path, line, f"'{name}' is mapped and not in the library")
    for name, node in sorted(exported.items()):
        if name not in mapped:
            yield Finding(script.path, 1, f"'{name}' is exported and not mapped")
        elif not node:
            yield Finding(script.path, mapped[name], f"'{name}' is exported without a version")


def check_library_symbols(tree):
    """The library takes no lock from the system and leaves no name without our prefix."""
    if tree.static_library is None:
        tree.notes.append("library-symbols: skipped, there is no static library to look into")
        return
    member = ""
    for line in output_of(("nm", "-g", str(tree.static_library))).stdout.splitlines():
        if line.endswith(":"):
            member = line[:-1]
        words = line.split()
        if len(words) < 2 or words[-1].startswith("__"):
            continue
        kind, name = words[-2], words[-1]
        if kind == "U" and LOCKS.match(name):
            yield Finding(member, 1, f"the library calls '{name}'")
        elif kind not in "Uvw" and not name.startswith("fletch_"):
            yield Finding(member, 1, f"the library defines '{name}', not prefixed fletch_")


def check_format(tree):
    """Code looks as clang-format writes it. Skipped where that is missing or of another version."""
    program = shutil.which("clang-format")
    told = output_of((program, "--version")).stdout if program else ""
    if f"version {CLANG_FORMAT_VERSION}." not in told:
        tree.notes.append(f"format: skipped, clang-format {CLANG_FORMAT_VERSION} is not installed")
        return
    paths = [file.path for file in tree.files if file.is_c_or_cpp]
    if not paths:
        return
    check = (program, "--dry-run", "-Werror", "--style=file", *paths)
    errors = re.findall(r"^([^:\s]+):(\d+):\d+: error:", output_of(check, root=tree.root).stderr,
                        re.MULTILINE)
    seen = set()
    for path, line in errors:
        if path not in seen:
            seen.add(path)
            yield Finding(path, int(line), "is not formatted; run `make format`")
