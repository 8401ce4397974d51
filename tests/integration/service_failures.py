"""The shuffle service, when things go wrong: bad requests of each kind, clients that are killed, stop
reading or break off, cancels, limits and deadlines. Argument: the program service_peer."""

import base64
import json
import multiprocessing
import os
import signal
import threading
import time
import unittest

from service_cases import SCHEMA, SECONDS, Case, flight, headers, main, pa, table

PATIENCE = 20


def wait_until(is_so):
    until = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > until:
            raise AssertionError("it did not happen in time")
        time.sleep(0.01)


class BadRequests(Case):
    """Each is refused by name, and leaves the server as it was."""

    def refuse_action(self, pattern, kind, body=None, **members):
        with self.refused(pattern):
            self.act(kind, body, **members)

    def test_bodies(self):
        schema = base64.b64encode(SCHEMA.serialize()).decode()
        for body, pattern in [
                (b"{", "no JSON at byte"), (b"[]", "an object was expected"),
                (b'{"name": "x"} 1', "no JSON"), (b'{"name": "x", "name": "y"}', "duplicate"),
                (b'{"name": 7}', "'name' was expected to be a string"),
                (b'{"nome": "x"}', "no member 'nome'"), (b'\xff', "no JSON"), (b"", "a 'name' was"),
                (b'{"name": "x"}', "a 'schema' was expected"),
                (b'{"name": "x", "schema": "%"}', "no base64"),
                (b'{"name": "x", "schema": "AAAA"}', "no IPC message"),
                (b'{"name": "x", "name_base64": "eA=="}', "one too many"),
                (b'{"name_base64": "%"}', "no base64"), (b'{"name": ""}', "a name of 0 bytes"),
                (b'{"name": "' + b"n" * 256 + b'"}', "a name of 256 bytes"),
                (b"[" * 5000, "no JSON")]:
            self.refuse_action(f"INVALID_ARGUMENT: .*{pattern}", "create", body)
        for members, pattern in [
                ({"partitions": -1}, "not negative"), ({"partitions": 0}, "partition_count"),
                ({"partitions": 1.5}, "not negative"), ({"partitions": 1 << 40}, "expected 0 to"),
                ({"keys": "k"}, "an array of strings"), ({"keys": ["nokey"]}, "'nokey'"),
                ({"keys": [1]}, "an array of strings"), ({"method": "magic"}, "'magic' is not"),
                ({"retention": "ever"}, "'ever'"), ({"sums": "some"}, "'some'"),
                ({"open": 1}, "true or false"), ({"open": True, "producers": 2}, "open set")]:
            members = {"name": "x", "schema": schema, "partitions": 2, "keys": ["k"]} | members
            self.refuse_action(f"INVALID_ARGUMENT: .*{pattern}", "create", **members)
        self.assertEqual(self.act("report"), [])

    def test_what_is_not_there(self):
        self.create("here", producers=1)
        for kind in ("end", "cancel", "drop", "report"):
            self.refuse_action("UNKNOWN: no shuffle 'x'", kind, name="x")
        self.refuse_action("UNIMPLEMENTED: .*'dance'", "dance")
        self.refuse_action("ALREADY_EXISTS: .*'here'", "create",
                           name="here", partitions=1,
                           schema=base64.b64encode(SCHEMA.serialize()).decode())
        for ticket, pattern in [
                (b"0@x", "UNKNOWN"), (b"3@here", "OUT_OF_RANGE: .*it has 3"),
                (b"@here", "INVALID_ARGUMENT: a partition was expected"),
                (b"here", "INVALID_ARGUMENT: 'here' names no shuffle"), (b"", "INVALID_ARGUMENT: '' names no"),
                (b"0@", "INVALID_ARGUMENT: .*names no"), (b"-1@here", "INVALID_ARGUMENT: .*names no"),
                (b"0@" + b"n" * 256, "INVALID_ARGUMENT: .*names no shuffle"),
                (b"12345:0", "UNKNOWN: no shuffle has the hash 12345")]:
            with self.refused(pattern):
                self.client.do_get(flight.Ticket(ticket)).read_all()
        for path in ([], ["here", "x"], ["here", "3"], ["here", "1", "2"], ["x"]):
            with self.refused("INVALID_ARGUMENT|OUT_OF_RANGE|UNKNOWN"):
                self.client.get_flight_info(flight.FlightDescriptor.for_path(*path))

    def test_puts(self):
        self.create("typed", producers=2)
        for schema, field in [(pa.schema([("k", pa.int32()), ("text", pa.string())]), "k"),
                              (pa.schema([("k", pa.int64()), ("note", pa.string())]), "text"),
                              (pa.schema([("k", pa.int64())]), "1 columns")]:
            with self.refused(f"INVALID_ARGUMENT: .*'typed'.*{field}"):
                self.put("typed", schema.empty_table())
        for options, pattern in [
                (headers(producer=2), "OUT_OF_RANGE: producer is 2"),
                (headers(producer="one"), "INVALID_ARGUMENT: header fletch-producer is 'one'"),
                (headers(producer=1 << 40), "OUT_OF_RANGE"),
                (headers(attempt=-1), "INVALID_ARGUMENT: header fletch-attempt"),
                (headers(rows="many"), "INVALID_ARGUMENT: header fletch-rows")]:
            with self.refused(pattern):
                self.put("typed", table(1), options=options)
        with self.refused("OUT_OF_RANGE: partition 9"):
            self.put("typed", table(1), partition=9)
        self.put("typed", table(10), options=headers(producer=0, attempt=1))
        with self.refused("ALREADY_EXISTS: producer 0 .*attempt 1"):
            self.put("typed", table(10), options=headers(producer=0, attempt=1))
        self.put("typed", table(10, 10))
        with self.refused("ALREADY_EXISTS: each producer"):
            self.put("typed", table(10))
        self.assert_rows(self.get_all("typed"), table(20))

    def test_rows_that_are_not_what_was_said(self):
        self.create("lied", producers=1)
        with self.refused("DATA_LOSS: producer 0 .*said 11 rows, 10 came"):
            self.put("lied", table(10), options=headers(rows=11))
        with self.refused("PRODUCER_LOST: .*DATA_LOSS"):
            self.get("lied", 0)


