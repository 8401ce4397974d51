#!/usr/bin/env python3
"""Partition and scatter against what Python programs use today, on the same data in one run.

    bench_partition [--quick] [--json] [--library libfletching.so] [--data FILE] [--case TEXT]
                    [--rounds N] [--peers NAME,...]

Every contestant gets the same record batches of 64 Ki rows and must leave P pieces of each (ours:
frames of each partition). One core, one thread. Rounds are interleaved; figures are medians, and
a ratio is the median of the ratios of runs that followed each other. `lineitem` is TPC-H's, made by
tpchgen-cli; its strings are cast to utf8. Needs numpy, pyarrow, polars, datafusion and duckdb;
whoever cannot do a case does not take part in it."""

import argparse
import ctypes
import json
import os
import statistics
import sys
import time
from pathlib import Path

try:
    import numpy as np
    import pyarrow as pa
    import tpch
except ImportError:
    sys.exit("there is no numpy or pyarrow (pip install -r bench/requirements.txt)")

HERE = Path(__file__).resolve().parent
ROWS = 64 << 10


# ---- the library, by its C interface ----

class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("method", ctypes.c_int),
                ("partition_count", ctypes.c_uint32), ("key_columns", ctypes.c_void_p),
                ("key_column_count", ctypes.c_uint32), ("virtual_node_count", ctypes.c_uint32),
                ("virtual_node_map", ctypes.c_void_p), ("seed", ctypes.c_uint64),
                ("range_orders", ctypes.c_void_p), ("range_bounds", ctypes.c_void_p)]


class WriterOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("cache", ctypes.c_void_p),
                ("frame_bytes", ctypes.c_size_t),
                ("budget_bytes", ctypes.c_uint64), ("writer_count", ctypes.c_uint32),
                ("account", ctypes.c_void_p)]


class PoolOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("huge_pages", ctypes.c_int),
                ("cache_bytes", ctypes.c_size_t)]


class ImportOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("cache", ctypes.c_void_p),
                ("account", ctypes.c_void_p), ("validation", ctypes.c_int),
                ("allocator", ctypes.c_void_p)]


class Frame(ctypes.Structure):
    _fields_ = [("partition", ctypes.c_uint32), ("batch", ctypes.c_void_p),
                ("key_sum", ctypes.c_uint64)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 480)]


def sized(options, **fields):
    value = options(ctypes.sizeof(options))
    for name, field in fields.items():
        setattr(value, name, field)
    return value


class Fletching:
    name = "fletching"

    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        self.error = Error()
        self.pool = self.made("fletch_buffer_pool_create",
                              ctypes.byref(sized(PoolOptions, cache_bytes=1 << 30)), None)
        self.cache = self.made("fletch_buffer_cache_open", self.pool)
        self.c.fletch_batch_row_count.restype = ctypes.c_int64

    def check(self, status):
        if status != 0:
            sys.exit(f"fletching: {self.error.message.decode()}")

    def made(self, function, *arguments):
        out = ctypes.c_void_p()
        self.check(getattr(self.c, function)(*arguments, ctypes.byref(out),
                                             ctypes.byref(self.error)))
        return out

    def prepare(self, batches, key, partitions):
        exported = ctypes.create_string_buffer(256)
        batches[0].schema._export_to_c(ctypes.addressof(exported))
        self.schema = self.made("fletch_schema_import", exported, None)
        options = sized(ImportOptions, cache=self.cache)
        self.batches = []
        for batch in batches:
            batch._export_to_c(ctypes.addressof(exported))
            self.batches.append(self.made("fletch_batch_import", exported, self.schema,
                                          ctypes.byref(options)))
        keys = (ctypes.c_uint32 * 1)(key)
        choice = sized(Options, partition_count=partitions, key_column_count=1,
                       key_columns=ctypes.cast(keys, ctypes.c_void_p).value)
        partitioner = self.made("fletch_partitioner_create", self.schema, ctypes.byref(choice),
                                None)
        self.writer = self.made("fletch_partition_writer_create", self.schema, partitioner,
                                ctypes.byref(sized(WriterOptions, cache=self.cache)))

    def run(self):
        """Frames are taken and let go after each batch, as by a reader that keeps up."""
        push = self.c.fletch_partition_writer_push
        take = self.c.fletch_partition_writer_next
        rows = 0
        frame = Frame()
        for batch in self.batches:
            self.check(push(self.writer, batch, ctypes.byref(self.error)))
            rows += self.take_all(take, frame)
        self.check(self.c.fletch_partition_writer_flush(self.writer, ctypes.byref(self.error)))
        return rows + self.take_all(take, frame)

    def take_all(self, take, frame):
        rows = 0
        while True:
            self.check(take(self.writer, ctypes.byref(frame), ctypes.byref(self.error)))
            if not frame.batch:
                return rows
            batch = ctypes.c_void_p(frame.batch)
            rows += self.c.fletch_batch_row_count(batch)
            self.c.fletch_batch_release(self.cache, batch)

    def end(self):
        self.c.fletch_partition_writer_destroy(self.writer)
        for batch in self.batches:
            self.c.fletch_batch_release(self.cache, batch)
        self.c.fletch_schema_release(self.schema)


