#!/usr/bin/env python3
"""gRPC over loopback: ours beside gRPC C++ by generic calls over byte buffers, and beside bare TCP.

Each end is a process of its own, the server on one processor and the client on the other. All run
in a network namespace of their own, so that all have the same congestion control. Messages come
from 64 MiB that the server goes through again and again; each is checked where it begins and
ends. CPU seconds are those of all threads of both processes, of the system's own count."""

import argparse
import copy
import ctypes
import fcntl
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import contest

BENCH = "bench_grpc"
HERE = Path(__file__).resolve().parent
KIB, MIB = 1 << 10, 1 << 20
SMALL = 128
INSIDE = "FLETCH_BENCH_NAMESPACE"
CONTROL = "reno"  # which each namespace allows


# ---- a network of our own ----

def enter_namespace():
    """Goes on in a network namespace. Where that is not allowed, each end has what the system
    gives it, which may favour one: said, and marked in the names of the cases."""
    if os.environ.get(INSIDE) is None:
        os.environ[INSIDE] = "1"
        for how in (["--net"], ["--net", "--map-root-user"]):
            test = ["unshare", *how, "true"]
            if shutil.which("unshare") and subprocess.run(test, check=False,
                                                          capture_output=True).returncode == 0:
                os.execvp("unshare", ["unshare", *how, sys.executable, "-B", *sys.argv])
        print("no network namespace: the congestion control may differ", file=sys.stderr)
        os.environ[INSIDE] = "0"
    if os.environ[INSIDE] == "0":
        return False
    with socket.socket() as any_socket:
        up = struct.pack("16sh", b"lo", 1)  # IFF_UP
        fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS
    with open("/proc/sys/net/ipv4/tcp_congestion_control", "w", encoding="ascii") as file:
        file.write(CONTROL)
    return True


