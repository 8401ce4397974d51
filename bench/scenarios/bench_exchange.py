#!/usr/bin/env python3
"""A shuffle in memory against the Python tools that repartition, on the same batches in one run.

Two producers and two consumers (ours), or two threads (peers), on two processors: every row of the
batches goes to its partition, by a hash of the first column; pieces are counted and let go. Ours
registers a shuffle, starts its threads and verifies every end within the time that counts.
--dask adds Dask's P2P shuffle between two worker processes, which is slow."""

import argparse
import atexit
import ctypes
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import contest

contest.enter_environment()
HAS_TWO = contest.use_two_processors()
pa = contest.package("pyarrow")
np = contest.package("numpy")
if pa is None or np is None:
    sys.exit(0)
import tpch  # noqa: E402

BENCH = "bench_exchange"
BARRIERS_MAX = 4096


# ---- ours ----

class Plan(ctypes.Structure):
    _fields_ = [("partitions", ctypes.c_uint32), ("key", ctypes.c_uint32),
                ("row_bytes", ctypes.c_double), ("seconds", ctypes.c_double),
                ("barrier_every", ctypes.c_double)]


class Figures(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_double), ("rows", ctypes.c_uint64),
                ("frames", ctypes.c_uint64), ("credit_waits", ctypes.c_uint64),
                ("ended", ctypes.c_uint32), ("barrier_count", ctypes.c_uint32),
                ("latency", ctypes.c_double * BARRIERS_MAX),
                ("bytes_ahead", ctypes.c_double * BARRIERS_MAX),
                ("bytes_queued", ctypes.c_double * BARRIERS_MAX)]


class Exchange:
    def __init__(self, rounds, batches):
        self.rounds = rounds
        self.rows = sum(batch.num_rows for batch in batches)
        self.bytes = sum(batch.nbytes for batch in batches)
        exported = ctypes.create_string_buffer(256)
        batches[0].schema._export_to_c(ctypes.addressof(exported))
        self.handle = ctypes.c_void_p(rounds.exchange_open(exported))
        for batch in batches:
            batch._export_to_c(ctypes.addressof(exported))
            if rounds.exchange_add(self.handle, exported) != 0:
                sys.exit(f"ours does not take a batch: {self.message()}")

    def message(self):
        return self.rounds.exchange_message(self.handle).decode()

    def run(self, partitions, seconds=0.0, barrier_every=0.0):
        plan = Plan(partitions, 0, self.bytes / self.rows, seconds, barrier_every)
        figures = Figures()
        if self.rounds.exchange_run(self.handle, ctypes.byref(plan), ctypes.byref(figures)) != 0:
            sys.exit(f"ours failed: {self.message()}")
        return figures

    def close(self):
        self.rounds.exchange_close(self.handle)


def load_rounds(path):
    rounds = ctypes.CDLL(str(path))
    rounds.exchange_open.restype = ctypes.c_void_p
    rounds.exchange_message.restype = ctypes.c_char_p
    rounds.exchange_copy.restype = ctypes.c_double
    rounds.exchange_copy.argtypes = [ctypes.c_double]
    return rounds


# ---- peers: each returns a call that gives the rows of all pieces ----

def pyarrow_take(batches, partitions):
    """Each batch by a radix sort of the partitions (numpy's stable sort of small integers) and one
    take, as there is no public hash: multiply and shift, the cheapest that numpy can do."""
    kind = np.uint8 if partitions <= 256 else np.uint16

    def split(batch):
        hashes = batch.column(0).to_numpy().view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        ids = ((hashes >> np.uint64(32)) * np.uint64(partitions) >> np.uint64(32)).astype(kind)
        moved = batch.take(pa.array(np.argsort(ids, kind="stable")))
        counts = np.bincount(ids, minlength=partitions).tolist()
        rows = start = 0
        for count in counts:
            rows += moved.slice(start, count).num_rows
            start += count
        return rows

    pool = ThreadPoolExecutor(2)
    return lambda: sum(pool.map(split, batches))


def polars_split(polars, frame, partitions):
    hashed = frame.with_columns(
        (polars.col(frame.columns[0]).hash() % partitions).alias("__partition"))
    return sum(piece.height for piece in
               hashed.partition_by("__partition", include_key=False, maintain_order=False))


def polars_batches(batches, partitions):
    polars = contest.package("polars")
    if polars is None:
        return None
    frames = [polars.from_arrow(batch) for batch in batches]
    pool = ThreadPoolExecutor(2)
    return lambda: sum(pool.map(lambda frame: polars_split(polars, frame, partitions), frames))


