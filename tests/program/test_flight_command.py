"""fletch flight against a server of Flight C++ (pyarrow), and against the example of one of this
library: FLETCH_EXAMPLE_FLIGHT_STORE is its path."""

import base64
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True

from program import (DONE, INPUT, INTERRUPTED, SYSTEM, USAGE, ProgramTest,  # noqa: E402
                     pa, read, run, start, write)
import pyarrow.flight as flight  # noqa: E402

SCHEMA = pa.schema([("n", pa.int64()), ("word", pa.string())])


def numbers(rows, first=0):
    values = range(first, first + rows)
    return pa.record_batch([pa.array(values, pa.int64()), pa.array([f"w{i}" for i in values])],
                           schema=SCHEMA)


def rows_of(stream):
    return pa.ipc.open_stream(io.BytesIO(stream)).read_all()


class Token(flight.ServerMiddleware):
    def sending_headers(self):
        return {"authorization": "Bearer token"}


class Headers(flight.ServerMiddlewareFactory):
    """Notes what comes, and gives a token for a name and a password."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def start_call(self, info, headers):
        words = headers.get("authorization", [])
        self.seen += words + headers.get("tenant", [])
        if words and words[0].startswith("Basic "):
            if base64.b64decode(words[0][6:]) != b"user:pass word":
                raise flight.FlightUnauthenticatedError("a wrong password")
            return Token()
        return None


class NoHandshake(flight.ServerAuthHandler):
    """Takes handshakes without a payload."""

    def authenticate(self, outgoing, incoming):
        pass

    def is_valid(self, token):
        return ""


class Server(flight.FlightServerBase):
    def __init__(self):
        self.flights, self.headers, self.let_go = {}, Headers(), threading.Event()
        super().__init__("grpc://127.0.0.1:0", auth_handler=NoHandshake(),
                         middleware={"headers": self.headers})

    def list_flights(self, context, criteria):
        for name in self.flights:
            if name.startswith(criteria.decode()):
                yield self.info_of(name)

    def info_of(self, name):
        batches = self.flights[name]
        tickets = [f"{name} {i}" for i in range(len(batches))]
        descriptor = (flight.FlightDescriptor.for_command(name.encode()) if name.startswith("!")
                      else flight.FlightDescriptor.for_path(*name.split("/")))
        return flight.FlightInfo(batches[0].schema if batches else SCHEMA, descriptor,
                                 [flight.FlightEndpoint(ticket.encode(), []) for ticket in tickets],
                                 sum(batch.num_rows for batch in batches), -1)

    @staticmethod
    def name_of(descriptor):
        if descriptor.command is not None:
            return descriptor.command.decode()
        return "/".join(part.decode() for part in descriptor.path)

    def get_flight_info(self, context, descriptor):
        name = self.name_of(descriptor)
        if name not in self.flights:
            raise KeyError("no such flight")
        return self.info_of(name)

    def do_get(self, context, ticket):
        name, number = ticket.ticket.decode().rsplit(" ", 1)
        if number == "bad":
            raise flight.FlightServerError("a bad ticket")
        batch = self.flights[name][int(number)]
        if "hang" in name:
            return flight.GeneratorStream(batch.schema, self.hanging(batch))
        if "broken" in name:
            return flight.GeneratorStream(batch.schema, self.breaking(batch))
        return flight.RecordBatchStream(pa.Table.from_batches([batch]))

    def hanging(self, batch):
        yield batch
        self.let_go.wait(60)

    @staticmethod
    def breaking(first):
        yield first
        raise flight.FlightServerError("broke off\nhere")

    def do_put(self, context, descriptor, reader, writer):
        batches = []
        for chunk in reader:
            batches.append(chunk.data)
            writer.write(b"ack")
        if descriptor.path and descriptor.path[0] == b"refused":
            raise flight.FlightUnauthorizedError("no puts here")
        self.flights[self.name_of(descriptor)] = batches

    def list_actions(self, context):
        return [("echo", "says it again")]

    def do_action(self, context, action):
        if action.type == "hang":
            while not context.is_cancelled():
                threading.Event().wait(0.01)
            return []
        if action.type == "half":
            return self.breaking(b"one")
        if action.type == "bytes":
            return [b"\xff\x00", action.body.to_pybytes()]
        return [action.body.to_pybytes(), b"more"]


class FlightTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.shutdown)
        self.location = f"grpc://127.0.0.1:{self.server.port}"

    def flight(self, what, *words, **options):
        return self.succeeds("flight", what, self.location, *words, **options)

    def test_put_and_get(self):
        batches = [numbers(1000), numbers(5, 1000), numbers(0)]
        write(self.folder / "a.arrow", batches[:2])
        write(self.folder / "b.arrows", batches[2:], "stream")
        for key in ["--path", "some/path"], ["--command", "!say it"]:
            result = self.flight("put", *key, self.folder / "a.arrow", self.folder / "b.arrows")
            self.assertEqual(result.output, "1,005 rows in 3 batches put, 3 acknowledgements\n")
            self.assertEqual(self.server.flights[key[1]], batches)
            self.assertEqual(rows_of(self.flight("get", *key).bytes),
                             pa.Table.from_batches(batches))

    def test_put_takes_standard_input(self):
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, SCHEMA) as writer:
            writer.write(numbers(7))
        self.flight("put", "--path", "some", "-", given=sink.getvalue())
        self.assertEqual(self.server.flights["some"], [numbers(7)])

    def test_get_by_path_and_by_ticket(self):
        self.server.flights = {"a/b": [numbers(3), numbers(4)], "none": []}
        ticket = "0x" + b"a/b 1".hex().upper()
        for words, rows in {("--path", "a/b"): 7, ("--ticket", "a/b 1"): 4, ("--path", "none"): 0,
                            ("--ticket", ticket): 4}.items():
            table = rows_of(self.flight("get", *words).bytes)
            self.assertEqual((table.num_rows, table.schema), (rows, SCHEMA))

    def test_get_to_a_file(self):
        self.server.flights = {"a": [numbers(30000), numbers(4, 30000)]}
        whole = pa.Table.from_batches(self.server.flights["a"])
        self.assertEqual(self.flight("get", "--path", "a", "--out", self.folder / "a").output, "")
        self.assertEqual(read(self.folder / "a"), whole)
        for codec in "lz4", "zstd":
            path = self.folder / f"{codec}.arrows"
            self.flight("get", "--path", "a", "--out", path, "--compress", codec)
            self.assertEqual(rows_of(path.read_bytes()), whole)
            self.assertLess(path.stat().st_size, (self.folder / "a").stat().st_size)
        self.fails(USAGE, "flight", "get", self.location, "--path", "a", "--out",
                   self.folder / "a", saying=(self.folder / "a", "--replace"))
        self.server.flights["a"] = [numbers(1)]
        self.flight("get", "--path", "a", "--out", self.folder / "a", "--replace")
        self.assertEqual(read(self.folder / "a").num_rows, 1)
        self.flight("get", "--path", "a", "--out", "here", cwd=self.folder)
        self.assertEqual(read(self.folder / "here").num_rows, 1)

    def test_an_output_is_whole_or_not_there(self):
        self.server.flights = {"broken": [numbers(10)], "two": [numbers(1), pa.record_batch(
            {"other": pa.array([1])})]}
        out = self.folder / "out.arrow"
        for words, text in {("--path", "broken"): "broke off", ("--path", "no"): "no such flight",
                            ("--path", "two"): "endpoint 2 has not the schema"}.items():
            result = run("flight", "get", self.location, *words, "--out", out)
            self.assertIn(result.code, (INPUT, SYSTEM), result.errors)
            self.assertIn(text, result.errors)
            self.assertEqual(os.listdir(self.folder), [])
        out.write_text("as it was")
        self.fails(SYSTEM, "flight", "get", self.location, "--path", "broken", "--out", out,
                   "--replace", saying="broke off")
        self.assertEqual((os.listdir(self.folder), out.read_text()), (["out.arrow"], "as it was"))
        for path, text in {"no/out": "no such file", "": "folder", ".": "no file"}.items():
            result = run("flight", "get", self.location, "--path", "two", "--out",
                         f"{self.folder}/{path}", "--replace")
            self.assertIn(result.code, (USAGE, SYSTEM))
            self.assertIn(text, result.errors.lower())

    def test_an_interrupted_output_goes(self):
        self.server.flights = {"hang": [numbers(10)]}
        self.addCleanup(self.server.let_go.set)
        process = start("flight", "get", self.location, "--path", "hang", "--out",
                        self.folder / "out.arrow")
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in self.folder.iterdir()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual((process.returncode, os.listdir(self.folder)), (INTERRUPTED, []))

    def test_dictionaries_of_endpoints(self):
        self.server.flights = {"words": [
            pa.record_batch({"word": pa.array(words).dictionary_encode()})
            for words in (["a", "b"], ["c", "a"])]}
        got = rows_of(self.flight("get", "--path", "words").bytes)
        self.assertEqual(got["word"].to_pylist(), ["a", "b", "c", "a"])
        self.fails(INPUT, "flight", "get", self.location, "--path", "words", "--out",
                   self.folder / "words.arrow", saying=(".arrows",))
        self.assertEqual(os.listdir(self.folder), [])
        self.flight("get", "--path", "words", "--out", self.folder / "words.arrows")

    def test_put_compressed(self):
        write(self.folder / "a.arrow", numbers(3000))
        self.flight("put", "--path", "a", self.folder / "a.arrow", "--compress", "zstd")
        self.assertEqual(self.server.flights["a"], [numbers(3000)])

    def test_put_of_a_large_row(self):
        batch = pa.record_batch([pa.array([1, 2]), pa.array(["x" * 5_000_000, "y"])], schema=SCHEMA)
        words = ["put", self.location, "--path", "a", write(self.folder / "a.arrow", batch)]
        self.fails(SYSTEM, "flight", *words, saying=("one row", "at most 4194304"))
        self.succeeds("flight", *words, "--message-limit", "16MiB")
        self.assertEqual(self.server.flights["a"], [batch])

    def test_ls(self):
        self.server.flights = {"a/b": [numbers(3)], "other": [numbers(4)], "!\n": []}
        output = self.flight("ls").output
        self.assertRegex(output, r"3 rows +- +1 endpoint  +a/b \(n: int64, word: utf8\)\n")
        self.assertRegex(output, r"4 rows +- +1 endpoint  +other ")
        self.assertRegex(output, r" 0 rows +- +0 endpoints +command 0x210a ")
        self.assertEqual(self.flight("ls", "--criteria", "oth").output.count("\n"), 1)

    def test_ls_json(self):
        self.server.flights = {"a/b": [numbers(3)], "!x": []}
        columns = [{"name": "n", "type": "int64"}, {"name": "word", "type": "utf8"}]
        lines = [json.loads(line) for line in self.flight("ls", "--json").output.splitlines()]
        self.assertEqual(lines, [
            {"path": ["a", "b"], "rows": 3, "bytes": None, "columns": columns,
             "endpoints": [{"ticket": "a/b 0", "locations": []}]},
            {"command": "!x", "rows": 0, "bytes": None, "columns": columns, "endpoints": []}])

    def test_do(self):
        self.assertEqual(self.flight("do").output, "echo\tsays it again\n")
        self.assertEqual(self.flight("do", "echo", "x").output, "x\nmore\n")
        self.assertEqual(self.flight("do", "echo").output, "\nmore\n")
        self.assertEqual(self.flight("do", "bytes", "0xC3bc").output, "0xff00\n\u00fc\n")

    def test_what_came_before_an_error_is_shown(self):
        result = self.fails(SYSTEM, "flight", "do", self.location, "half",
                            saying=(self.location, "broke off here"))
        self.assertEqual((result.output, result.errors.count("\n")), ("one\n", 1))

    def test_headers(self):
        self.flight("do", "echo", "--header", "authorization=Bearer x=y", "--header", "tenant=7")
        self.assertEqual(self.server.headers.seen, ["Bearer x=y", "7"])

    def test_basic(self):
        self.flight("do", "echo", "--basic", "user:pass word", "--header", "tenant=7")
        self.assertEqual(self.server.headers.seen[1:], ["7", "Bearer token", "7"])
        self.fails(SYSTEM, "flight", "do", self.location, "--basic", "user:wrong",
                   saying="a wrong password")

    def test_what_goes_wrong_is_told(self):
        write(self.folder / "a.arrow", numbers(3))
        write(self.folder / "b.arrow", pa.record_batch({"other": pa.array([1])}))
        self.server.flights = {"x": [numbers(3)]}
        self.fails(INPUT, "flight", "put", self.location, "--path", "some", self.folder / "a.arrow",
                   self.folder / "b.arrow", saying=("b.arrow", "not the schema"))
        for words, text in {
                ("put", self.location, "--path", "refused", self.folder / "a.arrow"):
                    "no puts here",
                ("get", self.location, "--path", "unknown"): "no such flight",
                ("get", self.location, "--ticket", "x bad"): "a bad ticket"}.items():
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
                (): "a location", ("ls",): "a location", ("go", "X"): "'go'",
                ("get", "X"): "0 of --path, --command, --ticket",
                ("put", "X", "x"): "0 of --path, --command",
                ("get", "X", "--path", "a", "--ticket", "b"): "2 of",
                ("put", "X", "--path", "a"): "no INPUT",
                ("put", "X", "--path", "a", "-", "-"): "standard input",
                ("get", "X", "--path", "a", "b"): "'b'",
                ("ls", "X", "a"): "'a'", ("do", "X", "a", "b", "c"): "'c'",
                ("ls", "--ticket", "x", "X"): "--ticket",
                ("get", "X", "--path", "a", "--message-limit", "1MiB"): "does not go with get",
                ("do", "X", "--json"): "--json does not go with do",
                ("put", "X", "--ticket", "a", "-"): "--ticket does not go with put",
                ("get", "X", "--path", "a", "--replace"): "--out",
                ("get", "X", "--path", "a//b"): "part 2 of 3",
                ("get", "X", "--path", "a", "--compress", "gz"): "'gz'",
                ("get", "X", "--command", "0x123"): "0x123",
                ("get", "X", "--ticket", "0xg0"): "0xg0",
                ("do", "X", "echo", "0x1"): "BODY", ("ls", "X", "--header", "a"): "name=value",
                ("ls", "X", "--header", "A=b"): "lower case",
                ("ls", "X", "--header", "grpc-timeout=1"): "grpc-*",
                ("ls", "X", "--header", "a=\n"): "printable", ("ls", "X", "--basic", "u"): "colon",
                ("ls", "X", *["--header", "a=b"] * 33): "more than 32",
                ("ls", "X", "--timeout", "5000000000"): "5000000000",
                ("ls", "localhost:1"): "grpc://host:port"}.items():
            words = [self.location if word == "X" else word for word in words]
            self.fails(USAGE, "flight", *words, saying=(text,))

    def test_help(self):
        self.assertIn("--ticket TEXT", self.succeeds("flight", "--help").output)


class ExampleTest(ProgramTest):
    """Against a server of this library, whose keys are 16 bytes."""

    def setUp(self):
        super().setUp()
        self.server = subprocess.Popen([os.environ["FLETCH_EXAMPLE_FLIGHT_STORE"]],
                                       stdout=subprocess.PIPE, text=True)
        self.location = self.server.stdout.readline().strip()

    def tearDown(self):
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(60), 0)
        self.server.stdout.close()

    def test_put_and_get_are_equal(self):
        batches = [numbers(1000), numbers(2000, 1000)]
        key = "0x" + struct.pack("QII", 7, 3, 0).hex()
        write(self.folder / "a.arrow", batches)
        self.succeeds("flight", "put", self.location, "--command", key, self.folder / "a.arrow")
        listed = self.succeeds("flight", "ls", self.location, "--json").json
        self.assertEqual(listed["endpoints"][0]["ticket"], key)
        self.succeeds("flight", "get", self.location, "--ticket", key, "--out",
                      self.folder / "b.arrow")
        self.assertEqual(read(self.folder / "b.arrow"), pa.Table.from_batches(batches))
        self.succeeds("verify", self.folder / "a.arrow", "--", self.folder / "b.arrow")
        self.succeeds("flight", "do", self.location, "drop", key)
        self.assertEqual(self.succeeds("flight", "ls", self.location).output, "")


if __name__ == "__main__":
    unittest.main()
