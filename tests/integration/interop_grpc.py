"""gRPC with other implementations over TCP, both ways: gRPC C++ (as pyarrow's Flight brings it
along), grpcio, and curl, nghttp and h2load, which speak HTTP/2 by nghttp2. What is not installed is
left out, and told; with FLETCH_PEERS_WANTED in the environment (make test) it is a failure.
Argument: the program grpc_peer."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from concurrent import futures

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
HOST = "127.0.0.1"
SERVICE = "/arrow.flight.protocol.FlightService/"
HEALTH = "/grpc.health.v1.Health/"
SECONDS = 60


def wants(tool):
    """A test that needs `tool`, of which nothing is there if that is false."""
    def decorate(test):
        def run(self):
            there = grpc is not None if tool == "grpcio" else shutil.which(tool)
            if not there and os.environ.get("FLETCH_PEERS_WANTED"):
                self.fail(f"{tool} is not installed")
            if not there:
                self.skipTest(f"{tool} is not installed")
            test(self)
        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run
    return decorate


def environment():
    """Of a program that brings its sanitizer along, or has none: curl has hung under ours."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def action_bytes(kind, body):
    """An Action as protobuf has it."""
    def field(tag, data):
        size, out = len(data), bytes([tag])
        while size >= 128:
            out += bytes([size % 128 + 128])
            size //= 128
        return out + bytes([size]) + data
    return field(0x0A, kind) + field(0x12, body)


