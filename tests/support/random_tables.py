"""Seeded pyarrow batches of every type."""

import random
from decimal import Decimal

import pyarrow as pa

FLAT_TYPES = [
    pa.null(), pa.bool_(), pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(),
    pa.int64(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal32(9, 2),
    pa.decimal64(18, 3), pa.decimal128(38, 10), pa.decimal256(76, 38), pa.string(),
    pa.large_string(), pa.binary(), pa.large_binary(), pa.binary(0), pa.binary(7), pa.date32(),
    pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"),
    pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("us", "Europe/Berlin"),
    pa.timestamp("ns"), pa.duration("s"), pa.duration("ms"), pa.duration("us"), pa.duration("ns"),
    pa.month_day_nano_interval(),
]

NESTED_TYPES = [
    pa.struct([]),
    pa.struct([pa.field("x", pa.int64(), nullable=False), pa.field("y", pa.string())]),
    pa.list_(pa.string()), pa.large_list(pa.list_(pa.int32())),
    pa.list_(pa.struct([("a", pa.int8()), ("b", pa.list_(pa.binary()))])),
    pa.map_(pa.string(), pa.int32()), pa.map_(pa.int64(), pa.list_(pa.float64()), keys_sorted=True),
    pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.uint16(), pa.timestamp("ns", "UTC")),
    pa.dictionary(pa.int64(), pa.decimal128(20, 3), ordered=True),
    pa.struct([("d", pa.dictionary(pa.int32(), pa.binary())), ("n", pa.null())]),
]

