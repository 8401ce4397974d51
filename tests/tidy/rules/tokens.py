"""Words that may not stand in the library, or only in one place of it."""

import re
from dataclasses import dataclass

from c_syntax import functions_of
from source import Finding


@dataclass(frozen=True)
class Ban:
    pattern: str
    instead: str
    allowed_in: tuple = ()


BANNED = (
    Ban(r"\bvolatile\b", "an operation of base/atomic.h"),
    Ban(r"\b__sync_\w+", "an operation of base/atomic.h"),
    Ban(r"\b__atomic_\w+", "an operation of base/atomic.h"),
    Ban(r"\bmemory_order_consume\b", "load_acquire"),
    Ban(r"\bmemory_order_\w+", "an operation of base/atomic.h", ("src/base/atomic.h",)),
    Ban(r"\batomic_(?!thread_fence|signal_fence)\w+\s*\(", "an operation of base/atomic.h",
        ("src/base/atomic.h",)),
    Ban(r"\b(?:atomic_thread_fence|atomic_signal_fence|fence_seq_cst|fence_compiler)\b",
        "base/asymmetric_fence.h", ("src/base/",)),
    Ban(r"\bpthread_(?:mutex|cond|rwlock|spin|barrier)\w*", "an eventcount"),
    Ban(r"\b(?:mtx|cnd)_\w+\s*\(", "an eventcount"),
    Ban(r"\bsem_\w+\s*\(", "an eventcount"),
    Ban(r"\b(?:secure_)?getenv\s*\(", "an option"),
    Ban(r"\b(?:v?f?printf|v?dprintf|puts|fputs|putchar|perror)\s*\(", "a status with a message"),
    Ban(r"\b(?:exit|_exit|_Exit|quick_exit|abort|atexit)\s*\(", "a status"),
    Ban(r"\b(?:signal|sigaction|raise)\s*\(", "nothing: signals are the program's"),
    Ban(r"\b(?:malloc|calloc|realloc|free|posix_memalign|aligned_alloc|strdup|strndup)\s*\(",
        "base/allocator.h", ("src/base/allocator.c",)),
)


def check_banned_tokens(tree):
    """The table above."""
    for file in tree.library:
        for ban in BANNED:
            if file.path.startswith(ban.allowed_in) and ban.allowed_in:
                continue
            for line, match in file.search(ban.pattern):
                word = match[0].rstrip("( ")
                yield Finding(file.path, line, f"'{word}' is banned; use {ban.instead}")


def check_conditionals(tree):
    """Variants are separate files, or separate functions: no #if inside a function."""
    for file in tree.library:
        for function in functions_of(file):
            for line in range(function.body_line, function.last_line + 1):
                if re.match(r"\s*#\s*if", file.code_lines[line - 1]):
                    yield Finding(file.path, line, f"#if inside the function '{function.name}'")


MARK = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b(?!.*\b(?:because|until|once|when)\b)")


def check_open_work(tree):
    """Open work says what it waits for."""
    for file in tree.files:
        if not file.is_code or file.under("tests/tidy"):
            continue
        for number, line in enumerate(file.lines, 1):
            match = MARK.search(line)
            if match:
                yield Finding(file.path, number,
                              f"{match[0]} without 'because', 'until', 'once' or 'when'")


def check_prefix(tree):
    """Functions that other files can see carry the prefix."""
    for file in tree.library:
        if file.suffix != ".c":
            continue
        for function in functions_of(file):
            if not function.is_static and not function.name.startswith("fletch_"):
                yield Finding(file.path, function.first_line,
                              f"'{function.name}' is neither static nor prefixed fletch_")
