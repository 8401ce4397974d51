#!/usr/bin/env python3
"""Shuffles between processes, in a network namespace of their own, on two processors.

Lineitem through two producers and two consumers, a process each: what the producers have in memory
is in the consumers' when the last partition has ended, and every end is verified. Beside: bare TCP
for the same bytes on one connection. --dask adds Dask's two shuffles between two workers, and only
that. Then: the service against a dict of tables; batches of one row; 64 producers and 256
partitions between two processes; and 10,000 registered shuffles."""

import argparse
import sys
import time
from pathlib import Path

import contest

contest.enter_environment()
pa = contest.package("pyarrow")
if pa is None or contest.package("numpy") is None:
    sys.exit(0)
import ends  # noqa: E402
import tpch  # noqa: E402
from ends import HERE, MIB  # noqa: E402

BENCH = "bench_network"


def python(name, *words):
    return [sys.executable, "-B", str(HERE / name), *map(str, words)]


class Process(ends.Program):
    """Of ours, on both processors: what it is told is answered later."""

    def __init__(self, options, data, share="-"):
        super().__init__(python("network_end.py", options.library, data, share), 0,
                         is_pinned=False)
        self.port = int(self.answer()[0])

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()


class Network:
    """Producers and consumers, each a process, and rounds of shuffles among them."""

    rounds = 0

    def __init__(self, producers, consumers, writers=1):
        self.producers, self.consumers, self.writers = producers, consumers, writers
        self.programs = [*producers, *consumers]

    def join(self, partitions):
        Network.rounds += 1
        words = ["join", Network.rounds, partitions, self.writers * len(self.producers)]
        ports = [process.port for process in self.consumers]
        for i, process in enumerate(self.consumers):
            process.order(*words, i, *ports)
        for process in self.producers:
            process.order(*words, -1, *ports)

    def leave(self):
        for process in self.programs:
            process.order("leave")

    def shuffle(self, partitions):
        """Seconds until the last end came, rows, and bytes charged at most in one process."""
        self.join(partitions)
        for i, process in enumerate(self.consumers):
            process.tell("read", i, len(self.consumers))
        start = time.monotonic()
        for i, process in enumerate(self.producers):
            process.tell("write", self.writers * i, self.writers)
        written = [process.answer() for process in self.producers]
        read = [process.answer() for process in self.consumers]
        self.leave()
        rows = sum(answer[0] for answer in read)
        if sum(answer[1] for answer in read) != partitions:
            sys.exit("an end was not verified")
        if rows != sum(answer[0] for answer in written):
            sys.exit("rows were lost")
        return {"seconds": max(answer[3] for answer in read) - start, "rows": rows,
                "charged": max(answer[2] for answer in [*read, *written])}

    def end(self):
        for process in self.programs:
            process.end()


class Contestant(contest.Contestant):
    """What several programs do."""

    def __init__(self, name, call, programs):
        super().__init__(name, call, None)
        self.programs = programs

    def run(self):
        others = contest.busy_seconds() - contest.own_seconds(self.programs)
        start = time.perf_counter()
        value = self.call()
        seconds = time.perf_counter() - start
        others = contest.busy_seconds() - contest.own_seconds(self.programs) - others
        return value, others <= max(0.025, 0.05 * 2 * seconds)


# ---- lineitem ----

