"""Seeded pyarrow batches of every type that the library carries."""

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
        if pa.types.is_string(data_type) or pa.types.is_large_string(data_type):
            return self.text()
        if pa.types.is_fixed_size_binary(data_type):
            return rng.randbytes(data_type.byte_width)
        if pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type):
            return rng.randbytes(rng.randrange(9))
        return self.nested(data_type)

    def nested(self, data_type):
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

    def array(self, data_type, length, nullable=True):
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

    def batch(self, length):
        """Every type once, with metadata, and names that are empty or repeat."""
        fields, arrays = [], []
        for number, data_type in enumerate(FLAT_TYPES + NESTED_TYPES):
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
