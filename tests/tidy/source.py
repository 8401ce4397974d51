"""The tree as the rules see it: which files there are, and what in them is code or comment."""

import functools
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

C_SUFFIXES = (".c", ".h")
CPP_SUFFIXES = (".cpp", ".hpp")
SCRIPT_SUFFIXES = (".py", ".sh", ".cmake")
FIXTURES = "tests/tidy/fixtures/"
NOT_WALKED = {".git", "build", "__pycache__"}
LARGEST_TEXT_BYTES = 2_000_000

# Whatever hides text from the compiler; and numbers, in which a ' is no quote.
HIDDEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)"""
    r"""|(?P<string>R"\(.*?\)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|\b\d[\w.']*""",
    re.DOTALL,
)


@dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.message}"


def spaces(text):
    """As long as `text` and with its line ends, but blank."""
    return re.sub(r"[^\n]", " ", text)


class SourceFile:
    def __init__(self, root, path):
        self.path = path
        self.file_name = path.rpartition("/")[2]
        self.stem, self.suffix = os.path.splitext(self.file_name)
        self.location = Path(root) / path

    @functools.cached_property
    def text(self):
        """The file's text; empty for what is no text."""
        try:
            data = self.location.read_bytes()
            return data.decode() if len(data) <= LARGEST_TEXT_BYTES else ""
        except (OSError, UnicodeDecodeError):
            return ""

    @functools.cached_property
    def lines(self):
        return self.text.split("\n")

    def under(self, *folders):
        return self.path.startswith(tuple(folder + "/" for folder in folders))

    @property
    def is_c(self):
        return self.suffix in C_SUFFIXES

    @property
    def is_c_or_cpp(self):
        return self.suffix in C_SUFFIXES + CPP_SUFFIXES

    @property
    def is_code(self):
        return (self.is_c_or_cpp or self.suffix in SCRIPT_SUFFIXES
                or self.file_name in ("CMakeLists.txt", "Makefile"))

    @functools.cached_property
    def code(self):
        """The text with comments and the insides of strings blanked: same lines, same columns."""

        def blank(match):
            if match["comment"]:
                return spaces(match[0])
            if match["string"]:
                return match[0][0] + spaces(match[0][1:-1]) + match[0][-1]
            return match[0]

        return HIDDEN.sub(blank, self.text)

    @functools.cached_property
    def code_lines(self):
        return self.code.split("\n")

    @functools.cached_property
    def comment_lines(self):
        """What of each line is comment, blanks elsewhere."""

        def blank_code(match):
            return match[0] if match["comment"] else spaces(match[0])

        kept, position = [], 0
        for match in HIDDEN.finditer(self.text):
            kept.append(spaces(self.text[position:match.start()]))
            kept.append(blank_code(match))
            position = match.end()
        kept.append(spaces(self.text[position:]))
        return "".join(kept).split("\n")

    def comments_of_statement(self, line):
        """The comments in the statement that `line` belongs to, and those right above it."""
        first = line
        while first > 1 and self.continues(first - 1):
            first -= 1
        last = line
        while last < len(self.lines) and self.is_open(last):
            last += 1
        return "\n".join(self.comment_lines[first - 1:last])

    def is_open(self, line):
        """Whether the statement goes on behind the end of `line`."""
        code = self.code_lines[line - 1].strip()
        return code != "" and code[-1] not in ";{}:"

    def continues(self, line):
        """Whether `line` is a comment, or part of a statement that goes on below."""
        return self.lines[line - 1].strip() != "" and (
            self.code_lines[line - 1].strip() == "" or self.is_open(line))

    @functools.cached_property
    def includes(self):
        """(line, name, quoted) for each #include."""
        found = []
        for number, code in enumerate(self.code_lines, 1):
            if re.match(r"\s*#\s*include\b", code):
                match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', self.lines[number - 1])
                if match:
                    found.append((number, match[2], match[1] == '"'))
        return found

    def search(self, pattern):
        """(line, match) for each match of `pattern` in code."""
        for number, code in enumerate(self.code_lines, 1):
            for match in re.finditer(pattern, code):
                yield number, match


def tracked_paths(root):
    """What git tracks or would track; all files where `root` is not the top of a checkout."""
    if (Path(root) / ".git").exists():
        listing = subprocess.run(["git", "ls-files", "-zco", "--exclude-standard"], cwd=root,
                                 capture_output=True, text=True, check=False)
        if listing.returncode == 0:
            return [path for path in listing.stdout.split("\0") if path]
    paths = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in NOT_WALKED]
        paths += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return paths


@dataclass
class Tree:
    """What a rule gets: the files, the compilers, and the built library (None: not built)."""

    root: Path
    c_compiler: str = "cc"
    cpp_compiler: str = "c++"
    shared_library: Path | None = None
    static_library: Path | None = None
    without: str = ""  # names that begin so were left out of it
    notes: list = field(default_factory=list)

    @functools.cached_property
    def files(self):
        paths = (path for path in tracked_paths(self.root) if not path.startswith(FIXTURES))
        return [SourceFile(self.root, path) for path in sorted(paths)
                if (self.root / path).is_file()]

    @functools.cached_property
    def by_path(self):
        return {file.path: file for file in self.files}

    @property
    def library(self):
        """Sources and headers of the library."""
        return [file for file in self.files if file.is_c and file.under("src", "include")]

    @property
    def public_headers(self):
        return [file for file in self.files if file.under("include") and file.suffix == ".h"]
