#!/usr/bin/env python3
"""Arrow Flight over loopback: ours beside Flight C++ out of the wheel of pyarrow, beside pyarrow
itself, and beside bare TCP.

Each end is a process of its own, the server on one processor and the client on the other, in a
network namespace of their own, so that all have the same congestion control. Batches are four
columns of int64 over 64 MiB that the sender goes through again and again; each is decoded at the
other side, and looked at where it begins and ends. CPU seconds are those of all threads of both
processes. "At its best" is Flight C++ with a glibc that is told to keep freed memory: as it comes,
it gives each batch's memory back to the system."""

import argparse
import sys

import contest
import ends
from ends import KIB, MIB, SMALL

BENCH = "bench_flight"
KEEPS_MEMORY = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=1073741824:"
                                  "glibc.malloc.trim_threshold=4294967296"}
COMMANDS = {"raw": ends.end("grpc_end_raw"), "cpp": ends.end("flight_end_cpp"),
            "ours": ends.end("flight_end_ours"),
            "pyarrow": [sys.executable, "-B", str(ends.HERE / "flight_end_pyarrow.py")]}


def pair_of(name, server, client, **how):
    return ends.Pair(name, COMMANDS[server], COMMANDS[client], **how)


# ---- what is measured ----

class Bench(ends.Bench):
    def stream(self, label, size, metric, goals, order="stream"):
        """`goals`: to Flight C++ as it comes and at its best, the same of CPU seconds, and to bare
        TCP; None: none."""
        case = f"{'DoGet' if order == 'stream' else 'DoPut'} of {label} batches"
        if not self.wants(case):
            return
        pairs = [pair_of("fletching", "ours", "ours"),
                 pair_of("Flight C++ as it comes", "cpp", "cpp"),
                 pair_of("Flight C++ at its best", "cpp", "cpp", environment=KEEPS_MEMORY)]
        ours, shipped, best = self.contestants(pairs, size, order)
        # Bare TCP streams one way; the other way is the same.
        bare_pairs = [pair_of("bare TCP", "raw", "raw"),
                      pair_of("bare TCP, spinning 30 us", "raw", "raw", spin=30000)]
        bare = self.contestants(bare_pairs, size)
        contest.play(ours, [shipped, best, *bare], self.options.rounds)
        self.show(f"{case}, to Flight C++ as it comes", metric, [shipped], goal=goals[0])
        self.show(f"{case}, to Flight C++ at its best", metric, [best], goal=goals[1])
        if size >= MIB:
            for peer, suffix in zip(bare, ("", " that spins")):
                self.show(f"{case}, to bare TCP{suffix}", metric, [peer], goal=goals[4])
            self.show(f"{case}, CPU of both ends, to Flight C++ as it comes", "cpu_per_GB_s",
                      [shipped], goal=goals[2])
            self.show(f"{case}, CPU of both ends, to Flight C++ at its best", "cpu_per_GB_s",
                      [best], goal=goals[3])
        for pair in [*pairs, *bare_pairs]:
            pair.end()

    def foreign_server(self):
        case = "DoGet of 1 MiB batches from a Flight C++ server"
        if not self.wants(case):
            return
        pairs = [pair_of("fletching", "cpp", "ours"), pair_of("pyarrow", "cpp", "pyarrow"),
                 pair_of("Flight C++", "cpp", "cpp")]
        ours, python, native = self.contestants(pairs, MIB)
        contest.play(ours, [python, native], self.options.rounds)
        self.show(f"{case}, to pyarrow's client", "bytes_per_second", [python], beside=[native],
                  goal=1.5)
        for pair in pairs:
            pair.end()

    def two_connections(self):
        """Ours has a loop for each connection; the processors are free to all threads."""
        case = "DoGet of 1 MiB batches on two connections"
        if not self.wants(case):
            return
        pairs = [pair_of("fletching", "ours", "ours", is_pinned=False),
                 pair_of("Flight C++ as it comes", "cpp", "cpp", is_pinned=False),
                 pair_of("Flight C++ at its best", "cpp", "cpp", is_pinned=False,
                         environment=KEEPS_MEMORY)]
        ours, shipped, best = self.contestants(pairs, MIB, "two")
        contest.play(ours, [shipped, best], self.options.rounds)
        self.show(f"{case}, to Flight C++ as it comes", "bytes_per_second", [shipped], goal=1.8)
        self.show(f"{case}, to Flight C++ at its best", "bytes_per_second", [best])
        for pair in pairs:
            pair.end()

    def unary(self):
        case = f"DoAction of {SMALL} B"
        if not self.wants(case):
            return
        self.unary_of(case, lambda spin: [pair_of("fletching", "ours", "ours", spin=spin),
                                          pair_of("Flight C++", "cpp", "cpp"),
                                          pair_of("bare TCP", "raw", "raw", spin=max(spin, 0))],
                      (2.5, 6.67))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    bench = Bench(BENCH, *ends.begin(parser))
    large = "bytes_per_second"
    bench.stream("1 MiB", MIB, large, (1.7, 1.35, 1.43, 1.18, 0.85))
    bench.stream("16 MiB", 16 * MIB, large, (1.7, 1.35, None, None, 0.85))
    bench.stream("64 KiB", 64 * KIB, large, (2.3, 1.5, None, None, None))
    bench.stream("1 KiB", KIB, "items_per_second", (10, None, None, None, None))
    bench.stream("1 MiB", MIB, large, (1.2, 1.2, 1.18, None, 0.85), "put")
    bench.stream("16 MiB", 16 * MIB, large, (1.2, 1.2, None, None, 0.85), "put")
    bench.stream("64 KiB", 64 * KIB, large, (1.5, 1.5, None, None, None), "put")
    bench.foreign_server()
    bench.two_connections()
    bench.unary()


if __name__ == "__main__":
    main()
