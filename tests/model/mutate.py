#!/usr/bin/env python3
"""Shows that the model checker notices: builds the harness of a structure with one mutation of the
library after the other, and fails if one is not caught, or if anything is reported without one.

Mutations stand in mutants/<structure>.txt, one a line, fields separated by ` | `:
number, file below src/, edge or step, text, replacement, configuration, what it breaks.
Text and replacement know \\n and \\|; the text occurs once, or `text@k` means its k-th occurrence.
The configuration is macros of the harness (`NAME=value`) and arguments of the checker (`--name`).
"""

import argparse
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BEGIN, END = "<!-- mutants:begin -->", "<!-- mutants:end -->"
FIELDS = 7


class Mutant(NamedTuple):
    number: int
    file: str
    edge: str
    text: str
    replacement: str
    configuration: str
    breaks: str


class Verdict(NamedTuple):
    word: str  # "none", "not finished", "broken", or the kind of error
    executions: int
    seconds: float
    output: str


class Failure(Exception):
    """The table or a build is wrong."""


def read_mutants(path):
    mutants = []
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split(" | ")]
        if len(fields) != FIELDS:
            raise Failure(f"{path.name}: {len(fields)} fields instead of {FIELDS}: {line}")
        mutants.append(Mutant(int(fields[0]), *fields[1:]))
    return mutants


def mutated(source, mutant):
    """The source with the mutation in it."""
    text, replacement = (
        part.replace("\\n", "\n").replace("\\|", "|") for part in (mutant.text, mutant.replacement)
    )
    nth = re.fullmatch(r"(.*)@(\d+)", text, re.DOTALL)
    wanted = 1
    if nth:
        text, wanted = nth[1], int(nth[2])
    count = source.count(text)
    if count < wanted or (not nth and count != 1):
        raise Failure(f"{mutant.file} has {count} of mutation {mutant.number}'s text: {text}")
    at = -1
    for _ in range(wanted):
        at = source.index(text, at + 1)
    return source[:at] + replacement + source[at + len(text) :]


