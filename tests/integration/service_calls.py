"""The shuffle service, used by stock clients of Flight (pyarrow): producers, consumers, infos and
actions that go well. Argument: the program service_peer."""

import base64
import json
import tempfile
import threading
import time
import unittest

from service_cases import SCHEMA, Case, flight, headers, main, pa, table


class Puts(Case):
    def test_rows_of_producers_come_to_their_partitions(self):
        report = self.create("plain", producers=2)
        self.assertEqual((report["state"], report["producers"], report["partitions"]),
                         ("OPEN", 2, 3))
        first, second = table(5000), table(3000, 5000)
        answer = self.put("plain", first)
        self.assertEqual(answer, {"producer": 0, "rows": 5000, "batches": 5, "verified": "off"})
        self.assertEqual(self.put("plain", second)["producer"], 1)
        parts = [self.get("plain", p) for p in range(3)]
        self.assertTrue(all(part.num_rows > 2000 for part in parts))
        self.assert_rows(pa.concat_tables(parts), pa.concat_tables([first, second]))
        keys = [set(part["k"].to_pylist()) for part in parts]
        self.assertFalse(keys[0] & keys[1] or keys[1] & keys[2])

    def test_a_get_waits_for_producers(self):
        self.create("early", producers=1, partitions=1)
        found = []
        reader = threading.Thread(
            target=lambda: found.append(self.get("early", 0,
                                                 client=flight.connect(self.server.location))))
        reader.start()
        time.sleep(0.2)
        rows = table(100)
        self.put("early", rows)
        reader.join(30)
        self.assert_rows(found[0], rows)

    def test_batches_that_are_put_to_a_partition_keep_their_borders(self):
        self.create("borders", producers=1)
        self.put("borders", table(2500), partition=1)
        reader = self.client.do_get(flight.Ticket(b"1@borders"))
        self.assertEqual([chunk.data.num_rows for chunk in reader], [1000, 1000, 500])
        self.assertEqual(self.get("borders", 0).num_rows, 0)
        self.assertEqual(self.get("borders", 0 + 2).schema, SCHEMA)

    def test_producers_may_say_who_they_are_and_what_they_bring(self):
        self.create("named", producers=2)
        answer = self.put("named", table(10), options=headers(producer=1, attempt=2, rows=10))
        self.assertEqual((answer["producer"], answer["verified"]), (1, "counts"))
        answer = self.put("named", table(0), options=headers(rows=0))
        self.assertEqual(answer["producer"], 0)
        self.assertEqual(self.get_all("named").num_rows, 10)
        self.assertEqual(self.act("report", name="named")[0]["statistics"]["producers_unverified"],
                         0)

    def test_an_open_set_ends_when_it_is_told_to(self):
        report = self.create("open", open=True, producer_limit=4, retention="until_close")
        self.assertTrue(report["open"])
        for i in range(3):
            self.put("open", table(100, 100 * i))
        with self.refused("DEADLINE_EXCEEDED"):
            self.get("open", 0, flight.FlightCallOptions(timeout=0.5))
        self.act("end", name="open")
        self.assertFalse(self.act("report", name="open")[0]["open"])
        with self.refused("sealed"):
            self.put("open", table(1))
        self.assert_rows(self.get_all("open"), table(300))

    def test_producers_that_never_come_can_be_ended(self):
        self.create("few", producers=3)
        self.put("few", table(50))
        self.act("end", name="few", producer=2)
        self.act("end", name="few")
        self.assert_rows(self.get_all("few"), table(50))

    def test_broadcast_and_round_robin(self):
        self.create("all", method="broadcast", keys=[], partitions=2)
        self.put("all", table(20))
        for p in range(2):
            self.assert_rows(self.get("all", p), table(20))
        self.create("turns", keys=[], partitions=2, producers=1)
        self.put("turns", table(20))
        self.assertEqual([self.get("turns", p).num_rows for p in range(2)], [10, 10])

    def test_small_budgets_hold_producers_back_and_lose_nothing(self):
        self.create("tight", producers=2, partitions=2, budget_bytes=2 << 20)
        rows = [table(60000, 60000 * i) for i in range(2)]
        putters = [threading.Thread(target=self.put, args=("tight", rows[i]),
                                    kwargs={"client": flight.connect(self.server.location)})
                   for i in range(2)]
        for putter in putters:
            putter.start()
        found = [None, None]

        def get(p):
            found[p] = self.get("tight", p, client=flight.connect(self.server.location))
        getters = [threading.Thread(target=get, args=(p,)) for p in range(2)]
        for getter in getters:
            getter.start()
        for thread in putters + getters:
            thread.join(60)
        self.assert_rows(pa.concat_tables(found), pa.concat_tables(rows))
        statistics = self.act("report", name="tight")[0]["statistics"]
        self.assertLessEqual(statistics["bytes_charged_peak"], 2 << 20)


class Dictionaries(Case):
    def test_each_client_gets_what_it_can_read(self):
        values = pa.array(["a", "b", None, "a"] * 10).dictionary_encode()
        rows = pa.table({"k": pa.array(range(40), pa.int64()), "text": values})
        self.create("words", rows.schema, producers=2)
        self.put("words", rows)
        other = rows.set_column(1, "text", pa.array(["x", "b"] * 20).dictionary_encode())
        self.put("words", other)
        found = self.get("words", 0)
        self.assertTrue(pa.types.is_dictionary(found.schema.field("text").type))
        plain = [self.get("words", p, headers(dictionaries="plain")) for p in (1, 2)]
        self.assertEqual(plain[0].schema.field("text").type, pa.string())
        texts = sorted(str(text) for part in [found, *plain]
                       for text in part["text"].to_pylist())
        self.assertEqual(texts, sorted(map(str, rows["text"].to_pylist() +
                                           other["text"].to_pylist())))

    def test_plain_rows_are_accepted_for_dictionaries(self):
        schema = pa.schema([("k", pa.int64()), ("text", pa.dictionary(pa.int32(), pa.string()))])
        self.create("mixed", schema, producers=1)
        self.put("mixed", table(30))
        self.assertEqual(sorted(self.get_all("mixed")["text"].to_pylist()),
                         sorted(table(30)["text"].to_pylist()))


