"""Flight with other implementations: clients of Flight C++ (pyarrow) and of plain gRPC (grpcio)
against our server, with handlers on workers and on loops. Argument: the program flight_peer."""

import base64
import os
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

PROGRAM = ""
SERVICE = "/arrow.flight.protocol.FlightService/"
SECONDS = 60


def environment():
    """The program is linked with its own sanitizer runtime: none is to be loaded before it."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def numbers(rows, first=0):
    return pa.record_batch({"n": pa.array(range(first, first + rows), pa.int64()),
                            "text": pa.array([f"row {i}" for i in range(first, first + rows)],
                                             pa.string())})


def varint(value):
    out = b""
    while value >= 128:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def field(number, data):
    """A field of protobuf with bytes."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields_of(data):
    """Fields with bytes of a message, by number, the last of each; other fields are left out."""
    def number(at):
        value = shift = 0
        while True:
            byte = data[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                return value, at
    found, at = {}, 0
    while at < len(data):
        key, at = number(at)
        size, at = number(at) if key & 7 in (0, 2) else (8 if key & 7 == 1 else 4, at)
        if key & 7 == 2:
            found[key >> 3] = data[at:at + size]
        if key & 7 != 0:
            at += size
    return found


def details_of(code, name):
    """google.rpc.Status of the action "fail": its detail is a google.protobuf.BytesValue."""
    value = field(1, b"type.googleapis.com/google.protobuf.BytesValue") + \
        field(2, field(1, b"de\0tail"))
    return b"\x08" + varint(code) + field(2, f"{name}: it was to fail ü%".encode()) + \
        field(3, value)


class Middleware(flight.ClientMiddlewareFactory):
    """Sends a header and notes what comes back under its name."""

    def __init__(self, value):
        super().__init__()
        self.value, self.received = value, []

    def start_call(self, info):
        factory = self

        class One(flight.ClientMiddleware):
            def sending_headers(self):
                return {"x-echo": factory.value}

            def received_headers(self, headers):
                factory.received.append({name.lower(): values for name, values in headers.items()})

        return One()


class Peer:
    def __init__(self, *words):
        self.process = subprocess.Popen([PROGRAM, "serve", *words], stdout=subprocess.PIPE,
                                        text=True, env=environment())
        self.location = self.process.stdout.readline().strip()

    def end(self):
        """Drains it; it says by its status whether all memory has come back."""
        self.process.terminate()
        status = self.process.wait(SECONDS)
        self.process.stdout.close()
        return status


class Case(unittest.TestCase):
    WORDS = ()

    def setUp(self):
        self.peer = Peer(*self.WORDS)
        self.client = flight.connect(self.peer.location)

    def tearDown(self):
        self.client.close()
        self.assertEqual(self.peer.end(), 0)

    def put(self, name, batches, **options):
        """Puts lock-step, as the official base case does; returns the acknowledgements."""
        descriptor = flight.FlightDescriptor.for_path(name)
        writer, reader = self.client.do_put(descriptor, batches[0].schema, **options)
        acks = []
        with writer:
            for number, batch in enumerate(batches):
                writer.write_with_metadata(batch, str(number).encode())
                acks.append(reader.read().to_pybytes())
            writer.done_writing()
        return acks

    def get(self, ticket, options=None):
        reader = self.client.do_get(flight.Ticket(ticket), options)
        return [(chunk.data, chunk.app_metadata and chunk.app_metadata.to_pybytes())
                for chunk in reader]

    def action(self, kind, body=b"", options=None):
        return [result.body.to_pybytes()
                for result in self.client.do_action(flight.Action(kind, body), options)]


class Workers(Case):
    """Handlers on workers."""

    def test_put_and_get_keep_borders_and_metadata(self):
        batches = [numbers(rows, rows) for rows in (1, 1000, 0, 70000, 5)]
        self.assertEqual(self.put("borders", batches), [b"0", b"1", b"2", b"3", b"4"])
        found = self.get(b"borders")
        self.assertEqual([metadata for _, metadata in found], [b"0", b"1", b"2", b"3", b"4"])
        for (batch, _), expected in zip(found, batches):
            self.assertTrue(batch.equals(expected))
        self.assertEqual(self.client.do_get(flight.Ticket(b"borders")).schema, batches[0].schema)

    def test_empty_flight_has_a_schema(self):
        schema = pa.schema([("a", pa.int32()), ("b", pa.list_(pa.string()))])
        writer, _ = self.client.do_put(flight.FlightDescriptor.for_path("empty"), schema)
        writer.done_writing()
        writer.close()
        table = self.client.do_get(flight.Ticket(b"empty")).read_all()
        self.assertEqual(table.schema, schema)
        self.assertEqual(table.num_rows, 0)

    def test_many_types(self):
        batch = pa.record_batch({
            "strings": pa.array(["a", None, "c" * 100]),
            "views": pa.array(["a", None, "long enough for a view of its own"], pa.string_view()),
            "words": pa.array(["x", "y", "x"]).dictionary_encode(),
            "nested": pa.array([[{"a": 1}], [], None], pa.list_(pa.struct([("a", pa.int8())]))),
            "flags": pa.array([True, None, False]),
            "nothing": pa.nulls(3),
            "decimals": pa.array([1, 2, None], pa.decimal128(10, 2)),
        })
        self.put("types", [batch, batch.slice(1, 2)])
        found = self.get(b"types")
        self.assertTrue(found[0][0].equals(batch))
        self.assertTrue(found[1][0].equals(batch.slice(1, 2)))
        found[1][0].validate(full=True)

    def test_dictionaries_that_change(self):
        schema = pa.schema([("d", pa.dictionary(pa.int32(), pa.string()))])
        batches = [pa.record_batch([pa.array(words).dictionary_encode()], schema=schema)
                   for words in (["a", "b"], ["a", "b", "c"], ["z", "a"])]
        self.put("dictionaries", batches)
        for (batch, _), expected in zip(self.get(b"dictionaries"), batches):
            self.assertEqual(batch.column(0).to_pylist(), expected.column(0).to_pylist())

    def test_compressed_put(self):
        batches = [numbers(5000), numbers(1)]
        for codec in ("lz4", "zstd"):
            options = flight.FlightCallOptions(
                write_options=pa.ipc.IpcWriteOptions(compression=codec))
            self.put(codec, batches, options=options)
            for (batch, _), expected in zip(self.get(codec.encode()), batches):
                self.assertTrue(batch.equals(expected))

    def test_large_batches(self):
        batch = pa.record_batch({"n": pa.array(range(3_000_000), pa.int64())})  # 24 MB
        self.put("large", [batch, batch])
        found = self.get(b"large")
        self.assertEqual([batch.num_rows for batch, _ in found], [3_000_000, 3_000_000])
        self.assertTrue(found[1][0].equals(batch))

    def test_acks_need_not_be_read(self):
        batches = [numbers(10, i) for i in range(10)]
        descriptor = flight.FlightDescriptor.for_path("unread")
        writer, reader = self.client.do_put(descriptor, batches[0].schema)
        for number, batch in enumerate(batches):
            writer.write_with_metadata(batch, str(number).encode())
        writer.done_writing()
        acks = []
        while (ack := reader.read()) is not None:
            acks.append(ack.to_pybytes())
        writer.close()
        self.assertEqual(acks, [str(number).encode() for number in range(10)])

    def test_put_without_acks(self):
        table = pa.Table.from_batches([numbers(1000, i) for i in range(50)])
        writer, _ = self.client.do_put(flight.FlightDescriptor.for_path("table"), table.schema)
        writer.write_table(table)
        writer.close()
        self.assertTrue(self.client.do_get(flight.Ticket(b"table")).read_all().equals(table))

    def test_refused_put(self):
        writer, _ = self.client.do_put(flight.FlightDescriptor.for_path("refused"),
                                       numbers(1).schema)
        with self.assertRaisesRegex(flight.FlightUnauthorizedError, "no puts here"):
            for _ in range(1000):
                writer.write_batch(numbers(1000))
            writer.close()

    def exchange(self, batches):
        writer, reader = self.client.do_exchange(flight.FlightDescriptor.for_command(b"echo"))
        return writer, reader

    def test_exchange_lock_step(self):
        writer, reader = self.client.do_exchange(flight.FlightDescriptor.for_command(b"echo"))
        with writer:
            writer.begin(numbers(1).schema)
            for i in range(4):
                batch = numbers(10 + i)
                if i % 2 == 0:
                    writer.write_with_metadata(batch, str(i).encode())
                else:
                    writer.write_batch(batch)
                chunk = reader.read_chunk()
                self.assertTrue(chunk.data.equals(batch))
                if i % 2 == 0:
                    self.assertEqual(chunk.app_metadata.to_pybytes(), str(i).encode())
                else:
                    self.assertIsNone(chunk.app_metadata)
            writer.done_writing()
            with self.assertRaises(StopIteration):
                reader.read_chunk()

    def test_exchange_of_metadata_alone(self):
        writer, reader = self.client.do_exchange(flight.FlightDescriptor.for_command(b"echo"))
        with writer:
            for word in (b"one", b"two"):
                writer.write_metadata(word)
                chunk = reader.read_chunk()
                self.assertIsNone(chunk.data)
                self.assertEqual(chunk.app_metadata.to_pybytes(), word)
            writer.done_writing()

    def test_exchange_server_begins(self):
        batches = [numbers(100, i) for i in range(20)]
        self.put("pushed", batches)
        writer, reader = self.client.do_exchange(flight.FlightDescriptor.for_path("pushed"))
        with writer:
            for expected in batches:
                self.assertTrue(reader.read_chunk().data.equals(expected))
            writer.begin(batches[0].schema)
            writer.write_batch(batches[0])
            writer.done_writing()

    def test_infos(self):
        self.put("info a", [numbers(3), numbers(4)])
        self.put("info b", [numbers(1)])
        info = self.client.get_flight_info(flight.FlightDescriptor.for_path("info a"))
        self.assertEqual(info.schema, numbers(1).schema)
        self.assertEqual(info.descriptor.path, [b"info a"])
        self.assertEqual((info.total_records, info.total_bytes), (7, -1))
        self.assertTrue(info.ordered)
        self.assertEqual(info.app_metadata, b"info")
        first, second = info.endpoints
        self.assertEqual(first.ticket.ticket, b"info a")
        self.assertEqual(first.locations, [flight.Location(self.peer.location)])
        self.assertEqual(first.app_metadata, b"endpoint")
        self.assertEqual(first.expiration_time.value, 4102444800 * 10**9 + 5000)
        self.assertEqual(second.ticket.ticket, b"second")
        self.assertEqual(second.locations, [])
        self.assertIsNone(second.expiration_time)
        listed = list(self.client.list_flights())
        self.assertEqual([one.total_records for one in listed], [7, 1])
        self.assertEqual(len(list(self.client.list_flights(b"info b"))), 1)
        self.assertEqual(list(self.client.list_flights(b"other")), [])
        schema = self.client.get_schema(flight.FlightDescriptor.for_path("info b")).schema
        self.assertEqual(schema, numbers(1).schema)
        with self.assertRaisesRegex(pa.ArrowKeyError, "^NOT_FOUND: no such flight"):
            self.client.get_flight_info(flight.FlightDescriptor.for_path("none"))
        result = self.client.cancel_flight_info(flight.CancelFlightInfoRequest(info)) \
            if hasattr(self.client, "cancel_flight_info") else None
        if result is not None:
            self.assertEqual(result.status, flight.CancelStatus.CANCELLED)

    def test_actions(self):
        for size in (0, 1, 4000, 5000, 100000, 9000000):
            self.assertEqual(self.action("echo", b"x" * size), [b"x" * size])
        self.assertEqual(self.action("twice", b"a"), [b"a", b""])
        kinds = [(kind.type, kind.description) for kind in self.client.list_actions()]
        self.assertEqual(kinds, [("echo", "says it again"), ("fail", "fails")])
        with self.assertRaisesRegex(NotImplementedError, "no action 'other'"):
            self.action("other")

    def test_errors(self):
        expected = {
            1: flight.FlightCancelledError, 2: pa.ArrowException, 3: pa.ArrowInvalid,
            4: flight.FlightTimedOutError, 5: pa.ArrowKeyError, 6: pa.ArrowException,
            7: flight.FlightUnauthorizedError, 8: pa.ArrowException, 9: pa.ArrowInvalid,
            10: pa.ArrowException, 11: (pa.ArrowException, IndexError, pa.ArrowIndexError)
            if hasattr(pa, "ArrowIndexError") else (pa.ArrowException, IndexError),
            12: NotImplementedError, 13: flight.FlightInternalError,
            14: flight.FlightUnavailableError, 15: (pa.ArrowException, OSError),
            16: flight.FlightUnauthenticatedError,
        }
        names = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED",
                 "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
                 "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL",
                 "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]
        for code, kind in expected.items():
            with self.assertRaises(kind) as caught:
                self.action("refusal", str(code).encode())
            self.assertIn(f"{names[code]}: it was to fail ü%", str(caught.exception))
            with self.assertRaises(flight.FlightError) as caught:  # with details all are those
                self.action("fail", str(code).encode())
            self.assertIn(f"{names[code]}: it was to fail ü%", str(caught.exception))
            self.assertEqual(caught.exception.extra_info, details_of(code, names[code]))

    def test_error_in_the_middle_of_a_get(self):
        self.put("half", [numbers(10), numbers(10)])
        reader = self.client.do_get(flight.Ticket(b"broken half"))
        self.assertEqual(reader.read_chunk().data.num_rows, 10)
        with self.assertRaisesRegex((pa.ArrowException, OSError), "DATA_LOSS: the second batch"):
            reader.read_chunk()
        with self.assertRaisesRegex((pa.ArrowException, OSError), "DoGet ended without a schema"):
            self.client.do_get(flight.Ticket(b"nothing half")).read_all()

    def test_headers_both_ways(self):
        middleware = Middleware("value to echo")
        with flight.connect(self.peer.location, middleware=[middleware]) as client:
            list(client.do_action(flight.Action("echo", b"")))
            with self.assertRaises(pa.ArrowKeyError):
                client.get_flight_info(flight.FlightDescriptor.for_path("none"))
        for headers in middleware.received[:1] + middleware.received[-1:]:
            echoed = headers.get("x-echoed", headers.get("x-echoed-at-end"))
            self.assertEqual(echoed, ["value to echo"])
        options = flight.FlightCallOptions(headers=[(b"x-echo", b"plain")])
        self.assertEqual(self.action("echo", b"a", options), [b"a"])

    def test_call_facts(self):
        options = flight.FlightCallOptions(timeout=50)
        peer, identity, left = self.action("call", b"", options)[0].decode().split("|")
        self.assertTrue(peer.startswith("127.0.0.1:"), peer)
        self.assertEqual(identity, "")
        self.assertTrue(40000 < int(left) <= 50000)

    def test_deadline(self):
        began = time.monotonic()
        with self.assertRaises(flight.FlightTimedOutError):
            self.action("hang", b"", flight.FlightCallOptions(timeout=0.2))
        self.assertLess(time.monotonic() - began, 10)
        self.assert_cancelled(1)
        self.put("slow", [numbers(10)] * 3)
        with self.assertRaises(flight.FlightTimedOutError):
            self.get(b"endless slow", flight.FlightCallOptions(timeout=0.2))

    def assert_cancelled(self, count):
        """So many handlers have been told that their client has gone."""
        for _ in range(500):
            if int(self.action("cancelled")[0]) >= count:
                return
            time.sleep(0.01)
        self.fail("no handler was told of a cancellation")

    def test_cancelled_get(self):
        self.put("many", [numbers(10000)] * 10)
        before = int(self.action("cancelled")[0])
        for _ in range(3):
            reader = self.client.do_get(flight.Ticket(b"endless many"))
            self.assertEqual(reader.read_chunk().data.num_rows, 10000)
            reader.cancel()
            del reader
        self.assert_cancelled(before + 3)

    def test_slow_reader_holds_up_nobody(self):
        self.put("much", [numbers(50000)] * 10)
        slow = self.client.do_get(flight.Ticket(b"endless much"))
        slow.read_chunk()
        time.sleep(0.3)  # it fills its windows meanwhile
        for _ in range(3):
            self.assertEqual(len(self.get(b"much")), 10)
        slow.cancel()

    def test_hundred_streams_at_once(self):
        self.put("shared", [numbers(1000, i) for i in range(10)])
        readers = [self.client.do_get(flight.Ticket(b"shared")) for _ in range(100)]
        for index in range(10):
            for reader in readers:
                self.assertEqual(reader.read_chunk().data.column(0)[0].as_py(), index)
        for reader in readers:
            with self.assertRaises(StopIteration):
                reader.read_chunk()

    def test_hundred_exchanges_at_once(self):
        pairs = [self.client.do_exchange(flight.FlightDescriptor.for_command(b"echo"))
                 for _ in range(100)]
        for writer, _ in pairs:
            writer.begin(numbers(1).schema)
        for round_ in range(3):
            for index, (writer, _) in enumerate(pairs):
                writer.write_batch(numbers(5, index * 10 + round_))
            for index, (_, reader) in enumerate(pairs):
                self.assertEqual(reader.read_chunk().data.column(0)[0].as_py(),
                                 index * 10 + round_)
        for writer, _ in pairs:
            writer.done_writing()
            writer.close()

    def test_clients_on_threads(self):
        self.put("threads", [numbers(2000, i) for i in range(5)])
        failures = []

        def work(number):
            try:
                with flight.connect(self.peer.location) as client:
                    for i in range(5):
                        table = client.do_get(flight.Ticket(b"threads")).read_all()
                        assert table.num_rows == 10000
                        body = f"{number} {i}".encode() * number
                        result, = client.do_action(flight.Action("echo", body))
                        assert result.body.to_pybytes() == body
            except Exception as failure:  # pylint: disable=broad-except
                failures.append(failure)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])


