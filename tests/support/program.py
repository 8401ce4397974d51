"""Runs the command fletch for tests: FLETCH_PROGRAM is its path. Exits with 77, which means
skipped, where there is no pyarrow."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import pyarrow as pa
except ImportError as missing:
    print(f"skipped: {missing}; scripts/install-python.sh installs it")
    sys.exit(77)

PROGRAM = os.environ["FLETCH_PROGRAM"]
DONE, DIFFERS, USAGE, INPUT, SYSTEM, BUG, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 5, 130, 143


class Result:
    """What a run said, and how it ended."""

    def __init__(self, code, output, errors):
        self.code, self.bytes, self.errors = code, output, errors

    @property
    def output(self):
        return self.bytes.decode()

    @property
    def json(self):
        return json.loads(self.bytes)


def environment():
    # The program is linked with its own sanitizer runtime: none is to be loaded before it. A run
    # that is interrupted leaves a thread behind that sleeps in a read: on purpose.
    found = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    found["TSAN_OPTIONS"] = found.get("TSAN_OPTIONS", "") + ":report_thread_leaks=0"
    return found


def start(*words, **options):
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen([PROGRAM, *map(str, words)], env=environment(), **options)


def run(*words, given=None, **options):
    process = start(*words, stdin=subprocess.PIPE, **options)
    output, errors = process.communicate(given, timeout=120)
    return Result(process.returncode, output, (errors or b"").decode())


def write(path, batches, kind="file"):
    """Batches as an Arrow IPC file or stream."""
    batches = [batches] if isinstance(batches, pa.RecordBatch) else batches
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with new(str(path), batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return path


def read(path):
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def numbers(rows, first=0, schema=None):
    """A batch of `rows` rows: key, text with nulls, float."""
    keys = range(first, first + rows)
    return pa.record_batch({
        "key": pa.array(keys, pa.int64()),
        "text": pa.array([None if k % 7 == 3 else f"text {k}" for k in keys], pa.utf8()),
        "real": pa.array([k / 3 for k in keys], pa.float64())}, schema=schema)


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def succeeds(self, *words, **options):
        result = run(*words, **options)
        self.assertEqual(result.code, DONE, result.errors)
        return result

    def fails(self, code, *words, saying=(), **options):
        """Ends with this code, says all of `saying`, and is one line that begins as all do."""
        result = run(*words, **options)
        self.assertEqual(result.code, code, result.errors + result.output)
        self.assertRegex(result.errors, r"^fletch: ")
        for word in [saying] if isinstance(saying, str) else saying:
            self.assertIn(str(word), result.errors)
        return result
