"""What a shuffle leaves behind when it cannot do its work: nothing under a final name, a reason
that names the file, and a code that says whose fault it was."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True

from program import (DONE, INPUT, INTERRUPTED, SYSTEM, TERMINATED, USAGE,  # noqa: E402
                     ProgramTest, numbers, pa, run, start, write)

IS_SANITIZED = os.environ.get("FLETCH_SANITIZERS", "") != ""
MEBIBYTE = 1 << 20


class FailureTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"

    def words(self, *inputs, partitions=4, out=None):
        return ["shuffle", *inputs, "--by", "key", "--partitions", partitions, "--out",
                out or self.out]

    def left(self, out=None):
        """What is in the folder, hidden files too; None: there is no folder."""
        out = out or self.out
        return sorted(os.listdir(out)) if out.exists() else None


class BadInputTest(FailureTest):
    def batches(self):
        return [numbers(5000, first) for first in range(0, 50000, 5000)]

    def test_file_is_cut(self):
        whole = write(self.folder / "a.arrow", self.batches()).read_bytes()
        (self.folder / "a.arrow").write_bytes(whole[:-100])
        self.fails(INPUT, *self.words(self.folder / "a.arrow"), saying=("a.arrow", "ARROW1"))
        self.assertIsNone(self.left())

    def test_batch_is_corrupted(self):
        path = write(self.folder / "a.arrow", self.batches())
        whole = bytearray(path.read_bytes())
        at = whole.index(b"text 30000")
        message = whole.rindex(b"\xff\xff\xff\xff", 0, at)
        whole[message + 8:message + 60] = b"\xff" * 52
        path.write_bytes(whole)
        self.fails(INPUT, *self.words(path), saying=("a.arrow", "batch 6", f"byte {message + 8}"))
        self.assertIsNone(self.left())

    def test_stream_is_cut_in_the_middle(self):
        whole = write(self.folder / "a.arrows", self.batches(), "stream").read_bytes()
        self.fails(INPUT, *self.words("-"), given=whole[:len(whole) // 2],
                   saying=("standard input", "byte"))
        self.assertIsNone(self.left())

    def test_second_input_has_another_schema(self):
        write(self.folder / "a.arrow", numbers(10))
        write(self.folder / "b.arrow", numbers(10).rename_columns(["key", "word", "real"]))
        self.fails(INPUT, *self.words(self.folder), saying=("b.arrow", "word"))
        self.assertIsNone(self.left())

    def test_second_input_is_no_arrow(self):
        write(self.folder / "a.arrow", numbers(10))
        (self.folder / "b.arrow").write_text("key,text\n1,2\n")
        self.fails(INPUT, *self.words(self.folder), saying="b.arrow")
        self.assertIsNone(self.left())

    def test_folder_that_was_there_stays(self):
        self.out.mkdir()
        (self.out / "notes").write_text("mine")
        whole = write(self.folder / "a.arrows", self.batches(), "stream").read_bytes()
        self.fails(INPUT, *self.words("-"), given=whole[:len(whole) // 2])
        self.assertEqual(self.left(), ["notes"])

    def test_parts_that_were_there_stay(self):
        good = write(self.folder / "good.arrow", numbers(100))
        self.succeeds(*self.words(good))
        before = {name: (self.out / name).read_bytes() for name in self.left()}
        whole = write(self.folder / "a.arrows", self.batches(), "stream").read_bytes()
        self.fails(INPUT, *self.words("-"), "--replace", given=whole[:len(whole) // 2])
        self.assertEqual({name: (self.out / name).read_bytes() for name in self.left()}, before)


class SystemTest(FailureTest):
    @contextlib.contextmanager
    def small_disk(self, mebibytes, options=""):
        """A file system with little room. None: this user may not mount one."""
        place = self.folder / "disk"
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m{options}",
                                  "tmpfs", place], capture_output=True, check=False)
        try:
            yield place if mounted.returncode == 0 else None
        finally:
            if mounted.returncode == 0:
                subprocess.run(["umount", place], check=True)

    def test_disk_is_full(self):
        path = write(self.folder / "a.arrow", [numbers(20000)] * 20)
        with self.small_disk(4) as disk:
            if disk is None:
                # Files that may not grow instead: the system refuses to write all the same.
                limit = (2 * MEBIBYTE, 2 * MEBIBYTE)
                result = run(*self.words(path), preexec_fn=lambda: (
                    signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                    resource.setrlimit(resource.RLIMIT_FSIZE, limit)))
                self.assertEqual(result.code, SYSTEM, result.errors)
                self.assertIsNone(self.left())
                return
            out = disk / "out"
            self.fails(SYSTEM, *self.words(path, out=out), saying=("part-0", "No space left"))
            self.assertIsNone(self.left(out))

    def test_disk_of_bounds_is_full(self):
        path = write(self.folder / "a.arrow", numbers(1000))
        self.fails(SYSTEM, *self.words(path), "--range", "--save-bounds", "/dev/full")
        self.assertIsNone(self.left())

    def test_folder_cannot_be_written(self):
        path = write(self.folder / "a.arrow", numbers(1000))
        if os.geteuid() != 0:
            self.out.mkdir(mode=0o555)
            self.fails(SYSTEM, *self.words(path), saying=("out", "denied"))
        else:
            with self.small_disk(4, ",ro") as disk:
                out = disk if disk is not None else self.folder / "a.arrow" / "out"
                self.fails(SYSTEM, *self.words(path, out=out), saying=str(out))

    def test_out_is_a_file(self):
        path = write(self.folder / "a.arrow", numbers(1000))
        self.fails(SYSTEM, *self.words(path, out=path), saying=("a.arrow", "ot a directory"))

    def test_folder_above_is_not_there(self):
        path = write(self.folder / "a.arrow", numbers(1000))
        self.fails(SYSTEM, *self.words(path, out=self.folder / "x" / "y"), saying="x/y")

    def test_too_few_open_files(self):
        path = write(self.folder / "a.arrow", numbers(1000))
        self.fails(SYSTEM, *self.words(path), "--threads", 4, saying=("4 threads", "40 are"),
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
        self.assertIsNone(self.left())

    def test_memory_below_the_least(self):
        path = write(self.folder / "a.arrow", numbers(1000))
        self.fails(SYSTEM, *self.words(path), "--memory", "20KB", saying="65536")
        self.fails(USAGE, *self.words(path), "--memory", "10KB", saying="10000")
        self.assertIsNone(self.left())

    def test_folder_has_the_name_of_a_part(self):
        """What it would replace stays as it was, all of it."""
        path = write(self.folder / "a.arrow", numbers(1000))
        self.assertEqual(run(*self.words(path)).code, DONE)
        (self.out / "part-00002.arrow").unlink()
        (self.out / "part-00002.arrow").mkdir()
        before = (self.out / "part-00000.arrow").read_bytes()
        other = write(self.folder / "b.arrow", numbers(5000))
        self.fails(SYSTEM, *self.words(other), "--replace", saying="part-00002.arrow")
        self.assertEqual(len(self.left()), 4)
        self.assertEqual((self.out / "part-00000.arrow").read_bytes(), before)

    def test_spill_folder_is_not_there_or_no_folder(self):
        path = write(self.folder / "a.arrow", numbers(1000))
        self.fails(SYSTEM, *self.words(path), "--spill-dir", self.folder / "none",
                   saying=("none", "No such file"))
        self.fails(SYSTEM, *self.words(path), "--spill-dir", path, saying=("a.arrow", "ot a direc"))
        self.assertIsNone(self.left())

    def test_paths_are_empty(self):
        path = write(self.folder / "a.arrow", numbers(1000))
        self.fails(USAGE, *self.words(path), "--out", "", saying="--out is empty")
        self.fails(USAGE, *self.words(path), "--spill-dir", "", saying="--spill-dir is empty")


class TwoRunsTest(FailureTest):
    def test_second_to_end_leaves_the_parts_of_the_first(self):
        other = write(self.folder / "b.arrows", numbers(5000), "stream").read_bytes()
        path = write(self.folder / "a.arrow", numbers(1000))
        process = start(*self.words("-"), "--quiet", stdin=subprocess.PIPE)
        process.stdin.write(other[:-8])
        process.stdin.flush()
        for _ in range(200):
            if self.left() is not None:
                break
            time.sleep(0.01)
        self.succeeds(*self.words(path), "--quiet")
        _, errors = process.communicate(other[-8:], timeout=60)
        self.assertEqual(process.returncode, SYSTEM, errors)
        self.assertEqual(len(self.left()), 4)
        self.succeeds("verify", path, "--", self.out)


class SignalTest(FailureTest):
    def begin(self):
        """A shuffle of an endless stream, once it has begun to write; and how to end the stream."""
        ours, theirs = os.pipe()
        stop = threading.Event()

        def feed():
            with contextlib.suppress(BrokenPipeError), os.fdopen(theirs, "wb") as sink:
                out = pa.ipc.new_stream(sink, numbers(1).schema)
                while not stop.is_set():
                    out.write_batch(numbers(20000))
                    time.sleep(0.005)
        thread = threading.Thread(target=feed)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stop.set)
        process = start(*self.words("-"), stdin=ours)
        os.close(ours)
        end = time.monotonic() + 60
        while not any(name.endswith(".partial") for name in self.left() or []):
            self.assertLess(time.monotonic(), end, "nothing was written")
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        return process

    def test_interrupted(self):
        for number, code in ((signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)):
            process = self.begin()
            process.send_signal(number)
            errors = process.communicate(timeout=60)[1].decode()
            self.assertEqual(process.returncode, code, errors)
            self.assertIn("nothing", errors)
            self.assertIsNone(self.left())

    def test_interrupted_while_it_waits_for_input(self):
        ours, theirs = os.pipe()
        process = start(*self.words("-"), stdin=ours)
        os.close(ours)
        with os.fdopen(theirs, "wb") as sink:
            pa.ipc.new_stream(sink, numbers(1).schema).write_batch(numbers(100))
            sink.flush()
            end = time.monotonic() + 60
            while self.left() is None:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            errors = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, INTERRUPTED, errors)
        self.assertIsNone(self.left())

    def test_killed(self):
        process = self.begin()
        process.kill()
        process.communicate()
        left = self.left()
        self.assertTrue(left)
        for name in left:
            self.assertRegex(name, r"^\.fletch-.*\.partial$")
        # The next run says how to clean up, and works.
        path = write(self.folder / "a.arrow", numbers(1000))
        result = self.succeeds(*self.words(path))
        self.assertIn(f"{len(left)} unfinished files", result.errors)
        self.assertIn(f"rm {self.out}/.fletch-*.partial", result.errors)
        self.succeeds("verify", path, "--", self.out)


class MemoryTest(FailureTest):
    def test_one_partition_gets_nearly_all_rows(self):
        """Its frames may fill whatever memory there is, and still leave it."""
        keys = pa.array([7 if i % 100 else i for i in range(100000)])
        rows = pa.record_batch([keys, keys, keys], ["key", "left", "right"])
        path = write(self.folder / "a.arrow", [rows] * 4)
        for memory in "400KiB", "1MiB", "1500KiB", "2MiB":
            self.succeeds(*self.words(path, partitions=16), "--memory", memory, "--quiet",
                          "--no-sync", "--replace")
            self.succeeds("verify", path, "--", self.out)

    def test_rows_are_larger_than_the_memory(self):
        """They pass one at a time, beside the budget, with a disk to spill to as without one."""
        row = pa.record_batch([pa.array([1, 2]), pa.array(["x" * (20 * MEBIBYTE), "y"])],
                              ["key", "text"])
        path = write(self.folder / "a.arrow", [row] * 5)
        for more in [], ["--spill-dir", self.folder], ["--threads", "1", "--producers", "1"]:
            found = self.succeeds(*self.words(path), "--memory", "10MiB", "--json", "--no-sync",
                                  "--replace", *more).json
            self.assertEqual(found["rows_out"], 10)
            self.succeeds("verify", path, "--", self.out)
            if not IS_SANITIZED:
                self.assertLessEqual(found["resident_bytes_peak"],
                                     (10 + 64 + 5 * 20 + 2 * 20) * MEBIBYTE)

    def test_partitions_that_outnumber_the_open_files_take_turns(self):
        """And what is known of each partition is bounded too."""
        partitions = 3000
        path = write(self.folder / "a.arrow", [numbers(4000, k) for k in range(0, 20000, 4000)])
        found = self.succeeds(*self.words(path, partitions=partitions), "--memory", "100MiB",
                              "--json", "--no-sync", preexec_fn=lambda: resource.setrlimit(
                                  resource.RLIMIT_NOFILE, (120, 120))).json
        self.assertEqual(found["rows_out"], 20000)
        self.assertEqual(len(self.left()), partitions)
        self.succeeds("verify", path, "--", self.out)
        if not IS_SANITIZED:
            self.assertLessEqual(found["resident_bytes_peak"] - found["memory_bytes_peak"],
                                 64 * MEBIBYTE + 6 * 1024 * partitions)

    def test_resident_memory_is_bounded(self):
        """200 MB through a pipe, of which a sixteenth may be on its way."""
        ours, theirs = os.pipe()

        def feed():
            with os.fdopen(theirs, "wb") as sink, \
                    pa.ipc.new_stream(sink, numbers(1).schema) as out:
                batch = numbers(20000)
                for _ in range(400):
                    out.write_batch(batch)
        thread = threading.Thread(target=feed)
        thread.start()
        process = start(*self.words("-", partitions=16), "--memory", "12MiB", "--json", "--no-sync",
                        stdin=ours)
        os.close(ours)
        output, errors = process.communicate(timeout=280)
        thread.join()
        self.assertEqual(process.returncode, DONE, errors)
        import json
        report = json.loads(output)
        self.assertEqual(report["rows_out"], 8000000)
        self.assertLessEqual(report["memory_bytes_peak"], 12 * MEBIBYTE)
        if not IS_SANITIZED:
            self.assertLessEqual(report["resident_bytes_peak"], (12 + 64) * MEBIBYTE)


if __name__ == "__main__":
    unittest.main()
