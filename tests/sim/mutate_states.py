#!/usr/bin/env python3
"""Shows that the tests of the coordinator's state machine notice: links the program that a mutation
is for with the mutated file, and fails if that program passes.

Mutations stand in mutants.txt, in the form of those for the model checker (tests/model/mutate.py);
the configuration is the program that must fail. What runs on without end is noticed too.
"""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "model"))

from mutate import Failure, mutated, read_mutants  # noqa: E402


def settings_of(path):
    return dict(line.split(" = ", 1) for line in path.read_text().splitlines() if " = " in line)


def build(settings, folder, mutant):
    """The mutant's program; the mutated object comes before the library that has the file too."""
    source = folder / "src" / mutant.file
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(mutated((ROOT / "src" / mutant.file).read_text(), mutant))
    program = folder / f"mutant-{mutant.number}"
    command = [settings["compiler"], *shlex.split(settings["compile"]), f"-I{ROOT / 'src'}",
               f"-I{ROOT / 'include'}", "-o", program, source,
               *settings[mutant.configuration].split(";"), *settings["libraries"].split(";"),
               *shlex.split(settings["link"])]
    subprocess.run(command, check=True)
    return program


def is_caught(program, seconds):
    # The first test that fails ends the program.
    environment = dict(os.environ, CMOCKA_TEST_ABORT="1")
    try:
        done = subprocess.run([program], capture_output=True, env=environment, timeout=seconds,
                              check=False)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, required=True, help="<build>/tests/sim/mutants")
    parser.add_argument("--bug", type=int, default=int(os.environ.get("FLETCH_BUG", "0")))
    parser.add_argument("--every", type=int, default=1, help="only each so-manieth mutation")
    parser.add_argument("--seconds", type=float, default=60, help="time limit of one program")
    options = parser.parse_args()
    settings = settings_of(options.build / "build.txt")
    missed = tried = 0
    try:
        for mutant in read_mutants(HERE / "mutants.txt"):
            if options.bug and mutant.number != options.bug or mutant.number % options.every:
                continue
            tried += 1
            caught = is_caught(build(settings, options.build, mutant), options.seconds)
            missed += not caught
            print(f"{mutant.number:3} | {mutant.file:24} | {mutant.edge:36} | "
                  f"{mutant.configuration:20} | {'caught' if caught else 'MISSED'}", flush=True)
    except (Failure, subprocess.CalledProcessError) as error:
        print(error)
        return 2
    print(f"mutants: {tried - missed} of {tried} are caught")
    return 1 if missed or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
