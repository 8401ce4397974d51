"""Writes Arrow's integration JSON of what ipc_tool prints, the counterpart of arrow_json.py: values
become arrays again, dictionaries hold each value once, and runs are as long as they can be."""
import json
import struct

from arrow_json import FLOATS, INTEGERS, INTERVALS, PLAIN, UNITS

UNIT_NAMES = {letter: name for name, letter in UNITS.items()}
KINDS = {format: {"name": name} for name, format in PLAIN.items()}
KINDS |= {format: {"name": "int", "bitWidth": bits, "isSigned": signed}
          for (bits, signed), format in INTEGERS.items()}
KINDS |= {format: {"name": "floatingpoint", "precision": name}
          for name, (format, _) in FLOATS.items()}
KINDS |= {format: {"name": "interval", "unit": unit} for unit, format in INTERVALS.items()}
KINDS |= {"tdD": {"name": "date", "unit": "DAY"}, "tdm": {"name": "date", "unit": "MILLISECOND"}}
FILLERS = {"bool": 0, "utf8": "", "largeutf8": "", "binary": "", "largebinary": "", "utf8view": "",
           "binaryview": ""}


def text_of(hexadecimal):
    return bytes.fromhex(hexadecimal).decode()


def kind_of(field):
    """The JSON type of a C Data format."""
    format = field["format"]
    if format == "+m":
        return {"name": "map", "keysSorted": field["sorted"]}
    if format in KINDS:
        return dict(KINDS[format])
    letters, _, rest = format.partition(":")
    if letters in ("+ud", "+us"):
        return {"name": "union", "mode": "DENSE" if letters == "+ud" else "SPARSE",
                "typeIds": [int(number) for number in rest.split(",")]}
    if letters == "+w":
        return {"name": "fixedsizelist", "listSize": int(rest)}
    if letters == "w":
        return {"name": "fixedsizebinary", "byteWidth": int(rest)}
    if letters == "d":
        precision, scale, *width = map(int, rest.split(","))
        return {"name": "decimal", "precision": precision, "scale": scale,
                "bitWidth": width[0] if width else 128}
    unit = UNIT_NAMES[letters[2]]
    if letters[:2] == "ts":
        return {"name": "timestamp", "unit": unit} | ({"timezone": rest} if rest else {})
    if letters[:2] == "tD":
        return {"name": "duration", "unit": unit}
    return {"name": "time", "unit": unit, "bitWidth": 32 if letters[2] in "sm" else 64}


def pairs_of(pairs):
    return [{"key": text_of(key), "value": text_of(value)} for key, value in pairs]


