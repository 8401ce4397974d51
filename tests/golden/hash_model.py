#!/usr/bin/env python3
"""fletch-hash-1 and Spark's murmur3 as docs/format/hash.md has them, written from that page alone.

    hash_model.py            print the vectors of docs/format/hash-vectors.json
    hash_model.py --check F  compare the file F with what the model says
    hash_model.py --columns  the vectors as Arrow arrays in lines of text, for the library's test

A vector is a list of key columns of one row: each a type, as Arrow names it, and a value, as JSON
can hold it. Integers are decimal strings, floats the hexadecimal bits of their own width, bytes
hexadecimal."""

import json
import struct
import sys

M = (1 << 64) - 1
ROW, NULL = 0x243F6A8885A308D3, 0x452821E638D01377
LIST, STRUCT, UNION = 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89
KEY_A, KEY_B, LENGTH = 0xBE5466CF34E90C6C, 0xC0AC29B7C97C50DD, 0x3F84D5B5B5470917


def mix(x):
    x ^= x >> 27
    x = x * 0x3C79AC492BA7B653 & M
    x ^= x >> 33
    x = x * 0x1C69B3F74AC4AE35 & M
    return x ^ x >> 27


def step(h, w):
    return mix(h + w & M)


def fold(x, y):
    return (x * y & M) ^ (x * y >> 64)


def rotl(x, n):
    return (x << n | x >> 64 - n) & M


def word_of_bytes(s):
    h = len(s) * LENGTH & M
    padded = s + bytes(-len(s) % 16)
    for at in range(0, len(padded), 16):
        a, b = struct.unpack_from("<QQ", padded, at)
        h = (rotl(h, 29) + fold(a ^ KEY_A, b ^ KEY_B) + (a ^ rotl(b, 32))) & M
    return h


def double_of_bits(kind, bits):
    """The bits of the double that has the value of these bits of a half, float or double."""
    exponent_bits, mantissa_bits = {"half": (5, 10), "float": (8, 23), "double": (11, 52)}[kind]
    sign = bits >> (exponent_bits + mantissa_bits)
    exponent = bits >> mantissa_bits & (1 << exponent_bits) - 1
    mantissa = bits & (1 << mantissa_bits) - 1
    if exponent == (1 << exponent_bits) - 1:
        return 0x7FF8000000000000 if mantissa else sign << 63 | 0x7FF << 52
    bias = (1 << exponent_bits - 1) - 1
    if exponent == 0:
        value = float(mantissa) * 2.0 ** (1 - bias) / 2.0 ** mantissa_bits
    else:
        value = (1 + mantissa / 2.0 ** mantissa_bits) * 2.0 ** (exponent - bias)
    if value == 0:
        return 0
    return struct.unpack("<Q", struct.pack("<d", -value if sign else value))[0]


def word_of_decimal(value):
    if -(1 << 63) <= value < 1 << 63:
        return value & M
    width = 16 if -(1 << 127) <= value < 1 << 127 else 32
    return word_of_bytes(value.to_bytes(width, "little", signed=True))


INTEGERS = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "date32",
            "date64", "time32", "time64", "timestamp", "duration", "interval_months"}
VIEWS = {"utf8_view", "binary_view"}
BYTES = {"utf8", "large_utf8", "binary", "large_binary", "fixed_size_binary"} | VIEWS
LISTS = {"list", "large_list", "list_view", "large_list_view", "fixed_size_list"}
UNIONS = {"dense_union", "sparse_union"}


def type_ids(name):
    """Those of a union's children, as "dense_union(5,0)" has them."""
    return [int(i) for i in name.split("(")[1][:-1].split(",")]


def word(kind, value):
    """`kind`: a name, or a list: its name, then the types of its children."""
    name, children = (kind[0], kind[1:]) if isinstance(kind, list) else (kind, [])
    if value is None:
        return NULL
    if name == "bool":
        return int(value)
    if name in INTEGERS:
        return int(value) & M
    if name in ("half", "float", "double"):
        return double_of_bits(name, int(value, 16))
    if name == "interval_day_time":
        return struct.unpack("<Q", struct.pack("<ii", *map(int, value)))[0]
    if name == "interval_month_day_nano":
        return word_of_bytes(struct.pack("<iiq", *map(int, value)))
    if name.startswith("decimal"):
        return word_of_decimal(int(value))
    if name in BYTES:
        return word_of_bytes(bytes.fromhex(value))
    if name.split("(")[0] in LISTS:
        return word_of_list(children[0], value)
    if name == "map":
        return word_of_list(["struct", *children], value)
    if name in ("dictionary", "run_end_encoded"):
        return word(children[0], value)
    if name.split("(")[0] in UNIONS:
        child = children[type_ids(name).index(value[0])]
        return step(step(UNION, value[0]), word(child, value[1]))
    assert name == "struct", name
    h = STRUCT
    for child, of_child in zip(children, value, strict=True):
        h = step(h, word(child, of_child))
    return h


