"""A TCP proxy that mistreats what it carries, for tests of real processes: it stands between a
client and a server, and does to each connection what its faults say, at byte offsets that a seed
gives. It changes no byte: what TCP promises is kept until a connection ends."""

import random
import select
import socket
import struct
import threading
import time

PIECE = 65536

# What may happen to a connection when so many bytes have passed in one direction.
CUT = "cut"  # both ends are closed in order, in the middle of whatever it is
RESET = "reset"  # both ends get a reset
HALF_OPEN = "half open"  # nothing is carried any more in either direction, and nobody is told
DELAY = "delay"  # nothing is carried in this direction for `amount` seconds
DRIP = "drip"  # the next `amount` bytes are carried one by one
KINDS = (CUT, RESET, HALF_OPEN, DELAY, DRIP)


class Fault:
    """`kind` at byte `offset` of the direction `to_server`; `amount`: see the kinds."""

    def __init__(self, kind, offset, to_server=True, amount=0):
        self.kind, self.offset, self.to_server, self.amount = kind, offset, to_server, amount

    def __repr__(self):
        way = "to the server" if self.to_server else "to the client"
        return f"{self.kind} at byte {self.offset} {way} ({self.amount})"


def random_faults(seed, kinds=KINDS, within=1 << 20, mean=2):
    """A function from the number of a connection to its faults: the same for the same seed.
    Connections have `mean` faults on average; after 8 of them they have none, so that whoever
    dials again comes through at last."""

    def faults(number):
        draw = random.Random(f"{seed}/{number}")
        if number >= 8:
            return []
        found = []
        for _ in range(draw.randint(0, 2 * mean)):
            kind = draw.choice(kinds)
            amount = {DELAY: draw.uniform(0.001, 0.2), DRIP: draw.randint(1, 2000)}.get(kind, 0)
            found.append(Fault(kind, draw.randrange(within), draw.random() < 0.5, amount))
        return found

    return faults


class Ended(Exception):
    """The connection is over."""


class Connection:
    """Two sockets and a thread for each direction; who leaves last closes them."""

    def __init__(self, client, server, faults):
        self.sockets = (client, server)
        self.is_half_open = threading.Event()
        self.is_over = threading.Event()
        self.is_reset = False
        self.carrying = 2
        self.lock = threading.Lock()
        for sink, source, to_server in ((server, client, True), (client, server, False)):
            mine = sorted((fault for fault in faults if fault.to_server == to_server),
                          key=lambda fault: fault.offset)
            threading.Thread(target=self.run, args=(source, sink, mine), daemon=True).start()

    def run(self, source, sink, faults):
        try:
            self.carry(source, sink, faults)
        except (Ended, OSError):
            self.is_over.set()
        with self.lock:
            self.carrying -= 1
            if self.carrying == 0:
                self.is_over.set()
                self.close()

    def close(self):
        """An end that is closed with bytes unread sends a reset: it is read for a moment first."""
        if not self.is_reset:
            for end in self.sockets:
                try:
                    end.shutdown(socket.SHUT_WR)
                    end.settimeout(0.1)
                    for _ in range(64):
                        if not end.recv(PIECE):
                            break
                except OSError:
                    pass  # its peer was quicker, or goes on sending
        for end in self.sockets:
            end.close()

    def carry(self, source, sink, faults):
        passed = 0
        while True:
            room = faults[0].offset - passed if faults else PIECE
            if room <= 0:
                passed += self.commit(faults.pop(0), source, sink)
                continue
            data = self.receive(source, min(PIECE, room))
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            self.send(sink, data)
            passed += len(data)

    def receive(self, source, count):
        self.wait(source, select.POLLIN)
        return source.recv(count)

    def send(self, sink, data):
        while data:
            self.wait(sink, select.POLLOUT)
            data = data[sink.send(data):]

    def wait(self, end, what):
        """Until the socket is ready; a connection that is over ends here, and one that is half
        open stays here until then."""
        poll = select.poll()
        poll.register(end, what)
        while not poll.poll(20) or self.is_half_open.is_set():
            if self.is_over.is_set():
                raise Ended
            if self.is_half_open.is_set():
                self.is_over.wait()
        if self.is_over.is_set():
            raise Ended

    def commit(self, fault, source, sink):
        """Does what the fault says; how many bytes passed meanwhile."""
        if fault.kind in (CUT, RESET):
            self.end(reset=fault.kind == RESET)
            raise Ended
        if fault.kind == HALF_OPEN:
            self.is_half_open.set()
        elif fault.kind == DELAY:
            self.is_over.wait(fault.amount)
        return self.drip(fault.amount, source, sink) if fault.kind == DRIP else 0

    def drip(self, count, source, sink):
        for passed in range(count):
            data = self.receive(source, 1)
            if not data:
                return passed
            self.send(sink, data)
        return count

    def end(self, reset=False):
        with self.lock:
            if self.carrying != 0 and reset:
                self.is_reset = True
                for end in self.sockets:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.is_over.set()


class FaultProxy:
    """Listens on a port of its own, `port`, and carries to `host`:`target`. `faults`: from the
    number of a connection (0, 1, ...) to a list of Fault; none: carries as it is."""

    def __init__(self, target, faults=lambda number: [], host="127.0.0.1"):
        self.target, self.faults = (host, target), faults
        self.connections = []
        self.is_refusing = threading.Event()
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            try:
                if self.is_refusing.is_set():
                    raise ConnectionRefusedError
                server = socket.create_connection(self.target, timeout=10)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(
                Connection(client, server, self.faults(len(self.connections))))

    @property
    def count(self):
        """Connections so far."""
        return len(self.connections)

    def end_all(self, reset=False):
        """Ends all connections that are there now."""
        for connection in list(self.connections):
            connection.end(reset)

    def refuse(self, seconds):
        """Ends all connections, and refuses new ones for a while."""
        self.is_refusing.set()
        self.end_all()
        time.sleep(seconds)
        self.is_refusing.clear()

    def close(self):
        # A thread that waits in accept is woken by this, not by the close.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        self.end_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
