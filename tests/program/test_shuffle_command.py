"""fletch shuffle: every option; what is written, where, and what is said of it."""

import json
import os
import re
import sys
import threading
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

from program import DONE, USAGE, ProgramTest, numbers, pa, read, run, start, write  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
try:
    import hash_numpy
except ImportError as missing:
    print(f"skipped: {missing}; scripts/install-python.sh installs it")
    sys.exit(77)

from random_tables import OTHER_TYPES, Generator  # noqa: E402


class ShuffleTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"
        self.input = write(self.folder / "a.arrow",
                           [numbers(1000, first) for first in range(0, 20000, 1000)])

    def shuffle(self, *words, inputs=None, partitions=8, **options):
        """The report, after the parts were verified to have the rows of the inputs."""
        inputs = [self.input] if inputs is None else inputs
        report = self.succeeds("shuffle", *inputs, "--partitions", partitions, "--out", self.out,
                               "--json", *words, **options).json
        self.assertEqual(report["rows_in"], report["rows_out"])
        self.assertEqual(report["bytes_in"], report["bytes_out"])
        self.assertEqual(sorted(os.listdir(self.out)),
                         [f"part-{i:05}.arrow" for i in range(partitions)])
        self.assertEqual(len(report["partitions"]), partitions)
        if "-" not in inputs:
            self.succeeds("verify", *inputs, "--", self.out)
        return report

    def parts(self, partitions=8):
        return [read(self.out / f"part-{i:05}.arrow") for i in range(partitions)]

    def test_hash(self):
        report = self.shuffle("--by", "key")
        self.assertEqual(report["verified"], "keys")
        self.assertEqual(report["rows_in"], 20000)
        for number, part in enumerate(self.parts()):
            part.validate(full=True)
            self.assertEqual(part.num_rows, report["partitions"][number]["rows"])
            for batch in part.to_batches():
                places = hash_numpy.partitions_of(hash_numpy.row_hashes(batch, ["key"]), 8)
                self.assertTrue((places == number).all())

    def test_several_columns_with_nulls(self):
        self.shuffle("--by", "text,key", partitions=3)
        for number, part in enumerate(self.parts(3)):
            for batch in part.to_batches():
                hashes = hash_numpy.row_hashes(batch, ["text", "key"])
                self.assertTrue((hash_numpy.partitions_of(hashes, 3) == number).all())

    def test_one_producer_keeps_the_order(self):
        self.shuffle("--by", "key", "--producers", 1, "--threads", 3)
        for part in self.parts():
            keys = part.column("key").to_pylist()
            self.assertEqual(keys, sorted(keys))

    def test_one_partition_and_more_partitions_than_rows(self):
        self.shuffle("--by", "key", partitions=1)
        small = write(self.folder / "b.arrow", numbers(3))
        report = self.shuffle("--by", "key", "--replace", inputs=[small], partitions=300)
        self.assertEqual(sum(p["rows"] > 0 for p in report["partitions"]), 3)

    def test_no_rows_and_no_columns(self):
        empty = write(self.folder / "b.arrow", numbers(0))
        self.shuffle("--by", "key", inputs=[empty])
        self.assertEqual([part.num_rows for part in self.parts()], [0] * 8)
        nothing = pa.RecordBatch.from_struct_array(pa.array([{}] * 10, pa.struct([])))
        path = write(self.folder / "c.arrow", nothing)
        report = self.shuffle("--round-robin", "--replace", inputs=[path], partitions=2)
        self.assertEqual(report["rows_out"], 10)

    def test_all_keys_are_null(self):
        batch = pa.record_batch({"key": pa.nulls(500, pa.int64()), "v": pa.array(range(500))})
        report = self.shuffle("--by", "key", inputs=[write(self.folder / "b.arrow", batch)])
        self.assertEqual(sorted(p["rows"] for p in report["partitions"]), [0] * 7 + [500])

    def test_round_robin(self):
        report = self.shuffle("--round-robin", "--producers", 1, partitions=7)
        self.assertLessEqual({p["rows"] for p in report["partitions"]}, {2857, 2858})

    def test_range(self):
        bounds = self.folder / "bounds.arrow"
        self.shuffle("--by", "key", "--range", "--save-bounds", bounds, partitions=4)
        ends = [part.column("key").to_pylist() for part in self.parts(4)]
        limits = read(bounds).column(0).to_pylist()
        self.assertEqual(len(limits), 3)
        for i, keys in enumerate(ends):
            self.assertGreater(len(keys), 2000)
            self.assertTrue(i == 0 or min(keys) >= limits[i - 1])
            self.assertTrue(i == 3 or max(keys) < limits[i])

    def test_ranges_descend_with_nulls_where_they_are_wanted(self):
        bounds = self.folder / "bounds.arrow"
        self.shuffle("--by", "key", "--range", "--order", "desc", "--save-bounds", bounds,
                     partitions=4)
        parts = [part.column("key").to_pylist() for part in self.parts(4)]
        for before, after in zip(parts, parts[1:]):
            self.assertGreater(min(before), max(after))
        for value, part in ((parts[0][0], 0), (parts[3][0], 3)):
            words = ("where", "--partitions", 4, "--types", "int64", "--bounds", bounds)
            self.assertIn(f"partition {part} of 4",
                          self.succeeds(*words, "--order", "desc", value).output)
        nulls = 20000 // 7
        for order, place in (("asc", 3), ("asc:nulls-first", 0), ("desc:nulls-first", 0),
                             ("desc:nulls-last", 3)):
            self.shuffle("--by", "text,key", "--range", "--order", f"{order},desc", "--replace",
                         partitions=4)
            parts = [part.column("text") for part in self.parts(4)]
            self.assertGreaterEqual(parts[place].null_count, nulls // 2, order)
            self.assertEqual(parts[3 - place].null_count, 0, order)
            texts = [[t for t in part.to_pylist() if t is not None] for part in parts]
            self.assertEqual(texts[1][0] < texts[2][0], order.startswith("asc"))

    def test_orders_that_cannot_be(self):
        base = ("shuffle", self.input, "--by", "key", "--partitions", 2, "--out", self.out)
        self.fails(USAGE, *base, "--range", "--order", "down", saying=("'down'", "asc", "desc"))
        self.fails(USAGE, *base, "--range", "--order", "asc:", saying="'asc:'")
        self.fails(USAGE, *base, "--range", "--order", "asc,desc",
                   saying=("2 words", "1 columns"))
        self.fails(USAGE, *base, "--order", "asc", saying="--range")
        self.fails(USAGE, "where", "--partitions", 2, "--types", "int64", "--order", "desc", 1,
                   saying="--bounds")

    def test_bounds(self):
        bounds = write(self.folder / "bounds.arrow",
                       pa.record_batch({"key": pa.array([10, 19990])}))
        report = self.shuffle("--by", "key", "--range", "--bounds", bounds, partitions=3)
        self.assertEqual([p["rows"] for p in report["partitions"]], [10, 19980, 10])
        told = self.succeeds("where", "--partitions", 3, "--types", "int64", "--bounds", bounds,
                             "10").output
        self.assertIn("partition 1 of 3", told)

    def test_bounds_that_do_not_fit(self):
        bounds = write(self.folder / "bounds.arrow", pa.record_batch({"key": pa.array([10])}))
        self.fails(USAGE, "shuffle", self.input, "--by", "key", "--range", "--bounds", bounds,
                   "--partitions", 3, "--out", self.out)
        bounds = write(self.folder / "bounds.arrow", pa.record_batch({"key": pa.array(["x"])}))
        self.fails(USAGE, "shuffle", self.input, "--by", "key", "--range", "--bounds", bounds,
                   "--partitions", 2, "--out", self.out)
        self.assertFalse(self.out.exists())

    def test_levels_of_sums(self):
        for level in ("keys", "rows", "counts", "off"):
            report = self.shuffle("--by", "key", "--sums", level, "--replace")
            self.assertEqual(report["verified"], level)
        text = self.succeeds("shuffle", self.input, "--by", "key", "--partitions", 2, "--out",
                             self.out, "--replace", "--sums", "off").output
        self.assertIn("verified   nothing", text)

    def test_folders_streams_and_a_pipe_together(self):
        inner = self.folder / "in"
        inner.mkdir()
        write(inner / "b.arrow", [numbers(10, 100), numbers(0), numbers(7, 200)])
        write(inner / "c.arrows", [numbers(10, 300)] * 3, "stream")
        stream = write(self.folder / "d.arrows", numbers(50, 400), "stream")
        report = self.shuffle("--by", "key", inputs=[inner, "-", self.input],
                              given=stream.read_bytes())
        self.assertEqual(report["rows_out"], 17 + 30 + 50 + 20000)
        self.succeeds("verify", inner, stream, self.input, "--", self.out)

    def test_file_through_a_pipe(self):
        report = self.shuffle("--by", "key", inputs=["-"], given=self.input.read_bytes())
        self.assertEqual(report["rows_out"], 20000)

    def test_every_type(self):
        path = write(self.folder / "b.arrow", Generator(5).batch(700))
        self.shuffle("--round-robin", "--sums", "rows", inputs=[path], partitions=5)

    def test_every_layout(self):
        """Views, list views, fixed-size lists, unions, runs, dictionaries in dictionaries."""
        batch = Generator(6).batch(700, OTHER_TYPES)
        batch = pa.record_batch([pa.array(range(700)), *batch.columns],
                                ["row", *(f"c{i}" for i in range(batch.num_columns))])
        path = write(self.folder / "b.arrow", batch)
        expected = batch.to_pylist()
        for keys in ("row", "c0,c1", ",".join(batch.schema.names[1:])):
            self.shuffle("--by", keys, "--sums", "rows", "--replace", inputs=[path], partitions=5)
            found = [row for part in self.parts(5) for row in part.to_pylist()]
            self.assertEqual(repr(sorted(found, key=lambda row: row["row"])), repr(expected))
        self.shuffle("--by", "row", "--sums", "rows", "--replace", "--memory", "1MiB",
                     "--spill-dir", self.folder, "--compress", "zstd", inputs=[path] * 8,
                     partitions=5)

    def test_inputs_that_are_encoded_differently(self):
        """The parts have what the first input has, whichever that is."""
        words = pa.array([None if i % 7 == 0 else f"word {i % 50}" for i in range(900)])
        lists = pa.array([[i, None] if i % 3 else None for i in range(900)])
        indices = pa.array([(i * 7) % 900 for i in range(900)], pa.int16())
        plain = pa.record_batch([words, words.cast(pa.string_view()), lists], ["a", "b", "c"])
        encoded = pa.record_batch(
            [pa.DictionaryArray.from_arrays(indices, column) for column in plain], ["a", "b", "c"])
        paths = [write(self.folder / "plain.arrow", plain),
                 write(self.folder / "encoded.arrow", encoded)]
        for inputs, schema in ((paths, plain.schema), (paths[::-1], encoded.schema)):
            for words in (["--by", "a,b"], ["--by", "c"], ["--by", "b,a", "--range"],
                          ["--round-robin"]):
                self.shuffle(*words, "--sums", "rows", "--replace", inputs=inputs)
                for part in self.parts():
                    part.validate(full=True)
                    self.assertEqual(part.schema, schema)

    def test_dictionaries_of_several_inputs_become_one(self):
        paths = []
        for i in range(5):
            indices = pa.array([k % 9 for k in range(500)], pa.int8())
            words = pa.array([f"word {i * k}" for k in range(9)])
            lists = pa.array([[i], None, [k for k in range(i)], *[[i * k] for k in range(6)]])
            encoded = pa.DictionaryArray.from_arrays(indices, words)
            batch = pa.record_batch(
                [encoded, pa.DictionaryArray.from_arrays(indices, lists),
                 pa.StructArray.from_arrays([encoded], ["x"])], ["a", "b", "c"])
            paths.append(write(self.folder / f"in-{i}.arrow", batch))
        for producers in (1, 3):
            self.shuffle("--by", "a", "--producers", producers, "--threads", 2, "--sums", "rows",
                         "--replace", inputs=paths, partitions=5)
            for part in self.parts(5):
                part.validate(full=True)

    def test_wide(self):
        batch = pa.record_batch({f"c{i}": pa.array(range(20), pa.int32()) for i in range(3000)})
        self.shuffle("--by", "c7", inputs=[write(self.folder / "b.arrow", batch)], partitions=2)

    def test_long_text(self):
        texts = pa.array(["x" * 20_000_000, "y", None, "z" * 5_000_000])
        path = write(self.folder / "b.arrow", pa.record_batch({"t": texts}))
        self.shuffle("--by", "t", inputs=[path], partitions=2)

    def test_one_partition_gets_nearly_all(self):
        keys = pa.array([7] * 9900 + list(range(100)))
        batch = pa.record_batch({"key": keys, "v": pa.array(range(10000))})
        path = write(self.folder / "b.arrow", [batch] * 20)
        report = self.shuffle("--by", "key", "--memory", "2MiB", inputs=[path], partitions=16)
        self.assertGreater(max(p["rows"] for p in report["partitions"]), 198000)

    def test_small_memory_with_and_without_spilling(self):
        # Codecs have scratch of their own.
        spill = ["--spill-dir", self.folder]
        for mebibytes, words in ((1, []), (1, spill), (4, [*spill, "--compress-spill", "lz4"]),
                                 (8, [*spill, "--compress-spill", "zstd"])):
            report = self.shuffle("--by", "key", "--memory", f"{mebibytes}MiB", "--replace",
                                  *words)
            self.assertEqual(report["memory_bytes"], mebibytes << 20)
            self.assertLessEqual(report["memory_bytes_peak"], mebibytes << 20)

    def test_parts_are_compressed(self):
        batch = pa.record_batch({"key": pa.array(range(20000)), "v": pa.array(["word"] * 20000)})
        path = write(self.folder / "c.arrow", [batch] * 5)
        sizes = {}
        for codec in (None, "lz4", "zstd"):
            words = ["--compress", codec] if codec else []
            self.shuffle("--by", "key", "--replace", *words, inputs=[path], partitions=3)
            parts = sorted(self.out.glob("part-*.arrow"))
            sizes[codec] = sum(part.stat().st_size for part in parts)
            rows = sum(pa.ipc.open_file(str(part)).read_all().num_rows for part in parts)
            self.assertEqual(rows, 100000)
            self.succeeds("verify", path, "--", *parts)
        self.assertLess(sizes["lz4"], sizes[None] * 0.8)
        self.assertLess(sizes["zstd"], sizes[None] * 0.8)

    def test_no_sync(self):
        self.shuffle("--by", "key", "--no-sync")

    def test_parts_are_replaced_only_when_told(self):
        self.shuffle("--by", "key", partitions=5)
        before = (self.out / "part-00001.arrow").stat().st_mtime_ns
        self.fails(USAGE, "shuffle", self.input, "--by", "key", "--partitions", 5, "--out",
                   self.out, saying=("--replace", "5 files"))
        self.assertEqual((self.out / "part-00001.arrow").stat().st_mtime_ns, before)
        self.shuffle("--by", "key", "--replace", partitions=2)

    def test_report(self):
        text = self.succeeds("shuffle", self.input, "--by", "key", "--partitions", 4, "--out",
                             self.out, "--sums", "rows").output
        self.assertIn("20,000 rows in = 20,000 rows out", text)
        self.assertRegex(text, r"verified   --sums rows: ")
        self.assertEqual(len(re.findall(r"^ +\d #+ +[\d,]+$", text, re.MULTILINE)), 4)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        text = self.succeeds("shuffle", self.input, "--by", "key", "--partitions", 40, "--out",
                             self.out, "--replace").output
        self.assertIn("(median)", text)

    def test_usage(self):
        out = ("--out", self.out)
        base = (self.input, "--by", "key", *out)
        for words, said in (
                (("--by", "key", "--partitions", 2, *out), "no INPUT"),
                ((self.input, "--by", "key", "--partitions", 2), "no --out"),
                ((self.input, "--partitions", 2, *out), "no --by"),
                (base, "--partitions is 0"),
                ((*base, "--partitions", 65537), "65537"),
                ((*base, "--partitions", 2, "--producers", 0), "--producers is 0"),
                ((*base, "--partitions", 2, "--threads", 99999), "--threads is 99999"),
                ((*base, "--partitions", 2, "--memory", 0), "--memory is 0"),
                ((*base, "--partitions", 2, "--sums", "most"), "'most'"),
                ((*base, "--partitions", 2, "--round-robin"), "--round-robin"),
                ((*base, "--partitions", 2, "--bounds", "x"), "--range"),
                ((*base, "--partitions", 2, "--save-bounds", "x"), "--range"),
                ((*base, "--partitions", 2, "--compress-spill", "lz4"), "--spill-dir"),
                ((*base, "--partitions", 2, "--spill-dir", self.folder, "--compress-spill", "lzo"),
                 "--compress-spill is 'lzo', expected lz4 or zstd"),
                ((*base, "--partitions", 2, "--compress", "gzip"), "'gzip', expected lz4 or zstd"),
                ((self.input, "--by", "kay", "--partitions", 2, *out), "'kay'; there are: key"),
                ((self.input, "--by", "key,", "--partitions", 2, *out), "''")):
            self.fails(USAGE, "shuffle", *words, saying=said)
        self.assertFalse(self.out.exists())

    def test_column_that_is_there_twice(self):
        batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["k", "k"])
        path = write(self.folder / "b.arrow", batch)
        self.fails(USAGE, "shuffle", path, "--by", "k", "--partitions", 2, "--out", self.out,
                   saying="2 columns have the name 'k'")


