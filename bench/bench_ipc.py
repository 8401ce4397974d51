#!/usr/bin/env python3
"""IPC against pyarrow (Arrow C++) and nanoarrow on TPC-H lineitem, in batches of 64 Ki rows.

Each figure is the time of a batch. Ours is timed in C (libipc_rounds.so beside this program),
pyarrow's by calls that work through all batches in C++, so that Python's share is one call for
hundreds of batches. Needs pyarrow; and tpchgen-cli, or --data with a Parquet file of the table."""

import argparse
import ctypes
import sys
import time
from pathlib import Path

import contest

contest.enter_environment()
pa = contest.package("pyarrow")
if pa is None:
    sys.exit(0)

HERE = Path(__file__).resolve().parent

ROWS = 65536
COMPRESSED = 20  # batches: each takes milliseconds
STRUCTURE, OFFSETS, FULL = 1, 2, 3
MICRO = 1e6


def stream_of(batches, codec=None):
    """The batches as a stream, in memory that is aligned to 64 bytes."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
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


def play(case, goal, ours, peers, rounds, beside=None, limit=None):
    """`ours`, and each of the others by its name: a call that tells the seconds of a batch."""
    def contestants(calls):
        return [contest.Contestant(name, call, lambda seconds, _: seconds * MICRO)
                for name, call in calls.items()]
    counted, shown = contestants(peers), contestants(beside or {})
    contest.play(contestants({"fletching": ours})[0], counted + shown, rounds)
    return contest.result("bench_ipc", case, "batch_us", peers=counted, beside=shown, goal=goal,
                          limit=limit)


def play_offsets(case, ours, stream, repeats, rounds):
    """With the time that reading the offsets alone takes beside it: from memory, or, of one batch,
    from the cache, where a body lies that has just been received."""
    peers = {"pyarrow, full validation":
             lambda: pyarrow_decode(stream, True, max(1, repeats // 20), ours.batch_count)}
    return play(case, 1.5, lambda: ours.decode(OFFSETS, repeats),
                peers | nanoarrow_peers(ours, FULL, repeats), rounds,
                beside={"reading the offsets": lambda: ours.read_offsets(repeats)})


def play_compressed(options, codec, batches):
    """Bodies as pyarrow compresses them, read by one thread each."""
    stream = stream_of(batches, codec)
    ours = Ours(options.library, stream)
    repeats = max(1, COMPRESSED // len(batches))
    return play(f"decode {codec.upper()}, structure (level 1)", 1.0,
                lambda: ours.decode(STRUCTURE, repeats),
                {"pyarrow, one thread, no validation":
                 lambda: pyarrow_decode(stream, False, repeats, len(batches))}, options.rounds)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, five rounds")
    parser.add_argument("--compressed", action="store_true", help="compressed bodies alone")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each result")
    parser.add_argument("--data", type=Path, help="lineitem as Parquet")
    parser.add_argument("--library", type=Path,
                        default=HERE / "libipc_rounds.so")
    options = parser.parse_args()
    options.scale = "0.1" if options.quick else "1"
    options.rounds = 5 if options.quick else 9
    return options


def play_plain(options, stream, batches):
    """Batches as they lie in memory. Ours asks the system for none in the steady state."""
    count = len(batches)
    ours, first = Ours(options.library, stream), stream_of(batches[:1])
    if ours.batch_count != count:
        sys.exit(f"ours reads {ours.batch_count} batches of {count}")
    often, rounds = max(1, 2000 // count), options.rounds
    ours.encode(often)
    regions = ours.regions()
    yield play("encode to spans", 2.0, lambda: ours.encode(often),
               {"pyarrow, table": lambda: pyarrow_encode(batches, often, True),
                "pyarrow, batches": lambda: pyarrow_encode(batches, often, False)}, rounds,
               limit=2.0)
    yield play("decode, structure (level 1)", 1.5, lambda: ours.decode(STRUCTURE, often),
               {"pyarrow, no validation": lambda: pyarrow_decode(stream, False, often, count)},
               rounds, beside=nanoarrow_peers(ours, 0, often))
    yield play_offsets("decode, offsets (level 2)", ours, stream, max(1, often // 10), rounds)
    yield play_offsets("decode, offsets (level 2), one batch again and again",
                       Ours(options.library, first), first, 200, rounds)
    if ours.regions() != regions:
        sys.exit(f"asked the system for memory {ours.regions() - regions} times in steady state")


def main():
    options = parse_arguments()
    stream = stream_of(contest.lineitem(options).to_batches(max_chunksize=ROWS))
    # As they lie in the stream, for both: with offsets that begin with 0 and counted nulls.
    batches = list(pa.ipc.open_stream(stream))
    if not options.json:
        print(f"{len(batches)} batches of {ROWS} rows, {len(batches[0].schema)} columns, "
              f"{stream.size / len(batches) / 1e6:.1f} MB each; pyarrow {pa.__version__}")
    if not options.compressed:
        for told in play_plain(options, stream, batches):
            contest.show(told, options.json)
    for codec in ("lz4", "zstd"):
        contest.show(play_compressed(options, codec, batches[:COMPRESSED]), options.json)


if __name__ == "__main__":
    main()
