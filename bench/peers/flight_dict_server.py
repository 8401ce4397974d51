#!/usr/bin/env python3
"""A Flight server of pyarrow as one writes it: tables in a dict, put by one and got by another. By
DoExchange it takes batches of one row, which is when they were made, and answers with how old they
were when they came: p50 and p99 in microseconds."""

import ctypes
import signal
import struct
import threading
import time

import pyarrow as pa
from pyarrow import flight


class Server(flight.FlightServerBase):
    def __init__(self):
        super().__init__("grpc://127.0.0.1:0")
        self.tables = {}
        self.lock = threading.Lock()

    def do_put(self, context, descriptor, reader, writer):
        table = reader.read_all()
        with self.lock:
            self.tables[descriptor.path[0]] = table

    def do_get(self, context, ticket):
        with self.lock:
            table = self.tables.pop(ticket.ticket)
        return flight.RecordBatchStream(table)

    def do_exchange(self, context, descriptor, reader, writer):
        ages = []
        for chunk in reader:
            ages.append(time.monotonic_ns() - chunk.data.column(0)[0].as_py())
        ages.sort()
        writer.begin(pa.schema([]))
        writer.write_metadata(struct.pack("QQQ", len(ages), ages[len(ages) // 2],
                                          ages[len(ages) * 99 // 100]))


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    server = Server()
    print(server.port, flush=True)
    server.serve()