# ---- peers ----

class Peer:
    def prepare(self, batches, key, partitions):
        self.batches, self.key, self.partitions = batches, key, partitions

    def end(self):
        self.batches = None


def integer_ids(column, partitions):
    """Multiply and shift: the cheapest hash that numpy can do."""
    hashes = column.to_numpy(zero_copy_only=False).view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return ((hashes >> np.uint64(32)) * np.uint64(partitions) >> np.uint64(32)).astype(
        np.uint8 if partitions <= 256 else np.uint16)


def order_of(ids, partitions):
    """A stable argsort of small integers is a radix sort in numpy."""
    order = np.argsort(ids, kind="stable")
    ends = np.cumsum(np.bincount(ids, minlength=partitions))
    return order, ends


class Numpy(Peer):
    name = "numpy argsort + take"

    def prepare(self, batches, key, partitions):
        super().prepare(batches, key, partitions)
        if not all(pa.types.is_integer(f.type) or pa.types.is_floating(f.type)
                   for f in batches[0].schema):
            raise NotImplementedError
        self.arrays = [[c.to_numpy() for c in b.columns] for b in batches]

    def run(self):
        rows = 0
        for batch, arrays in zip(self.batches, self.arrays):
            order, ends = order_of(integer_ids(batch.column(self.key), self.partitions),
                                   self.partitions)
            moved = [array[order] for array in arrays]
            pieces = [[column[start:end] for column in moved]
                      for start, end in zip([0, *ends[:-1]], ends)]
            rows += sum(len(piece[0]) for piece in pieces)
        return rows


class Pyarrow(Peer):
    name = "pyarrow hash + take"

    def ids(self, batch):
        column = batch.column(self.key)
        if pa.types.is_integer(column.type):
            return integer_ids(column, self.partitions)
        import polars
        hashes = polars.from_arrow(column).hash().to_numpy()
        return (hashes % np.uint64(self.partitions)).astype(
            np.uint8 if self.partitions <= 256 else np.uint16)

    def run(self):
        rows = 0
        for batch in self.batches:
            order, ends = order_of(self.ids(batch), self.partitions)
            moved = batch.take(pa.array(order))
            start = 0
            for end in ends:
                rows += moved.slice(start, end - start).num_rows
                start = end
        return rows


class Polars(Peer):
    name = "polars partition_by"

    def prepare(self, batches, key, partitions):
        import polars
        super().prepare(batches, key, partitions)
        self.polars = polars
        self.frames = [polars.from_arrow(batch) for batch in batches]

    def run(self):
        rows = 0
        column = self.frames[0].columns[self.key]
        for frame in self.frames:
            hashed = frame.with_columns(
                (self.polars.col(column).hash() % self.partitions).alias("__partition"))
            pieces = hashed.partition_by("__partition", include_key=False, maintain_order=False)
            rows += sum(piece.height for piece in pieces)
        return rows

    def end(self):
        super().end()
        self.frames = None


class DataFusion(Peer):
    """The exchange is forced: its optimizer drops a repartition that nothing asks for."""
    name = "DataFusion hash repartition"

    def prepare(self, batches, key, partitions):
        import datafusion
        super().prepare(batches, key, partitions)
        config = datafusion.SessionConfig({
            "datafusion.execution.target_partitions": str(partitions),
            "datafusion.execution.batch_size": str(ROWS),
            "datafusion.optimizer.prefer_hash_join": "true",
            "datafusion.optimizer.hash_join_single_partition_threshold": "0",
            "datafusion.optimizer.hash_join_single_partition_threshold_rows": "0"})
        self.context = datafusion.SessionContext(config)
        self.context.register_record_batches("data", [batches])
        name = batches[0].schema.field(key).name
        null = pa.RecordBatch.from_arrays([pa.array([None], batches[0].column(key).type)],
                                          ["nothing"])
        self.context.register_record_batches("none", [[null]])
        self.query = ("SELECT data.* FROM data LEFT ANTI JOIN none "
                      f'ON data."{name}" = none.nothing')
        plan = str(self.context.sql(self.query).execution_plan().display_indent())
        if f"RepartitionExec: partitioning=Hash([{name}" not in plan:
            raise NotImplementedError

    def run(self):
        rows = 0
        for stream in self.context.sql(self.query).execute_stream_partitioned():
            for batch in stream:
                rows += batch.to_pyarrow().num_rows
        return rows


