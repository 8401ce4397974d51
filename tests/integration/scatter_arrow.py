"""Batches of nested types, every kind of them, are scattered and compared with pyarrow row by row.
Arguments: seed [scale]."""

import ctypes
import gc
import random
import sys
import unittest

SKIPPED = 77

try:
    import pyarrow as pa
except ImportError as missing:
    print(f"skipped: {missing}; scripts/install-python.sh installs it")
    sys.exit(SKIPPED)

import fletching_ctypes as fletching  # noqa: E402
from random_tables import FLAT_TYPES, Generator  # noqa: E402

SEED = 1
SCALE = 1
HASH, ROUND_ROBIN = 0, 3
DEPTH = 4


class PartitionerOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("method", ctypes.c_int),
                ("partition_count", ctypes.c_uint32), ("key_columns", ctypes.c_void_p),
                ("key_column_count", ctypes.c_uint32), ("virtual_node_count", ctypes.c_uint32),
                ("virtual_node_map", ctypes.c_void_p), ("seed", ctypes.c_uint64),
                ("range_orders", ctypes.c_void_p), ("range_bounds", ctypes.c_void_p)]


class WriterOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("cache", ctypes.c_void_p),
                ("frame_bytes", ctypes.c_size_t), ("budget_bytes", ctypes.c_uint64),
                ("writer_count", ctypes.c_uint32), ("account", ctypes.c_void_p)]


class Frame(ctypes.Structure):
    _fields_ = [("partition", ctypes.c_uint32), ("batch", ctypes.c_void_p),
                ("key_sum", ctypes.c_uint64)]


def sized(options, **fields):
    return options(ctypes.sizeof(options), **fields)


class Nester(Generator):
    """Arrays of types that are made up while they are filled: no type is said before."""

    def column(self, length, depth):
        kinds = [self.plain, self.views]
        if depth < DEPTH:
            kinds += [self.structs, self.lists, self.list_views, self.fixed_lists, self.maps,
                      self.unions, self.runs, self.dictionaries] * 2
        return self.random.choice(kinds)(length, depth)

    def nulls(self, length):
        return pa.array([self.is_null(True) for _ in range(length)], pa.bool_())

    def plain(self, length, depth):
        return self.array(self.random.choice(FLAT_TYPES), length)

    def views(self, length, depth):
        texts = [None if self.is_null(True) else "x" * self.random.choice((0, 3, 12, 13, 40))
                 + self.random.choice(("", "y", "zz")) for _ in range(length)]
        return pa.array(texts, self.random.choice((pa.string_view(), pa.binary_view())))

    def structs(self, length, depth):
        children = [self.column(length, depth + 1) for _ in range(self.random.randrange(1, 4))]
        return pa.StructArray.from_arrays(children, [f"c{i}" for i in range(len(children))],
                                          mask=self.nulls(length))

    def ends(self, length):
        ends = [0]
        for _ in range(length):
            ends.append(ends[-1] + self.random.choice((0, 0, 1, 2, 5)))
        return ends

    def lists(self, length, depth):
        ends = self.ends(length)
        kind, width = self.random.choice(((pa.ListArray, pa.int32()),
                                          (pa.LargeListArray, pa.int64())))
        return kind.from_arrays(pa.array(ends, width), self.column(ends[-1], depth + 1),
                                mask=self.nulls(length))

    def list_views(self, length, depth):
        """Lists that overlap, lie in any order and leave elements out."""
        below = self.random.randrange(1, 2 * length + 2)
        starts = [self.random.randrange(below + 1) for _ in range(length)]
        sizes = [self.random.randrange(min(4, below - start) + 1) for start in starts]
        kind, width = self.random.choice(((pa.ListViewArray, pa.int32()),
                                          (pa.LargeListViewArray, pa.int64())))
        return kind.from_arrays(pa.array(starts, width), pa.array(sizes, width),
                                self.column(below, depth + 1), mask=self.nulls(length))

    def fixed_lists(self, length, depth):
        size = self.random.randrange(1, 4)
        return pa.FixedSizeListArray.from_arrays(self.column(length * size, depth + 1), size,
                                                 mask=self.nulls(length))

    def maps(self, length, depth):
        ends = self.ends(length)
        keys = pa.array([f"{i}" for i in range(ends[-1])])
        return pa.MapArray.from_arrays(pa.array(ends, pa.int32()), keys,
                                       self.column(ends[-1], depth + 1))

    def unions(self, length, depth):
        codes = self.random.sample(range(128), self.random.randrange(1, 4))
        ids = pa.array([self.random.choice(codes) for _ in range(length)], pa.int8())
        names = [f"m{code}" for code in codes]
        if self.random.random() < 0.5:
            children = [self.column(length, depth + 1) for _ in codes]
            return pa.UnionArray.from_sparse(ids, children, names, codes)
        used = dict.fromkeys(codes, 0)
        offsets = []
        for code in ids.to_pylist():
            used[code] += self.random.choice((0, 1, 1, 2))
            offsets.append(used[code])
        children = [self.column(used[code] + 1, depth + 1) for code in codes]
        return pa.UnionArray.from_dense(ids, pa.array(offsets, pa.int32()), children, names, codes)

    def runs(self, length, depth):
        ends = []
        while (ends[-1] if ends else 0) < length:
            ends.append((ends[-1] if ends else 0) + self.random.choice((1, 1, 2, 7, 30)))
        width = self.random.choice((pa.int16(), pa.int32(), pa.int64()))
        values = self.column(len(ends), depth + 1)
        if pa.types.is_run_end_encoded(values.type):
            return values.slice(0, 0) if length == 0 else self.plain(length, depth)
        whole = pa.RunEndEncodedArray.from_arrays(pa.array(ends, width), values)
        return whole.slice(0, length)

    def dictionaries(self, length, depth):
        count = self.random.randrange(1, 20)
        values = self.column(count, depth + 1)
        if pa.types.is_dictionary(values.type):
            values = self.plain(count, depth)
        indices = [None if self.is_null(True) else self.random.randrange(count)
                   for _ in range(length)]
        return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int16()), values)


