"""What pyarrow reads of ours, and we of pyarrow's: random batches of every type, both ways, as
streams and files, with deltas and replacements of dictionaries. Skipped where there is no
pyarrow."""
import datetime
import decimal
import json
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

try:
    import pyarrow as pa
except ImportError:
    print("there is no pyarrow (python3 -m pip install pyarrow)")
    sys.exit(77)

SEEDS = range(1, 41)


def run(tool, *arguments):
    result = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"ipc_tool {' '.join(map(str, arguments))}: {result.stderr}")
    return result.stdout


def read(path, full=True):
    """Schema and batches, validated; in full, also that times of day are less than a day."""
    source = pa.memory_map(str(path))
    if path.read_bytes()[:6] == b"ARROW1":
        reader = pa.ipc.open_file(source)
        batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
    else:
        reader = pa.ipc.open_stream(source)
        batches = list(reader)
    for batch in batches:
        batch.validate(full=full)
    return reader.schema, batches


def write(path, schema, batches, kind, options=None):
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with new(str(path), schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)


def ours_through_pyarrow(tool, folder):
    """Random batches that we wrote, read by pyarrow, written by it, read and compared by us."""
    unreadable = through = 0
    for seed in SEEDS:
        for kind in ("stream", "file", "stream-lz4", "file-zstd", "stream-zstd", "file-lz4"):
            ours, theirs = folder / "ours", folder / "theirs"
            run(tool, "random", seed, kind, ours)
            try:
                schema, batches = read(ours, full=False)
            except pa.ArrowNotImplementedError:
                unreadable += 1
                continue
            written, _, codec = kind.partition("-")
            # pyarrow 26 crashes where it compresses an empty union that it has read.
            codec = None if "_union" in str(schema) else codec or None
            options = pa.ipc.IpcWriteOptions(compression=codec)
            write(theirs, schema, batches, written, options)
            run(tool, "compare", seed, theirs)
            through += 1
    if unreadable > through:
        sys.exit(f"pyarrow could not read {unreadable} of {unreadable + through}")
    print(f"{through} of ours went through pyarrow")


def some(generator, make, count):
    return [None if generator.random() < 0.2 else make() for _ in range(count)]


def columns_of(generator, count):
    """A column of every type that pyarrow can make and the library carries."""
    def integer(bits):
        return lambda: generator.randrange(-2**(bits - 1), 2**(bits - 1))

    def text():
        return "".join(generator.choice("abcäß€𝄞") for _ in range(generator.randrange(12)))

    def blob(most=12):
        return generator.randbytes(generator.randrange(most))

    def number(digits):
        return decimal.Decimal(generator.randrange(-10**digits, 10**digits)).scaleb(-2)

    makers = {
        pa.null(): lambda: None,
        pa.bool_(): lambda: generator.random() < 0.5,
        pa.float32(): lambda: float(generator.randrange(1000)),
        pa.float64(): generator.random,
        pa.string(): text, pa.large_string(): text,
        pa.binary(): blob, pa.large_binary(): blob,
        pa.binary(5): lambda: generator.randbytes(5),
        pa.decimal32(7, 2): lambda: number(7), pa.decimal64(15, 2): lambda: number(15),
        pa.decimal128(30, 2): lambda: number(25), pa.decimal256(60, 2): lambda: number(25),
        pa.date32(): lambda: datetime.date(2000, 1, 1 + generator.randrange(28)),
        pa.month_day_nano_interval(): lambda: (1, generator.randrange(9), 7),
        pa.list_(pa.int32()): lambda: some(generator, integer(32), 3),
        pa.large_list(pa.string()): lambda: some(generator, text, 3),
        pa.struct([("x", pa.int8()), ("y", pa.list_(pa.string()))]):
            lambda: {"x": integer(8)(), "y": some(generator, text, 2)},
        pa.map_(pa.string(), pa.int64()): lambda: [(text(), integer(64)())],
    }
    for bits in (8, 16, 32, 64):
        makers[getattr(pa, f"int{bits}")()] = integer(bits)
        makers[getattr(pa, f"uint{bits}")()] = lambda bits=bits: generator.randrange(2**bits)
    for unit in ("s", "ms", "us", "ns"):
        makers[pa.timestamp(unit)] = integer(32)
        makers[pa.timestamp(unit, "Europe/Berlin")] = integer(32)
        makers[pa.duration(unit)] = integer(32)
        makers[pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)] = \
            lambda: generator.randrange(86400)
    arrays = [pa.array(some(generator, make, count), type=kind)
              for kind, make in makers.items()]
    arrays.append(pa.array(some(generator, text, count)).dictionary_encode())
    return arrays


