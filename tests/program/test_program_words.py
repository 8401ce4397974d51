"""Words of the command line: help, usage, completion and manual say the same options."""

import contextlib
import fcntl
import os
import re
import shutil
import struct
import subprocess
import sys
import termios
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

from program import (DONE, SYSTEM, USAGE, ProgramTest, numbers, pa, read, run,  # noqa: E402
                     start, write)

ROOT = Path(__file__).resolve().parents[2]
# A build without HTTP/2 has no flights.
FLIGHT = ("flight",) if "\n  flight " in run("--help").output else ()
SERVICE = (("serve", "put", "get", "ls", "stat", "rm", "top")
           if "\n  serve " in run("--help").output else ())
COMMANDS = ("schema", "count", "cat", "shuffle", "verify", "where", *SERVICE, *FLIGHT, "info",
            "bench")


def options_of(command):
    return set(re.findall(r"^  --([a-z-]+)", run(command, "--help").output, re.MULTILINE))


def on_terminal(columns, *words):
    """What a run prints to a terminal of so many columns."""
    screen, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = start(*words, stdout=terminal)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal's other end is closed
        while more := os.read(screen, 65536):
            shown += more
    os.close(screen)
    process.communicate()
    return shown.decode().replace("\r\n", "\n")


class WordsTest(ProgramTest):
    def test_help_fits_a_screen(self):
        for words in (["--help"], *([command, "--help"] for command in COMMANDS)):
            result = self.succeeds(*words)
            lines = result.output.splitlines()
            most = 32 if words[0] == "serve" else 24  # a setting for each line
            self.assertLessEqual(len(lines), most, words)
            self.assertLessEqual(max(map(len, lines)), 80, words)
            self.assertIn("usage: fletch", lines[0])

    def test_help_is_broken_between_words_on_a_narrow_terminal(self):
        for words in (["--help"], *([command, "--help"] for command in COMMANDS)):
            wide = self.succeeds(*words).output
            narrow = on_terminal(40, *words)
            self.assertLessEqual(max(map(len, narrow.splitlines())), 39, narrow)
            self.assertEqual(narrow.split(), wide.split())
            self.assertEqual(on_terminal(100, *words), wide)

    def test_standard_input_is_given_twice(self):
        for words in (["count", "-", "-"], ["verify", "-", "--", "-"],
                      ["shuffle", "-", "-", "--by", "a", "--partitions", 2, "--out", "x"]):
            self.fails(USAGE, *words, saying=("'-' is given 2 times", words[0]))

    def test_shells_load_the_completions(self):
        folder = ROOT / "programs/fletch/completion"
        for shell, name, load in (
                ("bash", "fletch.bash", "source fletch.bash; complete -p fletch"),
                ("zsh", "_fletch", "fpath=($PWD $fpath); autoload -Uz compinit; compinit -D -u; "
                                   "[[ $_comps[fletch] = _fletch ]] && autoload +X _fletch")):
            if shutil.which(shell) is not None:
                subprocess.run([shell, "-n", folder / name], check=True)
                subprocess.run([shell, "-c", load], check=True, cwd=folder, capture_output=True)

    def test_help_of_the_program_names_every_command(self):
        self.assertEqual(re.findall(r"^  ([a-z]+) ", self.succeeds("--help").output, re.MULTILINE)
                         [:len(COMMANDS)], list(COMMANDS))

    def test_version(self):
        self.assertRegex(self.succeeds("--version").output, r"^fletch \d+\.\d+\.\d+\n$")

    def test_no_command(self):
        result = run()
        self.assertEqual(result.code, USAGE)
        self.assertIn("usage: fletch", result.errors)

    def test_unknown_command(self):
        self.fails(USAGE, "shufle", saying="'shufle'")

    def test_unknown_option_is_named(self):
        for command in COMMANDS:
            self.fails(USAGE, command, "--nonsense", saying=("--nonsense", f"fletch {command}"))
            self.fails(USAGE, command, "-x", saying="-x")

    def test_no_input(self):
        for command in ("schema", "count", "cat"):
            self.fails(USAGE, command, saying="no INPUT")
        self.fails(USAGE, "info", "x", saying="'x'")

    def test_values_of_options(self):
        self.fails(USAGE, "cat", "--limit", saying="--limit wants")
        self.fails(USAGE, "cat", "--limit", "many", "x", saying=("'many'", "whole number"))
        self.fails(USAGE, "cat", "--limit=-1", "x", saying="'-1'")
        self.fails(USAGE, "cat", "--json=yes", "x", saying="--json takes no word")
        self.fails(USAGE, "shuffle", "--memory", "12XB", "x", saying=("'12XB'", "bytes"))
        self.fails(USAGE, "shuffle", "--memory", "99999999999999999999", "x", saying="bytes")

    def test_words_behind_dashes_are_no_options(self):
        path = write(self.folder / "--json", numbers(3))
        self.fails(4, "count", "--", "--nothing", saying="--nothing")
        self.assertIn("3 rows", self.succeeds("count", "--", path.name, cwd=self.folder).output)

    def test_completion_and_manual_know_every_option(self):
        manual = (ROOT / "docs/man/fletch.1").read_text()
        bash = (ROOT / "programs/fletch/completion/fletch.bash").read_text()
        zsh = (ROOT / "programs/fletch/completion/_fletch").read_text()
        for command in COMMANDS:
            self.assertIn(command, bash)
            self.assertIn(command, zsh)
            for option in options_of(command) - {"help"}:
                escaped = option.replace("-", r"\-")
                self.assertIn(rf"\-\-{escaped}", manual, command)
            in_bash = re.search(rf"^    {command}\) words='([^']*)'", bash, re.MULTILINE)
            self.assertEqual({word[2:] for word in in_bash[1].split()}, options_of(command))
            in_zsh = re.search(rf"^    {command}\)(.*?);;", zsh, re.MULTILINE | re.DOTALL)
            self.assertEqual(set(re.findall(r"--([a-z-]+)", in_zsh[1])), options_of(command))

    def test_info(self):
        found = self.succeeds("info", "--json").json
        self.assertEqual(found["partition_function"], "fletch-hash-1")
        self.assertIn(found["hash_kernels"], ("scalar", "avx2", "neon"))
        self.assertGreater(found["processors"], 0)
        self.assertIn(found["version"], self.succeeds("info").output)

    def test_output_that_cannot_be_written(self):
        path = write(self.folder / "a.arrow", numbers(100000))
        with open("/dev/full", "wb") as full:
            for words in (["cat", path], ["count", path], ["info"], ["--help"], ["cat", "--help"],
                          ["cat", "--arrow", path], ["schema", "--json", path]):
                result = run(*words, stdout=full)
                self.assertEqual(result.code, 4, words)
                self.assertEqual(result.errors.count("standard output"), 1, result.errors)

    def test_closed_standard_descriptors(self):
        path = write(self.folder / "a.arrow", numbers(10))
        for words in ["info"], ["cat", "--arrow", path], ["count", "--json", path]:
            result = run(*words, stdout=None, preexec_fn=lambda: os.close(1))
            self.assertEqual(result.code, SYSTEM, words)
            self.assertIn("standard output", result.errors)
        result = run("count", "-", preexec_fn=lambda: os.close(0))
        self.assertEqual(result.code, SYSTEM, result.errors)
        self.assertIn("Bad file descriptor", result.errors)
        # Nothing that is printed gets into a file that has taken the place of an output.
        out = self.folder / "parts"
        result = run("shuffle", "--by", "key", "--partitions", 1, "--out", out, path, stdout=None,
                     stderr=None, preexec_fn=lambda: os.closerange(0, 3))
        self.assertEqual(result.code, SYSTEM)
        self.assertEqual(read(out / "part-00000.arrow").num_rows, 10)

    def test_no_columns(self):
        path = write(self.folder / "a.arrow", pa.RecordBatch.from_arrays([], schema=pa.schema([])))
        self.assertIn("0 columns", self.succeeds("schema", path).output)

    def test_done_is_zero(self):
        self.assertEqual(run("info").code, DONE)


if __name__ == "__main__":
    unittest.main()
