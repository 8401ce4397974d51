"""fletch put, get, ls, stat and rm against fletch serve, and against what pyarrow sees of it."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True

from program import (DONE, INPUT, INTERRUPTED, SYSTEM, USAGE, numbers, pa, read, run,  # noqa: E402
                     start, write)
from service import SECONDS, ServiceTest  # noqa: E402
import pyarrow.flight as flight  # noqa: E402


def rows_of(stream):
    return pa.ipc.open_stream(io.BytesIO(stream)).read_all()


class CommandsTest(ServiceTest):
    def setUp(self):
        super().setUp()
        self.service = self.serve("--memory", "64MiB")
        self.location = self.service.location

    def input(self, name, *batches):
        return write(self.folder / name, list(batches))

    def stat(self, name):
        return self.succeeds("stat", self.location, name, "--json").json

    def put(self, name, *words, **options):
        return self.succeeds("put", self.location, name, *words, **options)

    def get(self, name, *words):
        return rows_of(self.succeeds("get", self.location, name, *words).bytes)

    def test_all_rows_come_back(self):
        """The rows of several inputs, in the partitions that `fletch where` names."""
        batches = [numbers(5000, i * 5000) for i in range(4)]
        one, two = self.input("a.arrow", *batches[:3]), self.folder / "b.arrows"
        write(two, batches[3:], "stream")
        result = self.put("s", "--partitions", "4", "--by", "key", one, two)
        self.assertEqual(result.output, "20,000 rows in 4 batches put\n")
        parts = self.folder / "parts"
        result = self.succeeds("get", self.location, "s", "--parts", parts)
        self.assertRegex(result.output, r"^20,000 rows in \d+ batches of 4 partitions got")
        tables = [read(parts / f"part-0000{i}.arrow") for i in range(4)]
        self.assertEqual(pa.concat_tables(tables).sort_by("key"), pa.Table.from_batches(batches))
        for number, table in enumerate(tables):
            self.assertGreater(table.num_rows, 3000)
            keys = table["key"].to_pylist()
            self.assertEqual(keys, sorted(keys))  # one producer: its order
            said = self.succeeds("where", "--types", "int64", "--partitions", "4", "--json",
                                 keys[0]).output
            self.assertIn(f'"partition":{number}', said)
        self.succeeds("verify", one, two, "--", parts)

    def test_pyarrow_gets_what_was_put(self):
        batch = numbers(1000)
        self.put("s", "--partitions", "3", "--by", "key", self.input("a.arrow", batch))
        client = self.service.client()
        self.addCleanup(client.close)
        info = client.get_flight_info(flight.FlightDescriptor.for_path("s"))
        tables = [client.do_get(endpoint.ticket).read_all() for endpoint in info.endpoints]
        self.assertEqual(len(tables), 3)
        self.assertEqual(pa.concat_tables(tables).sort_by("key"), pa.Table.from_batches([batch]))

    def test_what_pyarrow_puts_is_got(self):
        client = self.service.client()
        self.addCleanup(client.close)
        self.put("s", "--partitions", "2", "--by", "key", "--producers", "2",
                 self.input("a.arrow", numbers(100)))
        writer, _ = client.do_put(flight.FlightDescriptor.for_path("s"), numbers(1).schema)
        writer.write_batch(numbers(100, 100))
        writer.close()
        self.assertEqual(self.get("s").sort_by("key"), pa.Table.from_batches([numbers(200)]))

    def test_standard_input_and_output(self):
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, numbers(1).schema) as writer:
            writer.write(numbers(70))
        result = self.put("s", "--partitions", "1", "--round-robin", "--json", "-",
                          given=sink.getvalue())
        self.assertEqual(result.json, {"rows": 70, "batches": 1, "verified": False})
        result = self.succeeds("get", self.location, "s", "--partition", "0", "--json")
        self.assertEqual(rows_of(result.bytes), pa.Table.from_batches([numbers(70)]))
        self.assertEqual(json.loads(result.errors)["rows"], 70)

    def test_checked_rows_are_verified(self):
        path = self.input("a.arrow", numbers(300), numbers(200, 300))
        result = self.put("s", "--partitions", "2", "--by", "key", "--check", path)
        self.assertEqual(result.output, "500 rows in 2 batches put, verified\n")
        self.assertEqual(self.stat("s")["producers_unverified"], 0)
        self.put("t", "--partitions", "2", "--by", "key", path)
        self.assertEqual(self.stat("t")["producers_unverified"], 1)
        for name, unverified in ("s", 0), ("t", 2):
            result = self.succeeds("get", self.location, name, "--out", self.folder / name,
                                   "--json").json
            self.assertEqual((result["rows"], result["partitions_unverified"]), (500, unverified))

    def test_partitions_by_number(self):
        self.put("s", "--partitions", "8", "--by", "key", "--retention", "until_close",
                 self.input("a.arrow", numbers(800)))
        rows = [self.get("s", "--partition", str(i)).num_rows for i in range(8)]
        self.assertEqual(sum(rows), 800)
        self.assertEqual(self.get("s", "--partition", "7,2-4,0").num_rows,
                         rows[7] + sum(rows[2:5]) + rows[0])
        self.assertEqual(self.get("s", "--streams", "2").num_rows, 800)
        for words in "8", "1,1", "3-1", "x", "", "1,", "0-8", "-1":
            self.fails(USAGE, "get", self.location, "s", f"--partition={words}",
                       saying=("up to 7", "2,4-7"))

    def test_partitions_without_rows(self):
        """Schema and end of a partition come close together, or apart, between any two looks."""
        self.put("s", "--partitions", "400", "--by", "key", "--retention", "until_close",
                 self.input("a.arrow", numbers(200)))
        for streams in 2, 3, 5, 7, 400:
            self.assertEqual(self.get("s", "--streams", str(streams)).num_rows, 200)

    def test_rows_to_one_partition_as_they_are(self):
        self.put("s", "--partitions", "3", "--by", "key", "--partition", "1",
                 self.input("a.arrow", numbers(100)))
        partitions = self.stat("s")["partition"]
        self.assertEqual([partition["rows"] for partition in partitions], [0, 100, 0])
        self.assertEqual([partition["state"] for partition in partitions],
                         ["EMPTY", "COMPLETE", "EMPTY"])
        out = self.folder / "parts"
        self.succeeds("get", self.location, "s", "--parts", out)
        self.assertEqual(read(out / "part-00000.arrow").schema, numbers(1).schema)
        self.assertEqual(read(out / "part-00001.arrow"), pa.Table.from_batches([numbers(100)]))

    def test_producers_by_number(self):
        path = self.input("a.arrow", numbers(10))
        self.put("s", "--partitions", "1", "--by", "key", "--producers", "2", "--producer", "1",
                 path)
        self.fails(SYSTEM, "put", self.location, "s", "--producer", "1", path,
                   saying="ALREADY_EXISTS")
        self.assertEqual(self.stat("s")["state"], "OPEN")
        self.put("s", "--producer", "0", "--attempt", "3", path)
        self.assertEqual(self.stat("s")["state"], "COMPLETE")
        self.fails(SYSTEM, "put", self.location, "s", path, saying="s")
        self.assertEqual(self.get("s").num_rows, 20)

    def test_several_may_make_the_shuffle(self):
        path = self.input("a.arrow", numbers(10))
        words = ["put", self.location, "s", "--partitions", "2", "--by", "key", "--producers", "8",
                 path]
        processes = [start(*words) for _ in range(8)]
        for process in processes:
            _, errors = process.communicate(timeout=SECONDS)
            self.assertEqual(process.returncode, DONE, errors)
        self.assertEqual(self.get("s").num_rows, 80)
        self.fails(SYSTEM, "put", self.location, "s", "--partitions", "3", "--by", "key", path,
                   saying=("2 partitions", "expected 3"))

    def test_an_open_set_ends_when_it_is_said(self):
        path = self.input("a.arrow", numbers(10))
        for _ in range(3):
            self.put("s", "--partitions", "2", "--by", "key", "--open", path)
        self.assertEqual(self.stat("s")["state"], "OPEN")
        getting = start("get", self.location, "s", "--out", self.folder / "out.arrow")
        self.put("s", path, "--end")
        getting.communicate(timeout=SECONDS)
        self.assertEqual(getting.returncode, DONE)
        self.assertEqual(read(self.folder / "out.arrow").num_rows, 40)
        self.fails(SYSTEM, "put", self.location, "s", path, saying=self.location)
        self.put("t", "--partitions", "1", "--by", "key", "--open", path)
        self.put("t", "--end")
        self.assertEqual(self.stat("t")["state"], "COMPLETE")

    def test_get_waits_for_producers_of_far_more_than_the_budget(self):
        """All partitions are read at the same time: a budget without a spill directory is enough,
        although a producer waits as soon as one of them is not read."""
        service = self.serve("--memory", "4MiB")
        path = self.input("a.arrow", *[numbers(20000, i * 20000) for i in range(20)])
        putting = start("put", service.location, "s", "--partitions", "16", "--by", "key", path)
        self.wait_until(lambda: "s" in self.succeeds("ls", service.location).output)
        parts = self.folder / "parts"
        self.succeeds("get", service.location, "s", "--parts", parts)
        _, errors = putting.communicate(timeout=SECONDS)
        self.assertEqual(putting.returncode, DONE, errors)
        self.succeeds("verify", path, "--", parts)

    def test_a_put_that_fails_is_lost_to_readers(self):
        # More than a client holds back, so that the service has heard of the put when it fails.
        good = self.input("a.arrow", *[numbers(100000, i * 100000) for i in range(8)])
        bad = self.folder / "b.arrow"
        write(bad, pa.record_batch({"other": pa.array([1])}))
        self.fails(INPUT, "put", self.location, "s", "--partitions", "1", "--by", "key", good, bad,
                   saying=("b.arrow", "not the schema"))
        self.fails(SYSTEM, "get", self.location, "s", "--out", self.folder / "out.arrow",
                   saying=(f"{self.location}: partition 0", "PRODUCER_LOST"))
        self.assertEqual(sorted(os.listdir(self.folder)), ["a.arrow", "b.arrow"])
        self.fails(SYSTEM, "get", self.location, "s", "--parts", self.folder / "parts",
                   saying="PRODUCER_LOST")
        self.assertFalse((self.folder / "parts").exists())
        self.assertIn("LOST", self.stat("s")["state"])

    def test_a_killed_producer_is_lost(self):
        self.put("s", "--partitions", "1", "--by", "key", "--producers", "2",
                 self.input("a.arrow", numbers(10)))
        process = start("put", self.location, "s", "-", stdin=subprocess.PIPE)
        with pa.ipc.new_stream(process.stdin, numbers(1).schema) as writer:
            writer.write(numbers(5))
            process.stdin.flush()
            self.wait_until(lambda: self.stat("s")["producers_open"] == 1)
            process.kill()
            process.wait(SECONDS)
            self.wait_until(lambda: self.stat("s")["state"].startswith("LOST"))
        process.communicate(timeout=SECONDS)

    def test_an_interrupted_get_leaves_nothing(self):
        path = self.input("a.arrow", numbers(10))
        for name, words in {"s": ["--parts", self.folder / "parts"],
                            "t": ["--out", self.folder / "out.arrow"]}.items():
            self.put(name, "--partitions", "2", "--by", "key", "--producers", "2", path)
            process = start("get", self.location, name, *words)
            self.wait_until(lambda: self.stat(name)["readers_open"] == 2)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=SECONDS)
            self.assertEqual(process.returncode, INTERRUPTED)
            self.assertEqual(os.listdir(self.folder), ["a.arrow"])

    def test_ls(self):
        self.assertEqual(self.succeeds("ls", self.location, "--json").output, "")
        path = self.input("a.arrow", numbers(1234))
        self.put("second", "--partitions", "2", "--by", "key", path)
        self.put("0x00ff", "--partitions", "1", "--round-robin", "--producers", "3", path)
        head, first, second = self.succeeds("ls", self.location).output.splitlines()
        self.assertRegex(head, r"^state +partitions +producers +rows .* shuffle$")
        self.assertRegex(first, r"^OPEN +1 +1/3 +1,234 +0 .* 0x00ff$")
        self.assertRegex(second, r"^COMPLETE +2 +1/1 +1,234 +0 .* second$")
        lines = [json.loads(line) for line in
                 self.succeeds("ls", self.location, "--json").output.splitlines()]
        self.assertEqual([line["name"] for line in lines], ["0x00ff", "second"])
        self.assertEqual(lines[1]["keys"], ["key"])
        self.assertEqual((lines[0]["rows_written"], lines[0]["producers"]), (1234, 3))
        self.assertEqual(self.get("0x00ff", "--partition", "0", "--timeout", "30").num_rows
                         if self.put("0x00ff", path) and self.put("0x00ff", path) else 0, 3702)

    def test_stat_tells_who_waits(self):
        self.put("s", "--partitions", "2", "--by", "key", "--producers", "2",
                 self.input("a.arrow", numbers(1000)))
        said = self.succeeds("stat", self.location, "s").output
        self.assertIn("partitions   2 by hash of key\n", said)
        self.assertIn("producers    1 of 2 have ended", said)
        self.assertRegex(said, r"\n +1 +PRODUCING +\d+ +0 .* waits for a reader\n")
        self.assertIn("2 partitions wait for a reader", said)
        getting = start("get", self.location, "s", "--partition", "1")
        self.wait_until(lambda: self.stat("s")["readers_waiting"] == 1)
        said = self.succeeds("stat", self.location, "s").output
        self.assertIn("1 partition waits for a reader, 1 reader waits for producers", said)
        self.assertIn("its reader waits for producers\n", said)
        self.put("s", self.input("b.arrow", numbers(10)))
        output, errors = getting.communicate(timeout=SECONDS)
        self.assertEqual(getting.returncode, DONE, errors)
        report = self.stat("s")
        self.assertEqual(report["partition"][1]["rows_read"], rows_of(output).num_rows)
        self.assertEqual(report["partition"][1]["state"], "CONSUMED")
        self.assertEqual(sum(part["rows"] for part in report["partition"]), 1010)

    def test_rm(self):
        path = self.input("a.arrow", numbers(10))
        for name in "abc":
            self.put(name, "--partitions", "1", "--by", "key", path)
        said = self.succeeds("rm", self.location, "a", "b").output
        self.assertEqual(said, "dropped a\ndropped b\n")
        self.fails(SYSTEM, "stat", self.location, "a", saying=("UNKNOWN", "a"))
        self.fails(SYSTEM, "get", self.location, "a", "--partition", "0", saying="UNKNOWN")
        self.fails(SYSTEM, "put", self.location, "a", path, saying="UNKNOWN")
        self.fails(SYSTEM, "rm", self.location, "a", saying="UNKNOWN")
        self.succeeds("rm", self.location, "--cancel", "--reason", "no more of it", "c")
        self.assertIn("CANCELLED: no more of it", self.stat("c")["state"])
        self.assertRegex(self.succeeds("ls", self.location).output,
                         r"\nCANCELLED .* c \(no more of it\)\n")
        self.fails(SYSTEM, "get", self.location, "c", "--partition", "0",
                   saying=("CANCELLED", "no more of it"))
        self.succeeds("rm", self.location, "c")
        self.assertEqual(self.succeeds("ls", self.location, "--json").output, "")

    def test_rm_wakes_those_who_wait(self):
        self.put("s", "--partitions", "1", "--by", "key", "--producers", "2",
                 self.input("a.arrow", numbers(10)))
        for words in (["--cancel", "--reason", "enough"], []):
            getting = start("get", self.location, "s", "--out", self.folder / "out.arrow")
            if words:
                self.wait_until(lambda: self.stat("s")["readers_open"] == 1)
            self.succeeds("rm", self.location, "s", *words)
            _, errors = getting.communicate(timeout=SECONDS)
            self.assertEqual(getting.returncode, SYSTEM)
            self.assertRegex(errors.decode(), "CANCELLED|UNKNOWN")

    def test_outputs_are_not_written_over(self):
        path = self.input("a.arrow", numbers(10))
        self.put("s", "--partitions", "1", "--by", "key", "--retention", "until_close", path)
        self.fails(USAGE, "get", self.location, "s", "--out", path, saying="--replace")
        self.succeeds("get", self.location, "s", "--out", path, "--replace", "--compress", "zstd")
        self.assertEqual(read(path).num_rows, 10)
        self.succeeds("get", self.location, "s", "--parts", self.folder / "p")
        self.fails(USAGE, "get", self.location, "s", "--parts", self.folder / "p",
                   saying="--replace")
        self.succeeds("get", self.location, "s", "--parts", self.folder / "p", "--replace")

    def test_a_partition_is_read_once(self):
        self.put("s", "--partitions", "1", "--by", "key", self.input("a.arrow", numbers(10)))
        self.assertEqual(self.get("s").num_rows, 10)
        self.fails(SYSTEM, "get", self.location, "s", "--out", self.folder / "x",
                   saying=("partition 0", "CONSUMED"))

    def test_a_deadline(self):
        self.put("s", "--partitions", "1", "--by", "key", "--producers", "2",
                 self.input("a.arrow", numbers(10)))
        self.fails(SYSTEM, "get", self.location, "s", "--partition", "0", "--timeout", "1",
                   "--out", self.folder / "out.arrow", saying=("partition 0", "DEADLINE_EXCEEDED"))

    def test_nobody_there(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            location = f"grpc://127.0.0.1:{unused.getsockname()[1]}"
            path = self.input("a.arrow", numbers(1))
            for words in (["ls"], ["stat", "s"], ["rm", "s"], ["top"], ["get", "s", "--parts", "p"],
                          ["put", "s", path], ["put", "s", "--partitions", "1", "--by", "key",
                                               path]):
                self.fails(SYSTEM, words[0], location, *words[1:], saying=(location,))

    def test_what_is_not_there(self):
        path = self.input("a.arrow", numbers(1))
        self.fails(SYSTEM, "put", self.location, "s", path, saying="UNKNOWN")
        self.fails(USAGE, "put", self.location, "s", "--partitions", "1", "--by", "no", path,
                   saying=("no column 'no'", "key, text, real"))
        self.fails(SYSTEM, "put", self.location, "s", self.folder / "no", saying="no")
        self.put("s", "--partitions", "2", "--by", "key", path)
        result = run("put", self.location, "s", "--partition", "2", path)
        self.assertIn(result.code, (INPUT, SYSTEM))
        self.assertIn("OUT_OF_RANGE", result.errors)

    def test_usage(self):
        for words, saying in {
                ("put",): "a SHUFFLE", ("put", "X"): "a SHUFFLE", ("put", "X", "s"): "no INPUT",
                ("put", "X", "s", "--by", "key", "a"): "--by is of --partitions",
                ("put", "X", "s", "--open", "a"): "--open is of --partitions",
                ("put", "X", "s", "--partitions", "2", "a"): "--by COLS or --round-robin",
                ("put", "X", "s", "--partitions", "2", "--by", "k", "--round-robin", "a"):
                    "--by COLS or --round-robin",
                ("put", "X", "s", "--partitions", "65537", "--by", "k", "a"): "65537",
                ("put", "X", "s", "--partition", "x", "a"): "--partition is 'x'",
                ("put", "X", "s", "--producer", "65536", "a"): "--producer is '65536'",
                ("put", "X", "s", "--attempt", "1", "a"): "--attempt is of --producer",
                ("put", "X", "s", "--check", "-"): "reads inputs twice",
                ("put", "X", "s", "-", "-"): "standard input",
                ("put", "X", "0x0", "a"): "0x0", ("put", "X", "", "a"): "0 bytes",
                ("put", "X", "s" * 256, "a"): "256 bytes",
                ("get", "X"): "a SHUFFLE", ("get", "X", "s", "t"): "a SHUFFLE",
                ("get", "X", "s", "--out", "a", "--parts", "b"): "do not go together",
                ("get", "X", "s", "--parts", "b", "--partition", "1"): "--parts",
                ("get", "X", "s", "--replace"): "--replace is of",
                ("get", "X", "s", "--streams", "0"): "--streams is 0",
                ("ls",): "one LOCATION", ("ls", "X", "a"): "one LOCATION",
                ("ls", "X", "--timeout", "5000000000"): "5000000000",
                ("stat", "X"): "a SHUFFLE", ("stat", "X", "0xg"): "0xg", ("rm", "X"): "a SHUFFLE",
                ("rm", "X", "s", "--reason", "x"): "--reason is of --cancel",
                ("top",): "one LOCATION", ("top", "X", "--interval", "99"): "100 to"}.items():
            words = [self.location if word == "X" else word for word in words]
            self.fails(USAGE, *words, saying=(saying,))
        result = run("ls", "localhost:1")
        self.assertIn(result.code, (USAGE, INPUT), result.errors)
        self.assertIn("localhost:1", result.errors)
        for command in "put", "get", "ls", "stat", "rm", "top":
            self.assertIn("LOCATION", self.succeeds(command, "--help").output)


if __name__ == "__main__":
    unittest.main()