def layouts_of(generator, count):
    """Columns of views, list views, fixed-size lists, unions and runs, and of dictionaries of all
    of these and in each other."""
    def text():
        return "".join(generator.choice("abcäß€𝄞") for _ in range(generator.randrange(30)))

    def numbers(kind=pa.int16(), most=100):
        return pa.array(some(generator, lambda: generator.randrange(most), count), kind)

    def lists(kind, make):
        return pa.array(some(generator, lambda: some(generator, make, 3), count), kind)

    def union(is_dense, first, second):
        ids = pa.array([generator.choice((5, 2)) for _ in range(count)], pa.int8())
        if not is_dense:
            return pa.UnionArray.from_sparse(ids, [first, second], ["x", "y"], [5, 2])
        counts = {5: 0, 2: 0}
        offsets = []
        for kind in ids.to_pylist():
            offsets.append(counts[kind])
            counts[kind] += 1
        return pa.UnionArray.from_dense(ids, pa.array(offsets, pa.int32()), [first, second],
                                        ["x", "y"], [5, 2])

    def encoded(values):
        indices = pa.array(some(generator, lambda: generator.randrange(count), count), pa.int16())
        return pa.DictionaryArray.from_arrays(indices, values)

    def runs(values, kind=pa.int32()):
        ends = [i + 1 for i in range(count) if i + 1 == count or generator.random() < 0.3]
        return pa.RunEndEncodedArray.from_arrays(pa.array(ends, kind), values.slice(0, len(ends)))

    views = pa.array(some(generator, text, count), pa.string_view())
    list_views = lists(pa.list_view(pa.string_view()), text)
    fixed = pa.array(some(generator, lambda: some(generator, text, 3), count),
                     pa.list_(pa.string(), 3))
    blobs = pa.array(some(generator, lambda: generator.randbytes(generator.randrange(40)), count),
                     pa.binary_view())
    several = union(True, views, pa.StructArray.from_arrays([encoded(views)], ["a"]))
    mixed = union(True, numbers(), views)
    nested = pa.StructArray.from_arrays([encoded(views), encoded(numbers(pa.int64()))], ["a", "b"])
    return [
        views, blobs,
        list_views, lists(pa.large_list_view(pa.int64()), lambda: generator.randrange(9)), fixed,
        mixed, union(False, mixed, list_views), union(True, fixed, numbers()),
        runs(numbers()), runs(views, pa.int16()), runs(list_views, pa.int64()),
        encoded(views), encoded(fixed), encoded(list_views), encoded(mixed), encoded(nested),
        pa.StructArray.from_arrays([encoded(nested), runs(encoded(numbers()))], ["d", "r"]),
        pa.ListArray.from_arrays(pa.array(range(count + 1), pa.int32()), several),
    ]


def layouts_through_us(tool, folder):
    """The same, whole, cut and empty, plain and compressed; a file's dictionaries stay as they
    are."""
    for seed in SEEDS[:8]:
        generator = random.Random(seed)
        arrays = layouts_of(generator, generator.randrange(10, 60))
        whole = pa.RecordBatch.from_arrays(arrays, [f"c{i}" for i in range(len(arrays))])
        batches = [whole, whole.slice(3, 5), whole.slice(0, 0), whole.slice(7)]
        for kind in ("stream", "file"):
            for version in (pa.ipc.MetadataVersion.V4, pa.ipc.MetadataVersion.V5):
                options = pa.ipc.IpcWriteOptions(metadata_version=version)
                source, target = folder / "source", folder / "target"
                write(source, whole.schema, batches, kind, options)
                for target_kind in ("stream", "file", "stream-lz4", "file-zstd"):
                    run(tool, "copy", target_kind, 8, source, target)
                    compare(whole.schema, batches, target)


