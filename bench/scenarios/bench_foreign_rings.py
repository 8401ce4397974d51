#!/usr/bin/env python3
"""Our rings beside those of Java (Disruptor, JCTools) and Rust (rtrb, crossbeam, disruptor).

Each kind runs in a process of its own, built by scripts/build-foreign-rings.sh. Java gets a new one
for each case and each of its contestants, so that its compiler has seen nothing but this work, and
is warmed up in it before anything counts. The same work in all: elements of 24 bytes, the order and
every word of which is checked. One producer on processor 0 and the consumer on processor 1 (spsc,
broadcast1), a second consumer beside that one (broadcast2), or a producer on each and the consumer
beside the second (mp2, to which both fan-in and the shared queue answer). A capacity for each
producer, of which queues that are shared have the sum. Java's Disruptor keeps its elements in the
ring and has its BatchEventProcessor, with the spinning wait where each thread has a processor and
the yielding one where not; its producer claims by tryNext and looks again, or by next, which parks.
Consumers of ours take one or 16 at a time; "in runs" they take what there is, as theirs always
do. Through JCTools' queues travel references to elements in reuse. rtrb and JCTools cannot
broadcast, crossbeam has no batches: it moves them one by one."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import contest

contest.enter_environment()
HAS_TWO = contest.use_two_processors()

BENCH = "bench_foreign_rings"
PROCESSORS = sorted(os.sched_getaffinity(0))
HERE = Path(sys.argv[0]).resolve().parent
NAMES = {"producer-0": 0, "producer-1": 1, "consumer-0": 1, "consumer-1": 1}


class Program:
    """One that runs rings by order, a line each."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def run(self, ring, case, items):
        """Elements a second, or None where the ring has no such test."""
        print(ring, case.test, case.capacity, case.batch, items, file=self.process.stdin,
              flush=True)
        told = json.loads(self.process.stdout.readline())
        if not told["right"]:
            sys.exit(f"{ring}, {case}: elements were lost, repeated or out of order")
        return told["items_per_second"]

    def pin_by_name(self):
        """Java has no call for it: its threads are pinned from here, once they have their names."""
        self.process.stdout.readline()
        pinned, end = set(), time.monotonic() + 10
        while pinned != set(NAMES):
            for task in Path(f"/proc/{self.process.pid}/task").iterdir():
                name = (task / "comm").read_text(encoding="ascii").strip()
                if name in NAMES:
                    os.sched_setaffinity(int(task.name), {PROCESSORS[NAMES[name]]})
                    pinned.add(name)
            if time.monotonic() > end:
                sys.exit(f"of Java's threads only {sorted(pinned)} were found")

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def native(path):
    return Program([path])


def java(jars):
    """Nothing is allocated while the clock runs, so any collector does; this one's barriers are the
    shortest, and do not write what is written already, on which threads would fight."""
    program = Program(["java", "-XX:+UseSerialGC", "-XX:+UseCondCardMark", "-Xms256m", "-Xmx256m",
                       "-XX:+AlwaysPreTouch", "-cp", f"{jars}/jars/*:{jars}/classes", "JavaRings"])
    program.pin_by_name()
    return program


class Ring:
    """A name, what it is called in orders, how its program is started, and what that is warmed up
    for, in parts of what the options say."""

    def __init__(self, name, order, start, path, warm_up=0.2):
        self.name, self.order, self.warm_up = name, order, warm_up
        self.start = lambda: start(path)


def peers_of(folder):
    binary, jars = folder / "rust" / "release" / "rust_rings", folder / "java"
    rings = {"java": [], "rust": []}
    if (jars / "classes").is_dir():
        rings["java"] = [Ring("Disruptor (Java)", "disruptor", java, jars, 1),
                         Ring("Disruptor (Java), next", "disruptor-next", java, jars, 1),
                         Ring("JCTools", "jctools", java, jars, 1)]
    if binary.exists():
        rings["rust"] = [Ring("rtrb", "rtrb", native, binary),
                         Ring("crossbeam ArrayQueue", "crossbeam", native, binary),
                         Ring("disruptor (Rust)", "disruptor", native, binary)]
    return rings


class Case:
    def __init__(self, what, test, capacity, batch):
        self.what, self.test, self.capacity, self.batch = what, test, capacity, batch

    def __str__(self):
        how = "one by one" if self.batch == 1 else f"batches of {self.batch}"
        return f"{self.what} {self.test} {how}, 24 B, capacity {self.capacity} a producer"


CASES = [Case(what, test, capacity, batch)
         for what, test, batches in (("spsc_ring", "spsc", (1, 16)), ("fan_in", "mp2", (1, 16)),
                                     ("mpsc_queue", "mp2", (1, 16)),
                                     ("broadcast_ring", "broadcast1", (1, 16)),
                                     ("broadcast_ring", "broadcast2", (1, 16)),
                                     ("broadcast_ring_in_runs", "broadcast1", (16,)),
                                     ("broadcast_ring_in_runs", "broadcast2", (16,)))
         for capacity in (1024, 65536) for batch in batches]
DISRUPTOR_GOAL = 1.5  # of the broadcast ring, to Java's


def contestant(ring, case, options):
    """Runs about as long as the options say, by the best of its warm-up. None: the ring has no such
    test."""
    program = ring.start()
    best, end = 0, time.monotonic() + options.warm_up * ring.warm_up
    while best == 0 or time.monotonic() < end:
        rate = program.run(ring.order, case, 1_000_000 + int(best * options.seconds))
        if rate is None:
            program.end()
            return None
        best = max(best, rate)
    items = int(best * options.seconds)
    return contest.Contestant(ring.name, lambda: program.run(ring.order, case, items),
                              lambda rate, _: rate, program)


def compete(case, rings, options):
    ours = contestant(Ring("fletching", case.what, native, HERE / "rings_by_order"), case, options)
    peers = {kind: [peer for peer in (contestant(ring, case, options) for ring in rings[kind])
                    if peer] for kind in rings}
    everybody = peers["java"] + peers["rust"]
    contest.play(ours, everybody, options.rounds)
    groups = [(str(case), everybody, None)]
    if case.test.startswith("broadcast"):
        groups = [(f"{case}, Java's", peers["java"], DISRUPTOR_GOAL),
                  (f"{case}, Rust's", peers["rust"], None)]
    for name, group, goal in groups:
        if group:
            contest.show(contest.result(BENCH, name, "items_per_second", peers=group, goal=goal),
                         options.json)
    for player in [ours, *everybody]:
        player.program.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object for each result")
    parser.add_argument("--quick", action="store_true", help="shorter runs, fewer rounds")
    parser.add_argument("--case", default="", help="only cases whose names contain this")
    options = parser.parse_args()
    options.rounds, options.seconds, options.warm_up = (5, 0.06, 1) if options.quick else (
        9, 0.15, 3)
    rings = peers_of(HERE.parent)
    for kind, found in rings.items():
        if not found:
            print(f"no rings of {kind}: scripts/build-foreign-rings.sh builds them; left out",
                  file=sys.stderr)
    if not HAS_TWO or not any(rings.values()):
        return
    for case in CASES:
        if options.case in str(case):
            compete(case, rings, options)


main()
