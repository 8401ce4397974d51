"""Records what clients of Flight say to our server, a file for each connection, for the fuzz target
of a whole server: pyarrow (Flight C++) and our own. Not a test: what it has recorded is in
corpus/flight_server, and is recorded again by

  build/venv/bin/python tests/fuzz/record_flight.py FLIGHT_PEER FLIGHT_CALLER FOLDER"""

import os
import socket
import subprocess
import sys
import threading

import pyarrow as pa
import pyarrow.flight as flight

# How the target is fed: hangs up at the end, takes and says what it can at once; or in pieces.
OPTIONS = (b"\x00\x00", b"\x10\x05", b"\x01\x0a", b"\x02\x00", b"\x03\x07")


class Recorder:
    """Listens, and passes what comes on to the server and back. What clients say is kept."""

    def __init__(self, port):
        self.port = port
        self.said = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.location = f"grpc://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listening.accept()
            server = socket.create_connection(("127.0.0.1", self.port))
            said = bytearray()
            self.said.append(said)
            for source, sink, kept in ((client, server, said), (server, client, None)):
                threading.Thread(target=self.relay, args=(source, sink, kept), daemon=True).start()

    @staticmethod
    def relay(source, sink, kept):
        try:
            while data := source.recv(65536):
                if kept is not None:
                    kept += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def batch(first):
    return pa.record_batch({"n": pa.array(range(first, first + 4), pa.int64()),
                            "text": pa.array([f"row {first}", None, "", "x"], pa.string()),
                            "word": pa.array(["a", "b", "a", None]).dictionary_encode()})


def put(client, name, options=None):
    descriptor = flight.FlightDescriptor.for_path(name)
    writer, reader = client.do_put(descriptor, batch(0).schema, options)
    for i in range(3):
        writer.write_with_metadata(batch(i), f"batch {i}".encode())
        reader.read()
    writer.done_writing()
    writer.close()


def get(client, name):
    client.do_get(flight.Ticket(name.encode())).read_all()


def exchange(client):
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(b"echo"))
    with writer:
        writer.begin(batch(0).schema)
        for i in range(3):
            writer.write_with_metadata(batch(i), b"m")
            reader.read_chunk()
        writer.done_writing()


def ask(client):
    descriptor = flight.FlightDescriptor.for_path("some")
    list(client.list_flights(b"so"))
    client.get_flight_info(descriptor)
    client.get_schema(descriptor)
    list(client.list_actions())
    list(client.do_action(flight.Action("echo", b"body")))
    try:
        get(client, "none")
    except pa.ArrowException:
        pass


def put_and_get(client):
    put(client, "some")
    get(client, "some")
    get(client, "some")


def put_compressed(client):
    for codec in ("lz4", "zstd"):
        put(client, codec, flight.FlightCallOptions(
            write_options=pa.ipc.IpcWriteOptions(compression=codec)))
        get(client, codec)


def put_and_ask(client):
    put(client, "some")
    ask(client)


def authenticate(client):
    try:
        client.authenticate_basic_token("arrow", "flight")
    except pa.ArrowException:
        pass


PYARROW = (put_and_get, put_compressed, exchange, put_and_ask, authenticate)
OURS = (("put", "some", "copy"), ("exchange", "some", "echo"), ("get", "some"), ("list",),
        ("info", "some"), ("schema", "some"), ("poll", "some"), ("actions",),
        ("action", "echo", "again"), ("cancel", "endless some"), ("handshake", "arrow", "flight"))


def environment():
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def main():
    peer, caller, folder = sys.argv[1:4]
    server = subprocess.Popen([peer, "serve"], stdout=subprocess.PIPE, text=True,
                              env=environment())
    recorder = Recorder(int(server.stdout.readline().rsplit(":", 1)[1]))
    names = []
    for session in PYARROW:
        with flight.connect(recorder.location) as client:
            session(client)
        names.append(f"client_pyarrow_{session.__name__}")
    for words in OURS:
        subprocess.run([caller, recorder.location, *words], check=True, env=environment(),
                       stdout=subprocess.DEVNULL)
        names.append(f"client_ours_{words[0]}")
    server.terminate()
    server.wait()
    if len(recorder.said) != len(names):
        sys.exit(f"{len(recorder.said)} connections, expected {len(names)}")
    for i, (name, said) in enumerate(zip(names, recorder.said)):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(OPTIONS[i % len(OPTIONS)] + said)
        print(f"{name}: {len(said)} bytes")


main()