def dask_shuffle(table, partitions, method):
    """Frames of four batches, held by two workers; the outputs stay there. Rows and the sum of the
    keys are compared by the caller."""
    import atexit

    distributed, frames = contest.package("distributed"), contest.package("dask.dataframe")
    if distributed is None or frames is None:
        return None
    pandas = contest.package("pandas")
    client = distributed.Client(distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None))
    atexit.register(client.shutdown)
    step = 4 * 65536
    pieces = [client.scatter(table.slice(start, step).to_pandas(types_mapper=pandas.ArrowDtype))
              for start in range(0, table.num_rows, step)]
    whole = client.persist(frames.from_delayed(
        pieces, meta=table.slice(0, 0).to_pandas(types_mapper=pandas.ArrowDtype)))
    distributed.wait(whole)
    key = table.column_names[0]
    wanted = client.compute(whole[key].sum()).result()

    def call():
        start = time.perf_counter()
        moved = client.persist(whole.shuffle(key, npartitions=partitions, shuffle_method=method))
        distributed.wait(moved)
        seconds = time.perf_counter() - start
        rows = client.compute(moved.map_partitions(len)).result().sum()
        if rows != table.num_rows or client.compute(moved[key].sum()).result() != wanted:
            sys.exit(f"Dask's {method} lost rows")
        return table.nbytes / seconds

    return call


def lineitem_network(bench):
    path = tpch.path_of(bench.options.scale, HERE)
    producers = [Process(bench.options, path, f"{i}/2") for i in range(2)]
    consumers = [Process(bench.options, path) for _ in range(2)]
    return Network(producers, consumers), tpch.lineitem(path)


def run_lineitem(bench, partitions):
    case = f"lineitem, 2 producers and 2 consumers, P = {partitions}"
    if not bench.wants(case):
        return
    network, table = lineitem_network(bench)
    ours = Contestant("fletching",
                      lambda: table.nbytes / network.shuffle(partitions)["seconds"],
                      network.programs)
    if bench.options.dask:
        rounds = 1 if bench.options.quick else 3
        for method, goal in (("p2p", 15.0), ("tasks", 4.0)):
            call = dask_shuffle(table, partitions, method)
            if call is not None:
                peer = Contestant(f"Dask {method}", call, [])
                contest.play(ours, [peer], rounds)
                bench.told(f"{case}, to Dask's {method}", "bytes_per_second", [peer], goal=goal)
    else:
        pair = ends.Pair("bare TCP", ends.end("grpc_end_raw"), ends.end("grpc_end_raw"))
        count = table.nbytes // MIB
        bare = Contestant("bare TCP",
                          lambda: pair.stream(MIB, count)["bytes_per_second"], pair.programs)
        contest.play(ours, [bare], bench.options.rounds)
        bench.told(f"{case}, to bare TCP", "bytes_per_second", [bare], goal=0.4)
        pair.end()
    network.end()


# ---- between two processes ----

def run_many_channels(bench):
    case = "64 producers, 256 partitions, two processes"
    if not bench.wants(case):
        return
    path = tpch.path_of(bench.options.scale, HERE)
    network = Network([Process(bench.options, path, "0/1")], [Process(bench.options, path)], 64)
    told = [network.shuffle(256) for _ in range(bench.options.rounds)]
    port = network.consumers[0].port
    connections = [connections_to(port)]
    network.end()
    bench.told(f"{case}, time", "time_s", own=[one["seconds"] for one in told])
    bench.told(f"{case}, charged at most, of 4 GiB", "charged_bytes",
               own=[one["charged"] for one in told], limit=4 << 30)
    bench.told(f"{case}, connections", "count", own=connections, limit=4)


