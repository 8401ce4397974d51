"""Installs a build without HTTP/2 into a stage: Flight is not in it, neither its headers nor its
names, and what is in it can be used."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
#include <fletching/fletching.h>
#include <stdio.h>
int main(void) { return printf("%s", fletch_version()) < 0; }
"""


def run(*command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                            check=False)
    if result.returncode != 0:
        raise AssertionError(f"{command}\n{result.stdout}{result.stderr}")
    return result.stdout


class WithoutFlightTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        build, cls.stage = cls.folder / "library", cls.folder / "stage"
        run("cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "-DFLETCH_NGHTTP2=OFF",
            "-DCMAKE_BUILD_TYPE=Debug", "-DFLETCH_BUILD_TESTS=OFF",
            f"-DCMAKE_INSTALL_PREFIX={cls.stage}")
        run("cmake", "--build", build)
        run("cmake", "--install", build)
        cls.include = cls.stage / "include/fletching"
        cls.library = next(cls.stage.rglob("libfletching.so"))

    def test_no_header_tells_of_flight(self):
        headers = {path.name: path.read_text() for path in self.include.glob("*.h")}
        self.assertIn("fletching.h", headers)
        for name, text in headers.items():
            self.assertFalse(name.startswith("flight"), name)
            self.assertNotIn("fletch_flight_", text)
        included = re.findall(r"#include <fletching/([a-z_0-9]+[.]h)>", headers["fletching.h"])
        self.assertEqual(sorted(included), sorted(set(headers) - {"fletching.h"}))

    def test_names_are_those_of_the_headers(self):
        told = set()
        for path in self.include.glob("*.h"):
            code = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.M)
            told |= set(re.findall(r"\bFLETCH_EXPORT\b[^;]*?(\w+)\s*\(", code))
        listing = run("nm", "-D", "--defined-only", self.library)
        names = set(re.findall(r"(\bfletch_\w+)@", listing))
        self.assertEqual(names, told)

    def test_the_map_names_nothing_else(self):
        text = (self.folder / "library/src/fletching.map").read_text()
        listing = run("nm", "-D", "--defined-only", self.library)
        self.assertEqual(set(re.findall(r"(fletch_\w+);", text)),
                         set(re.findall(r"(\bfletch_\w+)@", listing)))

    def test_a_program_of_all_headers(self):
        (self.folder / "uses.c").write_text(PROGRAM)
        program = self.folder / "uses"
        run(os.environ.get("CC", "cc"), "-std=c17", "-Wall", "-Wextra", "-Werror",
            f"-I{self.stage}/include", self.folder / "uses.c", self.library,
            f"-Wl,-rpath,{self.library.parent}", "-o", program)
        self.assertTrue(run(program).startswith("0.1."))

    def test_the_command(self):
        self.assertRegex(run(self.stage / "bin/fletch", "--version"), r"^fletch 0[.]1[.]")
        told = run(self.stage / "bin/fletch", "--help")
        self.assertNotIn("flight", told)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
