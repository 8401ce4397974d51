"""The proxy does what its faults say, and changes no byte."""

import hashlib
import socket
import threading
import time
import unittest

from fault_proxy import (CUT, DELAY, DRIP, HALF_OPEN, RESET, Fault, FaultProxy, random_faults)


class Echo:
    """Sends back what comes, on every connection."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                end, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(end,), daemon=True).start()

    @staticmethod
    def answer(end):
        try:
            while data := end.recv(65536):
                end.sendall(data)
            end.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        end.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def pattern(count):
    return hashlib.shake_128(b"proxy").digest(count)


def exchange(port, data):
    """What comes back of `data`, up to the end or the reset, and whether it was one."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as end:
        def send():
            try:
                end.sendall(data)
                end.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        came = b""
        try:
            while piece := end.recv(65536):
                came += piece
            was_reset = False
        except ConnectionResetError:
            was_reset = True
        thread.join(10)
        return came, was_reset


class FaultProxyTest(unittest.TestCase):
    def setUp(self):
        self.echo = Echo()
        self.addCleanup(self.echo.close)

    def through(self, *faults):
        proxy = FaultProxy(self.echo.port, lambda number: list(faults))
        self.addCleanup(proxy.close)
        return proxy

    def test_carries_everything_without_faults(self):
        data = pattern(3_000_000)
        self.assertEqual(exchange(self.through().port, data), (data, False))

    def test_delays_and_drips_change_nothing(self):
        data = pattern(300_000)
        proxy = self.through(Fault(DELAY, 10, True, 0.05), Fault(DRIP, 1000, True, 500),
                             Fault(DRIP, 0, False, 700), Fault(DELAY, 200_000, False, 0.05))
        self.assertEqual(exchange(proxy.port, data), (data, False))

    def test_cuts_at_the_byte(self):
        data = pattern(100_000)
        came, was_reset = exchange(self.through(Fault(CUT, 12_345, False)).port, data)
        self.assertEqual((came, was_reset), (data[:12_345], False))

    def test_resets(self):
        came, was_reset = exchange(self.through(Fault(RESET, 50, True)).port, pattern(100_000))
        self.assertTrue(was_reset)
        self.assertLessEqual(len(came), 50)

    def test_half_open_carries_nothing_and_tells_nobody(self):
        proxy = self.through(Fault(HALF_OPEN, 100, True))
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as end:
            end.sendall(pattern(200))
            end.settimeout(0.3)
            came = b""
            with self.assertRaises(TimeoutError):
                while True:
                    piece = end.recv(1000)
                    self.assertNotEqual(piece, b"")
                    came += piece
            self.assertLessEqual(len(came), 100)
            end.settimeout(10)
            proxy.end_all()
            self.assertEqual(end.recv(1000), b"")

    def test_one_seed_is_one_story(self):
        first, second = random_faults(7), random_faults(7)
        self.assertEqual([repr(first(n)) for n in range(10)], [repr(second(n)) for n in range(10)])
        self.assertNotEqual([repr(first(n)) for n in range(8)],
                            [repr(random_faults(8)(n)) for n in range(8)])
        self.assertEqual(first(8), [])

    def test_refuses_for_a_while(self):
        proxy = self.through()
        thread = threading.Thread(target=proxy.refuse, args=(0.3,))
        thread.start()
        time.sleep(0.05)
        self.assertEqual(exchange(proxy.port, b"x")[0], b"")
        thread.join()
        self.assertEqual(exchange(proxy.port, b"x")[0], b"x")


if __name__ == "__main__":
    unittest.main()
