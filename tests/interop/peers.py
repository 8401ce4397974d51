"""Servers and clients of the integration tests of Flight, each a program with the flags of Arrow's
own ones: -port, -host, -scenario, -path."""

import contextlib
import signal
import subprocess
import sys

SKIPPED = 77
SCENARIOS = ["app_metadata_flight_info_endpoint", "auth:basic_proto",
             "expiration_time:cancel_flight_info", "expiration_time:do_get",
             "expiration_time:list_actions", "expiration_time:renew_flight_endpoint",
             "location:reuse_connection", "middleware", "ordered", "poll_flight_info",
             "session_options"]


def skip(what):
    print(f"skipped: {what}")
    sys.exit(SKIPPED)


def scenario_flags(scenario):
    return ["-scenario", scenario] if scenario else []


@contextlib.contextmanager
def serving(command, scenario=""):
    """The port of a server, which is to end well when it is told to."""
    process = subprocess.Popen([*map(str, command), "-port=0", *scenario_flags(scenario)],
                               stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if "listening on" not in line:
        process.kill()
        raise RuntimeError(f"{command[0]} said {line!r} and ended with {process.wait()}")
    try:
        yield int(line.rpartition(":")[2])
    finally:
        process.stdout.close()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    # One that does not catch the signal ends by it, or as Java does.
    if status not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
        raise RuntimeError(f"{command[0]} ended with {status}")


def start(command, port, scenario="", *more):
    return subprocess.Popen([*map(str, command), "-port", str(port), *scenario_flags(scenario),
                             *map(str, more)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)


def answer(process):
    """What a client said when it failed, or nothing."""
    try:
        said, _ = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        return f"did not end: {said[-2000:]}"
    return f"ended with {process.returncode}: {said[-2000:]}" if process.returncode else ""


def run(command, port, scenario="", *more):
    return answer(start(command, port, scenario, *more))
