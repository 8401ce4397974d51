#!/usr/bin/env python3
"""One process of a shuffle between processes, which bench_network starts and tells what to do.

Arguments: the library, which data: a Parquet file of lineitem, or "stamps"; and which share of it,
as "0/2"; "-": none. Prints its port, then an answer in numbers to each order."""

import ctypes
import signal
import sys
import time

import pyarrow as pa

BUDGET = 4 << 30
STAMPS = pa.schema([("time", pa.uint64())])
NOBODY = 0xFFFFFFFF


class Plan(ctypes.Structure):
    _fields_ = [("round", ctypes.c_uint32), ("partitions", ctypes.c_uint32),
                ("producers", ctypes.c_uint32), ("self", ctypes.c_uint32),
                ("owner_count", ctypes.c_uint32), ("owners", ctypes.c_char_p * 8)]


class Figures(ctypes.Structure):
    _fields_ = [("rows", ctypes.c_uint64), ("bytes_crossed", ctypes.c_uint64),
                ("charged_peak", ctypes.c_uint64), ("finished_ns", ctypes.c_uint64),
                ("ended", ctypes.c_uint32)]


def data_of(name, share):
    if name == "stamps":
        return STAMPS, []
    import tpch
    if share == "-":
        return tpch.schema(name), []
    table = tpch.lineitem(name)
    number, count = map(int, share.split("/"))
    return table.schema, tpch.batches(table, 65536)[number::count]


class Process:
    def __init__(self, library, schema, batches):
        self.rounds = ctypes.CDLL(library)
        self.rounds.network_open.restype = ctypes.c_void_p
        self.rounds.network_message.restype = ctypes.c_char_p
        exported = ctypes.create_string_buffer(256)
        schema._export_to_c(ctypes.addressof(exported))
        self.handle = ctypes.c_void_p(self.rounds.network_open(exported, ctypes.c_uint64(BUDGET)))
        if not self.handle:
            sys.exit("the process does not begin")
        for batch in batches:
            batch._export_to_c(ctypes.addressof(exported))
            self.check(self.rounds.network_add(self.handle, exported))
        print(self.rounds.network_port(self.handle), flush=True)

    def check(self, result):
        if result != 0:
            message = self.rounds.network_message(self.handle).decode()
            sys.exit(f"a process of ours failed: {message}")

    def join(self, number, partitions, producers, own, *ports):
        """`own`: which of the owners this is, -1: none."""
        plan = Plan(number, partitions, producers, own if own >= 0 else NOBODY, len(ports))
        for i, port in enumerate(ports):
            plan.owners[i] = f"grpc://127.0.0.1:{port}".encode()
        self.check(self.rounds.network_join(self.handle, ctypes.byref(plan)))
        return [0]

    def leave(self):
        self.rounds.network_leave(self.handle)
        return [0]

    def write(self, first, count):
        figures = Figures()
        self.check(self.rounds.network_write(self.handle, first, count, ctypes.byref(figures)))
        return [figures.rows, figures.bytes_crossed, figures.charged_peak]

    def read(self, own, owners):
        """Rows, ends that were verified, bytes charged at most, and when the last end came."""
        figures = Figures()
        self.check(self.rounds.network_read(self.handle, own, owners, ctypes.byref(figures)))
        return [figures.rows, figures.ended, figures.charged_peak, figures.finished_ns / 1e9]

    def send(self, count, gap_ns):
        start = time.perf_counter()
        self.check(self.rounds.network_send_stamps(self.handle, ctypes.c_uint64(count),
                                                   ctypes.c_uint64(gap_ns)))
        return [time.perf_counter() - start]

    def take(self, count):
        """p50 and p99 of the ages, in microseconds."""
        ages = (ctypes.c_uint64 * count)()
        self.check(self.rounds.network_take_stamps(self.handle, ctypes.c_uint64(count), ages))
        told = sorted(ages)
        return [told[count // 2] / 1e3, told[count * 99 // 100] / 1e3]

    def registry(self, shuffles, partitions):
        seconds = (ctypes.c_double * 4)()
        self.check(self.rounds.network_registry(self.handle, shuffles, partitions, seconds))
        return list(seconds)


def main():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    process = Process(sys.argv[1], *data_of(*sys.argv[2:4]))
    for line in sys.stdin:
        order, *words = line.split()
        print(*getattr(process, order)(*map(int, words)), flush=True)


if __name__ == "__main__":
    main()
