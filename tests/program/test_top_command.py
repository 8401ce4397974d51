"""fletch top: in a pseudo-terminal, and without one."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest

sys.dont_write_bytecode = True

from program import (DONE, INTERRUPTED, PROGRAM, SYSTEM, TERMINATED, environment,  # noqa: E402
                     numbers, run, start, write)
from service import SECONDS, ServiceTest  # noqa: E402

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """A program in a terminal of its own. `screen` is what was drawn last."""

    def __init__(self, *words, rows=24, columns=100, term="xterm"):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(
            [PROGRAM, *map(str, words)], stdin=slave, stdout=slave, stderr=slave,
            env={**environment(), "TERM": term}, start_new_session=True)
        self.output = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                self.output += os.read(self.master, 65536).decode()
            except OSError:
                return

    @property
    def screen(self):
        """Lines of the last screen that was drawn whole."""
        frames = self.output.split("\x1b[H")
        whole = [frame for frame in frames if frame.endswith("\x1b[J")]
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", whole[-1]) if whole else ""
        return re.split("\r+\n", text)

    def wait_for(self, condition, what):
        deadline = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} was not seen: {self.output[-3000:]!r}")
            self.read()

    def wait_for_text(self, text):
        self.wait_for(lambda: text in "\n".join(self.screen), text)

    def type(self, keys):
        os.write(self.master, keys)

    def wait(self):
        code = self.process.wait(SECONDS)
        self.read()
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(SECONDS)
        os.close(self.master)
        os.close(self.slave)


class TopTest(ServiceTest):
    def setUp(self):
        super().setUp()
        self.service = self.serve()
        self.location = self.service.location

    def put(self, name, rows=1000, partitions=4, *words):
        path = write(self.folder / f"{name}.arrow", numbers(rows))
        self.succeeds("put", self.location, name, "--partitions", partitions, "--by", "key", *words,
                      path)

    def terminal(self, *words, **options):
        terminal = Terminal("top", self.location, "--interval", "100", *words, **options)
        self.addCleanup(terminal.close)
        return terminal

    def check_restored(self, terminal):
        """The other screen is left, the cursor is back, and keys are as they were."""
        self.assertGreater(terminal.output.rfind(LEAVE), terminal.output.rfind(ENTER))
        self.assertGreater(terminal.output.rfind("\x1b[?25h"), terminal.output.rfind("\x1b[?25l"))
        self.assertEqual(termios.tcgetattr(terminal.slave), terminal.before)

    def test_a_screen(self):
        self.put("first")
        self.put("other", 10, 1, "--producers", "2")
        terminal = self.terminal()
        terminal.wait_for_text("queued  of first")
        screen = terminal.screen
        self.assertIn(f"fletch top  {self.location}", screen[0])
        self.assertIn("2 shuffles", screen[0])
        self.assertIn("rows/s", screen[1])
        self.assertRegex("\n".join(screen), r"(?m)^[> ] COMPLETE +4 +1/1 .* first")
        self.assertRegex("\n".join(screen), r"(?m)^[> ] OPEN +1 +1/2 .* other")
        self.assertNotEqual(termios.tcgetattr(terminal.slave), terminal.before)
        self.assertEqual(terminal.output.count(ENTER), 1)
        terminal.type(b"q")
        self.assertEqual(terminal.wait(), DONE)
        self.check_restored(terminal)

    def test_partitions_of_what_is_chosen(self):
        self.put("a", 10)
        self.put("b", 20)
        terminal = self.terminal()
        terminal.wait_for_text("queued  of a")
        for key, name in ((b"\x1b[B", "b"), (b"k", "a"), (b"j", "b"), (b"j", "b"),
                          (b"\x1bOA", "a")):
            terminal.type(key)
            terminal.wait_for_text(f"queued  of {name}")
            marked = [line for line in terminal.screen if line.startswith(">")]
            self.assertEqual(len(marked), 1)
            self.assertIn(f" {name} ", marked[0] + " ")
        terminal.type(b"Q")
        self.assertEqual(terminal.wait(), DONE)

    def test_every_screen_fits(self):
        self.put("many", 1000, 300)
        for i in range(8):
            self.put(f"shuffle-{i}", 10)
        terminal = self.terminal(rows=30, columns=120)
        terminal.wait_for_text("many")
        self.assertEqual(len(terminal.screen), 30)
        for rows, columns in (12, 60), (5, 20), (1, 5), (50, 200):
            terminal.output = ""
            terminal.resize(rows, columns)
            terminal.process.send_signal(signal.SIGWINCH)
            terminal.wait_for(lambda: terminal.output.count("\x1b[J") > 2, "a screen")
            screen = terminal.screen
            self.assertLessEqual(len(screen), rows)
            self.assertLessEqual(max(map(len, screen)), columns)
        self.assertRegex("\n".join(terminal.screen), r"and \d+ others")
        terminal.type(b"q")
        self.assertEqual(terminal.wait(), DONE)

    def test_signals_restore_the_terminal(self):
        for number, code in ((signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED),
                             (signal.SIGHUP, 129), (signal.SIGQUIT, 131)):
            terminal = self.terminal()
            terminal.wait_for_text("0 shuffles")
            terminal.process.send_signal(number)
            self.assertEqual(terminal.wait(), code)
            self.check_restored(terminal)

    def test_a_stop_gives_the_terminal_back(self):
        terminal = self.terminal()
        terminal.wait_for_text("0 shuffles")
        terminal.process.send_signal(signal.SIGTSTP)
        _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status))
        terminal.read()
        self.check_restored(terminal)
        terminal.output = ""
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait_for(lambda: ENTER in terminal.output, "the screen")
        terminal.wait_for_text("0 shuffles")
        terminal.type(b"q")
        self.assertEqual(terminal.wait(), DONE)
        self.check_restored(terminal)

    def test_a_service_that_goes(self):
        terminal = self.terminal("--timeout", "1")
        terminal.wait_for_text("0 shuffles")
        self.assertEqual(self.service.stop(), 0)
        terminal.wait_for_text("no news: ")
        terminal.process.send_signal(signal.SIGINT)
        self.assertEqual(terminal.wait(), INTERRUPTED)
        self.check_restored(terminal)
        terminal = Terminal("top", self.location, "--timeout", "5")
        self.addCleanup(terminal.close)
        self.assertEqual(terminal.wait(), SYSTEM)
        self.assertNotIn(ENTER, terminal.output)

    def test_a_dumb_terminal_gets_plain_text(self):
        terminal = self.terminal(term="dumb")
        terminal.wait_for(lambda: terminal.output.count("fletch top") >= 2, "two samples")
        terminal.process.send_signal(signal.SIGINT)
        self.assertEqual(terminal.wait(), INTERRUPTED)
        self.assertNotIn("\x1b", terminal.output)

    def test_once(self):
        self.put("s")
        output = self.succeeds("top", self.location, "--once", "--interval", "100").output
        self.assertNotIn("\x1b", output)
        self.assertEqual(output.count("fletch top"), 1)
        self.assertRegex(output, r"\n +COMPLETE +4 +1/1 .* s  4 partitions wait for a reader\n")
        self.assertRegex(output, r"\n +[0-3] COMPLETE +2\d\d +0 .* waits for a reader\n")
        terminal = Terminal("top", self.location, "--once")
        self.addCleanup(terminal.close)
        self.assertEqual(terminal.wait(), DONE)
        self.assertNotIn("\x1b", terminal.output)

    def test_rates_in_json(self):
        self.put("waits", 10, 1, "--producers", "2")
        process = start("top", self.location, "--json", "--interval", "500")
        first = json.loads(process.stdout.readline())
        self.assertEqual([shuffle["name"] for shuffle in first["shuffles"]], ["waits"])
        self.assertEqual(first["rows_in_per_second"], 0)
        self.put("new", 100000)
        getting = start("get", self.location, "new", "--out", self.folder / "out.arrow")
        seen_in = seen_out = 0
        for line in process.stdout:
            sample = json.loads(line)
            for shuffle in sample["shuffles"]:
                if shuffle["name"] == "new":
                    seen_in += shuffle["rows_in_per_second"]
                    seen_out += shuffle["rows_out_per_second"]
                    rows_read = shuffle["rows_read"]
            if seen_out > 0 and rows_read == 100000:
                break
        getting.communicate(timeout=SECONDS)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)
        self.assertEqual(process.returncode, TERMINATED)
        # Half-second samples of 100,000 rows: as many a second, summed, are twice of them at most.
        for seen in seen_in, seen_out:
            self.assertGreater(seen, 100000)
            self.assertLess(seen, 220000)

    def test_a_reader_of_the_output_that_goes(self):
        process = start("top", self.location, "--interval", "100")
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(SECONDS), SYSTEM)
        self.assertIn(b"standard output", process.stderr.read())
        process.stderr.close()

    def test_service_that_is_not_there(self):
        self.service.stop()
        for words in ["--once"], ["--json"], []:
            result = run("top", self.location, *words)
            self.assertEqual(result.code, SYSTEM)
            self.assertIn(self.location, result.errors)


if __name__ == "__main__":
    unittest.main()
