"""Values as `cat` prints them and `where` reads them, against pyarrow and the model of the hash."""

import csv
import datetime
import decimal
import io
import json
import math
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

from program import USAGE, ProgramTest, numbers, pa, write  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
import hash_model  # noqa: E402
from random_tables import Generator  # noqa: E402

D = decimal.Decimal


class CatTest(ProgramTest):
    def shown(self, array):
        """A column as JSON, each value."""
        path = write(self.folder / "a.arrow", pa.record_batch({"v": array}))
        lines = self.succeeds("cat", "--json", path).output.splitlines()
        return [json.loads(line)["v"] for line in lines]

    def test_integers(self):
        for bits in (8, 16, 32, 64):
            for kind, values in ((f"int{bits}", [-(1 << bits - 1), -1, 0, (1 << bits - 1) - 1]),
                                 (f"uint{bits}", [0, 1, (1 << bits) - 1])):
                array = pa.array([*values, None], getattr(pa, kind)())
                self.assertEqual(self.shown(array), [*values, None], kind)

    def test_floats(self):
        values = [0.1, -1e300, 5e-324, 1 / 3, None]
        self.assertEqual(self.shown(pa.array(values)), values)
        singles = self.shown(pa.array([0.1, 16777216.0, 1e-45], pa.float32()))
        self.assertEqual(singles[:2], [0.1, 16777216])
        found = self.shown(pa.array([math.nan, math.inf, -math.inf]))
        self.assertEqual(found, ["NaN", "Infinity", "-Infinity"])
        import numpy as np
        halves = np.array([1.5, 65504, 6e-8, -0.25], np.float16)
        self.assertEqual([np.float16(v) for v in self.shown(pa.array(halves))], list(halves))

    def test_decimals(self):
        for kind, values in (
                (pa.decimal32(9, 2), ["-9999999.99", "0.01", "0.00"]),
                (pa.decimal64(18, 3), ["123456789012345.678", "-0.001"]),
                (pa.decimal128(38, 0), ["-" + "9" * 38, "0", "7"]),
                (pa.decimal128(15, 2), ["-0.05", "1234567890123.45"]),
                (pa.decimal256(76, 38), ["9" * 38 + "." + "9" * 38, "-1." + "0" * 38])):
            array = pa.array([D(v) for v in values], kind)
            self.assertEqual(self.shown(array), values, kind)

    def test_dates_and_times(self):
        days = [datetime.date(1970, 1, 1), datetime.date(1600, 2, 29), datetime.date(9999, 12, 31)]
        self.assertEqual(self.shown(pa.array(days)), [day.isoformat() for day in days])
        stamps = [datetime.datetime(1969, 12, 31, 23, 59, 59, 999999),
                  datetime.datetime(2000, 2, 29, 12, 0, 1, 5)]
        self.assertEqual(self.shown(pa.array(stamps, pa.timestamp("us"))),
                         [stamp.isoformat(timespec="microseconds") for stamp in stamps])
        self.assertEqual(self.shown(pa.array(stamps, pa.timestamp("us", "UTC")))[1],
                         "2000-02-29T12:00:01.000005Z")
        self.assertEqual(self.shown(pa.array([86399999], pa.time32("ms"))), ["23:59:59.999"])
        self.assertEqual(self.shown(pa.array([-5], pa.duration("us"))), ["-5us"])

    def test_text_and_bytes(self):
        texts = ["", "ä𝄞\"\\\n\t\x01\x7f", "\0", None]
        self.assertEqual(self.shown(pa.array(texts)), texts)
        self.assertEqual(self.shown(pa.array(texts, pa.large_string())), texts)
        self.assertEqual(self.shown(pa.array([b"\x00\xff", None])), ["00ff", None])
        self.assertEqual(self.shown(pa.array([b"abc"], pa.binary(3))), ["616263"])

    def test_nested(self):
        lists = [[1, None, 3], [], None]
        self.assertEqual(self.shown(pa.array(lists)), lists)
        self.assertEqual(self.shown(pa.array(lists, pa.large_list(pa.int8()))), lists)
        structs = [{"a": 1, "b": ["x", None]}, None, {"a": None, "b": None}]
        self.assertEqual(self.shown(pa.array(structs)), structs)
        maps = pa.array([[("k", 1), ("l", None)], []], pa.map_(pa.string(), pa.int32()))
        self.assertEqual(self.shown(maps), [[["k", 1], ["l", None]], []])
        self.assertEqual(self.shown(pa.array(["x", None, "x"]).dictionary_encode()),
                         ["x", None, "x"])
        self.assertEqual(self.shown(pa.array(lists).slice(1)), lists[1:])

    def test_views_runs_and_unions(self):
        texts = ["", None, "twelve bytes", "a text of more than twelve bytes", "ä"]
        self.assertEqual(self.shown(pa.array(texts, pa.string_view())), texts)
        self.assertEqual(self.shown(pa.array(texts, pa.string_view()).slice(2)), texts[2:])
        data = [b"", None, b"\xff" * 20]
        self.assertEqual(self.shown(pa.array(data, pa.binary_view())), ["", None, "ff" * 20])
        pairs = [[1, None], None, [3, 4]]
        self.assertEqual(self.shown(pa.array(pairs, pa.list_(pa.int8(), 2)).slice(1)), pairs[1:])
        self.assertEqual(self.shown(pa.array([[], [], None], pa.list_(pa.int8(), 0))),
                         [[], [], None])
        lists = [["x"], [], None, ["y", None]]
        self.assertEqual(self.shown(pa.array(lists, pa.list_view(pa.string()))), lists)
        self.assertEqual(self.shown(pa.array(lists, pa.large_list_view(pa.string_view()))), lists)
        runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 7], pa.int16()),
                                                 pa.array(["x", None, "y"]))
        self.assertEqual(self.shown(runs), ["x", "x", None] + 4 * ["y"])
        self.assertEqual(self.shown(runs.slice(1, 3)), ["x", None, "y"])
        type_ids = pa.array([7, 3, 7, 3], pa.int8())
        dense = pa.UnionArray.from_dense(type_ids, pa.array([0, 0, 1, 1], pa.int32()),
                                         [pa.array([1, None]), pa.array([["x"], []])], ["i", "l"],
                                         [7, 3])
        self.assertEqual(self.shown(dense), [1, ["x"], None, []])
        self.assertEqual(self.shown(dense.slice(1, 2)), [["x"], None])
        sparse = pa.UnionArray.from_sparse(
            type_ids, [pa.array([1, 2, 3, 4]), pa.array(["a", "b", "c", None])], ["i", "s"],
            [7, 3])
        self.assertEqual(self.shown(sparse), [1, "b", 3, None])
        inner = pa.array([["x", "y"], None, ["y"]])
        inner = pa.ListArray.from_arrays(inner.offsets, inner.values.dictionary_encode())
        nested = pa.DictionaryArray.from_arrays(pa.array([2, 0, None], pa.int8()), inner)
        self.assertEqual(self.shown(nested), [["y"], ["x", "y"], None])

    def test_csv_of_what_stands_for_others(self):
        runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()),
                                                 pa.array(["a,b", None]))
        union = pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()),
                                          [pa.array(["", "u", None]), pa.array([[1], [2], [3]])])
        path = write(self.folder / "a.arrow", pa.record_batch({"r": runs, "u": union}))
        self.assertEqual(self.succeeds("cat", path).output,
                         'r,u\n"a,b",""\n"a,b",[2]\n,\n')

    def test_csv(self):
        texts = ["a,b", 'say "x"', "two\nlines", "", "plain"]
        batch = pa.record_batch({"a,1": pa.array(texts), "n": pa.array([1, None, 3, 4, 5]),
                                 "l": pa.array([[1, 2], None, [], [3], [4]])})
        path = write(self.folder / "a.arrow", batch)
        rows = list(csv.reader(io.StringIO(self.succeeds("cat", path).output)))
        self.assertEqual(rows[0], ["a,1", "n", "l"])
        self.assertEqual([row[0] for row in rows[1:]], texts)
        self.assertEqual([row[1] for row in rows[1:]], ["1", "", "3", "4", "5"])
        self.assertEqual(rows[1][2], "[1,2]")

    def test_null_and_empty_text_differ_in_csv(self):
        path = write(self.folder / "a.arrow",
                     pa.record_batch({"a": pa.array(["", None]), "b": pa.array([1, 2])}))
        self.assertEqual(self.succeeds("cat", path).output, 'a,b\n"",1\n,2\n')

    def test_limit(self):
        path = write(self.folder / "a.arrow", [numbers(10), numbers(10, 10)])
        for limit in (0, 1, 10, 11, 20, 21):
            lines = self.succeeds("cat", "--limit", limit, path).output.splitlines()
            self.assertEqual(len(lines), 1 + min(limit, 20))
            data = self.succeeds("cat", "--limit", limit, "--arrow", path).bytes
            table = pa.ipc.open_stream(data).read_all()
            table.validate(full=True)
            self.assertEqual(table, pa.Table.from_batches([numbers(20)]).slice(0, limit))

    def test_every_type(self):
        """Nothing is lost between random batches and an Arrow stream; JSON is JSON."""
        for seed in range(1, 6):
            batch = Generator(seed).batch(40)
            path = write(self.folder / f"{seed}.arrow", batch)
            stream = pa.ipc.open_stream(self.succeeds("cat", "--arrow", path).bytes)
            self.assertEqual(stream.read_all(), pa.Table.from_batches([batch]))
            lines = self.succeeds("cat", "--json", path).output.splitlines()
            self.assertEqual(len(lines), 40)
            for line in lines:
                json.loads(line)

    def test_custom_metadata_is_kept(self):
        batch, path = numbers(3), self.folder / "a.arrow"
        with pa.ipc.new_stream(str(path), batch.schema) as writer:
            writer.write_batch(batch, custom_metadata={"k": "v"})
            writer.write_batch(batch)
        stream = pa.ipc.open_stream(self.succeeds("cat", "--limit", 4, "--arrow", path).bytes)
        found = [custom for _, custom in stream.iter_batches_with_custom_metadata()]
        self.assertEqual([custom and dict(custom) for custom in found], [{b"k": b"v"}, None])

    def test_json_and_arrow(self):
        self.fails(USAGE, "cat", "--json", "--arrow", "x", saying="--arrow")


