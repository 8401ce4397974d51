"""fletch serve: settings, life and death of the server."""

import json
import os
import signal
import socket
import stat
import sys
import threading
import time
import tomllib
import unittest

sys.dont_write_bytecode = True

from program import SYSTEM, USAGE, numbers, pa, run, start, write  # noqa: E402
from service import SECONDS, Service, ServiceTest  # noqa: E402
import pyarrow.flight as flight  # noqa: E402

SERVING, NOT_SERVING = 1, 2


def health(port, service=""):
    """What grpc.health.v1.Health/Check says: the number of its status."""
    import grpc
    name = service.encode()
    request = b"\x0a" + bytes([len(name)]) + name if name else b""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        answer = check(request, timeout=SECONDS)
    assert answer[:1] == b"\x08" and len(answer) == 2, answer
    return answer[1]


class SettingsTest(ServiceTest):
    def config(self, text):
        path = self.folder / "fletch.toml"
        path.write_text(text)
        return path

    def printed(self, *words):
        return tomllib.loads(self.succeeds("serve", *words, "--print-config").output)

    def test_defaults_are_printed(self):
        self.assertEqual(self.printed(), {
            "listen": "grpc://127.0.0.1:8815", "insecure": False, "memory": "1GiB",
            "shuffle-memory": 0, "compress-spill": "plain", "create": "action", "shuffles": 10000,
            "partitions": 4096, "producers": 1024, "connections": 10000, "calls": 1024,
            "message-limit": 2147483647, "loops": 0, "credit-timeout": 60, "stall-timeout": 60,
            "drain": 30, "log": "text"})

    def test_what_is_printed_is_read_back(self):
        words = ["--listen", "grpc+unix:///tmp/a \"b\"\\\u00fc\t", "--memory", "3MiB",
                 "--shuffle-memory", "1000001", "--insecure", "--drain", "0", "--log", "json",
                 "--spill-dir", self.folder, "--create", "put", "--ready-file", "a b",
                 "--public", "grpc://host:1", "--loops", "3", "--compress-spill", "zstd"]
        printed = self.succeeds("serve", *words, "--print-config").output
        path = self.config(printed)
        again = self.succeeds("serve", "--config", path, "--print-config").output
        self.assertEqual(again, printed)
        self.assertEqual(tomllib.loads(again)["listen"], words[1])
        self.assertEqual(tomllib.loads(again)["shuffle-memory"], 1000001)

    def test_flags_go_before_the_file(self):
        path = self.config('memory = "2GiB"\nshuffles = 5 # few\n"drain" = 7\nlog = \'json\'\n')
        read = self.printed("--drain", "8", "--config", path, "--shuffles=6")
        self.assertEqual([read[key] for key in ("memory", "shuffles", "drain", "log")],
                         ["2GiB", 6, 8, "json"])

    def test_bad_files_are_refused_by_line(self):
        for text, saying in {
                "memory = 1\nspil-dir = '/x'\n": (":2: ", "no setting 'spil-dir'", "spill-dir"),
                "[server]\nlisten = 'x'": (":1: ", "'server'"),
                "a.b = 1": (":1: ", "'a'"),
                "\n\nmemory = true\n": (":3: memory is true or false", "512MiB"),
                "memory = '5 cats'": (':1: memory is "5 cats"', "a number of bytes"),
                "drain = 1.5": ("drain is a number with a fraction", "a whole number"),
                "drain = -1": ("drain is -1", "a whole number"),
                "drain = '1'": ('drain is "1"', "a whole number"),
                "insecure = 'yes'": ('insecure is "yes"', "true or false"),
                "log = 1979-05-27": ("log is a date or a time", "text"),
                "listen = ['a']": ("listen is a list", "text"),
                "log = \"te\\u0000xt\"": ("log is", "text"),
                "drain = 1\ndrain = 2": (":2:", "drain"),
                "drain = ": (":1:9:", "value"),
                "drain = 99999999999999999999": (":1:", "99999999999999999999"),
                "\x01": (":1:1:",), "log = 'text": (":1:",),
                "log = 'xml'": ("log is 'xml'", "text or json"),
                "create = 'x'": ("create is 'x'", "action, put or off"),
                "compress-spill = 'gz'": ("'gz'", "plain, lz4 or zstd"),
                "memory = 5": ("memory is 5", "1048576"),
                "shuffle-memory = '2GiB'": ("shuffle-memory is 2147483648", "1073741824"),
                "shuffles = 0": ("shuffles is 0", "1 to"),
                "partitions = 65537": ("partitions is 65537", "65536"),
                "stall-timeout = 86401": ("stall-timeout is 86401", "86400"),
                "listen = ''": ("listen is empty",),
                "listen = 'grpc://0.0.0.0:1'": ("--insecure",)}.items():
            with self.subTest(text):
                self.fails(USAGE, "serve", "--config", self.config(text), saying=saying)

    def test_files_that_cannot_be_read(self):
        self.fails(SYSTEM, "serve", "--config", self.folder / "no", saying=("no", "No such file"))
        self.fails(SYSTEM, "serve", "--config", self.folder, saying=(self.folder, "cannot read"))
        path = self.config("# " + "x" * (1 << 20))
        self.fails(USAGE, "serve", "--config", path, saying="1048576 bytes")
        path.write_bytes(b"log = '\xff'")
        self.fails(USAGE, "serve", "--config", path, saying=":1:")

    def test_usage(self):
        for words, saying in {("x",): "'x'", ("--memory", "much"): "'much'",
                              ("--listen", "127.0.0.1:1"): "127.0.0.1:1",
                              ("--listen", "grpc://192.0.2.1:0"): "--insecure",
                              ("--listen", "grpc://[::]:0"): "--insecure",
                              ("--nothing",): "--nothing"}.items():
            self.fails(USAGE, "serve", *words, saying=saying)
        self.fails(SYSTEM, "serve", "--spill-dir", self.folder / "no", saying=("spill-dir", "no"))
        self.assertIn("--print-config", self.succeeds("serve", "--help").output)

    def test_loopback_needs_no_word(self):
        for listen in "grpc://localhost:0", "grpc://127.1.2.3:0", "grpc+tcp://127.0.0.1:0":
            self.assertEqual(self.serve(listen=listen).stop(), 0)

    def test_unix_socket(self):
        path = self.folder / "socket"
        service = self.serve(listen=f"grpc+unix://{path}")
        self.assertEqual(self.succeeds("ls", service.location).output.count("\n"), 1)
        self.assertEqual(service.stop(), 0)