def theirs_through_us(tool, folder):
    """Batches of every type that pyarrow wrote, read and written by us, compared by pyarrow."""
    for seed in SEEDS[:8]:
        generator = random.Random(seed)
        arrays = columns_of(generator, generator.randrange(1, 60))
        whole = pa.RecordBatch.from_arrays(arrays, [f"c{i % 7}" for i in range(len(arrays))])
        batches = [whole, whole.slice(3, 9), whole.slice(0, 0)]
        schema = whole.schema.with_metadata({"a": "b"})
        batches = [batch.replace_schema_metadata({"a": "b"}) for batch in batches]
        for kind in ("stream", "file"):
            for version in (pa.ipc.MetadataVersion.V4, pa.ipc.MetadataVersion.V5):
                options = pa.ipc.IpcWriteOptions(metadata_version=version,
                                                 use_legacy_format=version.name == "V4")
                source, target = folder / "source", folder / "target"
                write(source, schema, batches, kind, options)
                for target_kind in ("stream", "file", "stream-lz4", "file-zstd"):
                    run(tool, "copy", target_kind, 64, source, target)
                    compare(schema, batches, target)


def compare(schema, batches, path, by_value=False):
    found_schema, found = read(path)
    if not schema.equals(found_schema, check_metadata=True):
        sys.exit(f"schema differs: {schema}\n{found_schema}")
    if len(found) != len(batches):
        sys.exit(f"{len(found)} batches, expected {len(batches)}")
    for left, right in zip(batches, found):
        if not (left.to_pydict() == right.to_pydict() if by_value else left.equals(right)):
            sys.exit(f"batch differs: {left.to_pydict()}\n{right.to_pydict()}")


def dictionaries_change(tool, folder):
    """Deltas, replacements, and dictionaries that come again, as they are read by either."""
    steps = (["a", "b"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c", None, "dd"], ["x"],
             ["x", "y", "z"] * 50)
    for values in (pa.string(), pa.large_string(), pa.binary(3), pa.int64(), pa.bool_()):
        def dictionary(step):
            if values == pa.bool_():
                return pa.array([None if text is None else text > "b" for text in step], values)
            if values == pa.int64():
                return pa.array([None if text is None else ord(text[0]) for text in step], values)
            return pa.array([None if text is None else (text * 3)[:3] for text in step]
                            ).cast(values if values != pa.binary(3) else pa.binary()).cast(values)
        batches = [pa.RecordBatch.from_arrays(
            [pa.DictionaryArray.from_arrays(
                pa.array([i % len(step) for i in range(7)], pa.int16()), dictionary(step))], ["d"])
            for step in steps]
        for deltas in (False, True):
            source, target = folder / "source", folder / "target"
            options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=deltas)
            write(source, batches[0].schema, batches, "stream", options)
            run(tool, "copy", "stream", 8, source, target)
            compare(batches[0].schema, batches, target)
        grown = batches[:4]
        write(source, batches[0].schema, grown, "stream")
        run(tool, "copy", "file", 8, source, target)
        # All batches of a file have the dictionary as it is at its end.
        compare(batches[0].schema, grown, target, by_value=True)


def custom_metadata_is_kept(tool, folder):
    source = folder / "source"
    batch = pa.record_batch([pa.array([1, 2])], names=["a"])
    with pa.ipc.new_stream(str(source), batch.schema) as writer:
        writer.write_batch(batch, custom_metadata={"k": "v", "empty": ""})
        writer.write_batch(batch)
    target = folder / "target"
    run(tool, "copy", "stream", 64, source, target)
    with pa.ipc.open_stream(str(target)) as reader:
        first, second = list(reader.iter_batches_with_custom_metadata())
    if dict(first.custom_metadata) != {b"k": b"v", b"empty": b""} or second.custom_metadata:
        sys.exit(f"custom metadata: {first.custom_metadata}, {second.custom_metadata}")
    found = json.loads(run(tool, "dump", target))["batches"][0]["metadata"]
    if sorted(found) != [["656d707479", ""], ["6b", "76"]]:
        sys.exit(f"custom metadata: {found}")


