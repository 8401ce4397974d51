#!/usr/bin/env python3
"""pyarrow's Flight client as an end of bench_flight: obeys the same orders as the other clients."""

import ctypes
import signal
import struct
import sys
import time

import pyarrow as pa
from pyarrow import flight

SOURCE_BYTES, BLOCK_BYTES, COLUMNS = 64 << 20, 1024, 4


def is_right(batch, index, size):
    """Whether its first column begins, and its last one ends, as the message of the source does."""
    if batch.num_columns != COLUMNS or batch.num_rows * COLUMNS * 8 != size:
        return False
    block = index * size % SOURCE_BYTES // BLOCK_BYTES
    if batch.column(0)[0].as_py() != block:
        return False
    if size // COLUMNS < BLOCK_BYTES:
        return True
    last = batch.column(COLUMNS - 1)[batch.num_rows - BLOCK_BYTES // 8].as_py()
    return last == block + size // BLOCK_BYTES - 1


def stream(client, size, count):
    seen = 0
    for chunk in client.do_get(flight.Ticket(struct.pack("QQ", size, count))):
        if not is_right(chunk.data, seen, size):
            sys.exit("a wrong batch")
        seen += 1
    if seen != count:
        sys.exit("too few batches")


def call(port):
    client = flight.connect(f"grpc://127.0.0.1:{port}")
    for line in sys.stdin:
        what, size, count = line.split()
        if what != "stream":
            sys.exit(f"no such order: {what}")
        start = time.perf_counter()
        stream(client, int(size), int(count))
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if len(sys.argv) < 3 or sys.argv[1] != "call":
        sys.exit(f"usage: {sys.argv[0]} call PORT")
    pa.set_cpu_count(1)
    call(sys.argv[2])