class Loops(Workers):
    """The same with handlers on loops, which leave sources."""

    WORDS = ("--loop",)

    # What blocks in its handler is for workers.
    test_deadline = None
    test_cancelled_get = None


class Unix(Case):
    def setUp(self):
        # pylint: disable=consider-using-with
        self.folder = tempfile.TemporaryDirectory()
        self.peer = Peer("--unix", os.path.join(self.folder.name, "socket"))
        self.client = flight.connect(self.peer.location)

    def tearDown(self):
        super().tearDown()
        self.folder.cleanup()

    def test_put_and_get(self):
        self.put("unix", [numbers(10)])
        self.assertTrue(self.get(b"unix")[0][0].equals(numbers(10)))


class LegacyAuth(flight.ClientAuthHandler):
    def __init__(self, name, password):
        super().__init__()
        self.basic, self.token = flight.BasicAuth(name, password), None

    def authenticate(self, outgoing, incoming):
        outgoing.write(self.basic.serialize())
        self.token = incoming.read()

    def get_token(self):
        return self.token


class Authentication(Case):
    WORDS = ("--auth",)

    def test_without_credentials(self):
        with self.assertRaisesRegex(flight.FlightUnauthenticatedError, "a token was expected"):
            self.action("echo", b"")
        with self.assertRaises(flight.FlightUnauthenticatedError):
            self.client.do_get(flight.Ticket(b"none")).read_all()

    @unittest.skipIf(grpc is None, "grpcio is not installed")
    def test_trailers_of_a_refusal(self):
        with grpc.insecure_channel(self.peer.location.removeprefix("grpc://")) as channel:
            with self.assertRaises(grpc.RpcError) as caught:
                channel.unary_unary(SERVICE + "GetFlightInfo")(b"", timeout=SECONDS)
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            self.assertEqual(check(b"", timeout=SECONDS), b"\x08\x01")
        trailers = dict(caught.exception.trailing_metadata())
        self.assertEqual(trailers["x-arrow-status"], "5")
        self.assertEqual(trailers["x-arrow-status-message-bin"],
                         b"UNAUTHENTICATED: a token was expected")

    def test_basic_to_bearer(self):
        pair = self.client.authenticate_basic_token(b"arrow", b"flight")
        self.assertEqual(pair, (b"authorization", b"Bearer token of arrow"))
        options = flight.FlightCallOptions(headers=[pair])
        self.assertEqual(self.action("echo", b"a", options), [b"a"])
        self.assertEqual(self.action("call", b"", options)[0].split(b"|")[1], b"arrow")
        for name, password in ((b"arrow", b"flightt"), (b"arrow", b""), (b"", b"flight")):
            with self.assertRaises(flight.FlightUnauthenticatedError):
                self.client.authenticate_basic_token(name, password)

    def test_handshake(self):
        self.client.authenticate(LegacyAuth("arrow", "flight"))
        self.assertEqual(self.action("echo", b"a"), [b"a"])

    def test_handshake_refused(self):
        with self.assertRaisesRegex(flight.FlightUnauthenticatedError, "no such name"):
            self.client.authenticate(LegacyAuth("arrow", "arrow"))


