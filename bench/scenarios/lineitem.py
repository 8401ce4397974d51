"""TPC-H's lineitem for the benchmarks: made by tpchgen-cli, or read from a file."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from contest import INSTALLED_BY


def generated(scale, folder):
    """A Parquet file of the table in `folder`."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    generator = shutil.which("tpchgen-cli", path=places)
    if generator is None:
        sys.exit(f"no tpchgen-cli: {INSTALLED_BY}; or give --data FILE with lineitem")
    subprocess.run([generator, "parquet", "-s", str(scale), "-T", "lineitem", "-q", "-o", folder],
                   check=True)
    return next(Path(folder).rglob("lineitem*.parquet"))


def load(scale, path=None):
    """The table with its text as utf8, from `path` (Parquet, or an Arrow IPC file) if given."""
    if path is not None and path.suffix != ".parquet":
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_file(source).read_all()
    with tempfile.TemporaryDirectory() as folder:
        table = pq.read_table(path or generated(scale, folder))
    fields = [field.with_type(pa.string()) if field.type == pa.string_view() else field
              for field in table.schema]
    return table.cast(pa.schema(fields)).combine_chunks()


def batches(table, rows):
    """Batches of so many rows, each in memory of its own, as they come from elsewhere."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=rows)
    return list(pa.ipc.open_stream(sink.getvalue()))
