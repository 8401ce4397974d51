"""How large things may get."""

from c_syntax import functions_of
from source import Finding

FUNCTION_LINES = 70
PARAMETERS = 5
NESTING = 3
FILE_LINES = 800
TEST_LINES = 1200
PUBLIC_HEADER_LINES = 300
LINE_CHARACTERS = 100


def file_limit(file):
    if file.under("include"):
        return PUBLIC_HEADER_LINES
    return TEST_LINES if file.under("tests") else FILE_LINES


def check_file_length(tree):
    """A file fits into a head."""
    for file in tree.files:
        count = len(file.lines) - 1
        if file.is_code and count > file_limit(file):
            yield Finding(file.path, count, f"{count} lines, at most {file_limit(file)}")


def check_line_length(tree):
    """A line fits on a screen."""
    for file in tree.files:
        if not file.is_code:
            continue
        for number, line in enumerate(file.lines, 1):
            if len(line) > LINE_CHARACTERS:
                yield Finding(file.path, number,
                              f"{len(line)} characters, at most {LINE_CHARACTERS}")


def each_function(tree):
    for file in tree.files:
        if file.is_c_or_cpp:
            for function in functions_of(file):
                yield file, function


def check_function_length(tree):
    """A function fits on a page."""
    for file, function in each_function(tree):
        count = function.last_line - function.first_line + 1
        if count > FUNCTION_LINES:
            yield Finding(file.path, function.first_line,
                          f"'{function.name}' has {count} lines, at most {FUNCTION_LINES}")


def check_parameters(tree):
    """More parameters want a struct."""
    for file, function in each_function(tree):
        if function.parameters > PARAMETERS:
            yield Finding(file.path, function.first_line,
                          f"'{function.name}' has {function.parameters} parameters,"
                          f" at most {PARAMETERS}")


def check_nesting(tree):
    """Deeper control flow wants a function."""
    for file, function in each_function(tree):
        if function.nesting > NESTING:
            yield Finding(file.path, function.nesting_line,
                          f"'{function.name}' nests {function.nesting} deep, at most {NESTING}")