class SchemaTest(ProgramTest):
    def test_columns(self):
        schema = pa.schema([pa.field("k", pa.int64(), False), ("d", pa.decimal128(15, 2)),
                            pa.field("t", pa.timestamp("us", "UTC"), metadata={"unit": "x"})],
                           metadata={"made": "by hand"})
        path = write(self.folder / "a.arrow", pa.record_batch([[1], [D("1.5")], [0]], schema))
        found = self.succeeds("schema", "--json", path).json["files"][0]
        self.assertEqual([c["type"] for c in found["columns"]],
                         ["int64", "decimal128(15, 2)", "timestamp[us, UTC]"])
        self.assertEqual([c["nullable"] for c in found["columns"]], [False, True, True])
        self.assertEqual(found["metadata"], {"made": "by hand"})
        self.assertEqual(found["columns"][2]["metadata"], {"unit": "x"})
        text = self.succeeds("schema", path).output
        self.assertIn("int64 not null", text)
        self.assertNotIn("by hand", text)
        self.assertIn("made = by hand", self.succeeds("schema", "--metadata", path).output)

    def test_same_schema_is_said_once(self):
        for name in "ab":
            write(self.folder / f"{name}.arrow", numbers(1))
        self.assertRegex(self.succeeds("schema", self.folder).output, r"b\.arrow: as .*a\.arrow")


