"""Makes the files of data/ with pyarrow, and beside each what is in it, as ipc_tool prints it. Run
by hand when a case is added: python3 make_golden.py"""

import bisect
import ctypes
import json
import random
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import pyarrow as pa  # noqa: E402

from test_pyarrow import columns_of, layouts_of, write  # noqa: E402

DATA = Path(__file__).resolve().parent / "data"
FLAG_ORDERED, FLAG_NULLABLE, FLAG_SORTED = 1, 2, 4


class CSchema(ctypes.Structure):
    """The C data interface's structure, which pyarrow exports."""


CSchema._fields_ = [
    ("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64), ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(CSchema))),
    ("dictionary", ctypes.POINTER(CSchema)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(CSchema))),
    ("private_data", ctypes.c_void_p)]


def pairs_of(metadata):
    return [[key.hex(), value.hex()] for key, value in (metadata or {}).items()]


def field_of(exported, metadata=None):
    children = [field_of(exported.children[i].contents) for i in range(exported.n_children)]
    told = {
        "name": (exported.name or b"").hex(),
        "format": exported.format.decode(),
        "nullable": bool(exported.flags & FLAG_NULLABLE),
        "metadata": pairs_of(metadata),
        "children": children,
    }
    if told["format"] == "+m":
        told["sorted"] = bool(exported.flags & FLAG_SORTED)
    if exported.dictionary:
        values = field_of(exported.dictionary.contents) | {"name": "", "nullable": True}
        told |= {"ordered": bool(exported.flags & FLAG_ORDERED), "values": values}
    return told


def field(arrow_field):
    exported = CSchema()
    arrow_field._export_to_c(ctypes.addressof(exported))
    told = field_of(exported, arrow_field.metadata)
    exported.release(ctypes.byref(exported))
    return told


def numbers_in(array, index, kind):
    """A buffer of a union: pyarrow 26 gives codes and offsets of a slice without its offset."""
    return pa.Array.from_buffers(kind, len(array), [None, array.buffers()[index]],
                                 offset=array.offset).to_pylist()


def union_values(array):
    members = {code: values_of(array.field(i)) for i, code in enumerate(array.type.type_codes)}
    codes = numbers_in(array, 1, pa.int8())
    is_dense = array.type.mode == "dense"
    places = numbers_in(array, 2, pa.int32()) if is_dense else range(len(array))
    return [[code, members[code][place]] for code, place in zip(codes, places)]


def run_values(array):
    values = values_of(array.values)
    ends = array.run_ends.to_pylist()
    return [values[bisect.bisect_right(ends, array.offset + i)] for i in range(len(array))]


def list_values(array, valid):
    """Of list views and fixed-size lists."""
    return [values_of(array[i].values) if ok else None for i, ok in enumerate(valid)]


def values_of(array):
    kind = array.type
    if pa.types.is_union(kind):
        return union_values(array)
    if pa.types.is_run_end_encoded(kind):
        return run_values(array)
    valid = array.is_valid().to_pylist()
    if pa.types.is_null(kind):
        return [None] * len(array)
    if pa.types.is_dictionary(kind):
        values = values_of(array.dictionary)
        return [None if i is None else values[i] for i in array.indices.to_pylist()]
    if pa.types.is_boolean(kind):
        return [None if value is None else int(value) for value in array.to_pylist()]
    if pa.types.is_struct(kind):
        children = [values_of(child) for child in array.flatten()]
        return [[child[i] for child in children] if ok else None for i, ok in enumerate(valid)]
    if pa.types.is_map(kind):
        items = [list(pair) for pair in zip(values_of(array.keys), values_of(array.items))]
        offsets = array.offsets.to_pylist()
        return [items[offsets[i]:offsets[i + 1]] if ok else None for i, ok in enumerate(valid)]
    if pa.types.is_fixed_size_list(kind) or str(kind).startswith(("list_view", "large_list_view")):
        return list_values(array, valid)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        items, offsets = values_of(array.values), array.offsets.to_pylist()
        return [items[offsets[i]:offsets[i + 1]] if ok else None for i, ok in enumerate(valid)]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
        return [None if text is None else text.encode().hex() for text in array.to_pylist()]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or kind == pa.binary_view():
        return [None if blob is None else blob.hex() for blob in array.to_pylist()]
    width, data = kind.bit_width // 8, array.buffers()[1].to_pybytes()
    at = [(array.offset + i) * width for i in range(len(array))]
    return [data[i:i + width].hex() if ok else None for i, ok in zip(at, valid)]


def tell(schema, batches):
    return {
        "metadata": pairs_of(schema.metadata),
        "fields": [field(arrow_field) for arrow_field in schema],
        "batches": [{"rows": batch.num_rows, "metadata": [],
                     "columns": [values_of(column) for column in batch.columns]}
                    for batch in batches],
    }


def save(name, batches, kinds=("stream", "file"), **options):
    schema = batches[0].schema
    for kind in kinds:
        path = DATA / f"{name}.{'stream' if kind == 'stream' else 'arrow_file'}"
        write(path, schema, batches, kind, pa.ipc.IpcWriteOptions(**options))
    (DATA / f"{name}.json").write_text(json.dumps(tell(schema, batches)) + "\n")


def every_type(seed, count):
    arrays = columns_of(random.Random(seed), count)
    batch = pa.RecordBatch.from_arrays(arrays, [f"c{i}" for i in range(len(arrays))])
    return batch.replace_schema_metadata({"key": "value", "empty": ""})


def every_layout(seed, count):
    arrays = layouts_of(random.Random(seed), count)
    return pa.RecordBatch.from_arrays(arrays, [f"c{i}" for i in range(len(arrays))])


def dictionary(indices, values):
    return pa.RecordBatch.from_arrays(
        [pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), pa.array(values)),
         pa.array(range(len(indices)), pa.int16())], ["d", "i"])


def main():
    DATA.mkdir(exist_ok=True)
    batch = every_type(1, 9)
    save("types", [batch, batch.slice(2, 5), batch.slice(0, 0)])
    old = {"metadata_version": pa.ipc.MetadataVersion.V4}
    save("types_v4", [batch, batch.slice(2, 5)], **old)
    save("types_legacy", [batch, batch.slice(2, 5)], use_legacy_format=True, **old)
    grown = [dictionary([0, 1, None, 1], ["a", "bb"]), dictionary([2, 0, 1], ["a", "bb", "c"]),
             dictionary([3, 4, 0], ["a", "bb", "c", None, "dddd"])]
    save("dictionary_deltas", grown, emit_dictionary_deltas=True)
    save("dictionary_replaced", [*grown, dictionary([0, 0], ["x"])], kinds=("stream",))
    save("no_rows", [batch.slice(0, 0)])
    save("no_columns", [pa.record_batch([pa.array([1, 2])], names=["a"]).select([])])
    layouts = every_layout(3, 12)
    save("layouts", [layouts, layouts.slice(2, 5), layouts.slice(0, 0)])
    save("layouts_v4", [layouts, layouts.slice(2, 5)], **old)
    for codec in ("lz4", "zstd"):
        save(f"compressed_{codec}", [every_type(2, 60), every_type(2, 60).slice(7, 30)],
             compression=codec)


if __name__ == "__main__":
    main()