def polars_whole(batches, partitions):
    polars = contest.package("polars")
    if polars is None:
        return None
    frame = polars.from_arrow(pa.Table.from_batches(batches), rechunk=True)
    return lambda: polars_split(polars, frame, partitions)


def datafusion_repartition(batches, partitions):
    """A join that keeps every row forces the exchange: the optimizer drops a repartition that
    nothing asks for. Two threads read the partitions, half of them each."""
    datafusion = contest.package("datafusion")
    if datafusion is None:
        return None
    context = datafusion.SessionContext(datafusion.SessionConfig({
        "datafusion.execution.target_partitions": str(partitions),
        "datafusion.execution.batch_size": "65536",
        "datafusion.optimizer.prefer_hash_join": "true",
        "datafusion.optimizer.hash_join_single_partition_threshold": "0",
        "datafusion.optimizer.hash_join_single_partition_threshold_rows": "0"}))
    context.register_record_batches("data", [batches[0::2], batches[1::2]])
    key = batches[0].schema.field(0)
    nothing = pa.RecordBatch.from_arrays([pa.array([None], key.type)], ["nothing"])
    context.register_record_batches("none", [[nothing]])
    query = f'SELECT data.* FROM data LEFT ANTI JOIN none ON data."{key.name}" = none.nothing'
    plan = str(context.sql(query).execution_plan().display_indent())
    if f"RepartitionExec: partitioning=Hash([{key.name}" not in plan:
        sys.exit(f"DataFusion would not repartition:\n{plan}")
    pool = ThreadPoolExecutor(2)

    def drain(streams):
        return sum(batch.to_pyarrow().num_rows for stream in streams for batch in stream)

    def call():
        streams = context.sql(query).execute_stream_partitioned()
        return sum(pool.map(drain, [streams[0::2], streams[1::2]]))

    return call


def dask_p2p(table, partitions):
    """Frames of four batches, held by two workers; the outputs stay there."""
    distributed, frames = contest.package("distributed"), contest.package("dask.dataframe")
    if distributed is None or frames is None:
        return None
    client = distributed.Client(distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None))
    atexit.register(client.shutdown)
    step = 4 * 65536
    pieces = [client.scatter(table.slice(start, step).to_pandas(types_mapper=pandas_type()))
              for start in range(0, table.num_rows, step)]
    whole = client.persist(frames.from_delayed(
        pieces, meta=table.slice(0, 0).to_pandas(types_mapper=pandas_type())))
    distributed.wait(whole)

    def call():
        moved = client.persist(whole.shuffle(table.column_names[0], npartitions=partitions,
                                             shuffle_method="p2p"))
        distributed.wait(moved)
        return client.compute(moved.map_partitions(len)).result().sum()

    return call


def pandas_type():
    import pandas
    return pandas.ArrowDtype


# ---- cases ----

def check(name, call, rows):
    """A peer's call, which fails where rows are lost."""
    def checked():
        done = call()
        if done != rows:
            sys.exit(f"{name}: {done} rows of {rows}")
        return done
    return checked


class Case:
    def __init__(self, name, batches, partitions, options):
        self.name = f"{name}, P = {partitions}"
        self.batches, self.partitions, self.options = batches, partitions, options

    def play(self, by_rows):
        exchange = Exchange(self.options.rounds_library, self.batches)
        rows, size = exchange.rows, exchange.bytes
        amount = rows if by_rows else size
        value = lambda _, seconds: amount / seconds  # noqa: E731
        ours = contest.Contestant("fletching", lambda: exchange.run(self.partitions), value)
        made = {"pyarrow hash + take": pyarrow_take(self.batches, self.partitions),
                "Polars partition_by, each batch": polars_batches(self.batches, self.partitions),
                "Polars partition_by, whole": polars_whole(self.batches, self.partitions),
                "DataFusion RepartitionExec": datafusion_repartition(self.batches,
                                                                     self.partitions)}
        peers = [contest.Contestant(name, check(name, call, rows), value)
                 for name, call in made.items() if call is not None]
        copy = contest.Contestant(
            "two-core memcpy", lambda: self.options.rounds_library.exchange_copy(size), value)
        contest.play(ours, [*peers, copy], self.options.rounds)
        exchange.close()
        return peers, copy

    def told(self, label, metric, peers, goal, beside=()):
        contest.show(contest.result(BENCH, f"{self.name}, to {label}", metric, peers=peers,
                                    goal=goal, beside=beside), self.options.json)


def run_bytes(case):
    peers, copy = case.play(by_rows=False)
    take = [peer for peer in peers if peer.name.startswith("pyarrow")]
    engines = [peer for peer in peers if peer not in take]
    case.told("two-core memcpy", "bytes_per_second", [copy], 0.25)
    if engines:
        case.told("Polars and DataFusion", "bytes_per_second", engines, 1.7)
    case.told("pyarrow's take", "bytes_per_second", take, 1.3)