class DuckDb(Peer):
    name = "DuckDB order by hash"

    def prepare(self, batches, key, partitions):
        import duckdb
        super().prepare(batches, key, partitions)
        self.connection = duckdb.connect()
        self.connection.execute("SET threads = 1")
        self.table = pa.Table.from_batches(batches)

    def run(self):
        data = self.table  # noqa: F841, found by name
        name = self.table.schema.field(self.key).name
        found = self.connection.sql(
            f'SELECT * FROM data ORDER BY hash("{name}") % {self.partitions}')
        return found.to_arrow_table().num_rows


class Memcpy(Peer):
    name = "memcpy"

    def prepare(self, batches, key, partitions):
        super().prepare(batches, key, partitions)
        self.buffers = [buffer for batch in batches for column in batch.columns
                        for buffer in column.buffers() if buffer is not None]
        self.target = np.empty(sum(b.size for b in self.buffers) + 64, np.uint8)
        self.target.fill(1)

    def run(self):
        at = self.target.ctypes.data
        for buffer in self.buffers:
            ctypes.memmove(at, buffer.address, buffer.size)
            at += buffer.size
        return sum(batch.num_rows for batch in self.batches)


# ---- data ----

def narrow(rows):
    random = np.random.default_rng(1)
    table = pa.table({"key": random.integers(0, 1 << 62, rows), "value": random.random(rows)})
    return realigned(table)


def realigned(table):
    """Batches of ROWS rows, each in memory of its own, as they come from elsewhere."""
    table = table.combine_chunks()
    batches = []
    for start in range(0, table.num_rows, ROWS):
        part = table.slice(start, min(ROWS, table.num_rows - start))
        taken = part.take(pa.array(np.arange(part.num_rows))).combine_chunks()
        batches += taken.to_batches()
    return batches


def lineitem(path, rows):
    return realigned(tpch.lineitem(path).slice(0, rows))


def words(random, count):
    """Short texts of 4 to 12 letters, all different."""
    letters = random.integers(97, 123, (count, 12), dtype=np.uint8)
    lengths = random.integers(4, 13, count)
    return [bytes(row[:length]).decode() + str(i)
            for i, (row, length) in enumerate(zip(letters, lengths))]


def offsets_of(random, rows, most):
    ends = np.zeros(rows + 1, np.int32)
    np.cumsum(random.integers(0, most + 1, rows), out=ends[1:])
    return ends


def dictionary(random, rows, count):
    indices = pa.array(random.integers(0, count, rows), pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array(words(random, count)))


def dictionaries(rows):
    """A key and three columns of strings by number."""
    random = np.random.default_rng(2)
    columns = {"key": random.integers(0, 1 << 62, rows)}
    for name, count in (("few", 16), ("some", 1000), ("many", 20000)):
        columns[name] = dictionary(random, rows, count)
    return realigned(pa.table(columns))


def nested(rows):
    """A key, a list of up to six structs, a map of up to four entries, a dictionary."""
    random = np.random.default_rng(3)
    ends = offsets_of(random, rows, 6)
    count = int(ends[-1])
    texts = pa.array(words(random, 4096))
    item = pa.StructArray.from_arrays(
        [pa.array(random.integers(0, 1 << 40, count)), pa.array(random.random(count)),
         texts.take(pa.array(random.integers(0, 4096, count)))], ["id", "price", "name"])
    entry_ends = offsets_of(random, rows, 4)
    entries = int(entry_ends[-1])
    pairs = pa.MapArray.from_arrays(
        pa.array(entry_ends), texts.take(pa.array(np.arange(entries) % 4096)), # none twice in a row
        pa.array(random.integers(0, 1 << 40, entries)))
    return realigned(pa.table({
        "key": random.integers(0, 1 << 62, rows),
        "items": pa.ListArray.from_arrays(pa.array(ends), item),
        "tags": pairs, "label": dictionary(random, rows, 1000)}))


def size_of(batches):
    return sum(batch.nbytes for batch in batches)


# ---- rounds ----

