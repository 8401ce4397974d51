"""The example of a Flight server over the partition store, with pyarrow as its client.
Argument: the program."""

import concurrent.futures
import signal
import struct
import subprocess
import sys
import unittest

import peers

try:
    import pyarrow as pa
    from pyarrow import flight
except ImportError as missing:
    peers.skip(f"{missing}; scripts/install-python.sh installs it")

PROGRAM = sys.argv.pop(1)


def key(shuffle, partition):
    return struct.pack("QII", shuffle, partition, 0)


def batches(count, rows):
    return [pa.record_batch({"n": pa.array(range(i * rows, (i + 1) * rows)),
                             "s": pa.array([f"row {i}"] * rows).dictionary_encode()})
            for i in range(count)]


class FlightStoreTest(unittest.TestCase):
    def setUp(self):
        self.process = subprocess.Popen([PROGRAM], stdout=subprocess.PIPE, text=True)
        self.location = self.process.stdout.readline().strip()
        self.client = flight.connect(self.location)

    def tearDown(self):
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(60), 0)
        self.process.stdout.close()

    def put(self, shuffle, partition, data, schema=None):
        descriptor = flight.FlightDescriptor.for_command(key(shuffle, partition))
        writer, _ = self.client.do_put(descriptor, schema or data[0].schema)
        with writer:
            for batch in data:
                writer.write_batch(batch)
            writer.done_writing()

    def get(self, shuffle, partition):
        return self.client.do_get(flight.Ticket(key(shuffle, partition))).read_all()

    def listed(self):
        return {struct.unpack("QII", info.endpoints[0].ticket.ticket)[:2]
                for info in self.client.list_flights()}

    def test_put_list_get_drop(self):
        first, second = batches(5, 1000), batches(1, 7)
        self.put(1, 0, first)
        self.put(1, 7, second)
        self.put(2, 0, [], first[0].schema)
        self.assertEqual(self.listed(), {(1, 0), (1, 7), (2, 0)})
        self.assertTrue(self.get(1, 0).equals(pa.Table.from_batches(first)))
        self.assertTrue(self.get(1, 7).equals(pa.Table.from_batches(second)))
        self.assertEqual(self.get(2, 0).num_rows, 0)
        list(self.client.do_action(flight.Action("drop", key(1, 0))))
        self.assertEqual(self.listed(), {(2, 0)})
        with self.assertRaisesRegex(KeyError, "NOT_FOUND"):
            self.get(1, 0)

    def test_many_readers(self):
        data = batches(20, 50000)
        self.put(3, 1, data)
        whole = pa.Table.from_batches(data)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for table in pool.map(lambda _: self.get(3, 1), range(24)):
                self.assertTrue(table.equals(whole))

    def test_who_reads_what_is_dropped_reads_on(self):
        data = batches(40, 50000)
        self.put(4, 0, data)
        reader = self.client.do_get(flight.Ticket(key(4, 0)))
        first = reader.read_chunk().data
        list(self.client.do_action(flight.Action("drop", key(4, 0))))
        self.assertEqual(self.listed(), set())
        self.assertTrue(first.equals(data[0]))
        # What had not been looked up yet is gone; what was, is whole.
        for batch, wanted in zip(reader, data[1:]):
            self.assertTrue(batch.data.equals(wanted))

    def test_refusals(self):
        self.put(5, 0, batches(2, 10))
        with self.assertRaisesRegex(pa.ArrowException, "ALREADY_EXISTS"):
            self.put(5, 0, batches(3, 10))
        self.assertTrue(self.get(5, 0).equals(pa.Table.from_batches(batches(2, 10))))
        with self.assertRaisesRegex(pa.ArrowException, "16 bytes"):
            self.client.do_get(flight.Ticket(b"short"))
        with self.assertRaisesRegex((NotImplementedError, pa.ArrowException), "UNIMPLEMENTED"):
            list(self.client.do_action(flight.Action("unknown", b"")))

    def test_a_put_that_breaks_off_leaves_nothing(self):
        descriptor = flight.FlightDescriptor.for_command(key(6, 0))
        other = flight.connect(self.location)
        writer, reader = other.do_put(descriptor, batches(1, 10)[0].schema)
        writer.write_batch(batches(1, 10)[0])
        reader, writer = None, None  # which cancels the call
        other.close()
        for _ in range(100):
            try:
                self.put(6, 0, batches(1, 10))
                break
            except pa.ArrowException:
                pass
        self.assertEqual(self.get(6, 0).num_rows, 10)


if __name__ == "__main__":
    unittest.main()