def word_of_list(element, values):
    h = step(LIST, len(values))
    for value in values:
        h = step(h, word(element, value))
    return h


def row_hash(columns):
    h = ROW
    for kind, value in columns:
        h = step(h, word(kind, value))
    return h


# ---- spark-murmur3-42 ----

M32 = (1 << 32) - 1


def rotl32(x, n):
    return (x << n | x >> 32 - n) & M32


def murmur_word(h, k):
    k = rotl32(k * 0xCC9E2D51 & M32, 15) * 0x1B873593 & M32
    return (rotl32(h ^ k, 13) * 5 + 0xE6546B64) & M32


def murmur_end(h, length):
    h ^= length
    h = (h ^ h >> 16) * 0x85EBCA6B & M32
    h = (h ^ h >> 13) * 0xC2B2AE35 & M32
    return h ^ h >> 16


def murmur_int(value, seed):
    return murmur_end(murmur_word(seed, value & M32), 4)


def murmur_long(value, seed):
    h = murmur_word(seed, value & M32)
    return murmur_end(murmur_word(h, value >> 32 & M32), 8)


def murmur_bytes(s, seed):
    h, whole = seed, len(s) // 4 * 4
    for at in range(0, whole, 4):
        h = murmur_word(h, int.from_bytes(s[at:at + 4], "little"))
    for byte in s[whole:]:
        h = murmur_word(h, (byte - 256 if byte > 127 else byte) & M32)
    return murmur_end(h, len(s))


SPARK_INTS = {"bool", "int8", "int16", "int32", "date32", "interval_months"}


def spark(kind, value, seed):
    """The hash of one value, or None: Spark has no such type."""
    name, children = (kind[0], kind[1:]) if isinstance(kind, list) else (kind, [])
    base = name.split("(")[0]
    if name == "dictionary":
        return spark(children[0], value, seed)
    if base in SPARK_INTS:
        return seed if value is None else murmur_int(int(value), seed)
    if base in ("int64", "timestamp", "duration"):
        return seed if value is None else murmur_long(int(value), seed)
    if base in ("float", "double"):
        if value is None:
            return seed
        bits = int(value, 16)
        zero, nan, infinity = ((1 << 31, 0x7FC00000, 0x7F800000) if base == "float" else
                               (1 << 63, 0x7FF8000000000000, 0x7FF0000000000000))
        bits = 0 if bits == zero else nan if bits & zero - 1 > infinity else bits
        return murmur_int(bits, seed) if base == "float" else murmur_long(bits, seed)
    if base in ("decimal32", "decimal64", "decimal128"):
        if value is None:
            return seed
        if int(name.split("(")[1].split(",")[0]) <= 18:
            return murmur_long(int(value), seed)
        width = 1
        while not -(1 << 8 * width - 1) <= int(value) < 1 << 8 * width - 1:
            width += 1
        return murmur_bytes(int(value).to_bytes(width, "big", signed=True), seed)
    if base in BYTES - VIEWS - {"fixed_size_binary"}:
        return seed if value is None else murmur_bytes(bytes.fromhex(value), seed)
    if base in ("list", "large_list"):
        return spark_chain([(children[0], v) for v in value or []], seed)
    if base == "map":
        return spark_chain([pair for k, v in value or []
                            for pair in ((children[0], k), (children[1], v))], seed)
    if base == "struct":
        return spark_chain(list(zip(children, value or [])), seed)
    return None


def spark_chain(values, seed):
    for kind, value in values:
        seed = spark(kind, value, seed) if seed is not None else None
    return seed


# ---- the vectors ----

def integers(name, bits, signed):
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    values = [0, 1, 42, 100, most, most - 1] + ([-1, -42, least] if signed else [])
    return [[(name, str(v))] for v in values] + [[(name, None)]]


