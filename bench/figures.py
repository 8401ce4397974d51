#!/usr/bin/env python3
"""Turns the benchmarks' JSON lines (files, or standard input) into the table of figures."""
import fileinput
import json


def unit_of(result):
    """The unit of the table, and what a figure is divided by for it."""
    if result["metric"] == "bytes_per_second":
        return "GB/s", 1e9
    return ("M/s", 1e6) if result["better"] == "higher" else (result["metric"], 1)


def amount(value, divisor):
    if value is None:
        return "-"
    value /= divisor
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(numbers, divisor):
    low, mid, high = (amount(numbers[key], divisor) for key in ("min", "median", "max"))
    return f"{mid} ({low}..{high})"


def verdict(result):
    wanted = []
    if result["goal"] is not None:
        wanted.append(f"{result['goal']:.2f}")
    if result["limit"] is not None:
        wanted.append(f"at most {result['limit']:g}")
    if not wanted:
        return "-"
    return ", ".join(wanted) + (": met" if result["met"] else ": **missed**")


def ratio(numbers):
    if numbers["ratio"] is None:
        return "-"
    return f"{numbers['ratio']:.2f} ({numbers['ratio_min']:.2f}..{numbers['ratio_max']:.2f})"


def main():
    bench = None
    for line in fileinput.input():
        result = json.loads(line)
        if result["bench"] != bench:
            bench = result["bench"]
            print(f"\n### {bench}\n")
            print("| case | ours | best peer | its figure | ratio | goal | to \"before\" |")
            print("| --- | --- | --- | --- | --- | --- | --- |")
        unit, divisor = unit_of(result)
        mark = " d" if result.get("disturbed") else ""
        best = result["best_peer"]
        theirs = spread(result["peers"][best], divisor) if best else "-"
        before = ratio(result["before"]) if result.get("before") else "-"
        print(f"| {result['case']}, {unit} | {spread(result['ours'], divisor)}{mark} "
              f"| {best or '-'} | {theirs} | {ratio(result)} | {verdict(result)} | {before} |")


if __name__ == "__main__":
    main()