class ProgressTest(ProgramTest):
    def feed(self, stream, seconds):
        """Writes a stream slowly into a pipe; returns its end for reading and the thread."""
        ours, theirs = os.pipe()

        def write_slowly():
            with os.fdopen(theirs, "wb") as sink, pa.ipc.new_stream(sink, stream[0].schema) as out:
                for batch in stream:
                    out.write_batch(batch)
                    sink.flush()
                    time.sleep(seconds / len(stream))
        thread = threading.Thread(target=write_slowly)
        thread.start()
        return ours, thread

    def test_live_line_on_a_narrow_terminal(self):
        import fcntl
        import struct
        import termios
        screen, terminal = os.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        given, thread = self.feed([numbers(5000)] * 20, 2.0)
        os.environ["TERM"] = "xterm"
        process = start("shuffle", "-", "--by", "key", "--partitions", 4, "--out",
                        self.folder / "out", stdin=given, stderr=terminal)
        os.close(given)
        os.close(terminal)
        shown = b""
        while True:
            try:
                more = os.read(screen, 65536)
            except OSError:
                break
            if not more:
                break
            shown += more
        output = process.communicate()[0]
        thread.join()
        os.close(screen)
        self.assertEqual(process.returncode, DONE)
        self.assertIn(b"100,000 rows out", output)
        lines = [line.replace(b"\x1b[K", b"") for line in shown.split(b"\r") if line]
        self.assertGreater(len(lines), 3)
        self.assertLessEqual(max(map(len, lines)), 39, lines)
        self.assertTrue(any(b"rows" in line and b"GB/s" in line for line in lines), lines)
        self.assertNotIn(b"\n", shown)
        self.assertTrue(shown.endswith(b"\r\x1b[K"))

    def test_plain_lines_elsewhere(self):
        given, thread = self.feed([numbers(100)] * 20, 6.0)
        process = start("shuffle", "-", "--by", "key", "--partitions", 4, "--out",
                        self.folder / "out", stdin=given)
        os.close(given)
        errors = process.communicate()[1].decode()
        thread.join()
        self.assertEqual(process.returncode, DONE)
        self.assertRegex(errors, r"^fletch: [\d,]+ rows  .*slowest: \w+\n$")

    def test_quiet(self):
        result = run("shuffle", write(self.folder / "a.arrow", numbers(10)), "--by", "key",
                     "--partitions", 2, "--out", self.folder / "out", "--quiet", "--json")
        self.assertEqual((result.code, result.errors), (DONE, ""))
        self.assertEqual(json.loads(result.output)["rows_out"], 10)


if __name__ == "__main__":
    unittest.main()