def one_column_vectors():
    for bits in (8, 16, 32, 64):
        yield from integers(f"int{bits}", bits, True)
        yield from integers(f"uint{bits}", bits, False)
    yield from ([("null", None)], [("bool", False)], [("bool", True)], [("bool", None)])
    for name, bits in (("date32", 32), ("date64", 64), ("time32", 32), ("time64", 64),
                       ("timestamp", 64), ("duration", 64), ("interval_months", 32)):
        yield from integers(name, bits, True)
    halves = ["0000", "8000", "0001", "83ff", "3c00", "bc00", "7bff", "7c00", "fc00", "7e00",
              "fc01", "3555"]
    floats = ["00000000", "80000000", "00000001", "807fffff", "00800000", "3f800000", "bf800000",
              "7f7fffff", "7f800000", "ff800000", "7fc00000", "ff800001", "3eaaaaab", "c2f6e979"]
    doubles = ["0000000000000000", "8000000000000000", "0000000000000001", "800fffffffffffff",
               "3ff0000000000000", "bff0000000000000", "7fefffffffffffff", "7ff0000000000000",
               "fff0000000000000", "7ff8000000000000", "fff0000000000001", "3fd5555555555555",
               "3fd5540000000000", "3fd5555560000000"]
    for name, values in (("half", halves), ("float", floats), ("double", doubles)):
        yield from ([(name, v)] for v in [*values, None])
    for name, bits in (("decimal32(9,2)", 31), ("decimal64(18,2)", 63), ("decimal128(18,2)", 60),
                       ("decimal128(38,2)", 127), ("decimal256(76,2)", 255)):
        values = [0, 1, -1, 12345, -12345, 10 ** 8, (1 << 31) - 1]
        values += [v for e in (62, 63, 64, 100, 127, 200) if e < bits
                   for v in ((1 << e) - 1, 1 << e, -(1 << e), -(1 << e) - 1)]
        yield from ([(name, str(v))] for v in values)
        yield [(name, None)]
    yield from ([("interval_day_time", v)] for v in (["0", "0"], ["1", "-1"], ["-3", "86399999"],
                                                     None))
    yield from ([("interval_month_day_nano", v)]
                for v in (["0", "0", "0"], ["-1", "2", "-3"], ["12", "0", str(10 ** 15)], None))
    texts = [b"", b"a", b"b", b"ab", b"\0", b"\0\0", b"1234567", b"12345678", b"123456789",
             b"123456789012345", b"1234567890123456", b"12345678901234567", b"hello", b"bar",
             "😁".encode(), "天地".encode(), bytes(range(31)), bytes(range(32)),
             bytes(range(33)), bytes(255 - i for i in range(256)), b"\xff" * 100, b"A" * 1000,
             KEY_A.to_bytes(8, "little") + b"12345678", b"12345678" + KEY_B.to_bytes(8, "little")]
    for name in ("binary", "large_binary", "fixed_size_binary", "binary_view"):
        yield from ([(name, t.hex())] for t in texts)
        yield [(name, None)]
    for name in ("utf8", "large_utf8", "utf8_view"):
        yield from ([(name, t.hex())] for t in texts if t.isascii() or len(t) < 8)
        yield [(name, None)]


def nested_vectors():
    for name in ("list", "large_list"):
        for value in (None, [], ["1"], ["1", "2"], ["2", "1"], [None], [None, None]):
            yield [([name, "int32"], value)]
    for name in ("list_view", "large_list_view"):
        for value in (None, [], ["1"], ["1", "2"], ["2", "1"], [None], [None, None]):
            yield [([name, "int32"], value)]
    yield from ([(["fixed_size_list(2)", "int32"], v)] for v in (None, ["1", "2"], [None, None]))
    yield from ([(["fixed_size_list(0)", "int32"], v)] for v in (None, []))
    text = b"deep".hex()
    yield from ([(["list", ["list", "utf8"]], v)] for v in ([], [[]], [[], []], [None], [[text]],
                                                          [[text], []], [[], [text]]))
    pair = ["struct", "int64", "utf8"]
    yield from ([(pair, v)] for v in (None, [None, None], ["1", text], ["1", None], [None, text]))
    yield [(["struct", pair, "bool"], [["7", text], True])]
    yield [(["struct"], [])]
    yield [(["list", pair], [["1", text], None, [None, None]])]
    yield from ([(["map", "utf8", "int32"], v)]
                for v in (None, [], [[text, "1"]], [[text, None], ["", "2"]]))
    yield from ([(["dictionary", "utf8"], v)] for v in (None, "", text))
    yield from ([(["dictionary", "int64"], v)] for v in (None, "42"))
    for name in ("dense_union(5,0,127)", "sparse_union(5,0,127)"):
        union = [name, "int32", "utf8", ["list", "int32"]]
        yield from ([(union, v)] for v in ([5, "1"], [0, text], [5, None], [127, ["1", None]],
                                           [0, None], [127, None], [127, []], [5, "2"]))
    yield from ([(["run_end_encoded", "utf8"], v)] for v in ("", "", text, None, None, text))
    yield from ([(["run_end_encoded", ["list", "int32"]], v)] for v in (["1"], ["1"], None, []))
    yield from ([(["run_end_encoded", ["dictionary", "utf8"]], v)] for v in (text, text, None))
    yield from ([(["list_view", "utf8_view"], v)]
                for v in ([text, (b"thirteen byte").hex()], None, [None, (b"a" * 12).hex()]))
    yield [(["struct", ["fixed_size_list(1)", ["sparse_union(7)", "utf8_view"]]], [[[7, text]]])]


