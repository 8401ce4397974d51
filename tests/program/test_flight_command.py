"""fletch flight against a server of Flight C++ (pyarrow)."""

import io
import socket
import sys
import threading
import unittest

sys.dont_write_bytecode = True

from program import DONE, INPUT, SYSTEM, USAGE, ProgramTest, pa, run, write  # noqa: E402
import pyarrow.flight as flight  # noqa: E402

SCHEMA = pa.schema([("n", pa.int64()), ("word", pa.string())])


def numbers(rows, first=0):
    values = range(first, first + rows)
    return pa.record_batch([pa.array(values, pa.int64()), pa.array([f"w{i}" for i in values])],
                           schema=SCHEMA)


class Headers(flight.ServerMiddlewareFactory):
    def __init__(self):
        super().__init__()
        self.seen = []

    def start_call(self, info, headers):
        self.seen += headers.get("authorization", [])


class Server(flight.FlightServerBase):
    def __init__(self):
        self.flights, self.headers = {}, Headers()
        super().__init__("grpc://127.0.0.1:0", middleware={"headers": self.headers})

    def list_flights(self, context, criteria):
        for name in self.flights:
            if name.startswith(criteria.decode()):
                yield self.info_of(name)

    def info_of(self, name):
        batches = self.flights[name]
        tickets = [f"{name} {i}" for i in range(len(batches))]
        return flight.FlightInfo(SCHEMA, flight.FlightDescriptor.for_path(*name.split("/")),
                                 [flight.FlightEndpoint(ticket.encode(), []) for ticket in tickets],
                                 sum(batch.num_rows for batch in batches), -1)

    def get_flight_info(self, context, descriptor):
        name = "/".join(part.decode() for part in descriptor.path)
        if name not in self.flights:
            raise KeyError("no such flight")
        return self.info_of(name)

    def do_get(self, context, ticket):
        name, number = ticket.ticket.decode().rsplit(" ", 1)
        if number == "bad":
            raise flight.FlightServerError("a bad ticket")
        return flight.RecordBatchStream(pa.Table.from_batches([self.flights[name][int(number)]]))

    def do_put(self, context, descriptor, reader, writer):
        batches = []
        for chunk in reader:
            batches.append(chunk.data)
            writer.write(b"ack")
        if descriptor.path[0] == b"refused":
            raise flight.FlightUnauthorizedError("no puts here")
        self.flights[descriptor.path[0].decode()] = batches

    def list_actions(self, context):
        return [("echo", "says it again")]

    def do_action(self, context, action):
        if action.type == "hang":
            while not context.is_cancelled():
                threading.Event().wait(0.01)
            return []
        return [action.body.to_pybytes(), b"more"]


class FlightTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.shutdown)
        self.location = f"grpc://127.0.0.1:{self.server.port}"

    def test_put_and_get(self):
        batches = [numbers(1000), numbers(5, 1000), numbers(0)]
        write(self.folder / "a.arrow", batches[:2])
        write(self.folder / "b.arrows", batches[2:], "stream")
        result = self.succeeds("flight", "put", self.location, "some", self.folder / "a.arrow",
                               self.folder / "b.arrows")
        self.assertEqual(result.output, "1,005 rows in 3 batches put, 3 answers\n")
        self.assertEqual(self.server.flights["some"], batches)
        got = self.succeeds("flight", "get", self.location, "some")
        self.assertEqual(pa.ipc.open_stream(io.BytesIO(got.bytes)).read_all(),
                         pa.Table.from_batches(batches))

    def test_put_takes_standard_input(self):
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, SCHEMA) as writer:
            writer.write(numbers(7))
        result = run("flight", "put", self.location, "some", "-", given=sink.getvalue())
        self.assertEqual((result.code, result.errors), (DONE, ""))
        self.assertEqual(self.server.flights["some"], [numbers(7)])

    def test_get_by_path_and_by_ticket(self):
        self.server.flights = {"a/b": [numbers(3), numbers(4)], "none": []}
        for words, rows in {("a", "b"): 7, ("--ticket", "a/b 1"): 4, ("none",): 0}.items():
            got = self.succeeds("flight", "get", self.location, *words)
            table = pa.ipc.open_stream(io.BytesIO(got.bytes)).read_all()
            self.assertEqual((table.num_rows, table.schema), (rows, SCHEMA))

    def test_ls(self):
        self.server.flights = {"a/b": [numbers(3)], "other": [numbers(4)]}
        output = self.succeeds("flight", "ls", self.location).output
        self.assertRegex(output, r"3 rows +-  a/b \(n: int64, word: utf8\)\n")
        self.assertRegex(output, r"4 rows +-  other ")
        self.assertEqual(self.succeeds("flight", "ls", self.location, "oth").output.count("\n"), 1)

    def test_do(self):
        self.assertEqual(self.succeeds("flight", "do", self.location).output,
                         "echo\tsays it again\n")
        self.assertEqual(self.succeeds("flight", "do", self.location, "echo", "x").output,
                         "x\nmore\n")
        self.assertEqual(self.succeeds("flight", "do", self.location, "echo").output, "\nmore\n")

    def test_headers(self):
        self.succeeds("flight", "do", self.location, "echo", "--authorization", "Bearer x")
        self.assertEqual(self.server.headers.seen, ["Bearer x"])

    def test_what_goes_wrong_is_told(self):
        write(self.folder / "a.arrow", numbers(3))
        write(self.folder / "b.arrow", pa.record_batch({"other": pa.array([1])}))
        self.server.flights = {"x": [numbers(3)]}
        self.fails(INPUT, "flight", "put", self.location, "some", self.folder / "a.arrow",
                   self.folder / "b.arrow", saying=("b.arrow", "not the schema"))
        for words, text in {
                ("put", self.location, "refused", self.folder / "a.arrow"): "no puts here",
                ("get", self.location, "unknown"): "no such flight",
                ("get", "--ticket", self.location, "x bad"): "a bad ticket"}.items():
            result = run("flight", *words)
            self.assertIn(result.code, (INPUT, SYSTEM), result.errors)
            self.assertIn(text, result.errors)
            self.assertIn(self.location, result.errors)

    def test_nobody_there(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            location = f"grpc://127.0.0.1:{unused.getsockname()[1]}"
            self.fails(SYSTEM, "flight", "ls", location, saying=("not connected", "refused"))
        self.fails(SYSTEM, "flight", "do", "--timeout", "1", self.location, "hang",
                   saying=("deadline",))

    def test_usage(self):
        for words, text in {
                (): "a location", ("ls",): "a location", ("go", self.location): "'go'",
                ("get", self.location): "more words", ("put", self.location, "x"): "more words",
                ("ls", self.location, "a", "b"): "'b'",
                ("ls", "--ticket", self.location): "--ticket",
                ("ls", "localhost:1"): "grpc://host:port"}.items():
            self.fails(USAGE, "flight", *words, saying=(text,))


if __name__ == "__main__":
    unittest.main()