class Limits(Case):
    WORDS = ("shuffles=2", "partitions=8", "producers=4", "shuffle_bytes=8388608")

    def test_each(self):
        with self.refused("RESOURCE_EXHAUSTED: partitions: 9, .* 8"):
            self.create("x", partitions=9)
        with self.refused("RESOURCE_EXHAUSTED: producers: 5, .* 4"):
            self.create("x", producers=5)
        with self.refused("RESOURCE_EXHAUSTED: producer_limit: 5, .* 4"):
            self.create("x", open=True, producer_limit=5)
        with self.refused("RESOURCE_EXHAUSTED: budget_bytes: 9000000, .* 8388608"):
            self.create("x", budget_bytes=9000000)
        self.create("a")
        self.create("b")
        with self.refused("RESOURCE_EXHAUSTED: shuffles: 3, .* 2"):
            self.create("c")
        self.act("drop", name="a")
        self.create("c")


class Closed(Case):
    WORDS = ("creation=2",)

    def test_nobody_registers(self):
        with self.refused("PERMISSION_DENIED"):
            self.create("x")


def put_until_killed(location, name, ready):
    client = flight.connect(location)
    writer, _ = client.do_put(flight.FlightDescriptor.for_path(name), SCHEMA)
    writer.write_table(table(1000))
    ready.set()
    while True:
        writer.write_table(table(1))
        time.sleep(0.01)


