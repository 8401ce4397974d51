"""Names and places of files, and what no file may give away."""

import posixpath
import re
from collections import defaultdict

from source import Finding

NO_NOUN = {"util", "utils", "misc", "common", "helper", "helpers"}
VARIANT = re.compile(r"_(?:scalar|sse42|avx2|avx512|armv8|neon|x86_64|aarch64)$")
MANY_OF_THEM = {"__init__.py", "CMakeLists.txt", "conftest.py"}
HOSTS = {
    "arrow.apache.org", "www.apache.org", "github.com", "doi.org", "www.kernel.org",
    "docs.kernel.org", "cmake.org", "json.schemastore.org", "semver.org", "keepachangelog.com",
}
URL = re.compile(r"\b(?:https?|ftp)://([\w.-]*\w)")
LINK = re.compile(r"\]\((?!\w+://|#)([^)#\s]+)")
PRIVATE_FOLDERS = ("root", "work", "home", "tmp")
MACHINE_PATH = re.compile(r"(?<![\w./$}>)*~-])/(?:" + "|".join(PRIVATE_FOLDERS) + r")(?![\w-])")


def check_nouns(tree):
    """A file or folder without a noun has no home."""
    for file in tree.files:
        for part in file.path.split("/"):
            if part.split(".")[0] in NO_NOUN:
                yield Finding(file.path, 1, f"'{part}' says nothing about what is in it")


def check_unique_names(tree):
    """A file's name says which file it is; public headers share theirs with the private ones."""
    places = defaultdict(list)
    for file in tree.files:
        if file.is_code and not file.under("include") and file.file_name not in MANY_OF_THEM:
            places[file.file_name].append(file.path)
    for name, paths in sorted(places.items()):
        for path in paths[1:]:
            yield Finding(path, 1, f"'{name}' is the name of {paths[0]} too")


def check_pairs(tree):
    """A concept is a .c and a .h: of the same folder, or the public one."""
    for file in tree.files:
        if not file.under("src") or file.suffix != ".c":
            continue
        folder = file.path.rpartition("/")[0]
        stem = VARIANT.sub("", file.stem)
        stems = [stem]
        while stem != file.stem and "_" in stem:
            stem = stem.rpartition("_")[0]
            stems.append(stem)
        headers = [f"{place}/{name}.h" for name in stems for place in (folder, "include/fletching")]
        if not any(header in tree.by_path for header in headers):
            yield Finding(file.path, 1, f"has no header {headers[0]} or {headers[1]}")


def each_line(tree):
    for file in tree.files:
        for number, line in enumerate(file.lines, 1):
            yield file, number, line


def check_hosts(tree):
    """Addresses lead to the hosts of the table above and nowhere else."""
    for file, number, line in each_line(tree):
        for host in URL.findall(line):
            if host not in HOSTS:
                yield Finding(file.path, number, f"the host '{host}' is in no table of tests/tidy")


def check_machine_paths(tree):
    """Nothing depends on the folders of one machine."""
    for file, number, line in each_line(tree):
        for match in MACHINE_PATH.finditer(line):
            yield Finding(file.path, number, f"'{match[0]}' is a folder of one machine")


def check_links(tree):
    """Links of our pages lead to files that are there."""
    for file, number, line in each_line(tree):
        if file.suffix != ".md":
            continue
        for target in LINK.findall(line):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), target))
            if not any(known == path or known.startswith(path + "/") for known in tree.by_path):
                yield Finding(file.path, number, f"the link '{target}' leads nowhere")


def check_version(tree):
    """CMake and the public header tell one version."""
    header = tree.by_path.get("include/fletching/version.h")
    build = tree.by_path.get("CMakeLists.txt")
    if header is None or build is None:
        return
    parts = dict(re.findall(r"#define FLETCH_VERSION_(MAJOR|MINOR|PATCH) (\d+)", header.text))
    told = ".".join(parts.get(part, "?") for part in ("MAJOR", "MINOR", "PATCH"))
    project = re.search(r"project\([^)]*VERSION ([\d.]+)", build.text)
    if project is None or project[1] != told:
        yield Finding(header.path, 1, f"version {told}, but CMakeLists.txt says "
                                      f"{project[1] if project else 'none'}")