class LifeTest(ServiceTest):
    def test_ready_file(self):
        path = self.folder / "ready"
        path.write_text("of one that was killed")
        service = self.serve("--ready-file", path)
        self.assertEqual(path.read_text(), service.location + "\n")
        self.assertEqual(os.listdir(self.folder), ["ready"])
        self.assertEqual(service.stop(), 0)
        self.assertEqual(os.listdir(self.folder), [])
        self.fails(SYSTEM, "serve", "--listen", "grpc://127.0.0.1:0", "--ready-file",
                   self.folder / "no" / "ready", saying="ready-file")

    def test_port_in_use(self):
        service = self.serve()
        self.fails(SYSTEM, "serve", "--listen", service.location, saying=(service.location,))
        result = run("serve", "--listen", service.location, "--log", "json")
        self.assertEqual(result.code, SYSTEM)
        said = json.loads(result.errors)
        self.assertEqual((said["level"], said["subject"]), ("error", service.location))

    def test_both_signals_end_it(self):
        for number in signal.SIGTERM, signal.SIGINT:
            service = self.serve("--log", "json")
            self.assertEqual(service.stop(number), 0)
            self.assertEqual([line["message"] for line in service.log()],
                             ["listening", "draining", "stopped"])

    def test_nobody_reads_its_outputs(self):
        process = start("serve", "--listen", "grpc://127.0.0.1:0", "--ready-file",
                        self.folder / "ready", stdout=None, stderr=None, close_fds=True,
                        preexec_fn=lambda: (os.close(1), os.close(2)))
        self.wait_until((self.folder / "ready").exists)
        location = (self.folder / "ready").read_text().strip()
        self.succeeds("put", location, "s", "--partitions", "2", "--by", "key",
                      write(self.folder / "a.arrow", numbers(10)))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(SECONDS), 0)

    def test_health(self):
        service = self.serve()
        self.assertEqual(health(service.port), SERVING)
        self.assertEqual(health(service.port, "arrow.flight.protocol.FlightService"), SERVING)

    def put_and_hang(self, service):
        """A put that has begun and does not end."""
        client = service.client()
        self.addCleanup(client.close)
        create(client, "hangs")
        writer, _ = client.do_put(flight.FlightDescriptor.for_path("hangs"), numbers(1).schema)
        writer.write_batch(numbers(100))
        service.wait_for("put begun")
        return writer

    def test_drain_waits_for_calls(self):
        service = self.serve("--drain", "50")
        writer = self.put_and_hang(service)
        service.process.send_signal(signal.SIGTERM)
        service.wait_for("draining")
        time.sleep(0.3)
        self.assertIsNone(service.process.poll())
        with self.assertRaises(flight.FlightError):
            list(service.client().list_flights())
        writer.write_batch(numbers(100, 100))
        writer.close()
        self.assertEqual(service.stop(None), 0)
        self.assertFalse(any("cut off" in line for line in service.lines), service.lines)
        self.assertIn("rows_put=200", service.lines[-1])

    def test_drain_has_a_deadline(self):
        service = self.serve("--drain", "1")
        writer = self.put_and_hang(service)
        began = time.monotonic()
        self.assertEqual(service.stop(), 0)
        self.assertGreater(time.monotonic() - began, 0.9)
        self.assertTrue(any("cut off" in line for line in service.lines), service.lines)
        with self.assertRaises((flight.FlightError, pa.ArrowException)):
            writer.close()

    def test_a_second_signal_does_not_wait(self):
        for first, second, code in ((signal.SIGTERM, signal.SIGINT, 130),
                                    (signal.SIGINT, signal.SIGTERM, 143)):
            service = self.serve("--drain", "1000", "--ready-file", self.folder / "ready")
            writer = self.put_and_hang(service)
            service.process.send_signal(first)
            service.wait_for("draining")
            self.assertEqual(service.stop(second), code)
            self.assertEqual(os.listdir(self.folder), [])
            with self.assertRaises((flight.FlightError, pa.ArrowException)):
                writer.close()

    def test_sigterm_under_load(self):
        """Whoever writes or reads meanwhile ends well or hears that it did not; then it is over."""
        service = self.serve("--drain", "2", "--log", "json")
        client = service.client()
        self.addCleanup(client.close)
        create(client, "busy", partitions=4, producers=4)
        outcomes = []

        def produce():
            try:
                writer, _ = client.do_put(flight.FlightDescriptor.for_path("busy"),
                                          numbers(1).schema)
                for i in range(100000):
                    writer.write_batch(numbers(1000, i * 1000))
                writer.close()
                outcomes.append("ended")
            except (flight.FlightError, pa.ArrowException):
                outcomes.append("cut")

        def consume(partition):
            try:
                for _ in client.do_get(flight.Ticket(f"{partition}@busy".encode())):
                    pass
                outcomes.append("ended")
            except (flight.FlightError, pa.ArrowException):
                outcomes.append("cut")

        threads = [threading.Thread(target=produce) for _ in range(4)]
        threads += [threading.Thread(target=consume, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        self.wait_until(lambda: sum(line["message"] == "get begun" for line in service.log()) == 4)
        self.assertEqual(service.stop(), 0)
        for thread in threads:
            thread.join(SECONDS)
            self.assertFalse(thread.is_alive())
        self.assertEqual(outcomes, ["cut"] * 8)
        last = service.log()[-1]
        self.assertEqual((last["message"], last["puts_lost"]), ("stopped", 4))

    def test_every_line_of_a_log_in_json_parses(self):
        service = self.serve("--log", "json")
        client = service.client()
        self.addCleanup(client.close)
        name = 'a "name"\n\u00fc'
        create(client, name, partitions=1)
        put(client, name, numbers(10))
        client.do_get(flight.Ticket(b"0@" + name.encode())).read_all()
        with self.assertRaisesRegex(pa.ArrowException, "UNKNOWN"):
            client.do_get(flight.Ticket(b"0@unknown")).read_all()
        client.close()
        self.assertEqual(service.stop(), 0)
        log = service.log()
        for line in log:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(line["level"], ("info", "warning", "error"))
        said = [line["message"] for line in log]
        for message in ("listening", "created", "put begun", "put ended", "get begun", "get ended",
                        "refused", "draining", "stopped"):
            self.assertIn(message, said)
        ended = log[said.index("put ended")]
        self.assertEqual((ended["rows"], ended["producer"]), (10, 0))
        self.assertIn("127.0.0.1", ended["peer"])


class MemoryTest(ServiceTest):
    def test_a_full_budget_holds_writers_back(self):
        """Without readers a put of far more than the budget waits, and is told when that is for
        too long; what it wrote is not in memory more than once."""
        service = self.serve("--memory", "4MiB", "--credit-timeout", "2", "--log", "json")
        client = service.client()
        self.addCleanup(client.close)
        create(client, "full", partitions=2)
        began = time.monotonic()
        with self.assertRaisesRegex((flight.FlightError, pa.ArrowException), "RESOURCE_EXHAUSTED"):
            put(client, "full", *[numbers(20000, i * 20000) for i in range(200)])
        self.assertGreater(time.monotonic() - began, 1.5)
        report = self.succeeds("stat", service.location, "full", "--json").json
        self.assertLessEqual(report["bytes_charged_peak"], report["budget_bytes"])

    def test_a_late_reader_lets_writers_go_on(self):
        service = self.serve("--memory", "4MiB")
        client = service.client()
        self.addCleanup(client.close)
        create(client, "late", partitions=1)
        batches = [numbers(20000, i * 20000) for i in range(20)]
        writing = threading.Thread(target=put, args=(client, "late", *batches))
        writing.start()
        self.wait_until(lambda: self.succeeds("stat", service.location, "late", "--json")
                        .json["producers_waiting"] > 0)
        self.assertIn("1 producer waits for a reader",
                      self.succeeds("stat", service.location, "late").output)
        table = client.do_get(flight.Ticket(b"0@late")).read_all()
        writing.join(SECONDS)
        self.assertFalse(writing.is_alive())
        self.assertEqual(table, pa.Table.from_batches(batches))

    def test_a_full_budget_spills(self):
        spill = self.folder / "spill"
        spill.mkdir()
        service = self.serve("--memory", "4MiB", "--spill-dir", spill)
        client = service.client()
        self.addCleanup(client.close)
        create(client, "spills", partitions=2)
        batches = [numbers(20000, i * 20000) for i in range(40)]
        put(client, "spills", *batches)
        report = self.succeeds("stat", service.location, "spills", "--json").json
        self.assertGreater(report["bytes_on_disk"], 1 << 20)
        self.assertEqual(report["rows_written"], 800000)
        out = self.folder / "all.arrows"
        self.succeeds("get", service.location, "spills", "--out", out)
        table = pa.ipc.open_stream(out.read_bytes()).read_all()
        self.assertEqual(table.sort_by("key"), pa.Table.from_batches(batches))
        self.assertEqual(service.stop(), 0)
        self.assertEqual(os.listdir(spill), [])


def create(client, name, **members):
    import base64
    body = {"name": name, "schema": base64.b64encode(numbers(1).schema.serialize()).decode(),
            "keys": ["key"], "partitions": 1, "producers": 1, **members}
    list(client.do_action(("create", json.dumps(body).encode())))


def put(client, name, *batches):
    writer, _ = client.do_put(flight.FlightDescriptor.for_path(name), batches[0].schema)
    for batch in batches:
        writer.write_batch(batch)
    writer.close()


if __name__ == "__main__":
    unittest.main()