def connections_to(port):
    """Established ones, as their server has them."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        lines = [line.split() for line in file.readlines()[1:]]
    return sum(line[1].endswith(f":{port:04X}") and line[3] == "01" for line in lines)


class Stamps:
    """Ours: batches of one row from one process to another."""

    def __init__(self, bench):
        self.network = Network([Process(bench.options, "stamps")],
                               [Process(bench.options, "stamps")])

    def run(self, count, gap_ns):
        """Seconds, p50 and p99 in microseconds."""
        self.network.join(1)
        producer, consumer = self.network.programs
        consumer.tell("take", count)
        seconds = producer.order("send", count, gap_ns)[0]
        ages = consumer.answer()
        self.network.leave()
        return seconds, *ages


class FlightStamps:
    """pyarrow's, by DoExchange, which is its best."""

    def __init__(self):
        from pyarrow import flight
        self.flight = flight
        self.server = ends.Program(python("flight_dict_server.py"), 0, is_pinned=False)
        self.client = flight.connect(f"grpc://127.0.0.1:{int(self.server.answer()[0])}")
        self.schema = pa.schema([("time", pa.uint64())])

    def run(self, count, gap_ns):
        import struct
        writer, reader = self.client.do_exchange(self.flight.FlightDescriptor.for_path("stamps"))
        writer.begin(self.schema)
        start = time.monotonic_ns()
        for i in range(count):
            if gap_ns:
                time.sleep(max(0, start + i * gap_ns - time.monotonic_ns()) / 1e9)
            stamp = pa.array([time.monotonic_ns()], pa.uint64())
            writer.write_batch(pa.RecordBatch.from_arrays([stamp], schema=self.schema))
        writer.done_writing()
        came, median, late = struct.unpack("QQQ", reader.read_chunk().app_metadata.to_pybytes())
        seconds = (time.monotonic_ns() - start) / 1e9
        writer.close()
        if came != count:
            sys.exit("pyarrow's server lost batches")
        return seconds, median / 1e3, late / 1e3


def run_stamps(bench):
    """Each at half of the rate that it can do, and both at half of that of pyarrow's."""
    case = "batches of one row, to another process"
    if not bench.wants(case):
        return
    ours, theirs = Stamps(bench), FlightStamps()
    count = 5000 if bench.options.quick else 20000
    rates = []
    for side in (ours, theirs):
        side.run(count, 0)
        rates.append(count / side.run(count, 0)[0])
    for label, gaps in (("each at half of its rate", [int(2e9 / rate) for rate in rates]),
                        ("both at half of pyarrow's rate", [int(2e9 / rates[1])] * 2)):
        few = min(count, int(1.5e9 / max(gaps)))
        mine, peer = [], contest.Contestant("pyarrow Flight, DoExchange", None, None)
        late = contest.Contestant(peer.name, None, None)
        for _ in range(bench.options.rounds):
            own, other = ours.run(few, gaps[0]), theirs.run(few, gaps[1])
            mine.append(own[2] / 1e3)
            peer.pairs.append((own[1], other[1]))
            late.pairs.append((own[2], other[2]))
        peer.clean_count = late.clean_count = len(peer.pairs)
        bench.told(f"{case}, {label}, p50", "p50_us", [peer], goal=1 / 0.3)
        bench.told(f"{case}, {label}, p99", "p99_us", [late])
        bench.told(f"{case}, {label}, p99 in ms", "p99_ms", own=mine, limit=2.0)
    bench.told(f"{case}, as many as go", "items_per_second", own=[rates[0]])
    ours.network.end()
    theirs.server.end()


# ---- the service ----

class Service:
    """A server, put to by one client and got from by another, both pyarrow's: what differs is the
    server."""

    def __init__(self, name, server, batches, is_dict):
        from pyarrow import flight
        self.flight, self.name, self.batches, self.is_dict = flight, name, batches, is_dict
        self.server = server
        self.location = f"grpc://127.0.0.1:{server.port}"
        self.clients = [flight.connect(self.location) for _ in range(2)]
        self.number = 0

    def put(self, name):
        descriptor = self.flight.FlightDescriptor.for_path(
            *([name] if self.is_dict else [name, "0"]))
        headers = [] if self.is_dict else [
            (b"fletch-partitions", b"1"), (b"fletch-method", b"round-robin"),
            (b"fletch-producers", b"1")]
        writer, _ = self.clients[0].do_put(descriptor, self.batches[0].schema,
                                           self.flight.FlightCallOptions(headers=headers))
        for batch in self.batches:
            writer.write_batch(batch)
        writer.close()

    def get(self, name):
        ticket = self.flight.Ticket(name.encode() if self.is_dict else f"0@{name}".encode())
        return self.clients[1].do_get(ticket).read_all()

    def run(self):
        """Put, then got; the service may be got from while it is put to."""
        from concurrent.futures import ThreadPoolExecutor
        self.number += 1
        name = f"table {self.number}"
        cpu = self.server.cpu_seconds()
        start = time.perf_counter()
        if self.is_dict:
            self.put(name)
            table = self.get(name)
        else:
            with ThreadPoolExecutor(1) as pool:
                done = pool.submit(self.put, name)
                table = self.wait_and_get(name)
                done.result()
        seconds = time.perf_counter() - start
        if table.num_rows != sum(batch.num_rows for batch in self.batches):
            sys.exit(f"{self.name} lost rows")
        size = sum(batch.nbytes for batch in self.batches)
        return {"bytes_per_second": size / seconds,
                "cpu_per_GB_s": (self.server.cpu_seconds() - cpu) / (size / 1e9)}

    def wait_and_get(self, name):
        for _ in range(1000):
            try:
                return self.get(name)
            except (KeyError, self.flight.FlightError, pa.ArrowKeyError):
                time.sleep(0.001)
        return self.get(name)


