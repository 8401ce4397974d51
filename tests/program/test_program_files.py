"""Inputs: files, streams, folders, patterns, pipes; and what is said of those that are bad."""

import os
import socket
import sys
import unittest

sys.dont_write_bytecode = True

from program import (DIFFERS, INPUT, SYSTEM, USAGE, ProgramTest, numbers, pa, run,  # noqa: E402
                     start, write)


class InputsTest(ProgramTest):
    def test_files_streams_and_pipes(self):
        file = write(self.folder / "a.arrow", [numbers(10), numbers(5, 10)])
        stream = write(self.folder / "a.arrows", [numbers(10), numbers(5, 10)], "stream")
        for path in (file, stream):
            self.assertEqual(self.succeeds("count", "--json", path).json["rows"], 15)
            with open(path, "rb") as given:
                result = run("count", "--json", "-", given=given.read())
            self.assertEqual((result.json["rows"], result.json["batches"]), (15, 2))

    def test_standard_input_is_a_file(self):
        path = write(self.folder / "a.arrow", numbers(10))
        with open(path, "rb") as given:
            process = start("count", "--json", "-", stdin=given)
            output, _ = process.communicate(timeout=60)
        self.assertIn(b'"rows":10', output)

    def test_standard_input_is_a_socket(self):
        path = write(self.folder / "a.arrows", numbers(10), "stream")
        ours, theirs = socket.socketpair()
        process = start("count", "--json", "-", stdin=theirs)
        theirs.close()
        ours.sendall(path.read_bytes())
        ours.close()
        self.assertIn(b'"rows":10', process.communicate(timeout=60)[0])

    def test_named_pipe(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        path = write(self.folder / "a.arrows", numbers(10), "stream")
        process = start("count", "--json", pipe)
        pipe.write_bytes(path.read_bytes())
        self.assertIn(b'"rows":10', process.communicate(timeout=60)[0])

    def test_folders_and_patterns(self):
        inner = self.folder / "x" / "y"
        inner.mkdir(parents=True)
        for name in ("x/1.arrow", "x/2.feather", "x/y/3.ipc", "x/y/4.arrows"):
            write(self.folder / name, numbers(1), "stream" if name.endswith("s") else "file")
        (self.folder / "x" / "notes.txt").write_text("no data")
        write(self.folder / "x" / ".hidden.arrow", numbers(1))
        found = self.succeeds("count", "--json", self.folder).json
        self.assertEqual([os.path.relpath(file["path"], self.folder) for file in found["files"]],
                         ["x/1.arrow", "x/2.feather", "x/y/3.ipc", "x/y/4.arrows"])
        found = self.succeeds("count", "--json", f"{self.folder}/x/*.[af]*").json
        self.assertEqual(found["rows"], 2)

    def test_name_with_characters_of_a_pattern(self):
        path = write(self.folder / "a[1].arrow", numbers(4))
        self.assertEqual(self.succeeds("count", "--json", path).json["rows"], 4)

    def test_nothing_there(self):
        self.fails(SYSTEM, "count", self.folder / "none.arrow", saying=("none.arrow", "No such"))
        self.fails(SYSTEM, "count", f"{self.folder}/*.arrow", saying=("*.arrow", "no file"))
        self.fails(INPUT, "count", self.folder, saying="no *.arrow")

    def test_circle_of_folders_ends(self):
        (self.folder / "loop").symlink_to(self.folder)
        write(self.folder / "a.arrow", numbers(1))
        self.fails(SYSTEM, "count", self.folder)

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    def test_no_permission(self):
        path = write(self.folder / "a.arrow", numbers(1))
        path.chmod(0)
        self.fails(SYSTEM, "count", path, saying=("a.arrow", "denied"))

    def test_another_schema_is_named(self):
        write(self.folder / "a.arrow", numbers(3))
        other = numbers(3).rename_columns(["key", "word", "real"])
        write(self.folder / "b.arrow", other)
        self.fails(INPUT, "cat", self.folder, saying=("b.arrow", "a.arrow", "word"))


class BadFilesTest(ProgramTest):
    def bad(self, content, *saying):
        path = self.folder / "bad.arrow"
        path.write_bytes(content)
        for command in (["count", path], ["cat", path], ["verify", path, "--", path]):
            self.fails(INPUT, *command, saying=("bad.arrow", *saying))

    def test_empty(self):
        self.bad(b"")

    def test_no_arrow(self):
        self.bad(b"a,b\n1,2\n" * 10)

    def test_file_is_cut(self):
        whole = write(self.folder / "a.arrow", numbers(1000)).read_bytes()
        self.bad(whole[:len(whole) // 2], f"{len(whole) // 2} bytes", "ARROW1")

    def test_stream_is_cut(self):
        whole = write(self.folder / "a.arrows", [numbers(1000)] * 3, "stream").read_bytes()
        self.bad(whole[:len(whole) * 2 // 3], "byte")

    def test_stream_is_cut_in_a_pipe(self):
        whole = write(self.folder / "a.arrows", [numbers(1000)] * 3, "stream").read_bytes()
        self.fails(INPUT, "count", "-", given=whole[:len(whole) * 2 // 3],
                   saying=("standard input", "byte"))

    def test_metadata_is_corrupted(self):
        whole = bytearray(write(self.folder / "a.arrow", numbers(1000)).read_bytes())
        reader = pa.ipc.open_file(pa.BufferReader(bytes(whole)))
        self.assertEqual(reader.num_record_batches, 1)
        at = whole.index(b"\xff\xff\xff\xff", 100)
        whole[at + 8:at + 40] = b"\xff" * 32
        self.bad(bytes(whole), f"byte {at + 8}")

    def test_offsets_are_corrupted(self):
        # The last offset of the text column leads out of its bytes.
        batch = pa.record_batch({"text": pa.array(["abc", "def"])})
        whole = write(self.folder / "a.arrow", batch).read_bytes()
        offsets = b"\0\0\0\0\3\0\0\0\6\0\0\0"
        self.assertEqual(whole.count(offsets), 1)
        path = self.folder / "bad.arrow"
        path.write_bytes(whole.replace(offsets, b"\0\0\0\0\3\0\0\0\x7f\0\0\0"))
        for command in (["cat", path], ["verify", path, "--", path]):
            self.fails(INPUT, *command, saying=("bad.arrow", "text"))

    def test_terminal(self):
        ours, theirs = os.openpty()
        process = start("count", "-", stdin=theirs)
        errors = process.communicate(timeout=60)[1]
        os.close(ours)
        os.close(theirs)
        self.assertEqual(process.returncode, INPUT)
        self.assertIn(b"terminal", errors)


class VerifyTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.a = write(self.folder / "a.arrow", [numbers(100), numbers(50, 100)])

    def differs(self, batch, *saying):
        path = write(self.folder / "b.arrow", batch)
        result = run("verify", self.a, "--", path)
        self.assertEqual(result.code, DIFFERS, result.errors)
        for word in saying:
            self.assertIn(word, result.output)
        told = run("verify", "--json", self.a, "--", path)
        self.assertEqual((told.code, told.json["same"]), (DIFFERS, False))
        return told.json

    def test_order_files_and_batches_do_not_count(self):
        whole = pa.Table.from_batches([numbers(150)])
        order = pa.array(range(149, -1, -1))
        parts = [whole.take(order[:40]), whole.take(order[40:])]
        paths = [write(self.folder / f"b{i}.arrow", part.combine_chunks().to_batches())
                 for i, part in enumerate(parts)]
        result = self.succeeds("verify", self.a, "--", *paths)
        self.assertIn("the same", result.output)
        told = self.succeeds("verify", "--json", self.a, "--", *paths).json
        self.assertTrue(told["same"])
        self.assertEqual(told["a"], told["b"])

    def test_row_is_missing(self):
        told = self.differs(numbers(149), "A has 1 rows more")
        self.assertEqual((told["a"]["rows"], told["b"]["rows"]), (150, 149))

    def test_row_is_twice(self):
        self.differs([numbers(150), numbers(1)], "B has 1 rows more")

    def test_value_is_changed(self):
        batch = numbers(150)
        reals = batch.column("real").to_pylist()
        reals[7] = -reals[7]
        batch = batch.set_column(2, "real", pa.array(reals))
        told = self.differs(batch, "different values in: real")
        self.assertEqual(told["columns_that_differ"], ["real"])

    def test_rows_trade_values(self):
        batch = numbers(150)
        reals = batch.column("real").to_pylist()
        reals[7], reals[8] = reals[8], reals[7]
        batch = batch.set_column(2, "real", pa.array(reals))
        told = self.differs(batch, "in other rows")
        self.assertEqual(told["columns_that_differ"], [])

    def test_null_is_no_empty_text(self):
        batch = numbers(150)
        texts = ["" if text is None else text for text in batch.column("text").to_pylist()]
        self.differs(batch.set_column(1, "text", pa.array(texts)), "text")

    def test_another_schema(self):
        batch = numbers(150)
        batch = batch.set_column(0, "key", batch.column("key").cast(pa.int32()))
        self.differs(batch, "different schema", "key")

    def test_dictionary_equals_its_values(self):
        batch = numbers(150)
        batch = batch.set_column(1, "text", batch.column("text").dictionary_encode())
        self.succeeds("verify", self.a, "--", write(self.folder / "b.arrow", batch))

    def test_pipe(self):
        whole = self.a.read_bytes()
        self.succeeds("verify", self.a, "--", "-", given=whole)
        other = write(self.folder / "b.arrow", numbers(149)).read_bytes()
        self.assertEqual(run("verify", self.a, "--", "-", given=other).code, DIFFERS)

    def test_usage(self):
        self.fails(USAGE, "verify", self.a, saying="--")
        self.fails(USAGE, "verify", "--", self.a, saying="--")
        self.fails(USAGE, "verify", self.a, "--", saying="--")


if __name__ == "__main__":
    unittest.main()
