"""Arrow's integration JSON, and arrays of pyarrow, in the form that ipc_tool prints: values by
value, as the hexadecimal digits of their bytes; null; bools as 0 and 1; lists and structs as
lists; of unions a list of type id and value."""
import bisect
import struct

UNITS = {"SECOND": "s", "MILLISECOND": "m", "MICROSECOND": "u", "NANOSECOND": "n"}
FLOATS = {"HALF": ("e", "<e"), "SINGLE": ("f", "<f"), "DOUBLE": ("g", "<d")}
INTEGERS = {(8, True): "c", (8, False): "C", (16, True): "s", (16, False): "S",
            (32, True): "i", (32, False): "I", (64, True): "l", (64, False): "L"}
PLAIN = {"null": "n", "bool": "b", "utf8": "u", "largeutf8": "U", "binary": "z", "largebinary": "Z",
         "list": "+l", "largelist": "+L", "struct": "+s", "map": "+m", "utf8view": "vu",
         "binaryview": "vz", "listview": "+vl", "largelistview": "+vL", "runendencoded": "+r"}
INTERVALS = {"YEAR_MONTH": "tiM", "DAY_TIME": "tiD", "MONTH_DAY_NANO": "tin"}


def format_of(kind):
    """The C Data format of a JSON type."""
    name = kind["name"]
    if name in PLAIN:
        return PLAIN[name]
    if name == "int":
        return INTEGERS[kind["bitWidth"], kind["isSigned"]]
    if name == "floatingpoint":
        return FLOATS[kind["precision"]][0]
    if name == "decimal":
        width = kind.get("bitWidth", 128)
        suffix = "" if width == 128 else f",{width}"
        return f"d:{kind['precision']},{kind['scale']}{suffix}"
    if name == "fixedsizebinary":
        return f"w:{kind['byteWidth']}"
    if name == "date":
        return "tdD" if kind["unit"] == "DAY" else "tdm"
    if name == "time":
        return "tt" + UNITS[kind["unit"]]
    if name == "timestamp":
        return f"ts{UNITS[kind['unit']]}:{kind.get('timezone', '')}"
    if name == "duration":
        return "tD" + UNITS[kind["unit"]]
    if name == "interval":
        return INTERVALS[kind["unit"]]
    if name == "fixedsizelist":
        return f"+w:{kind['listSize']}"
    assert name == "union", name
    return f"+u{kind['mode'][0].lower()}:{','.join(map(str, kind['typeIds']))}"


def hex_of(text):
    return text.encode().hex()


def pairs_of(metadata):
    return [[hex_of(pair["key"]), hex_of(pair["value"])] for pair in metadata or []]


def field_of(field):
    told = {
        "name": hex_of(field["name"]),
        "format": format_of(field["type"]),
        "nullable": field["nullable"],
        "metadata": pairs_of(field.get("metadata")),
        "children": [field_of(child) for child in field["children"]],
    }
    if field["type"]["name"] == "map":
        told["sorted"] = field["type"]["keysSorted"]
    if "dictionary" not in field:
        return told
    values = {key: told[key] for key in ("format", "children", "sorted") if key in told}
    values |= {"name": "", "nullable": True, "metadata": []}
    told.pop("sorted", None)
    return told | {"format": format_of(field["dictionary"]["indexType"]), "children": [],
                   "ordered": field["dictionary"]["isOrdered"], "values": values}


def little(value, byte_count):
    return (int(value) % (1 << (8 * byte_count))).to_bytes(byte_count, "little").hex()


