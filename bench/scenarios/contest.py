"""What benchmarks in Python share: where their packages are, rounds, and how results are told.

Rounds are interleaved: before each run of a peer ours runs, and the peer's figure is divided by
that. Reported is the median of these ratios with the least and the greatest. A ratio above 1 means
that we win."""

import functools
import importlib
import json
import os
import statistics
import sys
import time
from pathlib import Path

INSTALLED_BY = "make bench-python installs it"


def enter_environment():
    """Goes on in build/venv, where `make bench-python` puts the peers, if it is there."""
    for folder in Path(sys.argv[0]).resolve().parents:
        python = folder / "venv" / "bin" / "python"
        if folder.name == "build" and python.exists():
            if Path(sys.prefix) != folder / "venv":
                os.execv(python, [str(python), "-B", *sys.argv])
            return


@functools.cache
def package(name):
    """The module, or None, which is told once."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"no {name}: {INSTALLED_BY}; without it its part is left out", file=sys.stderr)
        return None


def use_two_processors():
    """What is measured, peers too, runs on two processors. False: there are none."""
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[:2])
    os.environ["POLARS_MAX_THREADS"] = "2"
    os.environ["RAYON_NUM_THREADS"] = "2"
    os.environ["TOKIO_WORKER_THREADS"] = "2"
    return len(processors) >= 2


def busy_seconds():
    """What all processors did since the start of the machine, and the host's theft."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    ticks = user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def own_seconds(programs=()):
    """Of this process, of its children that have ended, and of these that have not."""
    seconds = sum(os.times()[:4])
    for program in programs:
        with open(f"/proc/{program.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def lineitem(options):
    """TPC-H's table as the options say: a file, or made and kept beside the program."""
    import tpch
    home = Path(sys.argv[0]).resolve().parent
    return tpch.lineitem(options.data or tpch.path_of(options.scale, home)).combine_chunks()


class Contestant:
    """A name, and a call that does the work once. `value`: of what the call returned, and of the
    seconds that it took, the figure. `program`: has the `process` that does it, where that goes on
    running."""

    def __init__(self, name, call, value, program=None):
        self.name, self.call, self.value, self.program = name, call, value, program
        self.pairs = []
        self.clean_count = 0

    def run(self):
        """The figure, and whether others left the processors alone: a tick or two, or 5 %."""
        programs = [self.program] if self.program else []
        others = busy_seconds() - own_seconds(programs)
        start = time.perf_counter()
        done = self.call()
        seconds = time.perf_counter() - start
        others = busy_seconds() - own_seconds(programs) - others
        return self.value(done, seconds), others <= max(0.025, 0.05 * 2 * seconds)


REPEATS = 2


def play(ours, peers, rounds):
    """Fills each peer's pairs: our figure, and its own that followed. Pairs that were disturbed are
    played again, up to twice, and count only where there are fewer than three others."""
    ours.run()
    for peer in peers:
        peer.run()
    disturbed = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            for _ in range(1 + REPEATS):
                (own, is_clean), (theirs, is_too) = ours.run(), peer.run()
                if is_clean and is_too:
                    peer.pairs.append((own, theirs))
                    break
                disturbed[peer.name].append((own, theirs))
    for peer in peers:
        peer.clean_count = len(peer.pairs)
        if peer.clean_count < 3:
            peer.pairs += disturbed[peer.name]


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def figures_of(peer, higher):
    ratios = [own / theirs if higher else theirs / own for own, theirs in peer.pairs]
    return spread([theirs for _, theirs in peer.pairs]) | {
        "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}


def result(bench, case, metric, **parts):
    """A result as the other benchmarks write it. `peers`: of which the best counts; `beside`: shown
    and never the best; `goal` bounds the ratio from below, `limit` our median from above."""
    higher = metric.endswith("per_second")
    peers = {peer.name: figures_of(peer, higher) for peer in parts.get("peers", [])}
    beside = {peer.name: figures_of(peer, higher) for peer in parts.get("beside", [])}
    own = parts.get("own") or [pair[0] for peer in parts["peers"] for pair in peer.pairs]
    best = min(peers, key=lambda name: peers[name]["ratio"]) if peers else None
    chosen = peers[best] if best else {"ratio": None, "ratio_min": None, "ratio_max": None}
    goal, limit = parts.get("goal"), parts.get("limit")
    ours = spread(own)
    is_met = (goal is None or (best is not None and chosen["ratio"] >= goal)) and (
        limit is None or ours["median"] <= limit)
    return {"bench": bench, "case": case, "metric": metric,
            "better": "higher" if higher else "lower", "ours": ours, "peers": peers,
            "beside": beside, "best_peer": best, "ratio": chosen["ratio"],
            "ratio_min": chosen["ratio_min"], "ratio_max": chosen["ratio_max"], "goal": goal,
            "limit": limit, "met": is_met, "floors": parts.get("floors", {}), "before": None,
            "disturbed": any(peer.clean_count < 3 for peer in parts.get("peers", []))}


UNITS = {"bytes_per_second": (1e9, "GB/s"), "rows_per_second": (1e6, "M rows/s"),
         "batches_per_second": (1e6, "M batches/s"), "items_per_second": (1e6, "M/s")}


def amount(numbers, metric):
    divisor, unit = UNITS.get(metric, (1, metric.rpartition("_")[2]))
    low, middle, high = (f"{numbers[key] / divisor:.3g}" for key in ("min", "median", "max"))
    return f"{middle} {unit} ({low}..{high})"


def show(told, as_json):
    if as_json:
        print(json.dumps(told), flush=True)
        return
    metric = told["metric"]
    mark = ", disturbed" if told["disturbed"] else ""
    print(f"\n{told['case']}{mark}\n  ours: {amount(told['ours'], metric)}")
    for name, peer in (told["peers"] | told["beside"]).items():
        mark = "" if name in told["peers"] else ", beside"
        print(f"  {name}: {amount(peer, metric)}, ratio {peer['ratio']:.2f} "
              f"({peer['ratio_min']:.2f}..{peer['ratio_max']:.2f}){mark}")
    for name, floor in told["floors"].items():
        print(f"  {name}: {floor}")
    wanted = [f"ratio at least {told['goal']}"] if told["goal"] is not None else []
    wanted += [f"at most {told['limit']:.4g}"] if told["limit"] is not None else []
    if wanted:
        print(f"  goal: {', '.join(wanted)}: {'met' if told['met'] else 'missed'}")
    sys.stdout.flush()
