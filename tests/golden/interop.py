"""What another implementation's tools make of golden files and of ours: what a JSON says is in a
file that we wrote, their files of that JSON have for us, and streams and files that they turned
into each other. A peer has a name, whether it keeps the order of metadata, and four calls that
return what went wrong, or nothing: validate(file, JSON), to_arrow(JSON, file), to_stream(file,
stream), to_file(stream, file)."""

import copy
import gzip
import json
import sys
import tempfile
from pathlib import Path

from arrow_json import expected_of
from arrow_json_writer import json_of
from test_golden import (Failures, expect_dump, golden_folders, is_replaced, load, run, shorten,
                         testing_data)


def skip(what):
    print(what)
    sys.exit(77)


def json_beside(path, expected, folder):
    """The JSON of what is in a golden file, theirs or made of ours."""
    told = folder / "told.json"
    packed = path.with_suffix(".json.gz")
    if packed.exists():
        told.write_bytes(gzip.decompress(packed.read_bytes()))
    else:
        told.write_text(json.dumps(json_of(copy.deepcopy(expected))))
    return told


def check(tool, peer, path, folder, failures):
    """Whether the case could be tried: what their tools cannot do with the file as it came, they
    need not do with ours. Else why not."""
    expected = load(path)
    told = json_beside(path, expected, folder)
    ours, theirs = folder / "ours", folder / "theirs"
    is_arrows = path.with_suffix(".json.gz").exists()
    refusal = ((is_arrows and peer.validate(path, told)) or peer.to_stream(path, theirs) or
               peer.to_arrow(told, theirs))
    if refusal:
        return refusal
    expect_dump(tool, theirs, expected_of(json.loads(told.read_text())), failures,
                f"{path} by {peer.name}", peer.keeps_order)
    run(tool, "copy", "file", 64, path, ours)
    answer = peer.validate(ours, told)
    if answer and is_arrows:
        failures.add(path, f"our file is not what {peer.name} expects: {shorten(answer)}")
    for convert, kind in ((peer.to_stream, "file"), (peer.to_file, "stream")):
        run(tool, "copy", kind, 8, path, ours)
        answer = convert(ours, theirs)
        if answer:
            failures.add(path, f"{peer.name} does not read our {kind}: {shorten(answer)}")
        else:
            expect_dump(tool, theirs, expected, failures, f"{path}, a {kind} through {peer.name}",
                        peer.keeps_order)
    return ""


def main(tool, peer, left_out):
    """`left_out` tells of the stem of a file whether the peer is not asked."""
    failures = Failures()
    count = tried = 0
    for golden in golden_folders(testing_data()):
        if golden.name not in ("data", "cpp-21.0.0"):
            continue
        for path in sorted(golden.glob("*.arrow_file")):
            if is_replaced(path) or left_out(path.stem):
                continue
            with tempfile.TemporaryDirectory() as folder:
                refusal = check(tool, peer, path, Path(folder), failures)
            if refusal:
                print(f"{path.name}: {peer.name} cannot: {shorten(refusal)}")
            tried += not refusal
            count += 1
    print(f"{tried} of {count} cases, {failures.count} failures")
    sys.exit(1 if failures.count or not tried else 0)