@functools.cache
def included_by(path):
    """The headers of the library that a file below src/ includes, by whatever way."""
    found = set()
    for name in re.findall(r'^#include [<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE):
        for header in (ROOT / "src" / name, ROOT / "include" / name):
            if header.exists():
                found |= {header} | included_by(header)
    return found


def settings_of(build):
    lines = (build / "build.txt").read_text().splitlines()
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


class Builder:
    """Compiles as CMakeLists.txt does, into one folder, what is not compiled yet."""

    def __init__(self, build, structure):
        self.settings = settings_of(build)
        self.folder = build / structure
        self.harness = HERE / f"model_{structure}.c"
        self.folder.mkdir(parents=True, exist_ok=True)

    def compile(self, source, target, includes, macros=()):
        command = [
            self.settings["compiler"],
            *shlex.split(self.settings["compile"]),
            "-w",
            *(f"-I{path}" for path in includes),
            *(f"-D{macro}" for macro in macros),
            "-c",
            str(source),
            "-o",
            str(target),
        ]
        subprocess.run(command, check=True)
        return target

    def build(self, name, macros, mutant=None):
        """An executable of the harness; `mutant`: with that mutation."""
        includes = [ROOT / "src", ROOT / "include", HERE]
        objects = []
        if mutant:
            # What an earlier table mutated under this number would be included before the sources.
            shutil.rmtree(self.folder / name, ignore_errors=True)
            changed = self.folder / name / "src" / mutant.file
            changed.parent.mkdir(parents=True, exist_ok=True)
            changed.write_text(mutated((ROOT / "src" / mutant.file).read_text(), mutant))
            includes.insert(0, self.folder / name / "src")
            objects = self.compile_changed(name, changed, mutant, includes)
        harness = self.compile(self.harness, self.folder / f"{name}.o", includes, macros)
        program = self.folder / f"{name}.exe"
        libraries = [self.settings["library"], self.settings["checker"]]
        command = [self.settings["compiler"], "-o", program, harness, *objects, *libraries]
        subprocess.run([*command, *shlex.split(self.settings["link"])], check=True)
        return program

    def compile_changed(self, name, changed, mutant, includes):
        if mutant.file.endswith(".c"):
            return [self.compile(changed, self.folder / f"{name}-changed.o", includes)]
        objects = []
        for source in self.settings["sources"].split():
            if ROOT / "src" / mutant.file in included_by(ROOT / "src" / source):
                target = self.folder / f"{name}-{source.replace('/', '-')}.o"
                objects.append(self.compile(ROOT / "src" / source, target, includes))
        return objects


def run(program, arguments, limit):
    start = time.monotonic()
    command = [program, *arguments, "--seconds", str(limit)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit + 30)
    except subprocess.TimeoutExpired:
        return Verdict("not finished", 0, time.monotonic() - start, "")
    seconds = time.monotonic() - start
    counts = re.search(r": (\d+) complete, (\d+) cut", done.stdout)
    executions = int(counts[1]) + int(counts[2]) if counts else 0
    error = re.search(r"^ERROR ([a-z-]+):", done.stdout, re.MULTILINE)
    words = {0: "none", 3: "not finished"}
    word = error[1] if done.returncode == 1 and error else words.get(done.returncode, "broken")
    return Verdict(word, executions, seconds, done.stdout + done.stderr)


def split_configuration(configuration):
    words = [word for word in configuration.split() if word != "-"]
    macros = [word for word in words if "=" in word and not word.startswith("--")]
    return macros, [word for word in words if word not in macros]


def is_caught(verdict):
    return verdict.word not in ("none", "not finished", "broken")


class Report:
    """Prints as it goes, and remembers."""

    def __init__(self, structure):
        self.structure = structure
        self.rows = []
        self.failed = 0

    def add(self, name, mutant, verdict, good):
        edge = mutant.edge if mutant else "as it is"
        breaks = mutant.breaks if mutant else ""
        self.rows.append((name, edge, breaks, verdict))
        self.failed += not good
        mark = "" if good else "   WRONG"
        print(
            f"{self.structure:10} | {name:22} | {edge:22} | {verdict.word:18} | "
            f"{verdict.executions:8} | {verdict.seconds:6.2f} s{mark}",
            flush=True,
        )
        if not good:
            print("\n".join(verdict.output.splitlines()[-40:]))


def check_structure(structure, options):
    builder = Builder(options.build, structure)
    report = Report(structure)
    checked = set()
    for mutant in read_mutants(HERE / "mutants" / f"{structure}.txt"):
        if options.bug and mutant.number != options.bug or mutant.number % options.every:
            continue
        macros, arguments = split_configuration(mutant.configuration)
        key = mutant.configuration
        if key not in checked:
            checked.add(key)
            program = builder.build(f"original-{len(checked)}", macros)
            verdict = run(program, arguments, options.seconds)
            report.add(f"none: {key}", None, verdict, verdict.word == "none")
        program = builder.build(f"mutant-{mutant.number}", macros, mutant)
        verdict = run(program, arguments, options.seconds)
        report.add(str(mutant.number), mutant, verdict, is_caught(verdict))
    return report


def write_markdown(path, reports):
    lines = [
        "| structure | mutant | edge or step | what it breaks | found as | executions |",
        "|---|---|---|---|---|---|",
    ]
    for report in reports:
        for name, edge, breaks, verdict in report.rows:
            if edge != "as it is":
                lines.append(
                    f"| `{report.structure}` | {name} | {edge} | {breaks} | {verdict.word} | "
                    f"{verdict.executions} |"
                )
    text = path.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    path.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = sorted(path.stem for path in (HERE / "mutants").glob("*.txt"))
    parser.add_argument("structure", nargs="*", default=names, help="all, if none is named")
    parser.add_argument("--build", type=Path, required=True, help="<build>/tests/model/mutants")
    parser.add_argument("--bug", type=int, default=int(os.environ.get("FLETCH_BUG", "0")))
    parser.add_argument("--every", type=int, default=1, help="only each so-manieth mutation")
    parser.add_argument("--seconds", type=float, default=60, help="time limit of one search")
    parser.add_argument("--markdown", type=Path, help="write the table into this file")
    options = parser.parse_args()
    try:
        reports = [check_structure(name, options) for name in options.structure]
    except (Failure, subprocess.CalledProcessError) as error:
        print(error)
        return 2
    if options.markdown and not options.bug:
        write_markdown(options.markdown, reports)
    failed = sum(report.failed for report in reports)
    rows = sum(len(report.rows) for report in reports)
    print(f"mutants: {rows - failed} of {rows} as they should be")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
