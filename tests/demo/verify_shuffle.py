"""Proves from outside that a shuffle lost nothing: by pyarrow, numpy and DuckDB, which share
nothing with the library.

    verify_shuffle.py <data folder> <parts folder> <partitions>

For each table: the rows of all parts, sorted, equal the rows of the input, sorted, value by value;
every row lies in the partition that docs/format/hash.md says; and the row sum that the command
tells (verify --json, on standard input of this program as {table: sum}) is the one that the page
defines. Then lineitem and orders are joined partition by partition, and the sums over partitions
equal DuckDB's answer on the tables as they were."""

import json
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
import hash_numpy  # noqa: E402

# Key of the shuffle; columns that no two rows share, or None where there are none.
TABLES = {"lineitem": (["l_orderkey"], ["l_orderkey", "l_linenumber"]),
          "orders": (["o_orderkey"], ["o_orderkey"]),
          "flights": (["carrier", "tailnum"], None)}
REVENUE = """select o_orderpriority, sum(l_extendedprice * (1 - l_discount)) as revenue,
             count(*) as items
             from lineitem join orders on l_orderkey = o_orderkey group by o_orderpriority"""


def read(path):
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def order_of(table, unique):
    """Where each row stands when sorted: by the unique columns, else by the hash of the row. Rows
    of one hash that differ might be told as different though they are not: never the reverse."""
    if unique is None:
        hashes = [hash_numpy.row_hashes(batch) for batch in table.to_batches()]
        return np.argsort(np.concatenate(hashes), kind="stable")
    columns = [table.column(name).combine_chunks().to_numpy() for name in reversed(unique)]
    return np.lexsort(columns)


def sorted_column(table, name, order):
    return table.column(name).combine_chunks().take(pa.array(order))


def check_rows(name, table, parts, unique):
    """Each row exactly once: both sides sorted are the same."""
    whole = pa.concat_tables(parts)
    if whole.num_rows != table.num_rows:
        sys.exit(f"{name}: {table.num_rows} rows in, {whole.num_rows} out")
    before, after = order_of(table, unique), order_of(whole, unique)
    for column in table.column_names:
        if not sorted_column(table, column, before).equals(sorted_column(whole, column, after)):
            sys.exit(f"{name}: column {column} differs")


def check_places(name, parts, key):
    """Every row is where the published hash says."""
    for number, part in enumerate(parts):
        for batch in part.to_batches():
            found = hash_numpy.partitions_of(hash_numpy.row_hashes(batch, key), len(parts))
            wrong = np.flatnonzero(found != number)
            if len(wrong):
                row = batch.slice(int(wrong[0]), 1).to_pylist()[0]
                sys.exit(f"{name}: {row} is in partition {number}, not {found[wrong[0]]}")


def revenue(lineitem, orders):
    """{priority: (revenue, items)} of two Arrow tables."""
    connection = duckdb.connect()
    connection.execute("set threads to 2")
    connection.register("lineitem", lineitem)
    connection.register("orders", orders)
    return {row[0]: row[1:] for row in connection.execute(REVENUE).fetchall()}


def check_join(tables, parts):
    wanted = revenue(tables["lineitem"], tables["orders"])
    found = {}
    for lineitem, orders in zip(parts["lineitem"], parts["orders"], strict=True):
        for priority, numbers in revenue(lineitem, orders).items():
            old = found.get(priority, (0, 0))
            found[priority] = tuple(a + b for a, b in zip(old, numbers, strict=True))
    if found != wanted:
        sys.exit(f"join by partitions: {found}, of whole tables: {wanted}")
    return len(found), sum(items for _, items in wanted.values())


def main():
    data, out, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    told = json.load(sys.stdin)
    tables, parts = {}, {}
    for name, (key, unique) in TABLES.items():
        start = time.monotonic()
        table = tables[name] = read(data / f"{name}.arrow")
        pieces = parts[name] = [read(out / name / f"part-{i:05}.arrow") for i in range(count)]
        check_rows(name, table, pieces, unique)
        check_places(name, pieces, key)
        found = hash_numpy.row_sum(table.to_batches())
        if f"{found:016x}" != told[name]:
            sys.exit(f"{name}: row sum {found:016x}, and the command told {told[name]}")
        print(f"{name}: {table.num_rows:,} rows, each exactly once and in its partition; row sum "
              f"{told[name]} ({time.monotonic() - start:.0f} s)", flush=True)
    start = time.monotonic()
    groups, items = check_join(tables, parts)
    print(f"join: {items:,} items in {groups} groups, partition by partition as on whole tables "
          f"({time.monotonic() - start:.0f} s)")
    rows = sum(table.num_rows for table in tables.values())
    print(f"verified by pyarrow, numpy and DuckDB: {rows:,} rows in {count} partitions, each "
          "exactly once, value by value, in the partition that the published hash says; the join "
          "by partitions gives DuckDB's answer")


if __name__ == "__main__":
    main()
