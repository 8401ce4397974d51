"""Arrow's integration programs of Go: their client on our server, every scenario and, over golden
JSON, the base case, of which theirs looks at acknowledgements alone: what a DoGet brings is compared
here. Skipped where they are not there: FLETCH_ARROW_GO_TOOLS names their folder, which `make
interop` fills."""

import gzip
import os
import sys
import tempfile
import unittest
from pathlib import Path

import peers

SERVER = [sys.argv.pop(1)]
TOOLS = Path(os.environ.get("FLETCH_ARROW_GO_TOOLS", "/nowhere"))
CLIENT = [TOOLS / "arrow-flight-integration-client"]
# What arrow-go 18.8.0 cannot read of a JSON.
LEFT_OUT = ("decimal32", "decimal64")


def golden():
    """Arrow's own JSON files beside the files that say the same."""
    from test_golden import golden_folders, testing_data
    for folder in golden_folders(testing_data()):
        for path in sorted(folder.glob("*.json.gz")):
            if path.name.partition(".")[0].partition("_")[2] not in LEFT_OUT:
                yield path


class FlightGoTest(unittest.TestCase):
    def test_scenarios(self):
        for scenario in peers.SCENARIOS:
            with self.subTest(scenario), peers.serving(SERVER, scenario) as port:
                self.assertEqual(peers.run(CLIENT, port, scenario, "-host", "127.0.0.1"), "")

    def test_that_a_scenario_can_fail(self):
        with peers.serving(SERVER, "ordered") as port:
            self.assertNotEqual(peers.run(CLIENT, port, "poll_flight_info", "-host", "127.0.0.1"),
                                "")

    def test_base_case(self):
        import pyarrow as pa
        from pyarrow import flight
        count = 0
        with peers.serving(SERVER) as port, tempfile.TemporaryDirectory() as folder:
            client = flight.connect(f"grpc://127.0.0.1:{port}")
            for packed in golden():
                told = Path(folder) / packed.stem
                told.write_bytes(gzip.decompress(packed.read_bytes()))
                with self.subTest(packed.name):
                    answer = peers.run(CLIENT, port, "", "-host", "127.0.0.1", "-path", told)
                    if "panic" in answer and "json" in answer.lower():
                        print(f"{packed.name}: the client cannot read it: {answer[:200]}")
                        continue
                    self.assertEqual(answer, "")
                    file = packed.with_name(packed.name.replace(".json.gz", ".arrow_file"))
                    with pa.ipc.open_file(file) as reader:
                        wanted = [reader.get_batch(i) for i in range(reader.num_record_batches)]
                    chunks = list(client.do_get(flight.Ticket(str(told))))
                    self.assertEqual(len(chunks), len(wanted))
                    for i, (chunk, batch) in enumerate(zip(chunks, wanted)):
                        self.assertEqual(chunk.app_metadata.to_pybytes(), str(i).encode())
                        self.assertTrue(chunk.data.equals(batch), f"batch {i}")
                    count += 1
        print(f"{count} files")
        self.assertGreater(count, 20)


if __name__ == "__main__":
    if not CLIENT[0].exists():
        peers.skip("Go's programs are not there (FLETCH_ARROW_GO_TOOLS; make interop)")
    unittest.main()
