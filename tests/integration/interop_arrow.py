"""Batches to and from other Arrow libraries by the C data and C stream interfaces: pyarrow,
nanoarrow and polars. Arguments: seed [scale]."""

import ctypes
import gc
import os
import sys
import unittest

SKIPPED = 77

try:
    import nanoarrow
    import polars
    from nanoarrow.c_array import allocate_c_array
    from nanoarrow.c_schema import allocate_c_schema
    import pyarrow as pa
except ImportError as missing:
    print(f"skipped: {missing}; scripts/install-python.sh installs it")
    sys.exit(SKIPPED)

import fletching_ctypes as fletching  # noqa: E402
from random_tables import ALL_TYPES, NESTED_TYPES, OTHER_TYPES, Generator  # noqa: E402

N_BUFFERS, BUFFERS, CHILDREN = 3, 5, 6  # words of an ArrowArray
SEED = 1
SCALE = 1


class InteropTest(unittest.TestCase):
    def setUp(self):
        self.library = fletching.Library()

    def tearDown(self):
        gc.collect()
        self.library.close()

    def taken(self, batch):
        """The batch as the library has it, and its schema."""
        schema_struct, array_struct = fletching.ArrowSchema(), fletching.ArrowArray()
        batch._export_to_c(ctypes.addressof(array_struct), ctypes.addressof(schema_struct))
        schema = self.library.schema_import(ctypes.addressof(schema_struct))
        self.assertIsNone(schema_struct.release)
        taken = self.library.batch_import(ctypes.addressof(array_struct), schema)
        self.assertIsNone(array_struct.release)
        return taken, schema

    def given(self, taken, schema):
        schema_struct, array_struct = fletching.ArrowSchema(), fletching.ArrowArray()
        self.library.schema_export(schema, ctypes.addressof(schema_struct))
        self.library.batch_export(taken, ctypes.addressof(array_struct))
        return pa.RecordBatch._import_from_c(ctypes.addressof(array_struct),
                                             ctypes.addressof(schema_struct))

    def check_batch(self, batch):
        taken, schema = self.taken(batch)
        again = self.given(taken, schema)
        self.library.batch_release(taken)
        self.library.schema_release(schema)
        again.validate(full=True)
        self.assertTrue(again.schema.equals(batch.schema, check_metadata=True))
        self.assertEqual(again.num_rows, batch.num_rows)
        for number, (ours, theirs) in enumerate(zip(again.columns, batch.columns)):
            self.assertTrue(ours.equals(theirs), f"column {number}: {theirs.type}")

    def test_every_type_comes_back_whole_and_in_slices(self):
        generator = Generator(SEED)
        for _ in range(2 * SCALE):
            for length in (0, 1, 7, 64, 131):
                batch = generator.batch(length)
                self.check_batch(batch)
                first = generator.random.randrange(length + 1)
                self.check_batch(batch.slice(first, generator.random.randrange(length + 1)))

    def test_each_type_alone_where_nothing_or_everything_is_null(self):
        generator = Generator(SEED)
        for data_type in ALL_TYPES:
            with self.subTest(type=str(data_type)):
                nulls = pa.nulls(19, data_type)
                try:
                    nulls.validate(full=True)
                except pa.ArrowInvalid:  # pyarrow gives runs in a struct a validity here
                    nulls = generator.array(data_type, 19)
                self.check_batch(pa.record_batch([nulls], ["a"]))
                self.check_batch(pa.record_batch([nulls.slice(5, 9)], ["a"]))
                whole = generator.array(data_type, 33, False)
                self.check_batch(pa.record_batch([whole], ["a"]))
                self.check_batch(pa.record_batch([whole.slice(3, 0)], ["a"]))

    def test_slices_within_slices_of_nested_types(self):
        generator = Generator(SEED)
        for data_type in NESTED_TYPES + OTHER_TYPES:
            with self.subTest(type=str(data_type)):
                inner = generator.array(data_type, 50).slice(3, 41)
                outer = pa.StructArray.from_arrays([inner, generator.array(pa.int64(), 41)],
                                                   ["inner", "number"]).slice(5, 30)
                self.check_batch(pa.record_batch([outer], ["outer"]).slice(2, 21))

    def test_unions_that_have_a_validity_yet_are_taken_without_nulls(self):
        for array in (
                pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()),
                                          [pa.array([1, 2, None]), pa.array(["a", "b", "c"])]),
                pa.UnionArray.from_dense(pa.array([0, 1, 0], pa.int8()),
                                         pa.array([0, 0, 1], pa.int32()),
                                         [pa.array([1, 2]), pa.array(["a"])])):
            for bits in (None, b"\x07", b"\x06"):
                batch = pa.record_batch([array], ["u"])
                schema_struct, array_struct = fletching.ArrowSchema(), fletching.ArrowArray()
                batch._export_to_c(ctypes.addressof(array_struct),
                                   ctypes.addressof(schema_struct))
                children = ctypes.cast(array_struct.words[CHILDREN], ctypes.POINTER(
                    ctypes.POINTER(fletching.ArrowArray)))
                column = children[0].contents
                count, theirs = column.words[N_BUFFERS], column.words[BUFFERS]
                old = ctypes.cast(theirs, ctypes.POINTER(ctypes.c_void_p))
                buffers = (ctypes.c_void_p * (count + 1))()
                validity = None if bits is None else ctypes.create_string_buffer(bits)
                buffers[0] = None if bits is None else ctypes.addressof(validity)
                for i in range(count):
                    buffers[i + 1] = old[i]
                column.words[N_BUFFERS] = count + 1
                column.words[BUFFERS] = ctypes.addressof(buffers)
                schema = self.library.schema_import(ctypes.addressof(schema_struct))
                if bits == b"\x06":
                    with self.assertRaisesRegex(fletching.Failure, "a validity with 1 nulls"):
                        self.library.batch_import(ctypes.addressof(array_struct), schema)
                    self.library.schema_release(schema)
                    column.words[N_BUFFERS], column.words[BUFFERS] = count, theirs
                    pa.RecordBatch._import_from_c(ctypes.addressof(array_struct), batch.schema)
                    continue
                taken = self.library.batch_import(ctypes.addressof(array_struct), schema)
                self.assertTrue(self.given(taken, schema).equals(batch))
                self.library.batch_release(taken)
                self.library.schema_release(schema)

    def test_rows_of_an_array_that_are_null_are_refused_and_left_alone(self):
        array = pa.array([{"a": 1}, None], pa.struct([("a", pa.int64())]))
        schema_struct, array_struct = fletching.ArrowSchema(), fletching.ArrowArray()
        array._export_to_c(ctypes.addressof(array_struct), ctypes.addressof(schema_struct))
        schema = self.library.schema_import(ctypes.addressof(schema_struct))
        with self.assertRaises(fletching.Failure) as caught:
            self.library.batch_import(ctypes.addressof(array_struct), schema)
        self.assertIn("rows that are null as a whole", str(caught.exception))
        again = pa.Array._import_from_c(ctypes.addressof(array_struct), array.type)
        self.assertTrue(again.equals(array))
        self.library.schema_release(schema)

    def test_a_column_outlives_its_batch(self):
        generator = Generator(SEED)
        batch = generator.batch(40)
        taken, schema = self.taken(batch)
        again = self.given(taken, schema)
        self.library.batch_release(taken)
        self.library.schema_release(schema)
        columns = again.columns
        del again
        for ours, theirs in zip(columns, batch.columns):
            self.assertTrue(ours.equals(theirs))

    def test_streams_pass_through(self):
        generator = Generator(SEED)
        schema = generator.batch(0).schema
        batches = []
        for length in (0, 5, 100):
            arrays = [generator.array(field.type, length, field.nullable)
                      if not isinstance(field.type, pa.BaseExtensionType)
                      else pa.nulls(length, field.type) for field in schema]
            batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        source, target = fletching.ArrowArrayStream(), fletching.ArrowArrayStream()
        reader._export_to_c(ctypes.addressof(source))
        self.library.stream_through(ctypes.addressof(source), ctypes.addressof(target))
        again = pa.RecordBatchReader._import_from_c(ctypes.addressof(target))
        self.assertTrue(again.schema.equals(schema, check_metadata=True))
        for ours, theirs in zip(again, batches, strict=True):
            ours.validate(full=True)
            self.assertTrue(ours.equals(theirs))

    def test_a_failing_stream_is_told_with_its_message(self):
        def failing():
            yield pa.record_batch([pa.array([1])], ["a"])
            raise ValueError("the well is dry")

        schema = pa.schema([("a", pa.int64())])
        reader = pa.RecordBatchReader.from_batches(schema, failing())
        source, target = fletching.ArrowArrayStream(), fletching.ArrowArrayStream()
        reader._export_to_c(ctypes.addressof(source))
        self.library.stream_through(ctypes.addressof(source), ctypes.addressof(target))
        again = pa.RecordBatchReader._import_from_c(ctypes.addressof(target))
        self.assertEqual(again.read_next_batch().num_rows, 1)
        with self.assertRaisesRegex(Exception, "the well is dry"):
            again.read_next_batch()

    def test_nanoarrow_arrays_come_and_go(self):
        # Its copies of arrays have room for three buffers, and views have more.
        types = [data_type for data_type in ALL_TYPES if "_view" not in str(data_type)]
        batch = Generator(SEED).batch(30, types + [pa.list_view(pa.int8())])
        theirs = nanoarrow.c_array(batch)
        schema_capsule, array_capsule = theirs.__arrow_c_array__()
        schema = self.library.schema_import(
            fletching.capsule_address(schema_capsule, b"arrow_schema"))
        taken = self.library.batch_import(
            fletching.capsule_address(array_capsule, b"arrow_array"), schema)
        schema_struct = allocate_c_schema()
        array_struct = allocate_c_array(schema_struct)
        self.library.schema_export(schema, schema_struct._addr())
        self.library.batch_export(taken, array_struct._addr())
        self.library.batch_release(taken)
        self.library.schema_release(schema)
        again = pa.record_batch(nanoarrow.Array(array_struct))
        self.assertTrue(again.equals(batch))

    def test_polars_frames_come_and_go(self):
        frame = polars.DataFrame({
            "number": [1, None, 3], "flag": [True, False, None], "real": [1.5, None, -0.0],
            "list": [[1, 2], None, []], "struct": [{"a": 1, "b": 2.0}, None, {"a": None, "b": 1.0}],
        })
        capsule = frame.__arrow_c_stream__()
        target = fletching.ArrowArrayStream()
        self.library.stream_through(
            fletching.capsule_address(capsule, b"arrow_array_stream"), ctypes.addressof(target))
        table = pa.RecordBatchReader._import_from_c(ctypes.addressof(target)).read_all()
        self.assertTrue(polars.from_arrow(table).equals(frame))

    def test_polars_strings_are_views_and_come_and_go(self):
        frame = polars.DataFrame({
            "s": ["a", None, "", "longer than twelve bytes", "twelve bytes"],
            "b": [b"\x00" * 20, b"", None, b"x", b"y"],
        })
        for taken in (frame, frame.slice(1, 3)):
            capsule = taken.__arrow_c_stream__()
            target = fletching.ArrowArrayStream()
            self.library.stream_through(
                fletching.capsule_address(capsule, b"arrow_array_stream"),
                ctypes.addressof(target))
            table = pa.RecordBatchReader._import_from_c(ctypes.addressof(target)).read_all()
            table.validate(full=True)
            self.assertEqual(table.schema.field("s").type, pa.string_view())
            self.assertTrue(polars.from_arrow(table).equals(taken))


if __name__ == "__main__":
    SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    SCALE = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(f"seed {SEED}, scale {SCALE}, library {os.environ['FLETCH_LIBRARY']}")
    unittest.main(argv=sys.argv[:1])