class WhereTest(ProgramTest):
    def check(self, types, words, columns, partitions=16):
        """`columns`: what the model of the hash knows the values as."""
        found = self.succeeds("where", "--json", "--partitions", partitions, "--types", types,
                              *words).json
        hashed = hash_model.row_hash(columns)
        nodes = max(1024, 1 << (64 * partitions - 1).bit_length())
        self.assertEqual(found["keys"][0]["hash"], f"{hashed:016x}", words)
        self.assertEqual(found["keys"][0]["partition"], hashed % nodes * partitions // nodes)

    def test_types(self):
        text = "ä text that is longer than a block"
        for types, word, kind, value in (
                ("int64", "-5", "int64", "-5"), ("uint8", "255", "uint8", "255"),
                ("int32", "null", "int32", None), ("bool", "true", "bool", True),
                ("utf8", text, "utf8", text.encode().hex()), ("utf8", "", "utf8", ""),
                ("large_binary", "0x00fF", "large_binary", "00ff"),
                ("utf8_view", text, "utf8", text.encode().hex()), ("utf8_view", "", "utf8", ""),
                ("utf8_view", "null", "utf8", None), ("utf8_view", "x" * 12, "utf8", "78" * 12),
                ("binary_view", "0x00fF", "binary", "00ff"),
                ("fixed_size_binary[3]", "abc", "fixed_size_binary", "616263"),
                ("fixed_size_binary[3]", "null", "fixed_size_binary", None),
                ("date32", "2013-01-31", "date32", "15736"), ("date32", "-1", "date32", "-1"),
                ("timestamp[us]", "1970-01-01T00:00:01.5", "timestamp", "1500000"),
                ("timestamp[ms, UTC]", "1970-01-01 00:00Z", "timestamp", "0"),
                ("time64[ns]", "00:00:01", "time64", "1000000000"),
                ("duration[s]", "77", "duration", "77"),
                ("double", "-0.0", "double", "8000000000000000"),
                ("double", "nan", "double", "7ff8000000000000"),
                ("float", "1.5", "float", "3fc00000"),
                ("decimal128(15, 2)", "-12.5", "decimal128(15,2)", "-1250"),
                ("decimal128(38,0)", "1" + "0" * 30, "decimal128(38,0)", str(10 ** 30)),
                ("decimal256(76,0)", "-" + "9" * 76, "decimal256(76,0)", str(1 - 10 ** 76)),
                ("null", "null", "null", None)):
            self.check(types, [word], [(kind, value)])

    def test_several_columns_and_partitions(self):
        for partitions in (1, 2, 16, 200, 65536):
            self.check("utf8,int64", ["UA", "7"], [("utf8", b"UA".hex()), ("int64", "7")],
                       partitions)

    def test_schema_of_a_file(self):
        batch = pa.record_batch({"a": pa.array(["x"]).dictionary_encode(),
                                 "b": pa.array([1], pa.int16())})
        path = write(self.folder / "a.arrow", batch)
        found = self.succeeds("where", "--json", "--partitions", 8, "--schema", path, "--by",
                              "b,a", "5", "hello", "6", "null").json
        wanted = hash_model.row_hash([("int16", "5"), ("utf8", b"hello".hex())])
        self.assertEqual(found["keys"][0]["hash"], f"{wanted:016x}")
        self.assertEqual(found["keys"][1]["values"], ["6", None])

    def test_runs_are_asked_for_by_their_values(self):
        runs = pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()),
                                                 pa.array(["x"], pa.string_view()))
        union = pa.UnionArray.from_sparse(pa.array([0, 0], pa.int8()), [pa.array([1, 2])])
        path = write(self.folder / "a.arrow", pa.record_batch({"r": runs, "u": union}))
        found = self.succeeds("where", "--json", "--partitions", 8, "--schema", path, "--by", "r",
                              "hello").json
        wanted = hash_model.row_hash([("utf8", b"hello".hex())])
        self.assertEqual(found["keys"][0]["hash"], f"{wanted:016x}")
        self.fails(USAGE, "where", "--partitions", 8, "--schema", path, "--by", "u", "1",
                   saying="values of this type cannot be given as text (its format is '+us:0')")

    def test_other_word_for_null(self):
        args = ("where", "--json", "--partitions", 8, "--types", "utf8", "--null", "NA")
        wanted = hash_model.row_hash([("utf8", b"null".hex())])
        found = self.succeeds(*args, "null", "NA").json
        self.assertEqual(found["keys"][0]["hash"], f"{wanted:016x}")
        self.assertIsNone(found["keys"][1]["values"][0])

    def test_ranges(self):
        bounds = write(self.folder / "bounds.arrow", pa.record_batch({"": pa.array([10, 20])}))
        text = self.succeeds("where", "--partitions", 3, "--types", "int64", "--bounds", bounds,
                             "9", "10", "25", "null").output
        self.assertEqual([line.split()[2] for line in text.splitlines()], ["0", "1", "2", "2"])

    def test_wrong_values(self):
        for types, word in (("int8", "128"), ("uint16", "-1"), ("int64", "1.5"), ("bool", "yes"),
                            ("date32", "2013-02-29"), ("time32[s]", "24:00:00"),
                            ("timestamp[s]", "2013-01-01T00:00:00.5"), ("double", "1,5"),
                            ("decimal128(5,2)", "1234.5"), ("decimal128(5,2)", "1.234"),
                            ("fixed_size_binary[3]", "ab"), ("binary", "0xg0"),
                            ("binary", "0x0"), ("null", "1")):
            self.fails(USAGE, "where", "--partitions", 4, "--types", types, word,
                       saying=f"'{word}'")

    def test_usage(self):
        path = write(self.folder / "a.arrow", numbers(1))
        for words, said in (
                ((), "VALUE"), (("--partitions", 4, "1"), "--schema"),
                (("--partitions", 0, "--types", "int64", "1"), "--partitions is 0"),
                (("--partitions", 65537, "--types", "int64", "1"), "65537"),
                (("--partitions", 4, "--types", "int65", "1"), "'int65'"),
                (("--partitions", 4, "--types", "int64,utf8", "1"), "2 columns"),
                (("--partitions", 4, "--schema", path, "1"), "--by"),
                (("--partitions", 4, "--schema", path, "--by", "kay", "1"), "'kay'")):
            self.fails(USAGE, "where", *words, saying=said)


if __name__ == "__main__":
    unittest.main()