class Clients(Case):
    WORDS = ("credit_ms=400", "stall_ms=700", "budget=67108864")

    def test_a_putting_client_is_killed(self):
        self.create("killed", producers=2, partitions=1)
        processes = multiprocessing.get_context("spawn")
        ready = processes.Event()
        child = processes.Process(target=put_until_killed,
                                  args=(self.server.location, "killed", ready))
        child.start()
        self.assertTrue(ready.wait(SECONDS))
        reader = self.client.do_get(flight.Ticket(b"0@killed"))
        self.assertLess(0, reader.read_chunk().data.num_rows)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        with self.refused("PRODUCER_LOST: .*producer 0"):
            while True:
                reader.read_chunk()
        with self.refused("PRODUCER_LOST"):
            self.put("killed", table(1), options=headers(producer=1))

    def test_a_client_that_stops_reading_holds_back_nobody(self):
        self.create("deaf", producers=1, partitions=2, budget_bytes=8 << 20)
        rows = table(400000)
        stalled = self.client.do_get(flight.Ticket(b"0@deaf"))
        found = []
        other = threading.Thread(target=lambda: found.append(
            self.get("lively", 0, client=flight.connect(self.server.location))))
        self.create("lively", producers=1, partitions=1)
        other.start()
        putter = threading.Thread(target=self.lose, args=("deaf", rows))
        putter.start()
        wait_until(lambda: self.act("report", name="deaf")[0]["statistics"]["credit_waits"] > 0 or
                   self.act("report", name="deaf")[0]["state"] != "OPEN")
        self.put("lively", table(50000), client=flight.connect(self.server.location))
        other.join(PATIENCE)
        self.assert_rows(found[0], table(50000))
        putter.join(PATIENCE)
        self.assertFalse(putter.is_alive())
        with self.assertRaises(flight.FlightError):
            while True:
                stalled.read_chunk()

    def lose(self, name, rows):
        with self.refused("RESOURCE_EXHAUSTED|PRODUCER_LOST"):
            self.put(name, rows, client=flight.connect(self.server.location), chunk=10000)

    def test_a_put_that_finds_no_credit_in_time(self):
        self.create("full", producers=1, partitions=2, budget_bytes=2 << 20)
        began = time.monotonic()
        with self.refused("RESOURCE_EXHAUSTED: "):
            self.put("full", table(200000), chunk=10000)
        self.assertLess(time.monotonic() - began, PATIENCE)
        with self.refused("PRODUCER_LOST: .*RESOURCE_EXHAUSTED"):
            self.get("full", 0)

    def test_a_get_that_broke_off(self):
        self.create("broken", producers=1, partitions=2)
        early = self.client.do_get(flight.Ticket(b"1@broken"))
        early.cancel()
        wait_until(lambda: not self.act("report", name="broken")[0]["partition"][1]["reader"])
        self.put("broken", table(20000))
        reader = self.client.do_get(flight.Ticket(b"0@broken"))
        reader.read_chunk()
        reader.cancel()
        wait_until(lambda: not self.act("report", name="broken")[0]["partition"][0]["reader"])
        with self.refused("CONSUMED"):
            self.get("broken", 0)
        self.assertLess(0, self.get("broken", 1).num_rows)

    def test_two_gets_of_one_partition_at_a_time(self):
        self.create("two", producers=1, partitions=1)
        first = self.client.do_get(flight.Ticket(b"0@two"))
        with self.refused("ALREADY_EXISTS: partition 0 .*has a reader"):
            self.get("two", 0)
        self.put("two", table(10))
        self.assert_rows(first.read_all(), table(10))

    def test_everybody_hears_of_a_cancel_and_of_a_drop(self):
        for kind, pattern in (("cancel", "CANCELLED: .*enough"), ("drop", "CANCELLED: .*closed")):
            self.create(kind, producers=2, partitions=1)
            reader = self.client.do_get(flight.Ticket(f"0@{kind}".encode()))
            writer, _ = self.client.do_put(flight.FlightDescriptor.for_path(kind), SCHEMA)
            writer.write_table(table(10))
            wait_until(lambda: self.act("report", name=kind)[0]["statistics"]["rows_written"] > 0)
            self.act(kind, name=kind, **({"reason": "enough"} if kind == "cancel" else {}))
            with self.refused(pattern):
                while True: # read_all takes this status for a signal
                    reader.read_chunk()
            with self.refused(pattern):
                for _ in range(1000):
                    writer.write_table(table(10))
                    time.sleep(0.005)
                writer.close()
        self.act("cancel", name="cancel", reason="again")
        self.assertIn("enough", self.act("report", name="cancel")[0]["state"])
        with self.refused("UNKNOWN"):
            self.get("drop", 0)

    def test_deadlines_tell_how_far_producers_are(self):
        self.create("late", producers=2, partitions=1, retention="until_close")
        self.put("late", table(10))
        for _ in range(2):
            with self.refused("DEADLINE_EXCEEDED: .*1 of 2 producers have ended"):
                self.get("late", 0, flight.FlightCallOptions(timeout=0.6))


class Draining(unittest.TestCase):
    def test_calls_that_run_may_end_and_the_rest_is_cut_off(self):
        from service_cases import Server
        server = Server()
        client = flight.connect(server.location)
        schema = base64.b64encode(SCHEMA.serialize()).decode()
        body = {"name": "x", "schema": schema, "partitions": 1, "producers": 1}
        list(client.do_action(flight.Action("create", json.dumps(body).encode())))
        writer, reader = client.do_put(flight.FlightDescriptor.for_path("x"), SCHEMA)
        writer.write_table(table(10))
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        writer.write_table(table(10, 10))
        writer.done_writing()
        while reader.read() is not None:
            pass
        writer.close()
        client.close()
        self.assertEqual(server.end(), 0)
        self.assertEqual((server.counters["rows_put"], server.counters["puts_lost"]), (20, 0))


if __name__ == "__main__":
    main()