class Writer:
    """Numbers dictionaries in the order of their fields, those within others first."""

    def __init__(self):
        self.values = {}  # by id: the field, its values, where each is

    def field(self, field):
        """The JSON of a field, to which it is bound: `field` keeps the id of its dictionary."""
        described = field["values"] if "values" in field else field
        told = {"name": text_of(field["name"]), "type": kind_of(described),
                "nullable": field["nullable"],
                "children": [self.field(child) for child in described["children"]]}
        if field["metadata"]:
            told["metadata"] = pairs_of(field["metadata"])
        if "values" in field:
            field["id"] = len(self.values)
            self.values[field["id"]] = (described, [], {})
            told["dictionary"] = {"id": field["id"], "isOrdered": field["ordered"],
                                  "indexType": kind_of(field)}
        return told

    def index(self, field, value):
        _, values, places = self.values[field["id"]]
        key = json.dumps(value)
        if key not in places:
            places[key] = len(values)
            values.append(value)
        return places[key]

    def column(self, field, values):
        kind = kind_of(field)
        told = {"name": text_of(field["name"]), "count": len(values)}
        if kind["name"] not in ("null", "union", "runendencoded"):
            told["VALIDITY"] = [int(value is not None) for value in values]
        if "values" in field:
            indices = [0 if value is None else self.index(field, value) for value in values]
            return told | {"DATA": [self.plain(kind, index) for index in indices]}
        return told | self.layout(field, kind, values)

    def layout(self, field, kind, values):
        name = kind["name"]
        if name == "null":
            return {}
        if name == "struct":
            return {"children": [self.column(child, [self.filler(child) if value is None
                                                     else value[i] for value in values])
                                 for i, child in enumerate(field["children"])]}
        if name == "union":
            return self.union(field, kind, values)
        if name == "runendencoded":
            return self.runs(field, values)
        if field["children"]:
            return self.lists(field, kind, values)
        if name in ("utf8view", "binaryview"):
            return self.views(name, values)
        told = {}
        if name in ("utf8", "largeutf8", "binary", "largebinary"):
            ends = [0]
            for value in values:
                ends.append(ends[-1] + len(value or "") // 2)
            told["OFFSET"] = [str(end) if name.startswith("large") else end for end in ends]
        # Java wants the offsets first.
        return told | {"DATA": [self.value(kind, value) for value in values]}

    def union(self, field, kind, values):
        members = [[] for _ in field["children"]]
        offsets = []
        for id, value in values:
            place = kind["typeIds"].index(id)
            offsets.append(len(members[place]))
            members[place].append(value)
        told = {"TYPE_ID": [id for id, _ in values]}
        if kind["mode"] == "DENSE":
            told["OFFSET"] = offsets
        else:
            members = [[value if kind["typeIds"][i] == id else self.filler(child)
                        for id, value in values] for i, child in enumerate(field["children"])]
        return told | {"children": [self.column(child, member) for child, member
                                    in zip(field["children"], members)]}

    def filler(self, field):
        """What stands where no value is: null, but unions have none of their own."""
        if not field["format"].startswith("+u"):
            return None
        kind = kind_of(field)
        return [kind["typeIds"][0], self.filler(field["children"][0])]

    def runs(self, field, values):
        ends, kept = [], []
        for i, value in enumerate(values):
            if kept and json.dumps(kept[-1]) == json.dumps(value):
                ends[-1] = i + 1
            else:
                ends.append(i + 1)
                kept.append(value)
        kind = kind_of(field["children"][0])
        run_ends = {"name": text_of(field["children"][0]["name"]), "count": len(ends),
                    "VALIDITY": [1] * len(ends), "DATA": [self.plain(kind, end) for end in ends]}
        return {"children": [run_ends, self.column(field["children"][1], kept)]}

    def lists(self, field, kind, values):
        size = kind.get("listSize")
        items, offsets, sizes = [], [0], []
        for value in values:
            filler = [self.filler(field["children"][0])]
            items += filler * (size or 0) if value is None else value
            sizes.append(len(value or []))
            offsets.append(len(items))
        wide = kind["name"].startswith("large")
        told = {"children": [self.column(field["children"][0], items)]}
        if kind["name"].endswith("listview"):
            told["SIZE"] = [str(size) if wide else size for size in sizes]
            offsets.pop()
        if size is None:
            told["OFFSET"] = [str(offset) if wide else offset for offset in offsets]
        return told

    @staticmethod
    def views(name, values):
        views, data = [], ""
        for value in values:
            size = len(value or "") // 2
            if size <= 12:
                inlined = value or ""
                views.append({"SIZE": size, "INLINED": text_of(inlined) if name == "utf8view"
                              else inlined.upper()})
                continue
            views.append({"SIZE": size, "PREFIX_HEX": value[:8].upper(), "BUFFER_INDEX": 0,
                          "OFFSET": len(data) // 2})
            data += value
        return {"VIEWS": views, "VARIADIC_DATA_BUFFERS": [data.upper()] if data else []}

    @staticmethod
    def plain(kind, number):
        """An integer as JSON has it: 64 bits are told as text."""
        return str(number) if kind.get("bitWidth") == 64 else number

    def value(self, kind, value):
        """One value of a type of fixed width, or of strings and binaries."""
        name = kind["name"]
        if value is None:
            value = FILLERS.get(name)
        if name == "bool":
            return bool(value)
        if name in ("utf8", "largeutf8"):
            return text_of(value)
        if name in ("binary", "largebinary"):
            return value.upper()
        if name == "fixedsizebinary":
            return "00" * kind["byteWidth"] if value is None else value.upper()
        raw = bytes.fromhex(value) if value else bytes(32)
        if name == "floatingpoint":
            code = FLOATS[kind["precision"]][1]
            return struct.unpack(code, raw[:struct.calcsize(code)])[0]
        if name == "interval" and kind["unit"] == "DAY_TIME":
            days, milliseconds = struct.unpack("<ii", raw[:8])
            return {"days": days, "milliseconds": milliseconds}
        if name == "interval" and kind["unit"] == "MONTH_DAY_NANO":
            return dict(zip(("months", "days", "nanoseconds"), struct.unpack("<iiq", raw[:16])))
        number = int.from_bytes(raw, "little", signed=kind.get("isSigned", True))
        is_text = name in ("decimal", "timestamp", "duration") or kind.get("bitWidth") == 64 or \
            kind == {"name": "date", "unit": "MILLISECOND"}
        return str(number) if is_text else number


def json_of(dump):
    """The integration JSON of what ipc_tool prints."""
    writer = Writer()
    fields = dump["fields"]
    schema = {"fields": [writer.field(field) for field in fields]}
    if dump["metadata"]:
        schema["metadata"] = pairs_of(dump["metadata"])
    batches = [{"count": batch["rows"],
                "columns": [writer.column(field, values)
                            for field, values in zip(fields, batch["columns"])]}
               for batch in dump["batches"]]
    # Those of outer fields come last: what they hold within is known when they have been written.
    data = {}
    for id in sorted(writer.values, reverse=True):
        field, values, _ = writer.values[id]
        column = writer.column(field | {"name": f"DICT{id}".encode().hex()}, values)
        data[id] = {"id": id, "data": {"count": len(values), "columns": [column]}}
    told = {"schema": schema}
    if data:  # Java wants none where there are none
        told["dictionaries"] = [data[id] for id in sorted(data)]
    return told | {"batches": batches}