def before_program(processor):
    """Pins the program that is started; without the right to set any other congestion control."""
    prctl = ctypes.CDLL(None).prctl

    def call():
        os.sched_setaffinity(0, [processor])
        prctl(24, 12, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_NET_ADMIN
    return call


# ---- ends ----

class Program:
    def __init__(self, name, processor, *arguments):
        self.process = subprocess.Popen(
            [str(HERE / name), *map(str, arguments)], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, preexec_fn=before_program(processor))

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} went wrong")
        return [float(word) for word in line.split()]

    def order(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def cpu_seconds(self):
        """Of all its threads, to the nanosecond: the clock that the system has for a process."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self):
        self.process.kill()
        self.process.wait()


class Pair:
    """A server and a client of it."""

    def __init__(self, name, server, client, how="call", spin=0):
        processors = sorted(os.sched_getaffinity(0))
        self.name = name
        self.server = Program(f"grpc_end_{server}", processors[0], "serve", spin)
        port = int(self.server.answer()[0])
        self.client = Program(f"grpc_end_{client}", processors[1], how, port, spin)
        self.programs = [self.server, self.client]

    def stream(self, size, count):
        """Bytes, messages a second, CPU seconds for 1e9 bytes."""
        cpu = sum(program.cpu_seconds() for program in self.programs)
        seconds = self.client.order("stream", size, count)[0]
        cpu = sum(program.cpu_seconds() for program in self.programs) - cpu
        return {"bytes_per_second": size * count / seconds, "items_per_second": count / seconds,
                "cpu_per_GB_s": cpu / (size * count / 1e9), "seconds": seconds}

    def unary(self, count):
        median, late = self.client.order("unary", SMALL, count)
        return {"p50_us": median, "p99_us": late}

    def end(self):
        for program in self.programs:
            program.end()


class Awake:
    """Keeps both processors from halting while it is entered, by spinners of idle priority."""

    def __enter__(self):
        self.programs = [Program("grpc_end_raw", processor, "awake")
                         for processor in sorted(os.sched_getaffinity(0))]
        return self.programs

    def __exit__(self, *_):
        for program in self.programs:
            program.end()


class Contestant(contest.Contestant):
    """A pair of ends; its figure is a dictionary of several."""

    def __init__(self, pair, call, beside=()):
        super().__init__(pair.name, call, lambda done, _: done)
        self.programs = [*pair.programs, *beside]

    def run(self):
        others = contest.busy_seconds() - contest.own_seconds(self.programs)
        start = time.perf_counter()
        done = self.call()
        seconds = time.perf_counter() - start
        others = contest.busy_seconds() - contest.own_seconds(self.programs) - others
        return done, others <= max(0.025, 0.05 * 2 * seconds)


def of_metric(peers, metric):
    """The same runs, with one figure of each."""
    chosen = [copy.copy(peer) for peer in peers]
    for peer in chosen:
        peer.pairs = [(own[metric], theirs[metric]) for own, theirs in peer.pairs]
    return chosen


# ---- what is measured ----

class Bench:
    def __init__(self, options, is_apart):
        self.options = options
        self.suffix = "" if is_apart else ", the system's congestion control"

    def wants(self, case):
        return self.options.case in case

    def show(self, case, metric, peers, **parts):
        beside = of_metric(parts.pop("beside", []), metric)
        contest.show(contest.result(BENCH, case + self.suffix, metric,
                                    peers=of_metric(peers, metric), beside=beside, **parts),
                     self.options.json)

    def count_of(self, pair, size):
        """Messages that take about as long as the options say, by a run that warms up."""
        count = max(4, 64 * MIB // max(size, 16 * KIB))
        for _ in range(2):
            seconds = pair.stream(size, count)["seconds"]
            count = int(min(max(count * self.options.seconds / seconds, 4), 4 * count))
        return count

    def stream(self, label, size, metric, goals):
        """`goals`: to bare TCP and to gRPC C++, and of CPU seconds to bare TCP; None: none."""
        case = f"stream of {label} messages"
        if not self.wants(case):
            return
        pairs = [Pair("fletching", "ours", "ours"), Pair("bare TCP", "raw", "raw"),
                 Pair("bare TCP, spinning 30 us", "raw", "raw", spin=30000),
                 Pair("gRPC C++", "cpp", "cpp"),
                 Pair("gRPC C++, slices as they came", "cpp", "cpp", "call-scattered")]
        ours, blocking, spinning, theirs, scattered = (
            Contestant(pair, lambda pair=pair, count=self.count_of(pair, size):
                       pair.stream(size, count)) for pair in pairs)
        bare = [blocking, spinning]
        contest.play(ours, [*bare, theirs, scattered], self.options.rounds)
        self.show(f"{case}, to gRPC C++", metric, [theirs], beside=[scattered], goal=goals[1])
        if size >= 64 * KIB:
            self.show(f"{case}, to bare TCP", metric, bare, goal=goals[0])
            self.show(f"{case}, CPU of both ends, to bare TCP", "cpu_per_GB_s", bare,
                      goal=goals[2])
            self.show(f"{case}, CPU of both ends, to gRPC C++", "cpu_per_GB_s", [theirs],
                      beside=[scattered])
        for pair in pairs:
            pair.end()

    def foreign_server(self):
        case = "stream of 1 MiB messages from a gRPC C++ server"
        if not self.wants(case):
            return
        pairs = [Pair("fletching", "cpp", "ours"), Pair("gRPC C++", "cpp", "cpp"),
                 Pair("gRPC C++, slices as they came", "cpp", "cpp", "call-scattered")]
        ours, theirs, scattered = (
            Contestant(pair, lambda pair=pair, count=self.count_of(pair, MIB):
                       pair.stream(MIB, count)) for pair in pairs)
        contest.play(ours, [theirs, scattered], self.options.rounds)
        self.show(f"{case}, to its own client", "bytes_per_second", [theirs], beside=[scattered],
                  goal=1.5)
        for pair in pairs:
            pair.end()

    def unary(self):
        case = f"unary call of {SMALL} B"
        if not self.wants(case):
            return
        with Awake() as spinners:
            self.unary_of(case, spinners, (2.22, 6.67))
        self.unary_of(f"{case}, cores may halt", [], (None, None))

    def unary_of(self, case, beside, goals):
        pairs = [Pair("fletching", "ours", "ours", spin=-1),
                 Pair("fletching", "ours", "ours", spin=50000), Pair("gRPC C++", "cpp", "cpp"),
                 Pair("bare TCP", "raw", "raw"), Pair("bare TCP", "raw", "raw", spin=50000)]
        count = 500 if self.options.quick else 2000
        blocking, spinning, theirs, bare, bare_spinning = (
            Contestant(pair, lambda pair=pair: pair.unary(count), beside) for pair in pairs)
        for how, ours, bare, goal in (("blocking", blocking, bare, goals[0]),
                                      ("spinning 50 us", spinning, bare_spinning, goals[1])):
            peers = [copy.copy(theirs), copy.copy(bare)]
            for peer in peers:
                peer.pairs = []
            contest.play(ours, peers, self.options.rounds)
            self.show(f"{case}, {how}", "p50_us", peers[:1], beside=peers[1:], goal=goal)
            self.show(f"{case}, {how}", "p99_us", peers[:1], beside=peers[1:])
        for pair in pairs:
            pair.end()

    def memory(self, case, limit, count, orders):
        """Resident bytes of each end that `count` more of something take. `orders` answer how many
        there are, each time all of them."""
        if not self.wants(case):
            return
        figures = {}
        for kind in ("ours", "cpp"):
            for _ in range(3):
                pair = Pair(kind, kind, kind)
                pair.unary(100)
                before = [program.resident_bytes() for program in pair.programs]
                for order in orders:
                    there = pair.client.order(*order)[0]
                    if there != count:
                        sys.exit(f"{case}: only {there:.0f} of {count} answered")
                for end, program, old in zip(("server", "client"), pair.programs, before):
                    grown = (program.resident_bytes() - old) / count / KIB
                    figures.setdefault((kind, end), []).append(grown)
                pair.end()
        for end in ("server", "client"):
            theirs = sorted(figures["cpp", end])[1]
            contest.show(contest.result(BENCH, f"{case}, {end}", "memory_KiB",
                                        own=figures["ours", end], limit=limit,
                                        floors={"gRPC C++, KiB": round(theirs, 2)}),
                         self.options.json)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter runs, five rounds")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each result")
    parser.add_argument("--case", default="", help="only cases whose names contain this")
    parser.add_argument("--runs", type=int, default=0, help="rounds; default 9")
    options = parser.parse_args()
    options.rounds = options.runs or (5 if options.quick else 9)
    options.seconds = 0.15 if options.quick else 0.5
    return options


def main():
    options = parse_arguments()
    is_apart = enter_namespace()
    if not contest.use_two_processors():
        sys.exit("there are fewer than two processors")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    bench = Bench(options, is_apart)
    bench.stream("1 MiB", MIB, "bytes_per_second", (0.9, 1.8, 0.87))
    bench.stream("16 MiB", 16 * MIB, "bytes_per_second", (0.9, 1.8, 0.87))
    bench.stream("64 KiB", 64 * KIB, "bytes_per_second", (None, 1.6, None))
    bench.stream("1 KiB", KIB, "items_per_second", (None, 10, None))
    bench.foreign_server()
    bench.unary()
    bench.memory("memory of an idle connection, of 1,000", 64, 1000, [("connections", 1000)])
    bench.memory("memory of a stream, of 1,000 on 8 connections", 16, 1000,
                 [("streams", 1000), ("again",)])


if __name__ == "__main__":
    main()
