#!/usr/bin/env python3
"""IPC against pyarrow (Arrow C++) and nanoarrow on TPC-H lineitem, in batches of 64 Ki rows.

Each figure is the time of a batch. Ours is timed in C (libipc_rounds.so beside this program),
pyarrow's by calls that work through all batches in C++, so that Python's share is one call for
hundreds of batches. Rounds are interleaved; each peer's run is divided by our nearest run. Needs
pyarrow; and tpchgen-cli, or --data with a Parquet file of the table."""

import argparse
import ctypes
import json
import statistics
import sys
import time
from pathlib import Path

try:
    import pyarrow as pa
    import tpch
except ImportError:
    sys.exit("there is no pyarrow (pip install -r bench/requirements.txt)")

HERE = Path(__file__).resolve().parent

ROWS = 65536
STRUCTURE, OFFSETS, FULL = 1, 2, 3
MICRO = 1e6


def lineitem(arguments):
    """TPC-H's scale 1, or 0.1 with --quick."""
    path = arguments.data or tpch.path_of("0.1" if arguments.quick else "1", HERE)
    return tpch.lineitem(path).combine_chunks().to_batches(max_chunksize=ROWS)


def stream_of(batches):
    """The batches as a stream, in memory that is aligned to 64 bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()


class Ours:
    def __init__(self, library, stream):
        self.rounds = ctypes.CDLL(str(library))
        self.rounds.rounds_open.restype = ctypes.c_void_p
        self.rounds.rounds_open.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        for name in ("rounds_encode", "rounds_decode", "rounds_read_offsets",
                     "rounds_regions_made"):
            getattr(self.rounds, name).restype = ctypes.c_double
        self.rounds.rounds_batch_count.restype = ctypes.c_size_t
        self.handle = ctypes.c_void_p(self.rounds.rounds_open(stream.address, stream.size))
        if not self.handle:
            sys.exit("ours does not read the stream")
        self.batch_count = self.rounds.rounds_batch_count(self.handle)

    def encode(self, repeats):
        return self.checked(self.rounds.rounds_encode(self.handle, repeats), repeats)

    def decode(self, level, repeats):
        return self.checked(self.rounds.rounds_decode(self.handle, level, repeats), repeats)

    def read_offsets(self, repeats):
        return self.checked(self.rounds.rounds_read_offsets(self.handle, repeats), repeats)

    def checked(self, seconds, repeats):
        if seconds < 0:
            sys.exit("ours failed")
        return seconds / repeats / self.batch_count

    def regions(self):
        return int(self.rounds.rounds_regions_made(self.handle))


def timed(call, batch_count):
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) / batch_count


def pyarrow_encode(batches, repeats, as_table):
    """Writes all batches, again and again, to a stream that counts bytes and keeps none: by a call
    for each batch, or by one call for a table of them, which makes batches of it again."""
    table = pa.Table.from_batches(batches * repeats)
    options = pa.ipc.IpcWriteOptions(use_threads=False)

    def call():
        if as_table:
            writer.write_table(table)
            return
        for _ in range(repeats):
            for batch in batches:
                writer.write_batch(batch)

    with pa.ipc.new_stream(pa.MockOutputStream(), table.schema, options=options) as writer:
        return timed(call, len(batches) * repeats)


def pyarrow_decode(stream, validate, repeats, batch_count):
    options = pa.ipc.IpcReadOptions(use_threads=False)

    def call():
        for _ in range(repeats):
            table = pa.ipc.open_stream(stream, options=options).read_all()
            if validate:
                table.validate(full=True)

    return timed(call, batch_count * repeats)


NANOARROW_CALLS = ("IpcDecoderInit", "IpcDecoderReset", "IpcDecoderDecodeHeader",
                   "IpcDecoderDecodeSchema", "IpcDecoderSetSchema", "IpcDecoderDecodeArrayView",
                   "ArrayViewValidate")


def nanoarrow_peers(ours, level, repeats):
    """nanoarrow's C decoder, which its Python package exports, called from C. It makes a
    view of the body, not an array: less than the others do."""
    try:
        from nanoarrow import _ipc_lib, __version__
        library = ctypes.CDLL(_ipc_lib.__file__)
        calls = [ctypes.cast(getattr(library, f"PythonPkgArrow{name}"), ctypes.c_void_p)
                 for name in NANOARROW_CALLS]
    except (ImportError, AttributeError, OSError):
        return {}
    if not all(calls):
        return {}
    table = (ctypes.c_void_p * len(calls))(*calls)
    ours.rounds.rounds_nanoarrow.restype = ctypes.c_double
    return {f"nanoarrow {__version__}, {'full' if level == FULL else 'no'} validation":
            lambda: ours.checked(ours.rounds.rounds_nanoarrow(ours.handle, table, level, repeats),
                                 repeats)}


def spread(values):
    return {"median": statistics.median(values) * MICRO, "min": min(values) * MICRO,
            "max": max(values) * MICRO}


def contest(name, ours, peers, goal, limit=None, beside=None):
    """Interleaved rounds of all contestants; what is beside is shown and never the best peer."""
    counted, peers = set(peers), peers | (beside or {})
    runs = {label: [] for label in peers}
    own, ratios = [], {label: [] for label in peers}
    for _ in range(ROUNDS):
        own.append(ours())
        for label, peer in peers.items():
            runs[label].append(peer())
            ratios[label].append(runs[label][-1] / own[-1])
    told = {label: spread(runs[label]) | {"ratio": statistics.median(ratios[label]),
                                          "ratio_min": min(ratios[label]),
                                          "ratio_max": max(ratios[label])} for label in peers}
    best = min(counted, key=lambda label: told[label]["ratio"])
    result = {"bench": "bench_ipc", "case": name, "metric": "us_per_batch", "better": "lower",
              "ours": spread(own), "best_peer": best,
              "peers": {label: told[label] for label in told if label in counted},
              "beside": {label: told[label] for label in told if label not in counted},
              "ratio": told[best]["ratio"], "ratio_min": told[best]["ratio_min"],
              "ratio_max": told[best]["ratio_max"], "goal": goal, "limit": limit}
    result["met"] = result["ratio"] >= goal and \
        (limit is None or result["ours"]["median"] <= limit)
    return result


def decode_offsets(name, ours, stream, repeats):
    """With the time that reading the offsets alone takes beside it: from memory, or, of one batch,
    from the cache, where a body lies that has just been received."""
    peers = {"pyarrow, full validation":
             lambda: pyarrow_decode(stream, True, max(1, repeats // 20), ours.batch_count)}
    return contest(name, lambda: ours.decode(OFFSETS, repeats),
                   peers | nanoarrow_peers(ours, FULL, repeats), 1.5,
                   beside={"reading the offsets": lambda: ours.read_offsets(repeats)})


def show(result, as_json):
    if as_json:
        print(json.dumps(result), flush=True)
        return
    peers = "; ".join(f"{label} {peer['median']:.2f} us, ratio {peer['ratio']:.2f} "
                      f"({peer['ratio_min']:.2f}..{peer['ratio_max']:.2f})"
                      for label, peer in (result["peers"] | result["beside"]).items())
    limit = f", at most {result['limit']} us" if result["limit"] else ""
    print(f"{result['case']}: ours {result['ours']['median']:.2f} us; {peers}; "
          f"goal {result['goal']}{limit}: {'met' if result['met'] else 'missed'}", flush=True)


ROUNDS = 9


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, five rounds")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each result")
    parser.add_argument("--data", type=Path, help="lineitem as Parquet")
    parser.add_argument("--library", type=Path,
                        default=HERE / "libipc_rounds.so")
    return parser.parse_args()


def main():
    global ROUNDS
    arguments = parse_arguments()
    if arguments.quick:
        ROUNDS = 5
    batches = lineitem(arguments)
    stream = stream_of(batches)
    # As they lie in the stream, for both: with offsets that begin with 0 and counted nulls.
    batches = list(pa.ipc.open_stream(stream))
    first = stream_of(batches[:1])
    ours = Ours(arguments.library, stream)
    count = len(batches)
    if ours.batch_count != count:
        sys.exit(f"ours reads {ours.batch_count} batches of {count}")
    if not arguments.json:
        print(f"{count} batches of {ROWS} rows, {len(batches[0].schema)} columns, "
              f"{stream.size / count / 1e6:.1f} MB each; pyarrow {pa.__version__}")
    often = max(1, 2000 // count)
    ours.encode(often)
    regions = ours.regions()
    results = [
        contest("encode to spans", lambda: ours.encode(often),
                {"pyarrow, table": lambda: pyarrow_encode(batches, often, True),
                 "pyarrow, batches": lambda: pyarrow_encode(batches, often, False)}, 2.0, 2.0),
        contest("decode, structure (level 1)", lambda: ours.decode(STRUCTURE, often),
                {"pyarrow, no validation": lambda: pyarrow_decode(stream, False, often, count)},
                1.5, beside=nanoarrow_peers(ours, 0, often)),
        decode_offsets("decode, offsets (level 2)", ours, stream, max(1, often // 10)),
        decode_offsets("decode, offsets (level 2), one batch again and again",
                       Ours(arguments.library, first), first, 200),
    ]
    for result in results:
        show(result, arguments.json)
    if ours.regions() != regions:
        sys.exit(f"asked the system for memory {ours.regions() - regions} times in steady state")


if __name__ == "__main__":
    main()