def run_rows(case):
    peers, copy = case.play(by_rows=True)
    case.told("the best", "rows_per_second", peers, 3.0, beside=[copy])


def run_barriers(case):
    """Barriers while both producers write all they can. How long: from the last producer's call
    until the last partition gave it. Ahead of it: what was written and not read at that moment."""
    exchange = Exchange(case.options.rounds_library, case.batches)
    seconds = 1.0 if case.options.quick else 3.0
    told = {"p99": None, "p99 less 1.5 times the drain of what is ahead of it": 2.0,
            "p99 of the drain of what is queued": 5.0, "p99 of the drain of what is ahead": None}
    values = {label: [] for label in told}
    exchange.run(case.partitions, seconds, 0.01)
    for _ in range(case.options.rounds):
        figures = exchange.run(case.partitions, seconds, 0.01)
        if figures.barrier_count == 0:
            sys.exit("no barrier went through")
        rate = figures.rows / exchange.rows * exchange.bytes / figures.seconds
        latency, ahead, queued = (list(times[:figures.barrier_count]) for times in (
            figures.latency, figures.bytes_ahead, figures.bytes_queued))
        rest = [one - 1.5 * two / rate for one, two in zip(latency, ahead)]
        for label, times in zip(told, (latency, rest, [one / rate for one in queued],
                                       [one / rate for one in ahead])):
            values[label].append(1e3 * p99(times))
    exchange.close()
    for label, limit in told.items():
        contest.show(contest.result(BENCH, f"barrier under load, {case.name}, {label}", "time_ms",
                                    own=values[label], limit=limit), case.options.json)


def p99(values):
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def run_dask(case, table):
    call = dask_p2p(table, case.partitions)
    if call is None:
        return
    exchange = Exchange(case.options.rounds_library, case.batches)
    value = lambda _, seconds: exchange.bytes / seconds  # noqa: E731
    ours = contest.Contestant("fletching", lambda: exchange.run(case.partitions), value)
    peer = contest.Contestant("Dask P2P, two workers", check("Dask", call, exchange.rows), value)
    contest.play(ours, [peer], 1 if case.options.quick else 3)
    exchange.close()
    case.told("Dask's P2P", "bytes_per_second", [peer], 30.0)


def narrow(rows):
    random = np.random.default_rng(1)
    return pa.table({"key": random.integers(0, 1 << 62, rows), "value": random.random(rows)})


def cases_of(table, options):
    few = narrow(table.num_rows * (1 if options.quick else 4))
    wide, thin = "lineitem, 64 Ki rows", "int64 + float64, 64 Ki rows"
    return [(run_bytes, wide, table, 65536, 16), (run_bytes, wide, table, 65536, 200),
            (run_bytes, thin, few, 65536, 16), (run_bytes, thin, few, 65536, 200),
            (run_rows, "lineitem, 1,000 rows", table, 1000, 16),
            (run_rows, "int64 + float64, 1,000 rows", few, 1000, 16),
            (run_barriers, wide, table, 65536, 16)]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="scale 0.3, five rounds")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each result")
    parser.add_argument("--list", action="store_true", help="the names of the cases")
    parser.add_argument("--case", default="", help="only cases with this text in their name")
    parser.add_argument("--runs", type=int, default=0, help="rounds; default 9")
    parser.add_argument("--scale", default="", help="TPC-H's scale; default 1")
    parser.add_argument("--data", type=Path, help="lineitem, as Parquet")
    parser.add_argument("--dask", action="store_true", help="Dask's P2P shuffle, and only that")
    parser.add_argument("--library", type=Path,
                        default=Path(__file__).resolve().parent / "libexchange_rounds.so")
    options = parser.parse_args()
    options.rounds = options.runs or (5 if options.quick else 9)
    options.scale = options.scale or ("0.3" if options.quick else "1")
    return options


def main():
    options = parse_arguments()
    if not HAS_TWO:
        sys.exit("there are fewer than two processors")
    options.rounds_library = load_rounds(options.library)
    table = contest.lineitem(options)
    if options.dask:
        name, batches = "lineitem, 64 Ki rows", tpch.batches(table, 65536)
        run_dask(Case(name, batches, 16, options), table)
        return
    for run, name, data, rows, partitions in cases_of(table, options):
        case = Case(name, [], partitions, options)
        label = f"barrier under load, {case.name}" if run is run_barriers else case.name
        if options.list:
            print(label)
        elif options.case in label:
            case.batches = tpch.batches(data, rows)
            run(case)


if __name__ == "__main__":
    main()
