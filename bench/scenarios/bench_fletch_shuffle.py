#!/usr/bin/env python3
"""The command `fletch shuffle`, file to file, against tools that write partitioned files.

TPC-H's lineitem lies in eight Arrow IPC files in the page cache; each contestant reads them and
writes 16 partitions by a hash of l_orderkey into a fresh folder of the same file system, on two
processors, without waiting for the disk. Starting the command counts; importing a package does not.
Then the command's peak of resident memory, by the size of input, skew and --memory."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import contest

contest.enter_environment()
HAS_TWO = contest.use_two_processors()
pa = contest.package("pyarrow")
if pa is None:
    sys.exit(0)
import pyarrow.compute as pc  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402


BENCH = "bench_fletch_shuffle"
ROWS = 65536
PARTITIONS = 16
FILES = 8
MIB = 1 << 20


def write_file(path, batches):
    with pa.ipc.new_file(str(path), batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def write_inputs(folder, table, files=FILES):
    folder.mkdir()
    batches = table.to_batches(max_chunksize=ROWS)
    share = -(-len(batches) // files)
    for i in range(0, len(batches), share):
        write_file(folder / f"lineitem-{i // share}.arrow", batches[i:i + share])


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# ---- contestants: each takes a folder that is not there, and fills it ----

class Contestants:
    def __init__(self, inputs, program):
        self.inputs, self.program = inputs, program
        self.files = sorted(str(path) for path in inputs.glob("*.arrow"))

    def fletch(self, out):
        subprocess.run([self.program, "shuffle", self.inputs, "--by", "l_orderkey", "--partitions",
                        str(PARTITIONS), "--out", out, "--no-sync", "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)

    def copy(self, out):
        subprocess.run(["cp", "-r", self.inputs, out], check=True)

    def copy_two(self, out):
        out.mkdir()
        halves = [subprocess.Popen(["cp", *self.files[i::2], out]) for i in range(2)]
        if any(half.wait() != 0 for half in halves):
            sys.exit("cp failed")

    def pyarrow(self, out):
        """No public hash: a multiplication and a shift, which its expressions can do."""
        key = pc.field("l_orderkey")
        spread = pc.shift_right(pc.multiply(key, -7046029254386353131), 40)
        source = ds.dataset(self.files, format="ipc")
        columns = {name: pc.field(name) for name in source.schema.names}
        columns["part"] = pc.bit_wise_and(spread, PARTITIONS - 1)
        layout = ds.partitioning(pa.schema([("part", pa.int64())]))
        ds.write_dataset(source.scanner(columns=columns, batch_size=ROWS), out, format="ipc",
                         partitioning=layout)

    def polars_sink(self):
        polars = contest.package("polars")
        if polars is None:
            return None
        key = polars.col("l_orderkey").hash() % PARTITIONS

        def call(out):
            polars.scan_ipc(self.files).sink_ipc(
                polars.PartitionBy(out, key={"part": key}, include_key=False), mkdir=True)
        return call

    def duckdb_copy(self):
        duckdb = contest.package("duckdb")
        if duckdb is None:
            return None
        source = ds.dataset(self.files, format="ipc")  # noqa: F841, found by name
        connection = duckdb.connect()
        connection.execute("SET threads = 2")

        def call(out):
            data = source  # noqa: F841
            connection.execute(
                f"COPY (SELECT *, hash(l_orderkey) % {PARTITIONS} AS part FROM data) TO '{out}' "
                "(FORMAT parquet, COMPRESSION uncompressed, PARTITION_BY (part))")
        return call


def count_rows(folder):
    kind = "parquet" if any(folder.rglob("*.parquet")) else "ipc"
    paths = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    return ds.dataset(paths, format=kind).count_rows()


class Fresh:
    """Gives each run a folder that is not there; removes it before the next, outside the clock."""

    def __init__(self, name, call, scratch, rows):
        self.name, self.call, self.rows = name, call, rows
        self.out = scratch / name.replace(" ", "-").replace("/", "-")
        self.is_checked = False

    def __call__(self):
        self.call(self.out)

    def clear(self):
        if not self.is_checked and self.out.exists():
            rows = count_rows(self.out)
            if rows != self.rows:
                sys.exit(f"{self.name}: {rows} rows of {self.rows}")
            self.is_checked = True
        shutil.rmtree(self.out, ignore_errors=True)


class FileContestant(contest.Contestant):
    def run(self):
        self.call.clear()
        told = super().run()
        self.call.clear()
        return told


def run_files(options, inputs, scratch, rows):
    size = size_of(inputs)
    made = Contestants(inputs, options.program)

    def contestant(name, call):
        return FileContestant(name, Fresh(name, call, scratch, rows),
                              lambda _, seconds: size / seconds)

    ours = contestant("fletch shuffle", made.fletch)
    dataset = contestant("pyarrow write_dataset, IPC", made.pyarrow)
    sink, copy_to = made.polars_sink(), made.duckdb_copy()
    polars = [contestant("Polars sink_ipc", sink)] if sink else []
    duckdb = [contestant("DuckDB COPY, Parquet", copy_to)] if copy_to else []
    copies = [contestant("cp", made.copy), contestant("cp, two at a time", made.copy_two)]
    contest.play(ours, [dataset, *polars, *duckdb, *copies], options.rounds)
    name = f"lineitem, {len(made.files)} files, P = {PARTITIONS}"
    for label, peers, goal, beside in (
            ("pyarrow's partitioned dataset", [dataset], 2.0, duckdb),
            ("Polars' partitioned sink", polars, 4.0, []),
            ("cp of the same files", copies[:1], 0.7, copies[1:])):
        if peers:
            contest.show(contest.result(BENCH, f"{name}, to {label}", "bytes_per_second",
                                        peers=peers, goal=goal, beside=beside), options.json)


# ---- memory ----

# The child's peak, told by a process that is small: what a process had resident before it became
# another program counts for that too.
MEASURE = """
import os, sys
child = os.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(child, 0)
print(used.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak_mib(options, inputs, scratch, memory_mib, piped):
    """Peak of resident memory in MiB."""
    out = scratch / "peak"
    command = [sys.executable, "-S", "-c", MEASURE, str(options.program), "shuffle", "--by",
               "l_orderkey", "--partitions", str(PARTITIONS), "--out", str(out), "--no-sync",
               "--json", "--memory", f"{memory_mib}MiB", "-" if piped else str(inputs)]
    # A pipe, not the file itself, which would be mapped.
    source = subprocess.Popen(["cat", piped], stdout=subprocess.PIPE) if piped else None
    done = subprocess.run(command, stdin=source.stdout if source else None, capture_output=True,
                          text=True, check=False)
    shutil.rmtree(out, ignore_errors=True)
    if source is not None:
        source.stdout.close()
        source.wait()
    if done.returncode != 0:
        sys.exit(f"fletch shuffle --memory {memory_mib}MiB: {done.stderr}")
    json.loads(done.stdout)
    return int(done.stderr.split()[-1]) / 1024


def skewed(table):
    """99 of 100 rows have the key 1."""
    keys = table["l_orderkey"].to_numpy().copy()
    keys[[i for i in range(len(keys)) if i % 100]] = 1
    return table.set_column(0, table.field(0), pa.array(keys, table.field(0).type))


def largest_row(table):
    """Bytes of the row that has most, in MiB: its fixed columns, and the longest of each text."""
    total = 0
    for column in table.columns:
        if pa.types.is_string(column.type):
            total += pc.max(pc.binary_length(column)).as_py() + 4
        else:
            total += column.type.bit_width // 8
    return total / MIB


def run_memory(options, scratch, table):
    half = table.slice(0, table.num_rows // 2)
    row = largest_row(table)
    for name, data, memory_mib, is_piped in (
            ("all of it", table, 64, False), ("all of it", table, 256, False),
            ("all of it", table, 1024, False), ("half of it", half, 64, False),
            ("99 % in one partition", skewed(table), 64, False),
            ("99 % in one partition", skewed(table), 256, False),
            ("all of it through a pipe", table, 64, True),
            ("99 % in one partition through a pipe", skewed(table), 64, True)):
        label = f"peak of memory, {name}, --memory {memory_mib} MiB"
        if options.case not in label:
            continue
        inputs = scratch / "memory"
        piped = None
        write_inputs(inputs, data)
        mapped = size_of(inputs) / MIB
        if is_piped:
            shutil.rmtree(inputs)
            inputs.mkdir()
            piped, mapped = inputs / "stream", 0
            with pa.ipc.new_stream(str(piped), data.schema) as writer:
                writer.write_table(data, max_chunksize=ROWS)
        peaks = [peak_mib(options, inputs, scratch, memory_mib, piped)
                 for _ in range(2 if options.quick else 3)]
        shutil.rmtree(inputs)
        contest.show(contest.result(BENCH, label, "peak_MiB", own=peaks,
                                    limit=memory_mib + 64 + mapped + 2 * row,
                                    floors={"mapped input, MiB": round(mapped, 1)}), options.json)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="scale 0.3, five rounds")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each result")
    parser.add_argument("--case", default="", help="only cases with this text: 'files', 'memory'")
    parser.add_argument("--runs", type=int, default=0, help="rounds; default 9")
    parser.add_argument("--scale", default="", help="TPC-H's scale; default 1")
    parser.add_argument("--data", type=Path, help="lineitem, as Parquet")
    parser.add_argument("--dir", type=Path, help="where files go; default: the system's place")
    folder = Path(__file__).resolve().parent
    parser.add_argument("--program", type=Path,
                        default=folder.parent / "programs" / "fletch" / "fletch")
    options = parser.parse_args()
    options.rounds = options.runs or (5 if options.quick else 9)
    options.scale = options.scale or ("0.3" if options.quick else "1")
    return options


def main():
    options = parse_arguments()
    if not HAS_TWO:
        sys.exit("there are fewer than two processors")
    if not options.program.exists():
        sys.exit(f"{options.program} is not there: make bench-build builds it")
    table = contest.lineitem(options)
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        scratch = Path(folder)
        if options.case in f"lineitem, {FILES} files, P = {PARTITIONS}":
            write_inputs(scratch / "inputs", table)
            run_files(options, scratch / "inputs", scratch, table.num_rows)
            shutil.rmtree(scratch / "inputs")
        run_memory(options, scratch, table)


if __name__ == "__main__":
    main()
