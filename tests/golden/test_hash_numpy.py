"""hash_numpy.py against the vectors of docs/format/hash-vectors.json, whose values are made Arrow
arrays by hand here. Skipped where there is no numpy or pyarrow."""
import json
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

try:
    import numpy as np
    import pyarrow as pa
except ImportError as missing:
    print(f"skipped: {missing}; scripts/install-python.sh installs it")
    sys.exit(77)

import hash_numpy  # noqa: E402

VECTORS = Path(__file__).resolve().parents[2] / "docs/format/hash-vectors.json"
TYPES = {"null": pa.null(), "bool": pa.bool_(), "half": pa.float16(), "float": pa.float32(),
         "double": pa.float64(), "utf8": pa.utf8(), "large_utf8": pa.large_utf8(),
         "binary": pa.binary(), "large_binary": pa.large_binary(), "date32": pa.date32(),
         "date64": pa.date64(), "time32": pa.time32("s"), "time64": pa.time64("us"),
         "timestamp": pa.timestamp("us"), "duration": pa.duration("us")}
TYPES |= {f"{u}int{bits}": getattr(pa, f"{u}int{bits}")() for u in ("", "u")
          for bits in (8, 16, 32, 64)}
FLOATS = {"half": np.float16, "float": np.float32, "double": np.float64}


def type_of(kind):
    if not isinstance(kind, str):
        return None
    if kind.startswith("decimal128"):
        precision, scale = map(int, kind[11:-1].split(","))
        return pa.decimal128(precision, scale)
    return TYPES.get(kind)


def array_of(kind, value):
    """One value, from its stored bytes where Arrow would check or convert it."""
    arrow = type_of(kind)
    if value is None:
        return pa.array([None], arrow)
    if kind == "bool":
        return pa.array([value])
    if kind in FLOATS:
        data = bytes.fromhex(value)[::-1]
    elif "utf8" in kind or "binary" in kind:
        text = bytes.fromhex(value)
        offsets = np.array([0, len(text)], np.int64 if "large" in kind else np.int32)
        return pa.Array.from_buffers(arrow, 1, [None, pa.py_buffer(offsets), pa.py_buffer(text)])
    else:
        width = arrow.bit_width // 8
        data = (int(value) % (1 << 8 * width)).to_bytes(width, "little")
    return pa.Array.from_buffers(arrow, 1, [None, pa.py_buffer(data)])


class HashNumpyTest(unittest.TestCase):
    def setUp(self):
        self.vectors = json.loads(VECTORS.read_text(encoding="utf-8"))

    def test_vectors(self):
        seen = 0
        for entry in self.vectors["rows"]:
            columns = entry["columns"]
            if not columns or any(type_of(column["type"]) is None for column in columns):
                continue
            arrays = [array_of(column["type"], column["value"]) for column in columns]
            batch = pa.record_batch(arrays, names=[f"c{i}" for i in range(len(arrays))])
            self.assertEqual(f"{int(hash_numpy.row_hashes(batch)[0]):016x}", entry["hash"],
                             columns)
            seen += 1
        self.assertGreater(seen, 200)

    def test_partitions(self):
        for entry in self.vectors["partitions"]:
            if entry["virtual_nodes"] != hash_numpy.virtual_nodes(entry["partitions"]):
                continue
            batch = pa.record_batch([pa.array([int(entry["int64"])], pa.int64())], names=["k"])
            found = hash_numpy.partitions_of(hash_numpy.row_hashes(batch), entry["partitions"])
            self.assertEqual(int(found[0]), entry["partition"], entry)

    def test_slices_and_several_rows(self):
        table = {"i": pa.array([1, None, 3, -4], pa.int32()),
                 "s": pa.array(["", "a longer text than one block", None, "b"]),
                 "d": pa.array(["x", None, "x", "y"]).dictionary_encode(),
                 "b": pa.array([True, False, None, True])}
        batch = pa.record_batch(table)
        whole = hash_numpy.row_hashes(batch)
        for i in range(4):
            self.assertEqual(hash_numpy.row_hashes(batch.slice(i, 1))[0], whole[i])


if __name__ == "__main__":
    unittest.main()
