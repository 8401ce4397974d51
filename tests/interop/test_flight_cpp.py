"""Arrow Flight C++ as a client of our integration server, and our own client: every scenario, and
what is beside the base case; and as a server of our client, of what pyarrow's servers have not.
Skipped where pyarrow, whose wheel it is in, was not there when this was built."""

import os
import sys
import unittest

import peers

SERVER, OUR_CLIENT = [sys.argv.pop(1)], [sys.argv.pop(1)]
CLIENT = [os.environ["FLETCH_FLIGHT_CLIENT_CPP"]]
THEIR_SERVER = [os.environ["FLETCH_FLIGHT_SERVER_CPP"]]


class FlightCppTest(unittest.TestCase):
    def test_scenarios(self):
        for scenario in [*peers.SCENARIOS, "do_exchange:echo"]:
            with self.subTest(scenario), peers.serving(SERVER, scenario) as port:
                self.assertEqual(peers.run(CLIENT, port, scenario), "")

    def test_base_case_and_beside_it(self):
        with peers.serving(SERVER) as port:
            self.assertEqual(peers.run(CLIENT, port, "peer"), "")

    def test_our_own_client(self):
        for scenario in [*peers.SCENARIOS, "do_exchange:echo"]:
            with self.subTest(scenario), peers.serving(SERVER, scenario) as port:
                self.assertEqual(peers.run(OUR_CLIENT, port, scenario), "")
        with peers.serving(SERVER) as port:
            self.assertEqual(peers.run(OUR_CLIENT, port, "peer"), "")

    def test_our_client_at_their_server(self):
        with peers.serving(THEIR_SERVER) as port:
            for scenario in ("poll_flight_info", "app_metadata_flight_info_endpoint",
                             "location:reuse_connection"):
                with self.subTest(scenario):
                    self.assertEqual(peers.run(OUR_CLIENT, port, scenario), "")
            self.assertNotEqual(peers.run(OUR_CLIENT, port, "ordered"), "")

    def test_that_a_scenario_can_fail(self):
        with peers.serving(SERVER, "middleware") as port:
            for scenario in peers.SCENARIOS:
                if scenario != "middleware":
                    self.assertNotEqual(peers.run(CLIENT, port, scenario), "", scenario)


if __name__ == "__main__":
    if CLIENT == ["none"]:
        peers.skip("there was no pyarrow to build its client from (scripts/install-python.sh)")
    unittest.main()