class Retention(Case):
    def test_a_second_get(self):
        self.create("once", producers=1)
        self.create("again", producers=1, retention="until_close")
        for name in ("once", "again"):
            self.put(name, table(90))
            self.assertLess(0, self.get(name, 0).num_rows)
        with self.refused("CONSUMED: partition 0"):
            self.get("once", 0)
        self.assertEqual(self.get("again", 0), self.get("again", 0))
        endpoint = self.client.get_flight_info(
            flight.FlightDescriptor.for_path("once", "0")).endpoints[0]
        self.assertEqual(json.loads(endpoint.app_metadata), {"state": "CONSUMED"})


class Infos(Case):
    def test_one_endpoint_for_each_partition(self):
        self.create("told", producers=1, partitions=5)
        descriptor = flight.FlightDescriptor.for_path("told")
        info = self.client.get_flight_info(descriptor)
        self.assertEqual((len(info.endpoints), info.total_records, info.schema, info.descriptor),
                         (5, -1, SCHEMA, descriptor))
        self.put("told", table(700))
        info = self.client.get_flight_info(descriptor)
        self.assertEqual(info.total_records, 700)
        rows = pa.concat_tables([self.client.do_get(endpoint.ticket).read_all()
                                 for endpoint in info.endpoints])
        self.assert_rows(rows, table(700))
        self.assertEqual(self.client.get_schema(descriptor).schema, SCHEMA)
        one = self.client.get_flight_info(flight.FlightDescriptor.for_command(b"3@told"))
        self.assertEqual([endpoint.ticket.ticket for endpoint in one.endpoints], [b"3@told"])

    def test_lists_by_prefix(self):
        for name in ("a1", "a2", "b1"):
            self.create(name)
        def names(criteria):
            return sorted(info.descriptor.path[0].decode()
                          for info in self.client.list_flights(criteria))
        self.assertEqual(names(b""), ["a1", "a2", "b1"])
        self.assertEqual(names(b"a"), ["a1", "a2"])
        self.assertEqual(names(b"c"), [])
        self.assertEqual(sorted(report["name"] for report in self.act("report")),
                         ["a1", "a2", "b1"])

    def test_hundreds_of_shuffles_are_listed(self):
        for i in range(300):
            self.create(f"many {i}", partitions=16, budget_bytes=1 << 20)
        self.assertEqual(len(list(self.client.list_flights())), 300)
        self.assertEqual(len(self.act("report")), 300)

    def test_text_tickets_by_hash(self):
        report = self.create("hashed", producers=1, partitions=1)
        self.put("hashed", table(10))
        found = self.client.do_get(flight.Ticket(f"{report['hash']}:0".encode())).read_all()
        self.assert_rows(found, table(10))

    def test_names_of_any_bytes(self):
        schema = base64.b64encode(SCHEMA.serialize()).decode()
        name = b"\xff\x00@/"
        encoded = base64.b64encode(name).decode()
        self.act("create", name_base64=encoded, partitions=1, producers=1, schema=schema)
        descriptor = flight.FlightDescriptor.for_command(b"@" + name)
        writer, _ = self.client.do_put(descriptor, SCHEMA)
        writer.write_table(table(5))
        writer.close()
        info = self.client.get_flight_info(descriptor)
        self.assertEqual((info.descriptor.command, info.endpoints[0].ticket.ticket),
                         (b"@" + name, b"0@" + name))
        self.assert_rows(self.client.do_get(info.endpoints[0].ticket).read_all(), table(5))
        self.assertEqual(self.act("report", name_base64=encoded)[0]["name_base64"].rstrip("="),
                         encoded.rstrip("="))
        self.act("drop", name_base64=encoded)

    def test_actions_are_listed(self):
        kinds = [action.type for action in self.client.list_actions()]
        for kind in ("create", "end", "cancel", "drop", "report"):
            self.assertIn(kind, kinds)


class Creation(Case):
    WORDS = ("creation=1",)

    def test_a_first_put_may_register(self):
        options = headers(partitions=2, keys="k,text", producers=2)
        self.put("new", table(40), options=options)
        self.put("new", table(40, 40), options=options)
        self.assert_rows(self.get_all("new", 2), table(80))
        self.assertEqual(self.act("report", name="new")[0]["keys"], ["k", "text"])
        with self.refused("UNKNOWN"):
            self.put("other", table(1))


class Spilling(Case):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.WORDS = (f"spill={self.folder.name}", "budget=33554432")
        super().setUp()

    def tearDown(self):
        super().tearDown()
        self.folder.cleanup()

    def test_what_no_memory_has_room_for_waits_on_disk(self):
        rows = table(200000)
        self.create("large", producers=1, partitions=2, budget_bytes=4 << 20)
        self.put("large", rows, chunk=10000)
        self.assertLess(0, self.act("report", name="large")[0]["statistics"]["frames_spilled"])
        self.assert_rows(self.get_all("large", 2), rows)


if __name__ == "__main__":
    main()
