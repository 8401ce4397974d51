#!/usr/bin/env python3
"""gRPC over loopback: ours beside gRPC C++ by generic calls over byte buffers, and beside bare TCP.

Each end is a process of its own, the server on one processor and the client on the other. All run
in a network namespace of their own, so that all have the same congestion control. Messages come
from 64 MiB that the server goes through again and again; each is checked where it begins and
ends. CPU seconds are those of all threads of both processes, of the system's own count."""

import argparse
import sys

import contest
import ends
from ends import KIB, MIB, SMALL

BENCH = "bench_grpc"


def pair_of(name, server, client, **how):
    return ends.Pair(name, ends.end(f"grpc_end_{server}"), ends.end(f"grpc_end_{client}"), **how)


# ---- what is measured ----

class Bench(ends.Bench):
    def stream(self, label, size, metric, goals):
        """`goals`: to bare TCP and to gRPC C++, and of CPU seconds to bare TCP; None: none."""
        case = f"stream of {label} messages"
        if not self.wants(case):
            return
        pairs = [pair_of("fletching", "ours", "ours"), pair_of("bare TCP", "raw", "raw"),
                 pair_of("bare TCP, spinning 30 us", "raw", "raw", spin=30000),
                 pair_of("gRPC C++", "cpp", "cpp"),
                 pair_of("gRPC C++, slices as they came", "cpp", "cpp", how="call-scattered")]
        ours, blocking, spinning, theirs, scattered = self.contestants(pairs, size)
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
        pairs = [pair_of("fletching", "cpp", "ours"), pair_of("gRPC C++", "cpp", "cpp"),
                 pair_of("gRPC C++, slices as they came", "cpp", "cpp", how="call-scattered")]
        ours, theirs, scattered = self.contestants(pairs, MIB)
        contest.play(ours, [theirs, scattered], self.options.rounds)
        self.show(f"{case}, to its own client", "bytes_per_second", [theirs], beside=[scattered],
                  goal=1.5)
        for pair in pairs:
            pair.end()

    def unary(self):
        case = f"unary call of {SMALL} B"
        if not self.wants(case):
            return
        self.unary_of(case, lambda spin: [pair_of("fletching", "ours", "ours", spin=spin),
                                          pair_of("gRPC C++", "cpp", "cpp"),
                                          pair_of("bare TCP", "raw", "raw", spin=max(spin, 0))],
                      (2.22, 6.67))

    def memory(self, case, limit, count, orders):
        """Resident bytes of each end that `count` more of something take. `orders` answer how many
        there are, each time all of them."""
        if not self.wants(case):
            return
        figures = {}
        for kind in ("ours", "cpp"):
            for _ in range(3):
                pair = pair_of(kind, kind, kind)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    bench = Bench(BENCH, *ends.begin(parser))
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
