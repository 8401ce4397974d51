"""What the tests of the shuffle service in Python share: a server in a process of its own, clients
of Flight C++ (pyarrow), and tables whose rows can be accounted for."""

import base64
import faulthandler
import json
import os
import subprocess
import sys
import unittest

SKIPPED = 77

try:
    import pyarrow as pa
    import pyarrow.flight as flight
except ImportError as missing:
    print(f"skipped: {missing}; scripts/install-python.sh installs it")
    sys.exit(SKIPPED)

SECONDS = int(os.environ.get("S12", "60"))
SCHEMA = pa.schema([("k", pa.int64()), ("text", pa.string())])


def environment():
    """The program is linked with its own sanitizer runtime: none is to be loaded before it."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def table(rows, first=0):
    numbers = range(first, first + rows)
    return pa.table([pa.array(numbers, pa.int64()), pa.array([f"row {i}" for i in numbers])],
                    schema=SCHEMA)


def headers(**named):
    return flight.FlightCallOptions(
        headers=[(f"fletch-{name.replace('_', '-')}".encode(), str(value).encode())
                 for name, value in named.items()])


class Server:
    program = ""

    def __init__(self, *words):
        self.process = subprocess.Popen([Server.program, *words], stdout=subprocess.PIPE,
                                        text=True, env=environment())
        self.location = self.process.stdout.readline().strip()
        self.counters = None

    def end(self):
        """Drains it; it says by its status whether all memory has come back."""
        self.process.terminate()
        lines = self.process.stdout.read().splitlines()
        status = self.process.wait(SECONDS)
        self.process.stdout.close()
        if lines:
            self.counters = json.loads(lines[-1])
        return status


class Case(unittest.TestCase):
    WORDS = ()

    def setUp(self):
        self.server = Server(*self.WORDS)
        self.client = flight.connect(self.server.location)

    def tearDown(self):
        self.client.close()
        self.assertEqual(self.server.end(), 0)

    def act(self, kind, body=None, **members):
        """The answers of an action, whose body is JSON."""
        data = json.dumps(members).encode() if body is None else body
        return [json.loads(result.body.to_pybytes())
                for result in self.client.do_action(flight.Action(kind, data))]

    def create(self, name, schema=SCHEMA, **members):
        members = {"partitions": 3, "keys": ["k"]} | members
        return self.act("create", name=name,
                        schema=base64.b64encode(schema.serialize()).decode(), **members)[0]

    def put(self, name, rows, *, partition=None, options=None, client=None, chunk=1000):
        """Puts a table, and returns the last answer."""
        path = [name] if partition is None else [name, str(partition)]
        writer, reader = (client or self.client).do_put(
            flight.FlightDescriptor.for_path(*path), rows.schema, options)
        with writer:
            writer.write_table(rows, max_chunksize=chunk)
            writer.done_writing()
            answer = None
            while (data := reader.read()) is not None:
                answer = json.loads(data.to_pybytes())
        return answer

    def get(self, name, partition, options=None, client=None):
        ticket = flight.Ticket(f"{partition}@{name}".encode())
        return (client or self.client).do_get(ticket, options).read_all()

    def get_all(self, name, partitions=3, client=None):
        return pa.concat_tables([self.get(name, p, client=client) for p in range(partitions)])

    def assert_rows(self, found, expected):
        self.assertEqual(found.sort_by("k"), expected.combine_chunks().sort_by("k"))

    def refused(self, pattern):
        """The text of a refusal has the name of the answer first, behind what pyarrow says."""
        return self.assertRaisesRegex((pa.ArrowException, NotImplementedError),
                                      r"^([\w ]+: |[\w ]+, with message: )?" + f"({pattern})")


def main():
    # What hangs says where.
    faulthandler.dump_traceback_later(2 * SECONDS, exit=True)
    Server.program = sys.argv.pop(1)
    unittest.main()
