"""One shuffle whose producers and consumers are programs of Go, Node and Python at the same time,
none of which knows this library: all rows are accounted for. Skipped where the peers are not there:
FLETCH_ARROW_GO_TOOLS and FLETCH_FLIGHT_PEERS name their folders, which `make interop` fills.
Argument: the program service_peer."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from service_cases import SECONDS, SKIPPED, Case, flight, main, pa, table

GO = Path(os.environ.get("FLETCH_ARROW_GO_TOOLS", "/nowhere")) / "shuffle-peer"
FOLDER = Path(os.environ.get("FLETCH_FLIGHT_PEERS", "/nowhere"))
NODE = ["node", FOLDER / "node" / "shuffle_peer.js", FOLDER / "java-flight" / "Flight.proto"]
PEERS = {"Go": [GO], "Node": NODE}
ROWS = 20000


def start(command, *words):
    return subprocess.Popen([*map(str, command), *map(str, words)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def answer(process):
    said, wrong = process.communicate(timeout=SECONDS)
    if process.returncode != 0:
        raise AssertionError(f"{process.args[0]} ended with {process.returncode}: {wrong[-2000:]}")
    return said


class PeersTest(Case):
    def setUp(self):
        super().setUp()
        self.address = self.server.location.partition("//")[2]

    def start(self, peer, what, *words):
        return start(PEERS[peer], what, self.address, *words)

    def counted(self, partition, found):
        rows = self.get("shared", partition, client=flight.connect(self.server.location))
        found.append({"rows": rows.num_rows, "sum": sum(rows["k"].to_pylist())})

    def test_producers_and_consumers_at_once(self):
        for order in (["Go", "Node", None], [None, "Go", "Node"]):
            self.create("shared", producers=3, partitions=3, budget_bytes=4 << 20)
            found = []
            consumers = [self.start(peer, "get", "shared", p) for p, peer in enumerate(order)
                         if peer is not None]
            own = threading.Thread(target=self.counted, args=(order.index(None), found))
            own.start()
            producers = [self.start("Go", "put", "shared", 0, ROWS),
                         self.start("Node", "put", "shared", ROWS, ROWS)]
            self.put("shared", table(ROWS, 2 * ROWS))
            for process in producers:
                answer(process)
            found += [json.loads(answer(process)) for process in consumers]
            own.join(SECONDS)
            self.assertEqual(len(found), 3)
            self.assertTrue(all(part["rows"] > ROWS // 2 for part in found))
            self.assertEqual(sum(part["rows"] for part in found), 3 * ROWS)
            self.assertEqual(sum(part["sum"] for part in found), sum(range(3 * ROWS)))
            self.act("drop", name="shared")

    def test_dictionaries_of_several_producers_reach_strict_readers(self):
        texts = [pa.array(words * (ROWS // 2)).dictionary_encode()
                 for words in (["a", "b"], ["c", "a"])]
        tables = [pa.table({"k": pa.array(range(i * ROWS, (i + 1) * ROWS), pa.int64()),
                            "text": text}) for i, text in enumerate(texts)]
        self.create("words", tables[0].schema, producers=2, partitions=2)
        for rows in tables:
            self.put("words", rows)
        found = [json.loads(answer(self.start(peer, "get", "words", p)))
                 for p, peer in enumerate(PEERS)]
        self.assertEqual(sum(part["rows"] for part in found), 2 * ROWS)
        self.assertEqual(sum(part["sum"] for part in found), sum(range(2 * ROWS)))

    def test_that_they_hear_what_is_wrong(self):
        self.create("other", pa.schema([("k", pa.string())]), producers=1, partitions=1)
        for peer in PEERS:
            for what, words, said in (("put", ("none", 0, 1), "UNKNOWN"),
                                      ("put", ("other", 0, 1), "INVALID_ARGUMENT"),
                                      ("get", ("none", 0), "UNKNOWN"),
                                      ("get", ("other", 7), "OUT_OF_RANGE")):
                process = self.start(peer, what, *words)
                _, wrong = process.communicate(timeout=SECONDS)
                self.assertNotEqual(process.returncode, 0)
                self.assertIn(said, wrong)


if __name__ == "__main__":
    if not (GO.exists() and NODE[1].exists()):
        print("skipped: the peers are not there (FLETCH_ARROW_GO_TOOLS, FLETCH_FLIGHT_PEERS)")
        sys.exit(SKIPPED)
    main()