class OurServer(unittest.TestCase):
    """Sends each message back: the type of an Action comes back as the body of a Result."""

    def setUp(self):
        self.server = subprocess.Popen([PROGRAM, "serve"], stdout=subprocess.PIPE, text=True,
                                       env=environment())
        self.port = int(self.server.stdout.readline())

    def tearDown(self):
        self.server.terminate()  # it drains, and says whether all its memory has come back
        self.assertEqual(self.server.wait(SECONDS), 0)
        self.server.stdout.close()

    def test_calls_of_grpc_cpp(self):
        with flight.connect(f"grpc://{HOST}:{self.port}") as client:
            for size in (1, 100, 16384, 70000, 1000000, 9000000):
                kind = "x" * size
                results = list(client.do_action(flight.Action(kind, b"body")))
                self.assertEqual(len(results), 1)
                self.assertEqual(results[0].body.to_pybytes(), kind.encode())

    def test_many_calls_at_a_time(self):
        failures = []

        def call(client, number):
            try:
                for i in range(20):
                    kind = f"{number}-{i}-" + "y" * (1000 * number)
                    results = list(client.do_action(flight.Action(kind, b"")))
                    assert results[0].body.to_pybytes() == kind.encode(), kind[:20]
            except Exception as failure:  # reported by the thread that waits
                failures.append(failure)

        with flight.connect(f"grpc://{HOST}:{self.port}") as client:
            threads = [threading.Thread(target=call, args=(client, n)) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(SECONDS)
        self.assertEqual(failures, [])

    def test_status_and_text(self):
        with flight.connect(f"grpc://{HOST}:{self.port}") as client:
            with self.assertRaisesRegex(pa.ArrowNotImplementedError, "no method '%' of ours"):
                list(client.list_actions())

    def curl(self, *options):
        url = f"http://{HOST}:{self.port}/"
        return subprocess.run(["curl", "-sS", "-i", "--max-time", str(SECONDS), *options, url],
                              capture_output=True, text=True, check=True,
                              env=environment()).stdout

    @wants("curl")
    def test_curl(self):
        self.assertRegex(self.curl("--http2-prior-knowledge"), r"^HTTP/2 405")
        self.assertRegex(self.curl("--http2-prior-knowledge", "-X", "POST"), r"^HTTP/2 415")
        answer = self.curl("--http1.1")
        self.assertRegex(answer, r"^HTTP/1.1 505 ")
        self.assertIn("speaks HTTP/2 only", answer)
        self.assertRegex(self.curl("--http2"), r"^HTTP/1.1 505 ")  # asks for an upgrade

    @wants("curl")
    def test_health_by_curl(self):
        with tempfile.NamedTemporaryFile() as request, tempfile.NamedTemporaryFile() as answer:
            request.write(bytes(5))  # a message without bytes: the whole server
            request.flush()
            url = f"http://{HOST}:{self.port}/grpc.health.v1.Health/Check"
            head = subprocess.run(
                ["curl", "-sS", "--http2-prior-knowledge", "--max-time", str(SECONDS), "-D", "-",
                 "-H", "content-type: application/grpc", "-H", "te: trailers",
                 "--data-binary", "@" + request.name, "-o", answer.name, url],
                capture_output=True, text=True, check=True, env=environment()).stdout
            self.assertRegex(head, r"^HTTP/2 200")
            self.assertIn("grpc-status: 0", head)
            self.assertEqual(answer.read(), b"\0\0\0\0\x02\x08\x01")

    def health_request(self, program, *options):
        """Runs a program of nghttp2 with a request for the health of the whole server."""
        with tempfile.NamedTemporaryFile() as request:
            request.write(bytes(5))
            request.flush()
            return subprocess.run(
                [program, *options, "-d", request.name, "-H", "content-type: application/grpc",
                 "-H", "te: trailers", f"http://{HOST}:{self.port}{HEALTH}Check"],
                capture_output=True, check=True, timeout=SECONDS, env=environment()).stdout

    @wants("nghttp")
    def test_nghttp(self):
        self.assertEqual(self.health_request("nghttp"), b"\0\0\0\0\x02\x08\x01")
        told = self.health_request("nghttp", "-v", "-n", "-m", "20", "-w", "16", "-W", "17", "-b",
                                   "8").decode(errors="replace")
        self.assertEqual(told.count(") grpc-status: 0"), 20)
        self.assertNotIn("RST_STREAM", told.replace("NO_ERROR", ""))
        upgraded = subprocess.run(["nghttp", "-u", f"http://{HOST}:{self.port}/"],
                                  capture_output=True, timeout=SECONDS, env=environment(),
                                  check=False)
        self.assertNotIn(b"grpc-status", upgraded.stdout)  # it gets 505, and says so or not

    @wants("h2load")
    def test_h2load(self):
        told = self.health_request("h2load", "-n", "4000", "-c", "8", "-m", "50").decode()
        self.assertIn("4000 total, 4000 started, 4000 done, 4000 succeeded, 0 failed", told)
        self.assertIn("4000 2xx", told)

    @wants("grpcio")
    def test_health_by_grpcio(self):
        with grpc.insecure_channel(f"{HOST}:{self.port}") as channel:
            check = channel.unary_unary(HEALTH + "Check")
            self.assertEqual(check(b"", timeout=SECONDS), b"\x08\x01")
            with self.assertRaises(grpc.RpcError) as refused:
                check(b"\x0a\x02no", timeout=SECONDS)
            self.assertEqual(refused.exception.code(), grpc.StatusCode.NOT_FOUND)
            watch = channel.unary_stream(HEALTH + "Watch")(b"\x0a\x02no", timeout=SECONDS)
            self.assertEqual(next(watch), b"\x08\x03")
            watch.cancel()
            self.assertEqual(check(b"", timeout=SECONDS), b"\x08\x01")

    @wants("grpcio")
    def test_calls_of_grpcio(self):
        messages = [bytes([i]) * (i * 5000) for i in range(100)]
        with grpc.insecure_channel(f"{HOST}:{self.port}") as channel:
            echo = channel.stream_stream(SERVICE + "DoExchange")
            self.assertEqual(list(echo(iter(messages), timeout=SECONDS)), messages)

    @wants("grpcio")
    def test_all_kinds_of_calls_of_grpcio(self):
        path, message = SERVICE + "DoExchange", bytes(range(256)) * 40000  # 10 MB
        options = [("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(f"{HOST}:{self.port}", options) as channel:
            self.assertEqual(channel.unary_unary(path)(message, timeout=SECONDS), message)
            self.assertEqual(channel.unary_unary(path)(b"", timeout=SECONDS), b"")
            self.assertEqual(list(channel.unary_stream(path)(b"one", timeout=SECONDS)), [b"one"])
            self.assertEqual(channel.stream_unary(path)(iter([message]), timeout=SECONDS), message)
            self.assertEqual(list(channel.stream_stream(path)(iter([]), timeout=SECONDS)), [])

    @wants("grpcio")
    def test_deadline_and_cancel_of_grpcio(self):
        with grpc.insecure_channel(f"{HOST}:{self.port}") as channel:
            hold = channel.stream_stream("/test.Test/Hold")
            for messages in ([], [b"a"], [bytes(100000)] * 20):
                call = hold(iter(messages), timeout=0.3)
                with self.assertRaises(grpc.RpcError) as late:
                    list(call)
                self.assertEqual(late.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            for count in range(4):  # cancelled after so many answers
                call = hold(iter([b"x"] * 4), timeout=SECONDS)
                for _ in range(count):
                    next(call)
                call.cancel()
                self.assertEqual(call.code(), grpc.StatusCode.CANCELLED)
            echo = channel.unary_unary(SERVICE + "DoExchange")
            self.assertEqual(echo(b"still here", timeout=SECONDS), b"still here")

    @wants("grpcio")
    def test_metadata_of_grpcio(self):
        sent = [("x-text", "plain, 100%"), ("x-some-bin", bytes(range(256))), ("x-none-bin", b""),
                ("x-one-bin", b"\0")]
        with grpc.insecure_channel(f"{HOST}:{self.port}") as channel:
            mirror = channel.unary_stream("/test.Test/Mirror")
            call = mirror(b"", metadata=sent, timeout=SECONDS)
            self.assertEqual(list(call), [])
            for got in (call.initial_metadata(), call.trailing_metadata()):
                self.assertEqual([(m.key, m.value) for m in got if m.key.startswith("x-")], sent)

    @wants("grpcio")
    def test_errors_and_compression_of_grpcio(self):
        with grpc.insecure_channel(f"{HOST}:{self.port}") as channel:
            with self.assertRaises(grpc.RpcError) as refused:
                list(channel.unary_stream(SERVICE + "ListActions")(b"", timeout=SECONDS))
            self.assertEqual(refused.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
            self.assertEqual(refused.exception.details(), "no method '%' of ours")
            with self.assertRaises(grpc.RpcError) as unknown:
                channel.unary_unary("/no.Such/Method")(b"", timeout=SECONDS)
            self.assertEqual(unknown.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
            with self.assertRaises(grpc.RpcError) as compressed:
                channel.unary_unary(SERVICE + "DoExchange")(
                    bytes(10000), timeout=SECONDS, compression=grpc.Compression.Gzip)
            self.assertEqual(compressed.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
            self.assertIn("identity", compressed.exception.details())


class ActionServer(flight.FlightServerBase):
    """Answers an Action with as many results as its type says, each its body."""

    def do_action(self, context, action):
        if action.type == "fail":
            raise flight.FlightUnavailableError("not now: 100% busy")
        for _ in range(int(action.type)):
            yield flight.Result(action.body)


class OurClient(unittest.TestCase):
    def setUp(self):
        self.server = ActionServer(f"grpc://{HOST}:0")

    def tearDown(self):
        self.server.shutdown()

    def call(self, kind, body):
        with tempfile.NamedTemporaryFile() as file:
            file.write(action_bytes(kind, body))
            file.flush()
            answer = subprocess.run(
                [PROGRAM, "call", str(self.server.port), SERVICE + "DoAction", file.name],
                capture_output=True, text=True, check=True, timeout=SECONDS, env=environment())
        messages, size, status, text = answer.stdout.splitlines()[0].split(" ", 3)
        return int(messages), int(size), int(status), text

    def test_results_of_grpc_cpp(self):
        for count, size in ((0, 0), (1, 10), (3, 200000), (100, 1000), (5, 8000000)):
            body = bytes(size)
            messages, received, status, _ = self.call(str(count).encode(), body)
            self.assertEqual((messages, status), (count, 0))
            self.assertGreaterEqual(received, count * size)

    def test_status_and_text(self):
        messages, _, status, text = self.call(b"fail", b"")
        self.assertEqual((messages, status), (0, 14))
        self.assertIn("not now: 100% busy", text)

    def test_unknown_service(self):
        with tempfile.NamedTemporaryFile() as file:
            answer = subprocess.run(
                [PROGRAM, "call", str(self.server.port), "/no.Such/Method", file.name],
                capture_output=True, text=True, check=True, timeout=SECONDS, env=environment())
        self.assertEqual(answer.stdout.split(" ")[2], "12")


class OurClientOfGrpcio(unittest.TestCase):
    """Methods of a server of grpcio, whose messages are bytes."""

    def setUp(self):
        if grpc is None:
            return

        def check(request, context):
            self.assertEqual(request, b"\x0a\x03one")
            return b"\x08\x02"

        def mirror(request, context):
            kept = tuple(m for m in context.invocation_metadata() if m[0].startswith("x-"))
            context.send_initial_metadata(kept)
            context.set_trailing_metadata(kept)
            return request

        def fail(request, context):
            context.abort(grpc.StatusCode.DATA_LOSS, "lost: \u00fc 100%\n")

        def pack(request, context):
            context.set_compression(grpc.Compression.Gzip)
            return request

        def hold(requests, context):
            for request in requests:
                yield request
            self.ended.wait(SECONDS)

        def ending_told(requests, context):
            context.add_callback(self.ended.set)
            return hold(requests, context)

        self.ended = threading.Event()
        handlers = {
            "Check": grpc.unary_unary_rpc_method_handler(check),
            "Mirror": grpc.unary_unary_rpc_method_handler(mirror),
            "Fail": grpc.unary_unary_rpc_method_handler(fail),
            "Packed": grpc.unary_unary_rpc_method_handler(pack),
            "Many": grpc.unary_stream_rpc_method_handler(
                lambda request, context: (request for _ in range(1000))),
            "Sum": grpc.stream_unary_rpc_method_handler(
                lambda requests, context: b"".join(requests)),
            "Echo": grpc.stream_stream_rpc_method_handler(lambda requests, context: requests),
            "Hold": grpc.stream_stream_rpc_method_handler(ending_told),
        }
        self.server = grpc.server(
            futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
        self.server.add_generic_rpc_handlers((
            grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers),))
        self.port = self.server.add_insecure_port(f"{HOST}:0")
        self.server.start()

    def tearDown(self):
        if grpc is not None:
            self.server.stop(None)

    def call(self, method, *messages, options=()):
        with tempfile.TemporaryDirectory() as folder:
            names = [os.path.join(folder, str(i)) for i in range(len(messages))]
            for name, message in zip(names, messages):
                with open(name, "wb") as file:
                    file.write(message)
            told = subprocess.run(
                [PROGRAM, "call", *options, str(self.port), HEALTH + method, *names],
                capture_output=True, text=True, check=True, timeout=SECONDS, env=environment())
        first, self.hex, self.trailers = (told.stdout.split("\n") + ["", ""])[:3]
        count, size, status, self.text = first.split(" ", 3)
        return int(count), int(size), int(status)

    @wants("grpcio")
    def test_health(self):
        self.assertEqual(self.call("Check", b"\x0a\x03one"), (1, 2, 0))
        self.assertEqual(self.hex, "0802")

    @wants("grpcio")
    def test_all_kinds_of_calls(self):
        large = bytes(range(256)) * 40000
        self.assertEqual(self.call("Mirror", large), (1, len(large), 0))
        self.assertEqual(self.call("Mirror", b""), (1, 0, 0))
        self.assertEqual(self.call("Many", bytes(5000)), (1000, 5000000, 0))
        self.assertEqual(self.call("Sum", large, b"a", b""), (1, len(large) + 1, 0))
        self.assertEqual(self.call("Echo", large, b"a", b"", large[:5000]),
                         (4, len(large) + 5001, 0))
        self.assertEqual(self.call("Echo"), (0, 0, 0))

    @wants("grpcio")
    def test_metadata(self):
        self.assertEqual(
            self.call("Mirror", b"", options=["-m", "x-text", "plain", "-m", "x-bytes-bin", "a%b"]),
            (1, 0, 0))
        self.assertEqual(self.trailers.split(), ["x-text=706c61696e", "x-bytes-bin=612562"])

    @wants("grpcio")
    def test_errors(self):
        self.assertEqual(self.call("Fail", b""), (0, 0, 15))
        self.assertIn("lost: \u00fc 100%", self.text)
        self.assertEqual(self.call("NoSuch", b""), (0, 0, 12))

    @wants("grpcio")
    def test_compressed_answer(self):
        self.assertEqual(self.call("Packed", bytes(10000)), (0, 0, 12))
        self.assertIn("identity", self.text)

    @wants("grpcio")
    def test_deadline(self):
        count, size, status = self.call("Hold", b"one", b"two", options=["-t", "500"])
        self.assertEqual((count, size, status), (2, 6, 4))
        self.assertTrue(self.ended.wait(SECONDS))

    @wants("grpcio")
    def test_cancel(self):
        self.assertEqual(self.call("Hold", b"one", b"two", options=["-c", "2"])[:2], (2, 6))
        self.assertTrue(self.ended.wait(SECONDS))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
