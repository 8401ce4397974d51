"""Our client of Flight against servers: Flight C++ (as pyarrow brings it along), and our own.
Arguments: the programs flight_caller and flight_peer."""

import concurrent.futures
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SKIPPED = 77

try:
    import pyarrow as pa
    import pyarrow.flight as flight
except ImportError as missing:
    print(f"skipped: {missing}; scripts/install-python.sh installs it")
    sys.exit(SKIPPED)

try:
    import grpc
except ImportError:
    grpc = None

CALLER = PEER = ""
HOST = "127.0.0.1"
SECONDS = 60
MEGABYTE = 1 << 20


def environment():
    """The programs are linked with their own sanitizer runtime: none is to be loaded before it."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def numbers(rows, first=0):
    return pa.record_batch({"n": pa.array(range(first, first + rows), pa.int64()),
                            "text": pa.array([f"row {i}" for i in range(first, first + rows)],
                                             pa.string())})


def told(batches, metadata=None):
    """What the caller says of data that it has read."""
    rows = sum(batch.num_rows for batch in batches)
    total = sum(sum(batch.column(0).to_pylist()) for batch in batches)
    metadata = len(batches) if metadata is None else metadata
    return f"data {len(batches)} batches {rows} rows {total} sum {metadata} metadata"


class Echo(flight.ServerMiddlewareFactory):
    """Sends the header x-echo back as x-echoed."""

    def start_call(self, info, headers):
        values = [values[0] for name, values in headers.items() if name.lower() == "x-echo"]

        class One(flight.ServerMiddleware):
            def sending_headers(self):
                return {"x-echoed": values[0]} if values else {}

        return One()


class Token(flight.ServerAuthHandler):
    """Of the tests of handshakes: everybody else may come without."""

    def authenticate(self, outgoing, incoming):
        auth = flight.BasicAuth.deserialize(incoming.read())
        if (auth.username, auth.password) != (b"arrow", b"flight"):
            raise flight.FlightUnauthenticatedError("no such name and password")
        outgoing.write(b"token of arrow")

    def is_valid(self, token):
        return b""


class Server(flight.FlightServerBase):
    """Keeps what is put, as our flight_peer does."""

    def __init__(self, location="grpc://127.0.0.1:0", flights=(), **options):
        self.flights, self.cancelled = dict(flights), threading.Event()
        super().__init__(location, middleware={"echo": Echo()}, **options)

    def uri(self):
        return f"grpc://127.0.0.1:{self.port}"

    def info_of(self, name):
        batches = self.flights[name]
        endpoints = [flight.FlightEndpoint(name.encode(), ["grpc+tls://127.0.0.1:1",
                                                           "grpc://127.0.0.1:1", self.uri()]),
                     flight.FlightEndpoint(name.encode(), ["arrow-flight-reuse-connection://?"]),
                     flight.FlightEndpoint(name.encode(), [])]
        return flight.FlightInfo(batches[0].schema, flight.FlightDescriptor.for_path(name),
                                 endpoints, sum(batch.num_rows for batch in batches), -1)

    def found(self, name):
        if name not in self.flights:
            raise flight.FlightServerError("no such flight", extra_info=b"a detail")
        return name

    def list_flights(self, context, criteria):
        for name in self.flights:
            if name.startswith(criteria.decode()):
                yield self.info_of(name)

    def get_flight_info(self, context, descriptor):
        return self.info_of(self.found(descriptor.path[0].decode()))

    def get_schema(self, context, descriptor):
        return flight.SchemaResult(self.flights[descriptor.path[0].decode()][0].schema)

    def do_put(self, context, descriptor, reader, writer):
        batches = []
        for chunk in reader:
            batches.append(chunk.data)
            writer.write(chunk.app_metadata.to_pybytes() if chunk.app_metadata else b"")
        self.flights[descriptor.path[0].decode()] = batches

    def do_get(self, context, ticket):
        how, _, name = ticket.ticket.decode().rpartition(" ")
        batches = self.flights[self.found(name)]

        def endless():
            try:
                while True:
                    yield batches[0]
            finally:  # nobody wants more
                self.cancelled.set()

        def broken():
            yield batches[0]
            raise flight.FlightUnavailableError("the second batch is lost")

        def all_of_it():
            for number, batch in enumerate(batches):
                yield batch, str(number).encode()

        if any(pa.types.is_dictionary(field.type) for field in batches[0].schema):
            return flight.RecordBatchStream(pa.Table.from_batches(batches))
        source = {"endless": endless, "broken": broken}.get(how, all_of_it)
        return flight.GeneratorStream(batches[0].schema, source())

    def do_exchange(self, context, descriptor, reader, writer):
        began = False
        for chunk in reader:
            if not began:
                writer.begin(reader.schema)
                began = True
            writer.write_with_metadata(chunk.data, chunk.app_metadata)

    def list_actions(self, context):
        return [("echo", "says it again"), ("fail", "fails")]

    def do_action(self, context, action):
        if action.type == "echo":
            return [action.body.to_pybytes()]
        if action.type == "twice":
            return [action.body.to_pybytes(), b""]
        if action.type == "hang":
            while not context.is_cancelled():
                time.sleep(0.01)
            self.cancelled.set()
            return []
        errors = {"unavailable": flight.FlightUnavailableError,
                  "unauthenticated": flight.FlightUnauthenticatedError,
                  "unauthorized": flight.FlightUnauthorizedError,
                  "internal": flight.FlightInternalError,
                  "timeout": flight.FlightTimedOutError,
                  "cancelled": flight.FlightCancelledError}
        body = action.body.to_pybytes().decode()
        if body in errors:
            raise errors[body]("it was to fail ü%", extra_info=b"de\0tail")
        raise {"key": KeyError, "invalid": pa.ArrowInvalid,
               "implemented": NotImplementedError}[body]("it was to fail")


class Case(unittest.TestCase):
    """What holds at every server."""

    LOCATION = None

    def start(self):
        self.server = Server()
        self.location = self.server.uri()

    def end(self):
        self.server.shutdown()

    def setUp(self):
        self.start()
        self.batches = [numbers(rows, rows) for rows in (1, 1000, 0, 70000, 5)]
        self.keep("some", self.batches)
        self.client = flight.connect(self.location)

    def tearDown(self):
        self.client.close()
        self.end()

    def keep(self, name, batches):
        client = flight.connect(self.location)
        writer, reader = client.do_put(flight.FlightDescriptor.for_path(name), batches[0].schema)
        for number, batch in enumerate(batches):
            writer.write_with_metadata(batch, str(number).encode())
            reader.read()
        writer.done_writing()
        writer.close()
        client.close()

    def call(self, *words, location=None):
        done = subprocess.run([CALLER, location or self.location, *words], text=True,
                              capture_output=True, timeout=SECONDS, env=environment())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.splitlines()

    def got(self, name):
        chunks = list(self.client.do_get(flight.Ticket(name)))
        return [chunk.data for chunk in chunks], [
            chunk.app_metadata and chunk.app_metadata.to_pybytes() for chunk in chunks]

    def test_get(self):
        self.assertEqual(self.call("get", "some"),
                         ["schema 2 columns", told(self.batches), "end OK"])

    def test_put(self):
        lines = self.call("put", "some", "copy")
        self.assertEqual(lines, ["acks 5", "end OK"])
        batches, metadata = self.got(b"copy")
        self.assertEqual(batches, self.batches)
        self.assertEqual(metadata, [b"0", b"1", b"2", b"3", b"4"])

    def test_put_splits_by_the_peers_limit(self):
        self.keep("wide", [numbers(200000)])
        lines = self.call("put", "wide", "split", str(MEGABYTE))
        batches, metadata = self.got(b"split")
        self.assertEqual(lines, [f"acks {len(batches)}", "end OK"])
        self.assertGreater(len(batches), 3)
        self.assertEqual(pa.Table.from_batches(batches).to_pydict(),
                         pa.Table.from_batches([numbers(200000)]).to_pydict())
        self.assertLess(max(batch.nbytes for batch in batches), MEGABYTE)

    def test_exchange(self):
        self.assertEqual(self.call("exchange", "some", "echo"), [told(self.batches), "end OK"])

    def test_errors_in_a_stream(self):
        lines = self.call("get", "broken some")
        self.assertEqual(lines[:2], ["schema 2 columns", told(self.batches[:1], self.MARKED)])
        self.assertRegex(lines[2], "^error [A-Z_]+: .*the second batch is lost")
        self.assertRegex(lines[3], "^end [A-Z_]+: .*the second batch is lost")

    MARKED = 0

    def test_calls_with_one_answer(self):
        records = sum(batch.num_rows for batch in self.batches)
        lines = self.call("info", "some")
        self.assertIn("header said", lines)
        self.assertIn("ticket some", lines)
        self.assertRegex("\n".join(lines), f"info {records} records . endpoints 2 columns")
        self.assertEqual(self.call("schema", "some")[-1], "schema 2 columns")
        self.assertRegex(self.call("info", "none")[-1], "^error [A-Z_]+: .*no such flight")

    def test_lists(self):
        self.keep("other", self.batches[:1])
        self.assertEqual(sum(line.startswith("info ") for line in self.call("list")), 2)
        lines = self.call("list", "oth")
        self.assertEqual(sum(line.startswith("info ") for line in lines), 1)
        self.assertEqual(lines[-1], "end OK")
        self.assertEqual(self.call("actions"),
                         ["type echo: says it again", "type fail: fails", "end OK"])

    def test_actions(self):
        self.assertEqual(self.call("action", "echo", "again"),
                         ["result again", "header said", "end OK"])
        self.assertEqual(self.call("action", "twice", "x" * 100000),
                         ["result " + "x" * 100000, "result ", "header said", "end OK"])

    def test_deadline(self):
        began = time.monotonic()
        self.assertRegex(self.call("deadline", "hang")[-1], "^end DEADLINE_EXCEEDED: ")
        self.assertLess(time.monotonic() - began, 10)

    def test_cancel(self):
        lines = self.call("cancel", "endless some")
        self.assertEqual(lines[0], told(self.batches[:1], self.MARKED))
        self.assertRegex(lines[-1], "^end CANCELLED: ")

    def test_close_within_a_stream(self):
        self.assertEqual(self.call("close", "endless some", "some"),
                         [told(self.batches[:1], self.MARKED), "schema 2 columns",
                          told(self.batches), "end OK"])

    def test_many_streams_share_a_connection(self):
        self.assertEqual(self.call("many", "some", "100"),
                         [told(self.batches), "end OK"] * 100 + ["connections 1 ready"])

    def test_handshake_is_refused_or_answered(self):
        self.assertRegex(self.call("handshake", "arrow", "wrong")[-1],
                         "^end (UNAUTHENTICATED|UNIMPLEMENTED): ")


class Stock(Case):
    """Flight C++."""

    def test_details(self):
        for body, status in {"unavailable": "UNAVAILABLE", "unauthenticated": "UNAUTHENTICATED",
                             "unauthorized": "PERMISSION_DENIED", "internal": "INTERNAL",
                             "timeout": "DEADLINE_EXCEEDED", "cancelled": "CANCELLED"}.items():
            line = self.call("action", "fail", body)[-1]
            self.assertTrue(line.startswith(f"end {status}: "), line)
            self.assertIn("it was to fail ü%", line)
            self.assertIn("(7 bytes of detail)", line)
        for body, status in {"invalid": "INVALID_ARGUMENT", "key": "NOT_FOUND",
                             "implemented": "UNIMPLEMENTED"}.items():
            text = "\n".join(self.call("action", "fail", body))  # with a traceback
            self.assertIn(f"end {status}: ", text)

    def test_details_of_a_call_with_one_answer(self):
        self.assertIn("detail a detail", self.call("info", "none"))

    def test_what_a_server_has_not(self):
        self.assertRegex(self.call("poll", "some")[-1], "^error UNIMPLEMENTED: ")

    def test_cancel_reaches_the_server(self):
        self.call("cancel", "endless some")
        self.assertTrue(self.server.cancelled.wait(SECONDS))

    def test_endpoints_elsewhere_are_tried_in_turn(self):
        self.assertEqual(self.call("endpoints", "some"),
                         ["header said"] + [told(self.batches), "end OK"] * 3)

    def test_every_type_comes_and_goes(self):
        batch = pa.record_batch({
            "n": pa.array([1, 2, 3], pa.int64()),
            "strings": pa.array(["a", None, "c" * 100]),
            "views": pa.array(["a", None, "long enough for a view of its own"], pa.string_view()),
            "words": pa.array(["x", "y", "x"]).dictionary_encode(),
            "nested": pa.array([[{"a": 1}], [], None], pa.list_(pa.struct([("a", pa.int8())]))),
            "flags": pa.array([True, None, False]),
            "nothing": pa.nulls(3)})
        self.keep("types", [batch, batch.slice(1, 2)])
        self.assertEqual(self.call("put", "types", "copied"), ["acks 2", "end OK"])
        self.assertEqual(self.got(b"copied")[0], [batch, batch.slice(1, 2)])

    def test_large_batches(self):
        batch = pa.record_batch({"n": pa.array(range(3_000_000), pa.int64())})  # 24 MB
        self.keep("large", [batch, batch])
        self.assertEqual(self.call("get", "large"),
                         ["schema 1 columns", told([batch, batch]), "end OK"])

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(f"grpc+unix://{folder}/socket")
            self.addCleanup(server.shutdown)
            for slashes in ("", "//"):
                location = f"grpc+unix:{slashes}{folder}/socket"
                self.assertEqual(self.call("action", "echo", "x", location=location),
                                 ["result x", "header said", "end OK"])

    def test_names_and_schemes(self):
        for location in (f"grpc://localhost:{self.server.port}",
                         f"grpc+tcp://127.0.0.1:{self.server.port}/"):
            self.assertEqual(self.call("action", "echo", "x", location=location)[-1], "end OK")

    def test_handshake(self):
        server = Server(auth_handler=Token())
        self.addCleanup(server.shutdown)
        self.assertEqual(self.call("handshake", "arrow", "flight", location=server.uri()),
                         ["token token of arrow", "end OK"])
        line = self.call("handshake", "arrow", "wrong", location=server.uri())[-1]
        self.assertRegex(line, "^end UNAUTHENTICATED: .*no such name and password")

    def test_nobody_there(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            line = self.call("get", "some", location=f"grpc://127.0.0.1:{port}")[-1]
        self.assertRegex(line, "^end UNAVAILABLE: .*[Cc]onnection refused")

    def test_locations_that_are_refused(self):
        for location, text in {
                f"grpc+tls://{HOST}:1": "error UNIMPLEMENTED: .*TLS",
                f"https://{HOST}:1": "error UNIMPLEMENTED: ",
                f"grpc://{HOST}": "error INVALID_ARGUMENT: .*grpc://host:port",
                f"ftp://{HOST}:1": "error INVALID_ARGUMENT: "}.items():
            done = subprocess.run([CALLER, location, "get", "some"], text=True,
                                  capture_output=True, timeout=SECONDS, env=environment())
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout, text)


class Ours(Case):
    """Our own server."""

    MARKED = 1

    def start(self):
        self.peer = subprocess.Popen([PEER, "serve"], stdout=subprocess.PIPE, text=True,
                                     env=environment())
        self.location = self.peer.stdout.readline().strip()

    def end(self):
        self.peer.terminate()
        self.assertEqual(self.peer.wait(SECONDS), 0)
        self.peer.stdout.close()

    def test_endpoints(self):
        lines = self.call("endpoints", "some")  # the second one is of another flight
        self.assertEqual(lines[1:3], [told(self.batches), "end OK"])
        self.assertRegex(lines[3], "^error NOT_FOUND: ")

    def test_poll(self):
        self.assertEqual(self.call("poll", "some")[-1], "poll 1 0")

    def test_details(self):
        for status in range(1, 17):
            line = self.call("action", "fail", str(status))[-1]
            self.assertRegex(line, r"^end [A-Z_]+: .*it was to fail ü% \(7 bytes of detail\)$")

    def test_handshake(self):
        self.assertEqual(self.call("handshake", "arrow", "flight")[-2:],
                         ["token token of arrow", "end OK"])


@unittest.skipIf(grpc is None, "grpcio is not installed")
class DetailsOfGrpc(unittest.TestCase):
    """A server that knows gRPC's statuses, and nothing of Arrow's."""

    def told(self, details):
        """What the caller says of a call that fails with these bytes as its details."""
        def fail(_, context):
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
            context.abort(grpc.StatusCode.ABORTED, "it was to fail")

        handler = grpc.unary_unary_rpc_method_handler(fail)
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            "arrow.flight.protocol.FlightService", {"GetFlightInfo": handler}),))
        port = server.add_insecure_port(f"{HOST}:0")
        server.start()
        done = subprocess.run([CALLER, f"grpc://{HOST}:{port}", "info", "some"], timeout=SECONDS,
                              capture_output=True, env=environment())
        server.stop(None).wait()
        detail, separator, end = done.stdout.partition(b"\nerror ABORTED: ")
        self.assertEqual((separator[:1], end), (b"\n", b"it was to fail\n"))
        self.assertEqual(done.returncode, 0)
        return detail

    def test_of_one_value(self):
        value = b"\x0a\x2etype.googleapis.com/google.protobuf.BytesValue\x12\x0a\x0a\x08the word"
        details = b"\x08\x0a\x12\x05to go\x1a" + bytes([len(value)]) + value
        self.assertEqual(self.told(details), b"detail the word")

    def test_of_another_type(self):
        value = b"\x0a\x1atype.googleapis.com/some.Type\x12\x03\x0a\x01x"
        details = b"\x08\x0a\x1a" + bytes([len(value)]) + value
        self.assertEqual(self.told(details), b"detail " + details)


class Killed(unittest.TestCase):
    """A server that is killed in the middle of a stream, and comes back."""

    def serve(self, port=0):
        process = subprocess.Popen([sys.executable, __file__, "serve", str(port)], text=True,
                                   stdout=subprocess.PIPE, env=environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, int(process.stdout.readline())

    def test_a_stream_is_cut_and_the_next_call_waits(self):
        server, port = self.serve()
        caller = subprocess.Popen([CALLER, f"grpc://127.0.0.1:{port}", "lost", "endless some",
                                   "some"], text=True, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, env=environment())
        self.addCleanup(caller.stdout.close)
        self.assertRegex(caller.stdout.readline(), "^data 1 batches")
        server.send_signal(signal.SIGKILL)
        self.assertRegex(caller.stdout.readline(), "^data [0-9]+ batches")
        self.assertRegex(caller.stdout.readline(), "^error UNAVAILABLE: ")
        self.assertRegex(caller.stdout.readline(), "^end UNAVAILABLE: ")
        caller.stdin.write("go on\n")
        caller.stdin.close()
        time.sleep(0.5)  # attempts to connect fail meanwhile
        self.serve(port)
        self.assertEqual(caller.stdout.readline(), "schema 2 columns\n")
        self.assertEqual(caller.stdout.readline(), told([numbers(10)]) + "\n")
        self.assertEqual(caller.stdout.readline(), "end OK\n")
        self.assertEqual(caller.wait(SECONDS), 0)


def serve(port):
    server = Server(f"grpc://127.0.0.1:{port}", {"some": [numbers(10)]})
    print(server.port, flush=True)
    server.serve()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    CALLER, PEER = sys.argv[1:3]
    print(f"pyarrow {pa.__version__}")
    del Case
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
