"""Peers of Flight in Java, Rust and for Node: their clients on our integration server, and ours on
their servers. Skipped where they are not there: FLETCH_FLIGHT_PEERS names their folder, which `make
interop` fills."""

import os
import sys
import unittest
from pathlib import Path

import peers

SERVER, CLIENT = [sys.argv.pop(1)], [sys.argv.pop(1)]
FOLDER = Path(os.environ.get("FLETCH_FLIGHT_PEERS", "/nowhere"))
JAVA = FOLDER / "java-flight"
PEERS = {
    "Java": ["java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-Xmx1g", "-cp",
             f"{JAVA / 'classes'}:{JAVA / 'jars'}/*", "FlightPeer"],
    "Node": ["node", FOLDER / "node" / "flight_peer.js", JAVA / "Flight.proto"],
    "Rust": [FOLDER / "rust" / "debug" / "flight-peer"],
}


class FlightPeersTest(unittest.TestCase):
    def test_their_clients(self):
        for name, command in PEERS.items():
            with self.subTest(name), peers.serving(SERVER) as port:
                self.assertEqual(peers.run([*command, "client"], port), "")

    def test_their_clients_at_once(self):
        """Each writes and reads under names of its own."""
        with peers.serving(SERVER) as port:
            running = [peers.start([*command, "client"], port) for command in PEERS.values()]
            for process in running:
                self.assertEqual(peers.answer(process), "")

    def test_their_servers(self):
        for name, command in PEERS.items():
            with self.subTest(name), peers.serving([*command, "server"]) as port:
                self.assertEqual(peers.run(CLIENT, port, "peer"), "")

    def test_that_they_can_fail(self):
        with peers.serving(SERVER, "ordered") as port:
            for name, command in PEERS.items():
                self.assertNotEqual(peers.run([*command, "client"], port), "", name)


if __name__ == "__main__":
    if not (FOLDER / "rust" / "debug" / "flight-peer").exists():
        peers.skip("the peers are not there (FLETCH_FLIGHT_PEERS; make interop)")
    unittest.main()
