"""What bench_grpc and bench_flight share: programs that are the ends of a connection, each pinned
to a processor of its own, in a network namespace of their own."""

import contextlib
import copy
import ctypes
import fcntl
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import contest

HERE = Path(sys.argv[0]).resolve().parent
KIB, MIB = 1 << 10, 1 << 20
SMALL = 128
INSIDE = "FLETCH_BENCH_NAMESPACE"
CONTROL = "reno"  # which each namespace allows


# ---- a network of our own ----

def enter_namespace():
    """Goes on in a network namespace. Where that is not allowed, each end has what the system
    gives it, which may favour one: said, and marked in the names of the cases."""
    if os.environ.get(INSIDE) is None:
        os.environ[INSIDE] = "1"
        for how in (["--net"], ["--net", "--map-root-user"]):
            test = ["unshare", *how, "true"]
            if shutil.which("unshare") and subprocess.run(test, check=False,
                                                          capture_output=True).returncode == 0:
                os.execvp("unshare", ["unshare", *how, sys.executable, "-B", *sys.argv])
        print("no network namespace: the congestion control may differ", file=sys.stderr)
        os.environ[INSIDE] = "0"
    if os.environ[INSIDE] == "0":
        return False
    with socket.socket() as any_socket:
        up = struct.pack("16sh", b"lo", 1)  # IFF_UP
        fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS
    with open("/proc/sys/net/ipv4/tcp_congestion_control", "w", encoding="ascii") as file:
        file.write(CONTROL)
    return True


def before_program(processors):
    """Pins the program that is started; without the right to set any other congestion control."""
    prctl = ctypes.CDLL(None).prctl

    def call():
        os.sched_setaffinity(0, processors)
        prctl(24, 12, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_NET_ADMIN
    return call


# ---- ends ----

class Program:
    """`processor`: of its own; `is_pinned`: and no other."""

    def __init__(self, command, processor, is_pinned=True, environment=None):
        processors = [processor] if is_pinned else os.sched_getaffinity(0)
        self.process = subprocess.Popen(
            [str(word) for word in command], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, preexec_fn=before_program(processors),
            env=os.environ | (environment or {}))

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} went wrong")
        return [float(word) for word in line.split()]

    def order(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def cpu_seconds(self):
        """Of all its threads, to the nanosecond: the clock that the system has for a process."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self):
        self.process.kill()
        self.process.wait()


def end(name):
    """The command of an end that was built beside this."""
    return [str(HERE / name)]


class Pair:
    """A server and a client of it: commands."""

    def __init__(self, name, server, client, how="call", spin=0, **process):
        first, second = sorted(os.sched_getaffinity(0))[:2]
        self.name = name
        self.server = Program([*server, "serve", spin], first, **process)
        port = int(self.server.answer()[0])
        self.client = Program([*client, how, port, spin], second, **process)
        self.programs = [self.server, self.client]

    def stream(self, size, count, order="stream"):
        """Bytes, messages a second, CPU seconds for 1e9 bytes."""
        cpu = sum(program.cpu_seconds() for program in self.programs)
        seconds = self.client.order(order, size, count)[0]
        count *= 2 if order == "two" else 1
        cpu = sum(program.cpu_seconds() for program in self.programs) - cpu
        return {"bytes_per_second": size * count / seconds, "items_per_second": count / seconds,
                "cpu_per_GB_s": cpu / (size * count / 1e9), "seconds": seconds}

    def unary(self, count):
        median, late = self.client.order("unary", SMALL, count)
        return {"p50_us": median, "p99_us": late}

    def end(self):
        for program in self.programs:
            program.end()


class Awake:
    """Keeps both processors from halting while it is entered, by spinners of idle priority."""

    def __enter__(self):
        self.programs = [Program([*end("grpc_end_raw"), "awake"], processor)
                         for processor in sorted(os.sched_getaffinity(0))]
        return self.programs

    def __exit__(self, *_):
        for program in self.programs:
            program.end()


class Contestant(contest.Contestant):
    """A pair of ends; its figure is a dictionary of several."""

    def __init__(self, pair, call, beside=()):
        super().__init__(pair.name, call, lambda done, _: done)
        self.programs = [*pair.programs, *beside]

    def run(self):
        others = contest.busy_seconds() - contest.own_seconds(self.programs)
        start = time.perf_counter()
        done = self.call()
        seconds = time.perf_counter() - start
        others = contest.busy_seconds() - contest.own_seconds(self.programs) - others
        return done, others <= max(0.025, 0.05 * 2 * seconds)


def of_metric(peers, metric):
    """The same runs, with one figure of each."""
    chosen = [copy.copy(peer) for peer in peers]
    for peer in chosen:
        peer.pairs = [(own[metric], theirs[metric]) for own, theirs in peer.pairs]
    return chosen


# ---- a benchmark ----

class Bench:
    def __init__(self, name, options, is_apart):
        self.name = name
        self.options = options
        self.suffix = "" if is_apart else ", the system's congestion control"

    def wants(self, case):
        return self.options.case in case

    def show(self, case, metric, peers, **parts):
        beside = of_metric(parts.pop("beside", []), metric)
        contest.show(contest.result(self.name, case + self.suffix, metric,
                                    peers=of_metric(peers, metric), beside=beside, **parts),
                     self.options.json)

    def count_of(self, pair, size, order="stream"):
        """Messages that take about as long as the options say, by a run that warms up."""
        count = max(4, 64 * MIB // max(size, 16 * KIB))
        for _ in range(2):
            seconds = pair.stream(size, count, order)["seconds"]
            count = int(min(max(count * self.options.seconds / seconds, 4), 4 * count))
        return count

    def unary_of(self, case, pairs_of, goals):
        """Blocking and spinning, with cores that are kept awake and not. `pairs_of`: a spin in
        nanoseconds makes ours, one to win against, and others beside."""
        for suffix, is_awake in (("", True), (", cores may halt", False)):
            for how, spin, goal in (("blocking", -1, goals[0]),
                                    ("spinning 50 us", 50000, goals[1])):
                with contextlib.ExitStack() as stack:
                    spinners = stack.enter_context(Awake()) if is_awake else []
                    self.play_unary(f"{case}{suffix}, {how}", pairs_of(spin), spinners,
                                    goal if is_awake else None)

    def play_unary(self, case, pairs, spinners, goal):
        count = 500 if self.options.quick else 2000
        ours, theirs, *others = (Contestant(pair, lambda pair=pair: pair.unary(count), spinners)
                                 for pair in pairs)
        contest.play(ours, [theirs, *others], self.options.rounds)
        self.show(case, "p50_us", [theirs], beside=others, goal=goal)
        self.show(case, "p99_us", [theirs], beside=others)
        for pair in pairs:
            pair.end()

    def contestants(self, pairs, size, order="stream"):
        """Each pair with a count of messages of its own."""
        return [Contestant(pair, lambda pair=pair, count=self.count_of(pair, size, order):
                           pair.stream(size, count, order)) for pair in pairs]


def begin(parser):
    """The options of a benchmark, and whether it runs in a namespace, from now on, with all
    descriptors that it may have."""
    parser.add_argument("--quick", action="store_true", help="shorter runs, five rounds")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each result")
    parser.add_argument("--case", default="", help="only cases whose names contain this")
    parser.add_argument("--runs", type=int, default=0, help="rounds; default 9")
    options = parser.parse_args()
    options.rounds = options.runs or (5 if options.quick else 9)
    options.seconds = 0.15 if options.quick else 0.5
    is_apart = enter_namespace()
    if not contest.use_two_processors():
        sys.exit("there are fewer than two processors")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return options, is_apart