def shown(value):
    """A value as text in which equal bits are equal: NaN too."""
    return repr(value)


def cells(column):
    return [shown(value) for value in column.to_pylist()]


class ScatterTest(unittest.TestCase):
    def setUp(self):
        self.library = fletching.Library()

    def tearDown(self):
        gc.collect()
        self.library.close()

    def import_batches(self, batches):
        schema_struct, array_struct = fletching.ArrowSchema(), fletching.ArrowArray()
        batches[0].schema._export_to_c(ctypes.addressof(schema_struct))
        schema = self.library.schema_import(ctypes.addressof(schema_struct))
        taken = []
        for batch in batches:
            batch._export_to_c(ctypes.addressof(array_struct))
            taken.append(self.library.batch_import(ctypes.addressof(array_struct), schema))
        return schema, taken

    def writer(self, schema, method, keys, partitions, frame_bytes):
        key_columns = (ctypes.c_uint32 * max(1, len(keys)))(*keys)
        partitioner, writer = ctypes.c_void_p(), ctypes.c_void_p()
        options = sized(PartitionerOptions, method=method, partition_count=partitions,
                        key_columns=ctypes.addressof(key_columns), key_column_count=len(keys))
        self.library.call("fletch_partitioner_create", schema, ctypes.byref(options), None,
                          ctypes.byref(partitioner))
        options = sized(WriterOptions, cache=self.library.cache, frame_bytes=frame_bytes)
        try:
            self.library.call("fletch_partition_writer_create", schema, partitioner,
                              ctypes.byref(options), ctypes.byref(writer))
        except fletching.Failure:
            self.library.calls.fletch_partitioner_destroy(partitioner)
            raise
        return writer

    def take_frames(self, writer, schema, frames):
        frame = Frame()
        while True:
            self.library.call("fletch_partition_writer_next", writer, ctypes.byref(frame))
            if not frame.batch:
                return
            batch = ctypes.c_void_p(frame.batch)
            schema_struct, array_struct = fletching.ArrowSchema(), fletching.ArrowArray()
            self.library.schema_export(schema, ctypes.addressof(schema_struct))
            self.library.batch_export(batch, ctypes.addressof(array_struct))
            frames.append((frame.partition, pa.RecordBatch._import_from_c(
                ctypes.addressof(array_struct), ctypes.addressof(schema_struct))))
            self.library.batch_release(batch)

    def scattered(self, batches, method, keys, partitions, frame_bytes):
        """Batches of one schema, or of schemas that differ in encodings from the first."""
        schema, taken = self.import_batches(batches[:1])
        for batch in batches[1:]:
            own, more = self.import_batches([batch])
            taken += more
            self.library.schema_release(own)
        frames = []
        writer = None
        try:
            writer = self.writer(schema, method, keys, partitions, frame_bytes)
            for batch in taken:
                self.library.call("fletch_partition_writer_push", writer, batch)
                self.take_frames(writer, schema, frames)
            self.library.call("fletch_partition_writer_flush", writer)
            self.take_frames(writer, schema, frames)
        finally:
            if writer is not None:
                self.library.calls.fletch_partition_writer_destroy(writer)
            for batch in taken:
                self.library.batch_release(batch)
            self.library.schema_release(schema)
        return frames

    def check(self, batches, method, keys, partitions, frame_bytes):
        """Column 0 numbers the rows of all batches."""
        frames = self.scattered(batches, method, keys, partitions, frame_bytes)
        expected = [sum((cells(batch.column(c)) for batch in batches), [])
                    for c in range(batches[0].num_columns)]
        seen = {}
        for partition, frame in frames:
            frame.validate(full=True)
            rows = frame.column(0).to_pylist()
            seen.setdefault(partition, []).extend(rows)
            for c in range(frame.num_columns):
                self.assertEqual(cells(frame.column(c)), [expected[c][row] for row in rows],
                                 batches[0].schema.field(c))
        for rows in seen.values():
            self.assertEqual(rows, sorted(rows))
        self.assertEqual(sorted(sum(seen.values(), [])), list(range(len(expected[0]))))
        # A null of one member of a union is not that of another, which Python cannot see.
        if method == HASH and not any("union" in str(batches[0].column(k).type) for k in keys):
            self.check_keys(seen, expected, keys)

    def check_keys(self, seen, expected, keys):
        homes = {}
        for partition, rows in seen.items():
            for row in rows:
                key = tuple(expected[k][row] for k in keys)
                self.assertEqual(homes.setdefault(key, partition), partition, key)

    def batches(self, nester, lengths, offset):
        """Columns of one type each, sliced out of one array so that all batches have it."""
        total = sum(lengths)
        columns = [nester.column(total + offset, 1).slice(offset) for _ in range(3)]
        numbers = pa.array(range(total), pa.int64())
        names = ["row", *(f"k{i}" for i in range(len(columns)))]
        whole = pa.RecordBatch.from_arrays([numbers, *columns], names)
        batches, at = [], 0
        for length in lengths:
            batches.append(whole.slice(at, length))
            at += length
        return batches

    def test_random_batches(self):
        for seed in range(SEED, SEED + 60 * SCALE):
            nester = Nester(seed)
            rng = random.Random(-seed)
            lengths = [rng.choice((0, 1, 7, 60, 200)) for _ in range(rng.randrange(1, 4))]
            batches = self.batches(nester, lengths, rng.randrange(5))
            with self.subTest(seed=seed, schema=str(batches[0].schema)):
                method = rng.choice((HASH, ROUND_ROBIN))
                keys = [rng.randrange(1, 4)] if method == HASH else []
                self.check(batches, method, keys, rng.choice((1, 2, 5)),
                           rng.choice((4096, 1 << 16)))

    def test_dictionaries_and_plain_values_for_each_other(self):
        """Of values of any type: whichever comes first is what the writer has."""
        length = 80
        for seed in range(SEED, SEED + 25 * SCALE):
            nester = Nester(seed)
            rng = random.Random(-seed)
            plain = nester.column(length + 3, 2).slice(3)
            if pa.types.is_dictionary(plain.type):
                continue
            # A union has no nulls of its own, nor runs of one.
            indices = [None if "union" not in str(plain.type) and rng.random() < 0.1
                       else rng.randrange(length) for _ in range(length)]
            encoded = pa.DictionaryArray.from_arrays(
                pa.array(indices, rng.choice((pa.int8(), pa.int32()))), plain)
            numbers = pa.array(range(length), pa.int64())
            if rng.random() < 0.5:
                columns = [pa.StructArray.from_arrays([column], ["x"])
                           for column in (plain, encoded)]
            else:
                columns = [plain, encoded]
            batches = [pa.record_batch([numbers, column], names=["row", "v"])
                       for column in columns]
            batches[1] = batches[1].set_column(0, "row", pa.array(range(length, 2 * length)))
            with self.subTest(seed=seed, type=str(plain.type)):
                cut = [batches[0].slice(5), batches[1].slice(9)]
                for pair in (cut, cut[::-1]):
                    rows = sum((batch.column(0).to_pylist() for batch in pair), [])
                    values = dict(zip(rows, sum((cells(batch.column(1)) for batch in pair), [])))
                    found = {}
                    for _, frame in self.scattered(pair, HASH, [1], 2, 1 << 16):
                        frame.validate(full=True)
                        found.update(zip(frame.column(0).to_pylist(), cells(frame.column(1))))
                    self.assertEqual(found, values)

    def test_runs_and_lists_across_frames(self):
        """Frames that fill in the middle of a run, and rows that are larger than a frame."""
        values = pa.array(["a" * 13, None, "b" * 12, "c" * 5000], pa.string_view())
        runs = pa.RunEndEncodedArray.from_arrays(pa.array([900, 1300, 1400, 2000], pa.int16()),
                                                 values)
        lists = pa.ListViewArray.from_arrays(
            pa.array([i % 3 for i in range(2000)], pa.int32()),
            pa.array([2000 if i % 500 == 0 else i % 5 for i in range(2000)], pa.int32()),
            pa.array(range(2100), pa.int64()))
        batch = pa.RecordBatch.from_arrays([pa.array(range(2000)), runs, lists],
                                           ["row", "runs", "lists"])
        for partitions in (1, 3):
            self.check([batch, batch.slice(2000)], ROUND_ROBIN, [], partitions, 4096)
            self.check([batch], HASH, [1], partitions, 4096)

    def test_rows_that_outgrow_their_run_ends(self):
        """Lists that share elements have copies of their own in a frame."""
        runs = pa.RunEndEncodedArray.from_arrays(pa.array([20000], pa.int16()), pa.array(["x"]))
        lists = pa.ListViewArray.from_arrays(pa.array([0, 0, 1], pa.int32()),
                                             pa.array([20000, 20000, 12000], pa.int32()), runs)
        fitting = pa.RecordBatch.from_arrays([pa.array(range(3)), lists], ["row", "lists"])
        self.check([fitting], ROUND_ROBIN, [], 1, 4096)
        outer = pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), lists)
        batch = pa.RecordBatch.from_arrays([pa.array(range(2)), outer], ["row", "lists"])
        with self.assertRaisesRegex(fletching.Failure, "a row has 40000 elements, and a frame can "
                                                       "count 32767"):
            self.check([batch], ROUND_ROBIN, [], 1, 4096)
        second = batch.slice(1).set_column(0, "row", pa.array([0]))
        self.check([second], ROUND_ROBIN, [], 1, 4096)

    def test_views_of_twelve_and_thirteen_bytes(self):
        """What is too long for a view is in the frame, and nothing else of what it lay in."""
        texts = pa.array(["a" * 12, "b" * 13, None, "", "c" * 1000] * 200, pa.string_view())
        batch = pa.RecordBatch.from_arrays([pa.array(range(1000)), texts], ["row", "texts"])
        self.check([batch], HASH, [1], 3, 4096)
        (_, frame), = self.scattered([batch.slice(1, 2)], ROUND_ROBIN, [], 1, 1 << 16)
        self.assertEqual([buffer.size for buffer in frame.column(1).buffers()[2:]], [13])
        (_, frame), = self.scattered([batch.slice(2, 2)], ROUND_ROBIN, [], 1, 1 << 16)
        self.assertEqual(len(frame.column(1).buffers()), 2)

    def test_deep_nesting(self):
        """As deep as pyarrow takes it, one level less than a schema may be; views at the bottom."""
        array = pa.array([f"text {i} of thirteen and more" for i in range(30)], pa.string_view())
        for level in range(62):
            bounds = pa.array(range(31), pa.int32())
            array = pa.ListArray.from_arrays(bounds, array) if level % 2 else \
                pa.ListViewArray.from_arrays(bounds[:30], pa.array([1] * 30, pa.int32()), array)
        batch = pa.RecordBatch.from_arrays([pa.array(range(30)), array], ["row", "deep"])
        self.check([batch], HASH, [1], 3, 1 << 16)

    def test_no_elements_and_no_rows(self):
        nothing = pa.array([], pa.string_view())
        zeros = pa.array([0] * 50, pa.int32())
        lists = pa.ListViewArray.from_arrays(zeros, zeros, nothing)
        union = pa.UnionArray.from_dense(pa.array([1] * 50, pa.int8()),
                                         pa.array(range(50), pa.int32()), [nothing, pa.nulls(50)])
        batch = pa.RecordBatch.from_arrays([pa.array(range(50)), lists, union], ["row", "e", "u"])
        self.check([batch.slice(0, 0), batch], ROUND_ROBIN, [], 2, 4096)
        self.assertEqual(self.scattered([batch.slice(7, 0)], HASH, [1, 2], 2, 4096), [])


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.argv[1:] = []
    SEED = int(arguments[0]) if arguments else SEED
    SCALE = int(arguments[1]) if len(arguments) > 1 else SCALE
    print(f"seed {SEED}")
    unittest.main()