def several_column_vectors():
    text = b"key".hex()
    yield []
    yield [("int64", "1"), ("int64", "2")]
    yield [("int64", "2"), ("int64", "1")]
    yield [("int64", "1"), ("int32", None)]
    yield [("int32", None), ("int64", "1")]
    yield [("utf8", text), ("int8", "1"), ("double", "3ff0000000000000")]
    yield [("utf8", text), ("utf8", "")]
    yield [("utf8", ""), ("utf8", text)]
    yield [("bool", True), ("date32", "19000"), ("decimal128(38,2)", str(1 << 80))]


def vector(columns):
    entry = {"columns": [{"type": kind, "value": value} for kind, value in columns],
             "words": [f"{word(kind_without_parameters(kind), value):016x}"
                       for kind, value in columns],
             "hash": f"{row_hash([(kind_without_parameters(k), v) for k, v in columns]):016x}"}
    h = spark_chain(columns, 42)
    if h is not None:
        entry["spark"] = f"{h:08x}"
    return entry


def kind_without_parameters(kind):
    if isinstance(kind, list):
        return [kind[0], *map(kind_without_parameters, kind[1:])]
    return kind.split("(")[0]


def partition_vectors():
    for partitions in (1, 2, 3, 16, 200, 1000, 65536):
        nodes = 1024
        while nodes < 64 * partitions:
            nodes *= 2
        for key in (0, 1, 2, 3, 1 << 40, -1):
            h = row_hash([("int64", str(key))])
            yield {"int64": str(key), "partitions": partitions, "virtual_nodes": nodes,
                   "partition": h % nodes * partitions // nodes}


def vectors():
    rows = [*one_column_vectors(), *nested_vectors(), *several_column_vectors()]
    return {"function": "fletch-hash-1", "compatible": "spark-murmur3-42",
            "rows": [vector(columns) for columns in rows],
            "partitions": list(partition_vectors())}


def as_json():
    found = vectors()
    parts = [f' "{key}": {json.dumps(found[key])}' for key in ("function", "compatible")]
    for key in ("rows", "partitions"):
        lines = ",\n".join("  " + json.dumps(entry) for entry in found[key])
        parts.append(f' "{key}": [\n{lines}\n ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


# ---- as Arrow arrays ----

FORMATS = {"null": "n", "bool": "b", "int8": "c", "uint8": "C", "int16": "s", "uint16": "S",
           "int32": "i", "uint32": "I", "int64": "l", "uint64": "L", "half": "e", "float": "f",
           "double": "g", "utf8": "u", "large_utf8": "U", "binary": "z", "large_binary": "Z",
           "date32": "tdD", "date64": "tdm", "time32": "tts", "time64": "ttu",
           "timestamp": "tsu:UTC", "duration": "tDu", "interval_months": "tiM",
           "interval_day_time": "tiD", "interval_month_day_nano": "tin", "utf8_view": "vu",
           "binary_view": "vz"}
LIST_FORMATS = {"list": "+l", "large_list": "+L", "list_view": "+vl", "large_list_view": "+vL"}
WIDTHS = {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "half": 2, "int32": 4, "uint32": 4,
          "float": 4, "date32": 4, "time32": 4, "interval_months": 4, "decimal32": 4,
          "decimal128": 16, "decimal256": 32}


def list_size(name):
    return int(name.split("(")[1][:-1])


def format_of(kind, value):
    """The type in the words of tests/support/schemas.h. The value tells a fixed width."""
    name, children = (kind[0], kind[1:]) if isinstance(kind, list) else (kind, [])
    base = name.split("(")[0]
    if base.startswith("decimal"):
        return f"d:{name.split('(')[1][:-1]},{base[7:]}"
    if base == "fixed_size_binary":
        return f"w:{len(value or '') // 2}"
    if base in LIST_FORMATS:
        return f"{LIST_FORMATS[base]}(item={format_of(children[0], None)})"
    if base == "fixed_size_list":
        return f"+w:{list_size(name)}(item={format_of(children[0], None)})"
    if base in UNIONS:
        ids = ",".join(map(str, type_ids(name)))
        inner = " ".join(f"m{i}={format_of(child, None)}" for i, child in enumerate(children))
        return f"+u{base[0]}:{ids}({inner})"
    if base == "run_end_encoded":
        return f"+r(ends=i! values={format_of(children[0], None)})"
    if base == "struct":
        inner = " ".join(f"c{i}={format_of(child, None)}" for i, child in enumerate(children))
        return f"+s({inner})" if inner else "+s"
    if base == "map":
        key, item = (format_of(child, None) for child in children)
        return f"+m(entries=+s(key={key}! value={item})!)"
    if base == "dictionary":
        return f"i<{format_of(children[0], None)}>"
    return FORMATS[base]


def bits_of(flags):
    return sum(1 << i for i, flag in enumerate(flags) if flag).to_bytes((len(flags) + 7) // 8,
                                                                       "little")


def offsets_of(values, width):
    ends = [0]
    for value in values:
        ends.append(ends[-1] + len(value or ""))
    return b"".join(end.to_bytes(width, "little") for end in ends)


def stored(base, value, width):
    """The bytes of one value of a fixed width."""
    if value is None:
        return b"\xa5" * width
    if base == "interval_day_time":
        return struct.pack("<ii", *map(int, value))
    if base == "interval_month_day_nano":
        return struct.pack("<iiq", *map(int, value))
    if base in ("half", "float", "double"):
        return int(value, 16).to_bytes(width, "little")
    if base == "fixed_size_binary":
        return bytes.fromhex(value)
    return (int(value) % (1 << 8 * width)).to_bytes(width, "little")


def arrays_of(kind, values):
    """The nodes of a column, depth first, as (values, spans), and the columns of dictionaries."""
    name, children = (kind[0], kind[1:]) if isinstance(kind, list) else (kind, [])
    base = name.split("(")[0]
    validity = bits_of([v is not None for v in values])
    if base == "null":
        return [(values, [])], []
    if base == "bool":
        return [(values, [validity, bits_of(values)])], []
    if base in VIEWS:
        return view_arrays(values, validity), []
    if base in UNIONS:
        return union_arrays(name, children, values)
    if base == "run_end_encoded":
        return run_arrays(children[0], values)
    if base in ("list_view", "large_list_view", "fixed_size_list"):
        return loose_list_arrays(name, children[0], values, validity)
    if base in ("utf8", "binary", "large_utf8", "large_binary"):
        texts = [bytes.fromhex(v or "") for v in values]
        offsets = offsets_of(texts, 8 if base.startswith("large") else 4)
        return [(values, [validity, offsets, b"".join(texts)])], []
    if base == "dictionary":
        words = sorted({v for v in values if v is not None})
        indices = b"".join((words.index(v) if v is not None else 99).to_bytes(4, "little")
                           for v in values)
        return [(values, [validity, indices])], [(children[0], words)]
    if base in ("list", "large_list", "map"):
        lists = [v or [] for v in values]
        below = [item for items in lists for item in items]
        child = ["struct", *children] if base == "map" else children[0]
        nodes, dictionaries = arrays_of(child, below)
        offsets = offsets_of(lists, 8 if base == "large_list" else 4)
        return [(values, [validity, offsets]), *nodes], dictionaries
    if base == "struct":
        nodes, dictionaries = [(values, [validity])], []
        for i, child in enumerate(children):
            found = arrays_of(child, [None if v is None else v[i] for v in values])
            nodes += found[0]
            dictionaries += found[1]
        return nodes, dictionaries
    width = len(values[0] or "") // 2 if base == "fixed_size_binary" else WIDTHS.get(
        base, 16 if base == "interval_month_day_nano" else 8)
    return [(values, [validity, b"".join(stored(base, v, width) for v in values)])], []


def view_arrays(values, validity):
    """Longer ones lie in two buffers in turn; what a null's view says means nothing."""
    buffers, views = [b"", b""], b""
    for number, value in enumerate(values):
        text = bytes.fromhex(value or "")
        if value is None:
            views += b"\xa5" * 16
        elif len(text) <= 12:
            views += struct.pack("<i", len(text)) + text.ljust(12, b"\0")
        else:
            which = number % 2
            views += struct.pack("<i4sii", len(text), text[:4], which, len(buffers[which]))
            buffers[which] += text
    return [(values, [validity, views], buffers)]


def loose_list_arrays(name, child, values, validity):
    """Lists whose elements lie in reverse order of the lists, or side by side by their size."""
    base = name.split("(")[0]
    if base == "fixed_size_list":
        empty = [None] * list_size(name)
        nodes, dictionaries = arrays_of(child, [e for v in values for e in (v or empty)])
        return [(values, [validity]), *nodes], dictionaries
    starts, below = [], []
    for value in reversed(values):
        starts.insert(0, len(below))
        below += value or []
    width = 8 if base.startswith("large") else 4
    spans = [b"".join(number.to_bytes(width, "little") for number in numbers)
             for numbers in (starts, [len(v or []) for v in values])]
    nodes, dictionaries = arrays_of(child, below)
    return [(values, [validity, *spans]), *nodes], dictionaries


def union_arrays(name, children, values):
    ids = bytes(value[0] for value in values)
    nodes, dictionaries, starts = [], [], [0] * len(values)
    for type_id, child in zip(type_ids(name), children):
        mine = [i for i, value in enumerate(values) if value[0] == type_id]
        for number, i in enumerate(mine):
            starts[i] = number
        if name.startswith("sparse"):
            below = [value[1] if value[0] == type_id else None for value in values]
        else:
            below = [values[i][1] for i in mine]
        found = arrays_of(child, below)
        nodes += found[0]
        dictionaries += found[1]
    spans = [ids]
    if name.startswith("dense"):
        spans.append(b"".join(start.to_bytes(4, "little") for start in starts))
    return [(values, spans), *nodes], dictionaries


def run_arrays(child, values):
    ends = [i + 1 for i in range(len(values)) if i + 1 == len(values) or values[i] != values[i + 1]]
    nodes, dictionaries = arrays_of(child, [values[end - 1] for end in ends])
    stored_ends = b"".join(end.to_bytes(4, "little") for end in ends)
    return ([([0] * len(values), []), (ends, [b"", stored_ends]), *nodes], dictionaries)


def print_nodes(nodes):
    for values, spans, *buffers in nodes:
        nulls = sum(v is None for v in values)
        shown = [span.hex() or "-" for span in spans]
        print("node", len(values), nulls, len(shown), *shown)
        for data in buffers:
            print("buffers", len(data), *[part.hex() or "-" for part in data])


def print_columns():
    """Vectors with columns of the same types, one behind the other, are the rows of one batch."""
    groups = []
    for entry in vectors()["rows"]:
        columns = [(c["type"], c["value"]) for c in entry["columns"]]
        text = " ".join(f"k{i}={format_of(*c)}" for i, c in enumerate(columns))
        if not groups or groups[-1][0] != text:
            groups.append((text, [c[0] for c in columns], []))
        groups[-1][2].append(([c[1] for c in columns], entry))
    for text, kinds, rows in groups:
        print("batch", len(rows), len(kinds), text.replace(" ", "_") or "-")
        found = [arrays_of(kind, [values[i] for values, _ in rows])
                 for i, kind in enumerate(kinds)]
        for nodes, _ in found:
            print_nodes(nodes)
        for _, dictionaries in found:
            for kind, values in dictionaries:
                print("dictionary", len(values))
                print_nodes(arrays_of(kind, values)[0])
        for _, entry in rows:
            print("row", entry["hash"], entry.get("spark", "-"))


def check(path):
    with open(path, encoding="utf-8") as file:
        if file.read() != as_json():
            print(f"{path} is not what the model says: write it again", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        sys.exit(check(sys.argv[2]))
    if sys.argv[1:] == ["--columns"]:
        print_columns()
    else:
        sys.stdout.write(as_json())
