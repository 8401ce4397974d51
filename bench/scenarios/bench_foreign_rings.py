#!/usr/bin/env python3
"""Our rings beside those of Java (Disruptor, JCTools) and Rust (rtrb, crossbeam, disruptor).

Each kind runs in a process of its own, built by scripts/build-foreign-rings.sh, that lives through
the whole contest: what Java's compiler has learned stays, and it is warmed up before anything
counts. The same work in all: elements of 24 bytes, one producer on processor 0 and the consumer on
processor 1 (spsc), or producers on both and the consumer on the second (mp2); a capacity for each
producer, of which queues that are shared have the sum. Java's Disruptor keeps its elements in the
ring and has its BatchEventProcessor, with the spinning wait where each thread has a processor and
the yielding one where not. Through JCTools' queues travel references to elements in reuse."""

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
        """Java has no call for it: its threads are pinned from here."""
        self.process.stdout.readline()
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            processor = NAMES.get((task / "comm").read_text(encoding="ascii").strip())
            if processor is not None:
                os.sched_setaffinity(int(task.name), {processor})


def java():
    jars = HERE.parent / "java"
    if not (jars / "classes").is_dir():
        return None
    program = Program(["java", "-XX:+UseSerialGC", "-Xms512m", "-XX:+AlwaysPreTouch", "-cp",
                       f"{jars}/jars/*:{jars}/classes", "JavaRings"])
    program.pin_by_name()
    return program


def rust():
    binary = HERE.parent / "rust" / "release" / "rust_rings"
    return Program([binary]) if binary.exists() else None


class Case:
    def __init__(self, test, capacity, batch):
        self.test, self.capacity, self.batch = test, capacity, batch

    def __str__(self):
        how = "one by one" if self.batch == 1 else f"batches of {self.batch}"
        return f"{self.test} {how}, 24 B, capacity {self.capacity} a producer"


CASES = [Case(test, capacity, batch) for test in ("spsc", "mp2") for capacity in (1024, 65536)
         for batch in (1, 16)]


def contestant(name, program, ring, case, options):
    """Runs about as long as the options say, by the best of its warm-up. None: the ring has no such
    test."""
    best, end = 0, time.monotonic() + options.warm_up
    while best == 0 or time.monotonic() < end:
        rate = program.run(ring, case, 1_000_000 + int(best * options.seconds))
        if rate is None:
            return None
        best = max(best, rate)
    items = int(best * options.seconds)
    return contest.Contestant(name, lambda: program.run(ring, case, items), lambda rate, _: rate)


def compete(case, programs, options):
    form = "slots" if case.batch == 1 else "cursors"
    ours = contestant("fletching", programs["ours"], form, case, options)
    rings = [("Disruptor (Java)", "java", "disruptor"), ("JCTools", "java", "jctools"),
             ("rtrb", "rust", "rtrb"), ("crossbeam ArrayQueue", "rust", "crossbeam"),
             ("disruptor (Rust)", "rust", "disruptor")]
    peers = [contestant(name, programs[kind], ring, case, options) for name, kind, ring in rings
             if programs[kind]]
    peers = [peer for peer in peers if peer]
    contest.play(ours, peers, options.rounds)
    contest.show(contest.result(BENCH, str(case), "items_per_second", peers=peers), options.json)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object for each result")
    parser.add_argument("--quick", action="store_true", help="shorter runs, fewer rounds")
    parser.add_argument("--case", default="", help="only cases whose names contain this")
    options = parser.parse_args()
    options.rounds, options.seconds, options.warm_up = (3, 0.05, 0.6) if options.quick else (
        9, 0.15, 3)
    programs = {"ours": Program([HERE / "rings_by_order"]), "java": java(), "rust": rust()}
    for kind in ("java", "rust"):
        if programs[kind] is None:
            print(f"no rings of {kind}: scripts/build-foreign-rings.sh builds them; left out",
                  file=sys.stderr)
    if not HAS_TWO or not (programs["java"] or programs["rust"]):
        return
    for case in CASES:
        if options.case in str(case):
            compete(case, programs, options)


main()
