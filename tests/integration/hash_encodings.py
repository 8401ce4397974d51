"""The same values, whatever holds them, have the same hashes: strings with offsets, as views, in
dictionaries and runs; lists of every kind; unions dense and sparse; all of it in each other.
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

SEED = 1
SCALE = 1
DEPTH = 4


def made_up(rng, depth):
    """A type without a layout: "text", "number", ("list", type), ("fixed", size, type), ("struct",
    types), ("union", types)."""
    kinds = ["text", "text", "number"]
    if depth < DEPTH:
        kinds += ["list", "list", "fixed", "struct", "union"]
    kind = rng.choice(kinds)
    if kind == "list":
        return kind, made_up(rng, depth + 1)
    if kind == "fixed":
        return kind, rng.randrange(1, 4), made_up(rng, depth + 1)
    if kind in ("struct", "union"):
        return kind, [made_up(rng, depth + 1) for _ in range(rng.randrange(1, 4))]
    return kind


def values_of(rng, kind, count):
    """Of a union: (which, value); no such element is null itself."""
    def one():
        if kind[0] != "union" and rng.random() < 0.2:
            return None
        if kind == "text":
            return rng.choice(("", "a", "b" * 12, "c" * 13, "ß" * 40))
        if kind == "number":
            return rng.randrange(-3, 100)
        if kind[0] == "list":
            return values_of(rng, kind[1], rng.randrange(4))
        if kind[0] == "fixed":
            return values_of(rng, kind[2], kind[1])
        if kind[0] == "struct":
            return [values_of(rng, child, 1)[0] for child in kind[1]]
        which = rng.randrange(len(kind[1]))
        return which, values_of(rng, kind[1][which], 1)[0]
    values = []
    while len(values) < count:
        values += [one()] * rng.choice((1, 1, 3))
    return values[:count]


class Encoder:
    """Arrays of the same values in encodings that are drawn for each."""

    def __init__(self, rng):
        self.rng = rng

    def array(self, kind, values):
        encoding = self.rng.randrange(6)
        if encoding == 0:
            distinct = [values[i] for i in range(len(values)) if values[i] not in values[:i]]
            spare = self.plain(kind, distinct + distinct[:1])
            indices = [distinct.index(value) for value in values]
            return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int16()), spare) \
                if not pa.types.is_dictionary(spare.type) else spare
        if encoding == 1 and values:
            ends = [i + 1 for i in range(len(values))
                    if i + 1 == len(values) or values[i + 1] != values[i]
                    or self.rng.random() < 0.3]
            runs = self.plain(kind, [values[end - 1] for end in ends])
            return pa.RunEndEncodedArray.from_arrays(pa.array(ends, pa.int32()), runs)
        if encoding == 2:
            return self.plain(kind, values[:1] * 3 + values)[len(values[:1]) * 3:]
        return self.plain(kind, values)

    def plain(self, kind, values):
        mask = pa.array([value is None for value in values], pa.bool_())
        if kind == "text":
            return pa.array(values, self.rng.choice(
                (pa.string(), pa.large_string(), pa.string_view())))
        if kind == "number":
            return pa.array(values, self.rng.choice((pa.int8(), pa.int32(), pa.int64())))
        if kind[0] == "struct":
            children = [self.array(child, [None if v is None else v[i] for v in values]
                                   if child[0] != "union" else
                                   [(0, None) if v is None else v[i] for v in values])
                        for i, child in enumerate(kind[1])]
            return pa.StructArray.from_arrays(children, [f"c{i}" for i in range(len(children))],
                                              mask=mask)
        if kind[0] == "union":
            return self.union(kind[1], values)
        return self.lists(kind, values, mask)

    def nothing(self, kind):
        return (0, None) if kind[0] == "union" else None

    def union(self, kinds, values):
        ids = pa.array([which for which, _ in values], pa.int8())
        names = [f"m{i}" for i in range(len(kinds))]
        if self.rng.random() < 0.5:
            children = [self.array(kind, [value if which == i else self.nothing(kind)
                                          for which, value in values])
                        for i, kind in enumerate(kinds)]
            return pa.UnionArray.from_sparse(ids, children, names)
        mine = [[value for which, value in values if which == i] for i in range(len(kinds))]
        starts = [sum(which == w for w, _ in values[:at]) for at, (which, _) in enumerate(values)]
        children = [self.array(kind, part) for kind, part in zip(kinds, mine)]
        return pa.UnionArray.from_dense(ids, pa.array(starts, pa.int32()), children, names)

    def lists(self, kind, values, mask):
        child = kind[-1]
        kinds = ["list", "large", "view", "large view"] + ["fixed"] * 3 * (kind[0] == "fixed")
        encoding = self.rng.choice(kinds)
        if encoding == "fixed":
            below = [e for v in values for e in (v or [self.nothing(child)] * kind[1])]
            return pa.FixedSizeListArray.from_arrays(self.array(child, below), kind[1], mask=mask)
        width = pa.int64() if encoding.startswith("large") else pa.int32()
        if encoding.endswith("view"):
            order = list(range(len(values)))
            self.rng.shuffle(order)
            starts, below = [0] * len(values), []
            for i in order:
                starts[i] = len(below)
                below += values[i] or []
            made = pa.LargeListViewArray if width == pa.int64() else pa.ListViewArray
            return made.from_arrays(pa.array(starts, width),
                                    pa.array([len(v or []) for v in values], width),
                                    self.array(child, below), mask=mask)
        ends = [0]
        for value in values:
            ends.append(ends[-1] + len(value or []))
        made = pa.LargeListArray if width == pa.int64() else pa.ListArray
        below = [e for v in values for e in (v or [])]
        return made.from_arrays(pa.array(ends, width), self.array(child, below), mask=mask)


class HashTest(unittest.TestCase):
    def setUp(self):
        self.library = fletching.Library()
        self.library.calls.fletch_hash_batch.argtypes = [ctypes.c_void_p, ctypes.c_void_p,
                                                         ctypes.c_uint32, ctypes.c_void_p]
        self.library.calls.fletch_hash_row_sum.argtypes = [ctypes.c_void_p]
        self.library.calls.fletch_hash_row_sum.restype = ctypes.c_uint64

    def tearDown(self):
        gc.collect()
        self.library.close()

    def hashes(self, array):
        batch = pa.RecordBatch.from_arrays([array], ["k"])
        schema_struct, array_struct = fletching.ArrowSchema(), fletching.ArrowArray()
        batch._export_to_c(ctypes.addressof(array_struct), ctypes.addressof(schema_struct))
        schema = self.library.schema_import(ctypes.addressof(schema_struct))
        taken = self.library.batch_import(ctypes.addressof(array_struct), schema)
        hashes = (ctypes.c_uint64 * max(1, len(array)))()
        key = ctypes.c_uint32(0)
        self.library.calls.fletch_hash_batch(taken, ctypes.addressof(key), 1,
                                             ctypes.addressof(hashes))
        row_sum = self.library.calls.fletch_hash_row_sum(taken)
        self.library.batch_release(taken)
        self.library.schema_release(schema)
        found = list(hashes)[:len(array)]
        self.assertEqual(row_sum, sum(found) % (1 << 64))
        return found

    def test_equal_values_hash_equal(self):
        for seed in range(SEED, SEED + 60 * SCALE):
            rng = random.Random(seed)
            kind = made_up(rng, 1)
            values = values_of(rng, kind, rng.choice((1, 3, 20, 100)))
            encoder = Encoder(rng)
            with self.subTest(seed=seed, kind=kind):
                first = self.hashes(encoder.array(kind, values))
                for _ in range(4):
                    array = encoder.array(kind, values)
                    self.assertEqual(self.hashes(array), first, array.type)

    def test_different_values_hash_different(self):
        """Among some hundred values of a type no two hashes are equal, unless the values are."""
        for seed in range(SEED, SEED + 20 * SCALE):
            rng = random.Random(seed)
            kind = made_up(rng, 1)
            values = values_of(rng, kind, 200)
            by_hash = {}
            for value, found in zip(values, self.hashes(Encoder(rng).array(kind, values))):
                self.assertEqual(by_hash.setdefault(found, value), value, (seed, kind))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.argv[1:] = []
    SEED = int(arguments[0]) if arguments else SEED
    SCALE = int(arguments[1]) if len(arguments) > 1 else SCALE
    print(f"seed {SEED}")
    unittest.main()