def run_service(bench, label, make_batches):
    case = f"the service, {label}"
    if not bench.wants(case):
        return
    batches = make_batches()
    path = tpch.path_of(bench.options.scale, HERE)
    server = Process(bench.options, path)
    plain = ends.Program(python("flight_dict_server.py"), 0, is_pinned=False)
    plain.port = int(plain.answer()[0])
    ours = Service("fletching", server, batches, False)
    theirs = Service("pyarrow, tables in a dict", plain, batches, True)
    one = Contestant(ours.name, ours.run, [server])
    other = Contestant(theirs.name, theirs.run, [plain])
    contest.play(one, [other], bench.options.rounds)
    bench.show(case, "bytes_per_second", [other], goal=1.7)
    bench.show(f"{case}, the server's CPU", "cpu_per_GB_s", [other], goal=1 / 0.7)
    server.end()
    plain.end()


def mebibytes():
    import numpy
    column = numpy.arange(MIB // 32)
    batch = pa.record_batch([column + i for i in range(4)], names=["a", "b", "c", "d"])
    return [batch] * 512


# ---- many shuffles ----

def run_registry(bench):
    case = "10,000 shuffles of 16 partitions"
    if not bench.wants(case):
        return
    told = {"registration": [], "look-up": []}
    for _ in range(min(bench.options.rounds, 5)):
        process = Process(bench.options, "stamps")
        seconds = process.order("registry", 10000, 16)
        process.end()
        told["registration"].append((seconds[0] / 1e4 * 1e6, seconds[2] / 1e4 * 1e6))
        told["look-up"].append((seconds[1] / 1e4 * 1e6, seconds[3] / 1e4 * 1e6))
    for what, pairs in told.items():
        peer = contest.Contestant("the partition store alone", None, None)
        peer.pairs, peer.clean_count = pairs, len(pairs)
        bench.told(f"{case}, {what}", "time_us", [peer], goal=1 / 1.2)


class Bench(ends.Bench):
    def told(self, case, metric, peers=(), **parts):
        contest.show(contest.result(self.name, case + self.suffix, metric, peers=list(peers),
                                    **parts), self.options.json)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dask", action="store_true", help="Dask's shuffles, and only those")
    parser.add_argument("--scale", default="", help="TPC-H's scale; default 1")
    parser.add_argument("--library", type=Path, default=HERE / "libnetwork_rounds.so")
    bench = Bench(BENCH, *ends.begin(parser))
    bench.options.scale = bench.options.scale or ("0.1" if bench.options.quick else "1")
    run_lineitem(bench, 16)
    if bench.options.dask:
        return
    run_lineitem(bench, 64)
    run_service(bench, "1 MiB batches", mebibytes)
    run_service(bench, "lineitem",
                lambda: tpch.batches(tpch.lineitem(tpch.path_of(bench.options.scale, HERE)), 65536))
    run_stamps(bench)
    run_many_channels(bench)
    run_registry(bench)


if __name__ == "__main__":
    main()
