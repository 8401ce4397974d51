"""Arrow's integration programs of Go: every scenario with their client on our server and with ours
on theirs, and over golden files the base case, of which their client looks at acknowledgements
alone: what a DoGet brings is compared here. Skipped where they are not there:
FLETCH_ARROW_GO_TOOLS names their folder, which `make interop` fills."""

import os
import sys
import tempfile
import unittest
from pathlib import Path

import peers

try:
    import pyarrow as pa
    from pyarrow import flight
except ImportError as missing:
    peers.skip(f"{missing}; scripts/install-python.sh installs it")

from interop import json_beside  # noqa: E402
from test_golden import golden_folders, load, testing_data  # noqa: E402

SERVER, OUR_CLIENT = [sys.argv.pop(1)], [sys.argv.pop(1)]
TOOLS = Path(os.environ.get("FLETCH_ARROW_GO_TOOLS", "/nowhere"))
CLIENT = [TOOLS / "arrow-flight-integration-client"]
THEIR_SERVER = [TOOLS / "arrow-flight-integration-server"]


def golden():
    """Files, ours and where they are Arrow's own, but those that arrow-go 18.8.0 panics at."""
    for folder in golden_folders(testing_data()):
        if folder.name in ("data", "cpp-21.0.0"):
            yield from (path for path in sorted(folder.glob("*.arrow_file"))
                        if not path.stem.startswith("layouts"))


class FlightGoTest(unittest.TestCase):
    def test_scenarios(self):
        for scenario in peers.SCENARIOS:
            with self.subTest(scenario), peers.serving(SERVER, scenario) as port:
                self.assertEqual(peers.run(CLIENT, port, scenario, "-host", "127.0.0.1"), "")

    def test_that_a_scenario_can_fail(self):
        with peers.serving(SERVER, "ordered") as port:
            self.assertNotEqual(peers.run(CLIENT, port, "poll_flight_info", "-host", "127.0.0.1"),
                                "")

    def test_our_client_on_their_scenarios(self):
        for scenario in peers.SCENARIOS:
            with self.subTest(scenario), peers.serving(THEIR_SERVER, scenario) as port:
                self.assertEqual(peers.run(OUR_CLIENT, port, scenario), "")

    def test_that_our_client_can_fail(self):
        with peers.serving(THEIR_SERVER, "ordered") as port:
            for scenario in peers.SCENARIOS:
                if scenario != "ordered":
                    self.assertNotEqual(peers.run(OUR_CLIENT, port, scenario), "", scenario)

    def test_our_client_on_their_base_case(self):
        """It compares what comes back with what it has sent."""
        with peers.serving(THEIR_SERVER) as port, peers.serving(SERVER) as own:
            for path in golden():
                with self.subTest(path.name):
                    self.assertEqual(peers.run(OUR_CLIENT, own, "", "-path", path), "")
                    self.assertEqual(peers.run(OUR_CLIENT, port, "", "-path", path), "")

    def compare(self, chunks, path):
        with pa.ipc.open_file(path) as reader:
            wanted = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        self.assertEqual(len(chunks), len(wanted))
        for i, (chunk, batch) in enumerate(zip(chunks, wanted)):
            self.assertEqual(chunk.app_metadata.to_pybytes(), str(i).encode())
            # Of a dictionary that grows, a file has the whole from its beginning.
            self.assertTrue(chunk.data.equals(batch) or
                            chunk.data.to_pylist() == batch.to_pylist(), f"batch {i}")

    def test_base_case(self):
        count = 0
        with peers.serving(SERVER) as port, tempfile.TemporaryDirectory() as folder:
            client = flight.connect(f"grpc://127.0.0.1:{port}")
            for path in golden():
                with self.subTest(path.name):
                    told = json_beside(path, load(path), Path(folder))
                    answer = peers.run(CLIENT, port, "", "-host", "127.0.0.1", "-path", told)
                    if "could not" in answer or "unimplemented" in answer:
                        print(f"{path.name}: Go cannot read its JSON: {answer[:300]}")
                        continue
                    self.assertEqual(answer, "")
                    self.compare(list(client.do_get(flight.Ticket(str(told)))), path)
                    count += 1
        print(f"{count} files")
        self.assertGreater(count, 4)


if __name__ == "__main__":
    if not CLIENT[0].exists():
        peers.skip("Go's programs are not there (FLETCH_ARROW_GO_TOOLS; make interop)")
    unittest.main()
