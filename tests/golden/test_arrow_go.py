"""Arrow's integration tools of Go, on our files and we on theirs: what a JSON says is in a file
that we wrote, their files of that JSON have for us, and streams and files that they turned into
each other. Skipped where the tools are not there: FLETCH_ARROW_GO_TOOLS names their folder, which
`make interop` fills."""

import copy
import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

from arrow_json import expected_of  # noqa: E402
from arrow_json_writer import json_of  # noqa: E402
from test_golden import (Failures, expect_dump, golden_folders, is_replaced, load,  # noqa: E402
                         run, shorten, testing_data)

TOOLS = Path(os.environ.get("FLETCH_ARROW_GO_TOOLS", "/nowhere"))
VALIDATE, TO_ARROW = "VALIDATE", "JSON_TO_ARROW"


def integration(mode, arrow, told):
    """Their tool's answer; empty: fine."""
    result = subprocess.run([TOOLS / "arrow-json-integration-test", "-arrow", arrow, "-json", told,
                             "-mode", mode], capture_output=True, text=True)
    return shorten(result.stderr + result.stdout) if result.returncode else ""


def through(program, source, target):
    """The converter of files wants a path, the other one reads what it is given."""
    with open(source, "rb") as given, open(target, "wb") as taken:
        result = subprocess.run([TOOLS / program, *([source] if "file-to" in program else [])],
                                stdin=given, stdout=taken, stderr=subprocess.PIPE)
    return result.stderr.decode() if result.returncode else ""


def json_beside(path, expected, folder):
    """The JSON of what is in a golden file, theirs or made of ours."""
    told = folder / "told.json"
    packed = path.with_suffix(".json.gz")
    if packed.exists():
        told.write_bytes(gzip.decompress(packed.read_bytes()))
    else:
        told.write_text(json.dumps(json_of(copy.deepcopy(expected))))
    return told


def check(tool, path, folder, failures):
    """Whether the case could be tried: what their tools cannot do with the file as it came, they
    need not do with ours."""
    expected = load(path)
    told = json_beside(path, expected, folder)
    ours, theirs = folder / "ours", folder / "theirs"
    if path.with_suffix(".json.gz").exists() and integration(VALIDATE, path, told):
        return False
    if through("arrow-file-to-stream", path, theirs):
        return False
    if integration(TO_ARROW, theirs, told):
        return False
    expect_dump(tool, theirs, expected_of(json.loads(told.read_text())), failures,
                f"{path} by Go")
    run(tool, "copy", "file", 64, path, ours)
    answer = integration(VALIDATE, ours, told)
    if answer and path.with_suffix(".json.gz").exists():
        failures.add(path, f"our file is not what Go expects: {answer}")
    for program, kind in (("arrow-file-to-stream", "file"), ("arrow-stream-to-file", "stream")):
        run(tool, "copy", kind, 8, path, ours)
        answer = through(program, ours, theirs)
        if answer:
            failures.add(path, f"{program} does not read ours: {shorten(answer)}")
        else:
            expect_dump(tool, theirs, expected, failures, f"{path} through {program}")
    return True


def main():
    tool = sys.argv[1]
    if not (TOOLS / "arrow-json-integration-test").exists():
        print("Go's integration tools are not there (FLETCH_ARROW_GO_TOOLS; make interop)")
        sys.exit(77)
    failures = Failures()
    count = tried = 0
    for golden in golden_folders(testing_data()):
        if golden.name not in ("data", "cpp-21.0.0"):
            continue
        for path in sorted(golden.glob("*.arrow_file")):
            # arrow-go 18.8.0 panics at our layouts as pyarrow wrote them, in V5.
            if is_replaced(path) or path.stem.startswith("layouts"):
                continue
            with tempfile.TemporaryDirectory() as folder:
                tried += check(tool, path, Path(folder), failures)
            count += 1
    print(f"{tried} of {count} cases, {failures.count} failures")
    sys.exit(1 if failures.count or not tried else 0)


if __name__ == "__main__":
    main()
