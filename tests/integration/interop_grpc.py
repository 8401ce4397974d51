"""gRPC with other implementations over TCP, both ways: gRPC C++ (as pyarrow's Flight brings it
along), grpcio where it is installed, and curl, which speaks HTTP/2 by nghttp2. Argument: the
program grpc_peer."""

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

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl(self):
        self.assertRegex(self.curl("--http2-prior-knowledge"), r"^HTTP/2 405")
        self.assertRegex(self.curl("--http2-prior-knowledge", "-X", "POST"), r"^HTTP/2 415")
        answer = self.curl("--http1.1")
        self.assertRegex(answer, r"^HTTP/1.1 505 ")
        self.assertIn("speaks HTTP/2 only", answer)
        self.assertRegex(self.curl("--http2"), r"^HTTP/1.1 505 ")  # asks for an upgrade


    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
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

    @unittest.skipIf(grpc is None, "grpcio is not installed")
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

    @unittest.skipIf(grpc is None, "grpcio is not installed")
    def test_calls_of_grpcio(self):
        messages = [bytes([i]) * (i * 5000) for i in range(100)]
        with grpc.insecure_channel(f"{HOST}:{self.port}") as channel:
            echo = channel.stream_stream(SERVICE + "DoExchange")
            self.assertEqual(list(echo(iter(messages), timeout=SECONDS)), messages)


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


@unittest.skipIf(grpc is None, "grpcio is not installed")
class OurClientOfGrpcio(unittest.TestCase):
    def test_health(self):
        def check(request, context):
            self.assertEqual(request, b"\x0a\x03one")
            return b"\x08\x02"

        handler = grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)})
        server = grpc.server(futures.ThreadPoolExecutor(1))
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port(f"{HOST}:0")
        server.start()
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\x0a\x03one")
            file.flush()
            answer = subprocess.run([PROGRAM, "call", str(port), HEALTH + "Check", file.name],
                                    capture_output=True, text=True, check=True, timeout=SECONDS,
                                    env=environment())
        server.stop(None)
        self.assertEqual(answer.stdout.split(), ["1", "2", "0", "0802"])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
