"""Reads files of other implementations and compares them with what their JSON says is in them;
writes them again and reads that."""

import copy
import gzip
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True

from arrow_json import expected_of  # noqa: E402
from arrow_json_writer import json_of  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def testing_data():
    """The folder of Arrow's testing data, or None."""
    told = os.environ.get("FLETCH_ARROW_TESTING_DIR")
    candidates = [Path(told)] if told else [ROOT.parent / "shared" / "arrow-testing",
                                            ROOT.parent / "arrow-testing"]
    for candidate in candidates:
        if (candidate / "data" / "arrow-ipc-stream" / "integration").is_dir():
            return candidate / "data"
    if told:
        sys.exit(f"FLETCH_ARROW_TESTING_DIR is '{told}', where there is no golden data")
    print("Arrow's testing data is not there (FLETCH_ARROW_TESTING_DIR): only our own files")
    return None


def golden_folders(data):
    """Folders of golden files: our own, and Arrow's."""
    yield HERE / "data"
    if data:
        integration = data / "arrow-ipc-stream" / "integration"
        yield from sorted(folder for folder in integration.iterdir() if folder.is_dir())


def run(tool, *arguments):
    return subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True)


def shorten(text):
    return text if len(text) < 600 else text[:600] + " …"


class Failures:
    def __init__(self):
        self.count = 0

    def add(self, path, what):
        self.count += 1
        print(f"{path}: {what}")


def normal(field, below_map=False):
    """Neither the order of metadata nor the names that a map's children have says anything."""
    is_map = field["format"] == "+m"
    told = field | {
        "name": "" if below_map else field["name"],
        "metadata": sorted(field["metadata"]),
        "children": [normal(child, is_map or below_map and field["format"] == "+s")
                     for child in field["children"]],
    }
    return told | {"values": normal(field["values"])} if "values" in field else told


def sort_metadata(told):
    """Of schema or field, and of all fields below."""
    told["metadata"] = sorted(told["metadata"])
    for child in told.get("fields", told.get("children", [])):
        sort_metadata(child)


def expect_dump(tool, source, expected, failures, path, keeps_order=True):
    result = run(tool, "dump", source)
    if result.returncode != 0:
        failures.add(path, f"dump {source}: {shorten(result.stderr)}")
        return False
    found = json.loads(result.stdout)
    found["fields"] = [normal(field) for field in found["fields"]]
    expected = expected | {"fields": [normal(field) for field in expected["fields"]]}
    if not keeps_order:
        found, expected = copy.deepcopy(found), copy.deepcopy(expected)
        sort_metadata(found)
        sort_metadata(expected)
    for key in ("metadata", "fields"):
        if found[key] != expected[key]:
            failures.add(path, f"{key}: expected {shorten(str(expected[key]))}\n"
                               f"  found {shorten(str(found[key]))}")
            return False
    if len(found["batches"]) != len(expected["batches"]):
        failures.add(path, f"{len(found['batches'])} batches, expected {len(expected['batches'])}")
        return False
    for number, (left, right) in enumerate(zip(expected["batches"], found["batches"])):
        if left != right:
            failures.add(path, f"batch {number}: expected {shorten(str(left))}\n"
                               f"  found {shorten(str(right))}")
            return False
    return True


def expect_refusal(tool, path, failures, why):
    result = run(tool, "dump", path)
    if result.returncode != 1 or why not in result.stderr or \
            "UNIMPLEMENTED" not in result.stderr:
        failures.add(path, f"was not refused because of {why}: {result.returncode} "
                           f"{shorten(result.stderr)}")


def is_replaced(golden):
    return "replaced" in golden.name or "replacement" in golden.name


COPIES = (("stream", 8), ("stream", 64), ("file", 8), ("file", 64), ("stream-lz4", 8),
          ("stream-zstd", 64), ("file-zstd", 8), ("file-lz4", 64))


def copies_of(path):
    """All, but of Arrow's many files every other: the file's form says which."""
    if path.parent == HERE / "data":
        return COPIES
    return COPIES[path.suffix == ".stream"::2]


def check_copies(tool, path, expected, failures):
    for kind, alignment in copies_of(path):
        if kind.startswith("file") and is_replaced(path):
            continue
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "copy"
            result = run(tool, "copy", kind, alignment, source_of(path), out)
            if result.returncode != 0:
                failures.add(path, f"copy as {kind}: {shorten(result.stderr)}")
                return
            copied = source_of(path).replace(f"{path}", f"{out}")
            if not expect_dump(tool, copied, expected, failures, f"{path} copied as {kind}"):
                return


def load(path):
    """What the file that lies beside has, in the form of ipc_tool."""
    plain = path.with_suffix(".json")
    if plain.exists():
        return json.loads(plain.read_text())
    with gzip.open(path.with_suffix(".json.gz"), "rt") as file:
        return expected_of(json.load(file))


def source_of(path):
    """Arrow made decimals of more digits than their precision until 2.0: what is in them passes no
    full validation, its own neither."""
    is_old = path.parent.name.startswith(("0.", "1."))
    return f"loose:{path}" if is_old and "decimal" in path.name else f"{path}"


def check(tool, path, failures):
    expected = load(path)
    if expected_of(json_of(copy.deepcopy(expected))) != expected:
        failures.add(path, "is not what it was once it has been written as JSON")
    source = source_of(path)
    if not expect_dump(tool, source, expected, failures, path):
        return
    if path.suffix == ".stream":
        expect_dump(tool, source.replace(f"{path}", f"fd:{path}"), expected, failures, path)
    check_copies(tool, path, expected, failures)


def main():
    tool = sys.argv[1]
    failures = Failures()
    data = testing_data()
    paths = [path for folder in golden_folders(data)
             for path in sorted([*folder.glob("*.stream"), *folder.glob("*.arrow_file")])]
    count = len(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda path: check(tool, path, failures), paths))
    if data and (data / "forward-compatibility").is_dir():
        for path in (data / "forward-compatibility").glob("*.arrow"):
            expect_refusal(tool, path, failures, "metadata version V6, expected V4 or V5")
            count += 1
    print(f"{count} files, {failures.count} failures")
    sys.exit(1 if failures.count or not count else 0)


if __name__ == "__main__":
    main()