# Views, list views, fixed-size lists, unions, runs, and dictionaries in dictionaries.
OTHER_TYPES = [
    pa.string_view(), pa.binary_view(), pa.list_(pa.int16(), 3), pa.list_(pa.string(), 0),
    pa.list_(pa.list_(pa.string_view(), 2), 2), pa.list_(pa.struct([("a", pa.int8())]), 2),
    pa.list_view(pa.string_view()), pa.large_list_view(pa.list_view(pa.int8())),
    pa.dense_union([pa.field("i", pa.int32()), pa.field("s", pa.string_view())]),
    pa.dense_union([pa.field("b", pa.bool_()), pa.field("l", pa.list_(pa.int8()))], [7, 3]),
    pa.sparse_union([pa.field("i", pa.int64()), pa.field("f", pa.list_(pa.int8(), 2))]),
    pa.sparse_union([pa.field("n", pa.null()), pa.field("s", pa.struct([("x", pa.string())]))],
                    [5, 0]),
    pa.run_end_encoded(pa.int16(), pa.string()), pa.run_end_encoded(pa.int32(), pa.bool_()),
    pa.run_end_encoded(pa.int64(), pa.list_(pa.int8(), 2)),
    pa.struct([("r", pa.run_end_encoded(pa.int32(), pa.int8())), ("v", pa.binary_view()),
               ("u", pa.sparse_union([pa.field("i", pa.int8())]))]),
    pa.list_(pa.dense_union([pa.field("i", pa.int32()), pa.field("s", pa.string())])),
    pa.dictionary(pa.int8(), pa.string_view()),
    pa.dictionary(pa.int16(), pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    pa.dictionary(pa.int16(), pa.struct([("d", pa.dictionary(pa.int8(), pa.list_(
        pa.dictionary(pa.uint8(), pa.int64()), 2)))])),
]


ALL_TYPES = FLAT_TYPES + NESTED_TYPES + OTHER_TYPES
LIST_CLASSES = (pa.ListType, pa.LargeListType, pa.FixedSizeListType, pa.ListViewType,
                pa.LargeListViewType)


def is_made_of_parts(data_type):
    """Whether pa.array() cannot make it of Python values, or not so that it is like no other."""
    return (pa.types.is_dictionary(data_type) or pa.types.is_union(data_type) or
            pa.types.is_run_end_encoded(data_type) or isinstance(data_type, LIST_CLASSES[2:]) or
            any(is_made_of_parts(data_type.field(i).type) for i in range(data_type.num_fields)))


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        return "".join(self.random.choice("abc xyz012äß€漢𝄞")
                       for _ in range(self.random.randrange(14)))

    def raw(self, data_type):
        """A value that is not null, as pa.array takes it for the type."""
        rng = self.random
        if pa.types.is_boolean(data_type):
            return rng.random() < 0.5
        if pa.types.is_integer(data_type):
            bits = data_type.bit_width
            low = 0 if pa.types.is_unsigned_integer(data_type) else -(1 << (bits - 1))
            return rng.randrange(low, low + (1 << bits))
        if pa.types.is_floating(data_type):
            return rng.choice([0.0, -0.0, 1.5, -2.25, float("inf"), 1024.0])
        if pa.types.is_decimal(data_type):
            digits = rng.randrange(10 ** data_type.precision)
            sign = rng.choice((0, 1))
            return Decimal((sign, tuple(int(d) for d in str(digits)), -data_type.scale))
        if data_type in (pa.string(), pa.large_string(), pa.string_view()):
            return self.text()
        if pa.types.is_fixed_size_binary(data_type):
            return rng.randbytes(data_type.byte_width)
        if data_type in (pa.binary(), pa.large_binary()):
            return rng.randbytes(rng.randrange(9))
        if data_type == pa.binary_view():
            return rng.randbytes(rng.randrange(30))
        return self.nested(data_type)

    def nested(self, data_type):
        if pa.types.is_fixed_size_list(data_type):
            return [self.value(data_type.value_type) for _ in range(data_type.list_size)]
        if pa.types.is_struct(data_type):
            return {field.name: self.value(field.type, field.nullable) for field in data_type}
        if pa.types.is_map(data_type):
            return [(self.raw(data_type.key_type), self.value(data_type.item_type))
                    for _ in range(self.random.randrange(4))]
        return [self.value(data_type.value_type) for _ in range(self.random.randrange(4))]

    def value(self, data_type, nullable=True):
        if pa.types.is_null(data_type) or self.is_null(nullable):
            return None
        return self.raw(data_type)

    def is_null(self, nullable):
        return nullable and self.random.random() < 0.2

    def temporal(self, data_type, length, nullable):
        """Any stored number of a temporal type that Arrow's own validation lets pass."""
        width = data_type.bit_width
        limits = {"s": 86400, "ms": 86400 * 10**3, "us": 86400 * 10**6, "ns": 86400 * 10**9}
        scale = 86400000 if pa.types.is_date64(data_type) else 1
        top = limits[data_type.unit] if pa.types.is_time(data_type) else 10**6
        stored = [None if self.is_null(nullable) else self.random.randrange(top) * scale
                  for _ in range(length)]
        return pa.array(stored, pa.int32() if width == 32 else pa.int64()).view(data_type)

    def list_array(self, data_type, length, nullable):
        """Lists over a child that is made first: of whatever type it is."""
        rng = self.random
        valid = [not self.is_null(nullable) for _ in range(length)]
        bits = sum(bit << i for i, bit in enumerate(valid))
        validity = pa.py_buffer(bits.to_bytes((length + 7) // 8 + 1, "little"))
        buffers = [None if all(valid) else validity]
        if pa.types.is_fixed_size_list(data_type):
            child = self.array(data_type.value_type, length * data_type.list_size)
            return pa.Array.from_buffers(data_type, length, buffers, children=[child])
        child = self.array(data_type.value_type, 2 * length)
        number = pa.int64() if pa.types.is_large_list(data_type) or \
            pa.types.is_large_list_view(data_type) else pa.int32()
        if pa.types.is_list(data_type) or pa.types.is_large_list(data_type):
            offsets = sorted(rng.randrange(2 * length + 1) for _ in range(length + 1))
            buffers.append(pa.array(offsets, number).buffers()[1])
        else:
            starts = [rng.randrange(2 * length) for _ in range(length)]
            sizes = [rng.randrange(min(4, 2 * length - start + 1)) for start in starts]
            buffers += [pa.array(starts, number).buffers()[1], pa.array(sizes, number).buffers()[1]]
        return pa.Array.from_buffers(data_type, length, buffers, children=[child])

    def union(self, data_type, length):
        rng = self.random
        codes = data_type.type_codes
        picks = [rng.randrange(len(codes)) for _ in range(length)]
        type_ids = pa.array([codes[pick] for pick in picks], pa.int8())
        names = [field.name for field in data_type]
        if data_type.mode == "sparse":
            children = [self.array(field.type, length) for field in data_type]
            return pa.UnionArray.from_sparse(type_ids, children, names, codes)
        counts = [picks.count(number) for number in range(len(codes))]
        children = [self.array(field.type, count) for field, count in zip(data_type, counts)]
        starts, used = [], [0] * len(codes)
        for pick in picks:
            starts.append(used[pick])
            used[pick] += 1
        return pa.UnionArray.from_dense(type_ids, pa.array(starts, pa.int32()), children, names,
                                        codes)

    def runs(self, data_type, length):
        ends = sorted(set(self.random.sample(range(1, length + 1), (length + 2) // 3)) | {length}) \
            if length > 0 else []
        return pa.RunEndEncodedArray.from_arrays(pa.array(ends, data_type.run_end_type),
                                                 self.array(data_type.value_type, len(ends)))

    def array(self, data_type, length, nullable=True):
        if pa.types.is_union(data_type):
            return self.union(data_type, length)
        if pa.types.is_run_end_encoded(data_type):
            return self.runs(data_type, length)
        if isinstance(data_type, LIST_CLASSES) and is_made_of_parts(data_type):
            return self.list_array(data_type, length, nullable)
        if pa.types.is_dictionary(data_type):
            values = self.array(data_type.value_type, 1 + self.random.randrange(60), False)
            indices = [None if self.is_null(nullable) else self.random.randrange(len(values))
                       for _ in range(length)]
            return pa.DictionaryArray.from_arrays(
                pa.array(indices, data_type.index_type), values, ordered=data_type.ordered)
        if pa.types.is_interval(data_type):
            rows = [None if self.is_null(nullable) else
                    tuple(self.random.randrange(-1000, 1000) for _ in range(3))
                    for _ in range(length)]
            return pa.array(rows, data_type)
        if pa.types.is_temporal(data_type):
            return self.temporal(data_type, length, nullable)
        if pa.types.is_struct(data_type) and data_type.num_fields > 0:
            children = [self.array(field.type, length, field.nullable) for field in data_type]
            mask = pa.array([self.is_null(nullable) for _ in range(length)], pa.bool_())
            return pa.StructArray.from_arrays(children, fields=list(data_type), mask=mask)
        kind = self.random.randrange(8)
        if kind == 0 and nullable:
            return pa.nulls(length, data_type)
        return pa.array([self.value(data_type, nullable and kind > 2) for _ in range(length)],
                        data_type)

    def batch(self, length, types=None):
        """Every type once, with metadata, and names that are empty or repeat."""
        fields, arrays = [], []
        for number, data_type in enumerate(types or ALL_TYPES):
            nullable = pa.types.is_null(data_type) or self.random.random() < 0.8
            name = self.random.choice(["", "twice", f"f{number}", "äöü"])
            metadata = {"unit": "m", "": "empty"} if self.random.random() < 0.2 else None
            arrays.append(self.array(data_type, length, nullable))
            fields.append(pa.field(name, data_type, nullable, metadata))
        fields.append(pa.field("uuid", pa.uuid()))
        storage = self.array(pa.binary(16), length)
        arrays.append(pa.ExtensionArray.from_storage(pa.uuid(), storage))
        schema = pa.schema(fields, {"origin": "random", "bytes": "a\0b"})
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
