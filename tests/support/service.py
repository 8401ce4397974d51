"""Runs `fletch serve` for tests."""

import json
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True

from program import ProgramTest, start  # noqa: E402
import pyarrow.flight as flight  # noqa: E402

SECONDS = 60  # the most that anything here may take, with sanitizers on a busy machine


class Service:
    """A server on a port of its own. Its log is read as it comes."""

    def __init__(self, *words, listen="grpc://127.0.0.1:0"):
        self.process = start("serve", "--listen", listen, *words)
        self.lines, self.reader = [], threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        said = self.process.stdout.readline().decode()
        if not said.startswith("listening on "):
            self.process.wait(SECONDS)
            self.reader.join(SECONDS)
            raise AssertionError(f"said {said!r}, and {self.lines}")
        self.location = said.split()[-1]

    def read_log(self):
        for line in self.process.stderr:
            self.lines.append(line.decode().rstrip("\n"))

    @property
    def port(self):
        return int(self.location.rsplit(":", 1)[1])

    def client(self):
        return flight.connect(self.location)

    def log(self):
        """The lines so far, of a log in JSON."""
        return [json.loads(line) for line in self.lines]

    def wait_for(self, said, seconds=SECONDS):
        """Until a line of the log has this in it."""
        deadline = time.monotonic() + seconds
        while not any(said in line for line in self.lines):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"{said!r} was not said: {self.lines}")
            time.sleep(0.01)

    def stop(self, number=signal.SIGTERM):
        """Its exit code. None: it has its signal, and ends by itself."""
        if number is not None and self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self.reader.join(SECONDS)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


class ServiceTest(ProgramTest):
    def serve(self, *words, **options):
        service = Service(*words, **options)
        self.addCleanup(self.end, service)
        return service

    def end(self, service):
        if service.process.poll() is None:
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            if service.process.poll() is None:
                service.process.send_signal(signal.SIGTERM)
            service.stop()
        if not service.process.stdout.closed:
            service.stop()

    def wait_until(self, condition, seconds=SECONDS):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it did not come to that")
            time.sleep(0.02)