def run_case(case, ours, peers, options):
    name, batches, key, partitions, goal = case
    size, rows = size_of(batches), sum(batch.num_rows for batch in batches)
    memcpy = Memcpy()
    contestants = []
    for contestant in (ours, *peers, memcpy):
        try:
            contestant.prepare(batches, key, partitions)
            if contestant.run() != rows:
                sys.exit(f"{name}: {contestant.name} lost rows")
            contestants.append(contestant)
        except (ImportError, NotImplementedError):
            print(f"{name}: {contestant.name} does not take part", file=sys.stderr)
    figures = {contestant.name: [] for contestant in contestants}
    mine = {contestant.name: [] for contestant in contestants}
    for _ in range(options.rounds):
        for contestant in contestants[1:]:
            for one in (ours, contestant):
                start = time.perf_counter()
                one.run()
                took = time.perf_counter() - start
                if one is contestant:
                    figures[contestant.name].append(size / took)
                else:
                    mine[contestant.name].append(size / took)
                    figures[ours.name].append(size / took)
    for contestant in contestants:
        contestant.end()
    return report(name, figures, mine, goal, options)


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def report(name, figures, mine, goal, options):
    peers = {}
    for peer, values in figures.items():
        if peer in ("fletching",):
            continue
        ratios = [a / b for a, b in zip(mine[peer], values)]
        peers[peer] = spread(values) | {"ratio": statistics.median(ratios),
                                        "ratio_min": min(ratios), "ratio_max": max(ratios)}
    memcpy = peers.pop("memcpy")
    best = min(peers, key=lambda peer: peers[peer]["ratio"])
    result = {"bench": "bench_partition", "case": name, "metric": "bytes_per_second",
              "better": "higher", "ours": spread(figures["fletching"]), "peers": peers,
              "best_peer": best, "ratio": peers[best]["ratio"],
              "ratio_min": peers[best]["ratio_min"], "ratio_max": peers[best]["ratio_max"],
              "goal": goal, "limit": None, "met": peers[best]["ratio"] >= goal,
              "floors": {"memcpy": memcpy["median"], "share_of_memcpy": memcpy["ratio"]},
              "before": None, "disturbed": False}
    if options.json:
        print(json.dumps(result), flush=True)
        return
    print(f"\n{name}")
    print(f"  fletching {result['ours']['median'] / 1e9:6.2f} GB/s, {memcpy['ratio']:.2f} of memcpy"
          f" ({memcpy['median'] / 1e9:.1f})")
    for peer in sorted(peers, key=lambda p: peers[p]["ratio"]):
        p = peers[peer]
        print(f"  {peer:28} {p['median'] / 1e9:6.2f} GB/s, ratio {p['ratio']:.2f}"
              f" ({p['ratio_min']:.2f}..{p['ratio_max']:.2f})")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default=str(HERE.parent / "src" / "libfletching.so"))
    parser.add_argument("--data", type=Path, help="Parquet file of TPC-H's lineitem")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--case", default="")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--peers", default="", help="parts of the names of those that take part")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 9)
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    pa.set_cpu_count(1)
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    rows = (32 if options.quick else 92) * ROWS
    cases = []
    data = narrow(rows)
    for partitions, goal in ((16, 1.5), (200, 2.0)):
        cases.append((f"int64 + float64, P = {partitions}", data, 0, partitions, goal))
    for name, make, goal in (("list<struct>, map and dictionary", nested, 2.0),
                             ("three dictionaries", dictionaries, 3.0)):
        names = [f"{name}, P = {partitions}" for partitions in (16, 200)]
        if any(options.case in one for one in names):
            made = make(rows)
            cases += [(one, made, 0, partitions, goal)
                      for one, partitions in zip(names, (16, 200))]
    wanted = [(f"lineitem by {column}, P = {partitions}", column, partitions, goal)
              for column in ("l_orderkey", "l_comment")
              for partitions, goal in ((16, 1.5), (200, 2.0))]
    wanted = [case for case in wanted if options.case in case[0]]
    if wanted:
        items = lineitem(options.data or tpch.path_of("1", HERE), rows)
        for name, column, partitions, goal in wanted:
            cases.append((name, items, items[0].schema.get_field_index(column), partitions, goal))
    peers = [peer for peer in (Numpy(), Pyarrow(), Polars(), DataFusion(), DuckDb())
             if any(part in peer.name for part in options.peers.split(","))]
    ours = Fletching(options.library)
    for case in cases:
        if options.case in case[0]:
            run_case(case, ours, peers, options)


if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    main()