def messages_of(stream):
    """(metadata, body) of each message of a stream."""
    position = 0
    while position < len(stream):
        length = struct.unpack_from("<I", stream, position + 4)[0]
        if length == 0:
            return
        metadata = stream[position + 8:position + 8 + length]
        body = pa.ipc.read_message(stream[position:]).body
        position += 8 + length + (0 if body is None else body.size)
        yield metadata, b"" if body is None else body.to_pybytes()


def with_pair(message, key, value):
    """The message with one pair of custom metadata more, which no writer of pyarrow's can say: a
    table of its own that refers to the header in the old one, which goes with it whole."""
    root = struct.unpack_from("<I", message)[0]
    vtable = root - struct.unpack_from("<i", message, root)[0]
    slots = struct.unpack_from("<H", message, vtable)[0] // 2 - 2

    def field(slot):
        at = 0
        if slot < slots:
            at = struct.unpack_from("<H", message, vtable + 4 + 2 * slot)[0]
        return at and root + at

    header = field(2) + struct.unpack_from("<I", message, field(2))[0]
    body = struct.unpack_from("<q", message, field(3))[0] if field(3) else 0
    version, kind = struct.unpack_from("<h", message, field(0))[0], message[field(1)]

    def string(text):
        data = struct.pack("<I", len(text)) + text + b"\0"
        return data + b"\0" * (-len(data) % 4)

    # 0 root, 8 vtable of the message, 24 message, 48 vector, 56 vtable of the pair, 64 pair, 76 …
    strings = string(key) + string(value)
    old = 76 + len(strings) + (-(76 + len(strings)) % 8)
    made = struct.pack("<I4x", 24)
    made += struct.pack("<HHHHHHH2x", 14, 24, 4, 6, 8, 16, 12)
    made += struct.pack("<ihBxIIq", 24 - 8, version, kind, old + header - 32, 48 - 36, body)
    made += struct.pack("<II", 1, 64 - 52)
    made += struct.pack("<HHHH", 8, 12, 4, 8)
    made += struct.pack("<iII", 64 - 56, 76 - 68, 76 + len(string(key)) - 72)
    made += strings
    return made + b"\0" * (old - len(made)) + message


def metadata_of_all_messages_is_kept(tool, folder):
    """A footer's, which pyarrow writes, and those of schemas and dictionaries, which it only reads
    over."""
    batch = pa.record_batch([pa.array(["x", "y", "x"]).dictionary_encode()], names=["d"])
    source, target = folder / "source", folder / "target"
    with pa.ipc.new_file(str(source), batch.schema, metadata={"k": "v", "empty": ""}) as writer:
        writer.write_batch(batch)
    run(tool, "copy", "file", 8, source, target)
    found = pa.ipc.open_file(str(target)).metadata
    if dict(found) != {b"k": b"v", b"empty": b""}:
        sys.exit(f"custom metadata of a footer: {found}")
    write(source, batch.schema, [batch], "stream")
    made = b""
    for number, (message, body) in enumerate(messages_of(source.read_bytes())):
        message = with_pair(message, b"message", str(number).encode())
        made += struct.pack("<II", 0xFFFFFFFF, len(message)) + message + body
    source.write_bytes(made)
    compare(batch.schema, [batch], source)
    run(tool, "copy", "stream", 8, source, target)
    compare(batch.schema, [batch], target)
    for path in (source, target):
        dump = json.loads(run(tool, "dump", path))
        said = [dump["head"], *[said for _, said in dump["batches"][0]["dictionaries"]],
                dump["batches"][0]["metadata"]]
        if said != [[[b"message".hex(), str(i).encode().hex()]] for i in range(3)]:
            sys.exit(f"custom metadata of {path.name}: {said}")


def main():
    tool = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours_through_pyarrow(tool, folder)
        theirs_through_us(tool, folder)
        layouts_through_us(tool, folder)
        dictionaries_change(tool, folder)
        custom_metadata_is_kept(tool, folder)
        metadata_of_all_messages_is_kept(tool, folder)


if __name__ == "__main__":
    main()
