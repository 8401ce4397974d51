"""TPC-H's lineitem as the benchmarks use it, made by tpchgen-cli and kept in the build folder."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def generate(scale, folder):
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    tool = shutil.which("tpchgen-cli", path=tools)
    if tool is None:
        sys.exit("there is no tpchgen-cli (make bench-python installs it), and no Parquet file of"
                 " lineitem was given")
    subprocess.run([tool, "parquet", "-s", scale, "-T", "lineitem", "-q", "-o", str(folder)],
                   check=True)
    return next(Path(folder).rglob("lineitem*.parquet"))


def path_of(scale, home):
    """The table as Parquet, kept in `home`: the folder of the built program."""
    kept = Path(home) / f"lineitem-{scale}.parquet"
    if kept.exists():
        return kept
    with tempfile.TemporaryDirectory(dir=home) as folder:
        print(f"making lineitem of TPC-H at scale {scale}", file=sys.stderr)
        generate(scale, folder).rename(kept)
    return kept


def schema(path):
    """The table's, with its strings as utf8: they come as views."""
    return pa.schema([field.with_type(pa.string()) if field.type == pa.string_view() else field
                      for field in pq.read_schema(path).remove_metadata()])


def lineitem(path):
    return pq.read_table(path).cast(schema(path))


def batches(table, rows):
    """Batches of so many rows, each in memory of its own, as they come from elsewhere."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=rows)
    return list(pa.ipc.open_stream(sink.getvalue()))