def value_of(kind, value):
    """One value of a type without children, that is not null."""
    name = kind["name"]
    if name == "bool":
        return int(value)
    if name in ("utf8", "largeutf8"):
        return hex_of(value)
    if name in ("binary", "largebinary", "fixedsizebinary"):
        return value.lower()
    if name == "floatingpoint":
        return struct.pack(FLOATS[kind["precision"]][1], value).hex()
    if name == "interval" and kind["unit"] == "DAY_TIME":
        return little(value["days"], 4) + little(value["milliseconds"], 4)
    if name == "interval" and kind["unit"] == "MONTH_DAY_NANO":
        return little(value["months"], 4) + little(value["days"], 4) + \
            little(value["nanoseconds"], 8)
    if name == "date":
        return little(value, 4 if kind["unit"] == "DAY" else 8)
    if name == "time":
        return little(value, kind["bitWidth"] // 8)
    width = {"int": kind.get("bitWidth"), "decimal": kind.get("bitWidth", 128), "timestamp": 64,
             "duration": 64, "interval": 32}[name]
    return little(value, width // 8)


def view_of(kind, view, data):
    """The bytes of one view."""
    if "INLINED" in view:
        text = view["INLINED"]
        return hex_of(text) if kind["name"] == "utf8view" else text.lower()
    first = 2 * view["OFFSET"]
    return data[view["BUFFER_INDEX"]][first:first + 2 * view["SIZE"]].lower()


def run_values(field, column, dictionaries):
    ends, values = (column_of(child, data, dictionaries) if child is not field["children"][0]
                    else [int(end) for end in data["DATA"]]
                    for child, data in zip(field["children"], column["children"]))
    return [values[bisect.bisect_right(ends, i)] for i in range(column["count"])]


def union_values(field, column, dictionaries):
    ids = field["type"]["typeIds"]
    members = [column_of(child, data, dictionaries)
               for child, data in zip(field["children"], column["children"])]
    places = [int(offset) for offset in column.get("OFFSET", range(column["count"]))]
    return [[id, members[ids.index(id)][place]] for id, place in zip(column["TYPE_ID"], places)]


def list_values(field, column, dictionaries):
    items = column_of(field["children"][0], column["children"][0], dictionaries)
    count = column["count"]
    if field["type"]["name"] == "fixedsizelist":
        size = field["type"]["listSize"]
        return [items[i * size:(i + 1) * size] for i in range(count)]
    offsets = [int(offset) for offset in column["OFFSET"]]
    if "SIZE" in column:
        return [items[offsets[i]:offsets[i] + int(column["SIZE"][i])] for i in range(count)]
    return [items[offsets[i]:offsets[i + 1]] for i in range(count)]


LISTS = ("list", "largelist", "map", "fixedsizelist", "listview", "largelistview")


def column_of(field, column, dictionaries):
    """All values of a JSON column."""
    kind = field["type"]
    count = column["count"]
    validity = column.get("VALIDITY", [0 if kind["name"] == "null" else 1] * count)
    if "dictionary" in field:
        plain = {key: value for key, value in field.items() if key != "dictionary"}
        data = dictionaries[field["dictionary"]["id"]]["data"]
        values = column_of(plain, data["columns"][0], dictionaries)
        return [values[int(index)] if valid else None
                for valid, index in zip(validity, column["DATA"])]
    if kind["name"] == "null":
        return [None] * count
    if kind["name"] == "struct":
        children = [column_of(child, data, dictionaries)
                    for child, data in zip(field["children"], column["children"])]
        return [[child[i] for child in children] if valid else None
                for i, valid in enumerate(validity)]
    if kind["name"] == "union":
        return union_values(field, column, dictionaries)
    if kind["name"] == "runendencoded":
        return run_values(field, column, dictionaries)
    if kind["name"] in LISTS:
        return [value if valid else None
                for valid, value in zip(validity, list_values(field, column, dictionaries))]
    if kind["name"] in ("utf8view", "binaryview"):
        data = column["VARIADIC_DATA_BUFFERS"]
        return [view_of(kind, view, data) if valid else None
                for valid, view in zip(validity, column["VIEWS"])]
    return [value_of(kind, value) if valid else None
            for valid, value in zip(validity, column["DATA"])]


def expected_of(golden):
    """What ipc_tool prints for a JSON file."""
    schema = golden["schema"]
    dictionaries = {entry["id"]: entry for entry in golden.get("dictionaries") or []}
    return {
        "metadata": pairs_of(schema.get("metadata")),
        "fields": [field_of(field) for field in schema["fields"]],
        "batches": [{
            "rows": batch["count"],
            "metadata": [],
            "columns": [column_of(field, column, dictionaries)
                        for field, column in zip(schema["fields"], batch["columns"])],
        } for batch in golden["batches"]],
    }