class Limit(Case):
    WORDS = ("--limit", "100000")

    def test_message_too_large(self):
        with self.assertRaisesRegex((pa.ArrowException, OSError), "a message of 200.*at most"):
            self.action("echo", b"x" * 200000)
        self.assertEqual(self.action("echo", b"y"), [b"y"])


@unittest.skipIf(grpc is None, "grpcio is not installed")
class PlainGrpc(Case):
    """Raw messages: what stock clients never send."""

    def setUp(self):
        super().setUp()
        self.channel = grpc.insecure_channel(self.peer.location.removeprefix("grpc://"))

    def tearDown(self):
        self.channel.close()
        super().tearDown()

    def exchange(self, method, messages, **options):
        call = self.channel.stream_stream(SERVICE + method)
        return list(call(iter(messages), timeout=SECONDS, **options))

    def fails(self, method, messages, status, text):
        with self.assertRaises(grpc.RpcError) as caught:
            self.exchange(method, messages)
        self.assertEqual(caught.exception.code(), status)
        self.assertIn(text, caught.exception.details())
        return caught.exception

    @staticmethod
    def messages_of(batches):
        """(header, body) of each message of a stream."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batches[0].schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        reader = pa.ipc.MessageReader.open_stream(sink.getvalue())
        for message in reader:
            body = message.body
            yield message.metadata.to_pybytes(), b"" if body is None else body.to_pybytes()

    @staticmethod
    def descriptor(name):
        return field(1, b"\x08\x01" + field(3, name))

    def check_put(self, name, messages, rows):
        acks = self.exchange("DoPut", messages)
        table = self.client.do_get(flight.Ticket(name)).read_all()
        self.assertEqual(table.column(0).to_pylist(), list(range(rows)))
        return acks

    def test_fields_in_any_order(self):
        for rows in (3, 5000):
            (schema, _), (header, body) = self.messages_of([numbers(rows)])
            unknown = varint(77 << 3) + varint(1 << 60) + field(2000, b"u" * 3000) + \
                varint(9 << 3 | 1) + b"8 bytes." + varint(9 << 3 | 5) + b"four"
            descriptor = self.descriptor
            shapes = {
                b"body-first": field(1000, body) + field(2, header) + field(3, b"m"),
                b"repeated": field(2, b"nonsense") + field(1000, b"x" * 99) + field(3, b"n" * 5000)
                + field(2, header) + field(3, b"m") + field(1000, body),
                b"unknown": unknown + field(2, header) + unknown + field(3, b"m") + unknown +
                field(1000, body) + unknown,
                b"empty": field(3, b"") + field(2, header) + field(3, b"m") + field(1000, body),
            }
            for name, shape in shapes.items():
                name += b"-%d" % rows
                acks = self.check_put(name, [descriptor(name) + field(2, schema), shape], rows)
                self.assertEqual(acks, [field(1, b"m")])

    def test_descriptor_alone_and_empty_messages(self):
        (schema, _), (header, body) = self.messages_of([numbers(4)])
        messages = [self.descriptor(b"alone"), b"", field(2, schema), b"",
                    field(2, header) + field(1000, body), field(3, b"metadata alone")]
        acks = self.check_put(b"alone", messages, 4)
        self.assertEqual(acks, [b"", field(1, b"metadata alone")])

    def test_descriptor_again(self):
        (schema, _), (header, body) = self.messages_of([numbers(4)])
        messages = [self.descriptor(b"first") + field(2, schema), self.descriptor(b"second"),
                    self.descriptor(b"third") + field(2, header) + field(1000, body)]
        self.check_put(b"first", messages, 4)

    def test_malformed(self):
        (schema, _), (header, body) = self.messages_of([numbers(4)])
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        begin = self.descriptor(b"bad") + field(2, schema)
        self.fails("DoPut", [], invalid, "DoPut without a message")
        self.fails("DoPut", [field(2, schema)], invalid, "without a descriptor")
        self.fails("DoExchange", [field(3, b"m")], invalid, "without a descriptor")
        self.fails("DoPut", [self.descriptor(b"bad") + field(2, header) + field(1000, body)],
                   invalid, "before the schema")
        self.fails("DoPut", [begin, begin], invalid, "second schema")
        self.fails("DoPut", [self.descriptor(b"bad")], invalid, "without a schema")
        self.fails("DoPut", [begin, field(2, header) + field(1000, body[:-8])],
                   grpc.StatusCode.DATA_LOSS, "tells a body of")
        self.fails("DoPut", [begin, field(2, header)], grpc.StatusCode.DATA_LOSS, "tells a body")
        self.fails("DoPut", [begin, b"\x12\xff\x7f"], invalid, "malformed")
        self.fails("DoPut", [begin, b"\x12"], invalid, "malformed")
        self.fails("DoPut", [begin, b"\x12\xff\xff\x7f" + b"x" * 9000], invalid, "longer than")
        self.fails("DoPut", [begin, b"\x0b" + b"x" * 9000], invalid, "malformed")
        self.fails("DoPut", [begin, field(2, header[:40])], invalid, "")
        self.fails("DoGet", [], invalid, "DoGet without a request")
        self.fails("DoGet", [b"\x0a\x05abc"], invalid, "malformed")
        self.fails("GetFlightInfo", [b""], invalid, "neither path nor command")
        self.fails("DoAction", [field(1, b"\xff\xfe")], invalid, "not UTF-8")
        self.fails("Other", [b""], grpc.StatusCode.UNIMPLEMENTED, "no method")
        self.check_put(b"bad", [begin, field(2, header) + field(1000, body + b"more")], 4)

    def test_bits_that_flip(self):
        (schema, _), (header, body) = self.messages_of([numbers(100)])
        good = field(2, header) + field(3, b"m") + field(1000, body)
        for position in range(0, 300, 7):
            bad = bytearray(good)
            bad[position] ^= 1 << position % 8
            try:
                self.exchange("DoPut", [self.descriptor(b"flipped") + field(2, schema),
                                        bytes(bad)])
            except grpc.RpcError as failure:
                self.assertIn(failure.code(), (grpc.StatusCode.INVALID_ARGUMENT,
                                               grpc.StatusCode.DATA_LOSS,
                                               grpc.StatusCode.UNIMPLEMENTED,
                                               grpc.StatusCode.RESOURCE_EXHAUSTED))

    def test_trailers_of_a_failure(self):
        failure = self.fails("DoAction", [field(1, b"fail") + field(2, b"8")],
                             grpc.StatusCode.RESOURCE_EXHAUSTED,
                             "RESOURCE_EXHAUSTED: it was to fail ü%")
        trailers = dict(failure.trailing_metadata())
        self.assertEqual(trailers["x-arrow-status"], "6")
        self.assertEqual(trailers["x-arrow-status-message-bin"],
                         "RESOURCE_EXHAUSTED: it was to fail ü%".encode())
        self.assertEqual(trailers["x-arrow-status-detail-bin"], b"de\0tail")
        self.assertEqual(trailers["grpc-status-details-bin"],
                         details_of(8, "RESOURCE_EXHAUSTED"))

    def assert_arrow_trailers(self, failure, arrow, text):
        """Ours, and nothing that was not there to be told."""
        trailers = dict(failure.trailing_metadata())
        self.assertEqual(trailers["x-arrow-status"], arrow)
        message = trailers["x-arrow-status-message-bin"].decode()
        self.assertEqual(message, failure.details())
        self.assertTrue(message.startswith(failure.code().name + ": "), message)
        self.assertIn(text, message)
        self.assertNotIn("x-arrow-status-detail-bin", trailers)
        self.assertNotIn("grpc-status-details-bin", trailers)

    def test_trailers_of_early_refusals(self):
        codes = grpc.StatusCode
        begin = self.descriptor(b"bad")
        for method, messages, code, arrow, text in (
                ("Other", [b""], codes.UNIMPLEMENTED, "10", "no method"),
                ("GetFlightInfo", [b""], codes.INVALID_ARGUMENT, "4", "neither path nor command"),
                ("GetFlightInfo", [], codes.INVALID_ARGUMENT, "4", "without a request"),
                ("DoPut", [field(3, b"m")], codes.INVALID_ARGUMENT, "4", "without a descriptor"),
                ("DoPut", [begin, b"\x12\xff\x7f"], codes.INVALID_ARGUMENT, "4", "malformed"),
                ("DoGet", [b"\x0a\x05abc"], codes.INVALID_ARGUMENT, "4", "malformed"),
                ("DoPut", [begin, b"\x12" + varint(1 << 40) + b"x" * 9000],
                 codes.INVALID_ARGUMENT, "4", "longer than")):
            self.assert_arrow_trailers(self.fails(method, messages, code, text), arrow, text)
        with self.assertRaises(grpc.RpcError) as caught:
            self.channel.unary_unary("/some.other.Service/Method")(b"", timeout=SECONDS)
        self.assert_arrow_trailers(caught.exception, "10", "no method '/some.other.Service/Method'")

    def test_trailers_of_calls_that_are_cut_off(self):
        request = field(1, b"hang")
        call = self.channel.unary_stream(SERVICE + "DoAction")(request, timeout=SECONDS)
        while self.action("running") == [b"0"]:
            time.sleep(0.01)
        self.peer.process.terminate()
        with self.assertRaises(grpc.RpcError) as caught:
            list(call)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assert_arrow_trailers(caught.exception, "5", "the server has been shut down")

    def test_health(self):
        health = "/grpc.health.v1.Health/"
        check = self.channel.unary_unary(health + "Check")
        service = field(1, b"arrow.flight.protocol.FlightService")
        self.assertEqual(check(b"", timeout=SECONDS), b"\x08\x01")
        self.assertEqual(check(service, timeout=SECONDS), b"\x08\x01")
        with self.assertRaises(grpc.RpcError) as caught:
            check(field(1, b"other"), timeout=SECONDS)
        self.assert_arrow_trailers(caught.exception, "2", "no such service")
        watches = [self.channel.unary_stream(health + "Watch")(request, timeout=SECONDS)
                   for request in (b"", service)]
        for watch in watches:
            self.assertEqual(next(watch), b"\x08\x01")
        self.peer.process.terminate()
        for watch in watches:
            self.assertEqual(next(watch), b"\x08\x02")  # not serving
            with self.assertRaises(grpc.RpcError) as caught:
                next(watch)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)

    def test_poll(self):
        self.put("poll", [numbers(1)])
        poll, = self.exchange("PollFlightInfo", [b"\x08\x01" + field(3, b"poll")])
        found = fields_of(poll)
        self.assertEqual(fields_of(found[2])[3], b"poll")
        self.assertIn(b"\x19" + bytes(8), poll)  # a progress of 0, which is told all the same
        self.assertEqual(found[4], b"\x08\x64")

    def test_batches_are_split_for_a_peer_with_a_limit(self):
        rows = 2_000_000  # 16 MB, and grpcio takes 4 MiB
        self.put("split", [pa.record_batch({"n": pa.array(range(rows), pa.int64())})])
        messages = self.exchange("DoGet", [field(1, b"split")])
        self.assertLess(max(map(len, messages)), 4 << 20)
        self.assertGreater(len(messages), 4)
        parts = [fields_of(message) for message in messages]
        self.assertEqual([3 in part for part in parts], [False, True] + [False] * (len(parts) - 2))
        sink = b""
        for part in parts:
            header = part[2]
            sink += b"\xff\xff\xff\xff" + len(header).to_bytes(4, "little") + header
            sink += part.get(1000, b"")
        table = pa.ipc.open_stream(sink).read_all()
        self.assertEqual(table.num_rows, rows)
        self.assertEqual(table.column(0)[rows - 1].as_py(), rows - 1)
        more = self.exchange("DoGet", [field(1, b"split")],
                             metadata=(("fletch-message-limit", "1000000"),))
        self.assertLess(max(map(len, more)), 1000000)

    def test_cancel_and_renew(self):
        info = field(3, field(1, field(1, b"a"))) + field(3, field(1, field(1, b"b")))
        answer, = self.action("CancelFlightInfo", field(1, info))
        self.assertEqual(answer, b"\x08\x01")
        ticket = field(1, field(1, b"t"))
        answer, = self.action("RenewFlightEndpoint", field(1, ticket + field(3, b"\x08\x05")))
        self.assertEqual(answer, ticket + field(3, b"\x08\x0f"))
        with self.assertRaises(pa.ArrowInvalid):
            self.action("CancelFlightInfo", b"\x0a\x7f")

    def test_basic_with_and_without_padding(self):
        for value in (base64.b64encode(b"arrow:flight").decode(),
                      base64.b64encode(b"arrow:flight").decode().rstrip("=")):
            call = self.channel.stream_stream(SERVICE + "Handshake")(
                iter([]), timeout=SECONDS, metadata=(("authorization", "bAsIc " + value),))
            self.assertEqual(list(call), [])
            metadata = dict(call.initial_metadata()) | dict(call.trailing_metadata())
            self.assertEqual(metadata["authorization"], "Bearer token of arrow")
        self.fails("Handshake", [], grpc.StatusCode.UNAUTHENTICATED, "no message")

    def test_hasty_clients(self):
        """Calls that are cancelled wherever they are."""
        self.put("hasty", [numbers(20000)] * 5)
        for pause in (0, 0, 0.0005, 0.001, 0.002, 0.005, 0.01) * 3:
            for method, request in (("DoGet", field(1, b"endless hasty")),
                                    ("DoAction", field(1, b"echo") + field(2, b"x" * 70000)),
                                    ("DoPut", self.descriptor(b"hasty")),
                                    ("DoExchange", field(1, b"\x08\x02"))):
                call = self.channel.stream_stream(SERVICE + method)(iter([request]))
                time.sleep(pause)
                call.cancel()
        self.assertEqual(len(self.get(b"hasty")), 5)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
