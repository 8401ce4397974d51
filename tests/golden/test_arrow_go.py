"""Arrow's integration tools of Go, on our files and we on theirs: what a JSON says is in a file
that we wrote, their files of that JSON have for us, and streams and files that they turned into
each other. Skipped where the tools are not there: FLETCH_ARROW_GO_TOOLS names their folder, which
`make interop` fills."""

import os
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import interop  # noqa: E402

TOOLS = Path(os.environ.get("FLETCH_ARROW_GO_TOOLS", "/nowhere"))


def integration(mode, arrow, told):
    result = subprocess.run([TOOLS / "arrow-json-integration-test", "-arrow", arrow, "-json", told,
                             "-mode", mode], capture_output=True, text=True)
    return result.stderr + result.stdout if result.returncode else ""


def through(program, source, target):
    """The converter of files wants a path, the other one reads what it is given."""
    with open(source, "rb") as given, open(target, "wb") as taken:
        result = subprocess.run([TOOLS / program, *([source] if "file-to" in program else [])],
                                stdin=given, stdout=taken, stderr=subprocess.PIPE)
    return result.stderr.decode() if result.returncode else ""


class Go:
    name = "Go"
    keeps_order = True

    def validate(self, arrow, told):
        return integration("VALIDATE", arrow, told)

    def to_arrow(self, told, arrow):
        return integration("JSON_TO_ARROW", arrow, told)

    def to_stream(self, source, target):
        return through("arrow-file-to-stream", source, target)

    def to_file(self, source, target):
        return through("arrow-stream-to-file", source, target)


if __name__ == "__main__":
    if not (TOOLS / "arrow-json-integration-test").exists():
        interop.skip("Go's integration tools are not there (FLETCH_ARROW_GO_TOOLS; make interop)")
    # arrow-go 18.8.0 panics at our layouts as pyarrow wrote them, in V5.
    interop.main(sys.argv[1], Go(), lambda stem: stem.startswith("layouts"))
