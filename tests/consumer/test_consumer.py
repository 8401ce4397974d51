"""Installs a release build into a stage and uses it as a stranger would: by find_package, by
pkg-config and by add_subdirectory, shared and static, from C and from C++."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROJECT = HERE / "project"
PREFIX = "/usr/local"
SONAME = "libfletching.so.0"
VERSION_NODE = "FLETCHING_0.1"
COMPILERS = {"uses_rings.c": os.environ.get("CC", "cc"),
             "uses_rings_too.cpp": os.environ.get("CXX", "c++")}


def run(*command, **environment):
    command = [str(word) for word in command]
    result = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True,
                            check=False)
    if result.returncode != 0:
        raise AssertionError(f"{shlex.join(command)}\n{result.stdout}{result.stderr}")
    return result.stdout


class ConsumerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        build = cls.folder / "library"
        run("cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
            f"-DCMAKE_INSTALL_PREFIX={PREFIX}")
        run("cmake", "--build", build)
        run("cmake", "--install", build, DESTDIR=str(cls.folder / "stage"))
        cls.stage = Path(f"{cls.folder}/stage{PREFIX}")
        cls.libraries = next(cls.stage.rglob("libfletching.a")).parent

    def build_and_run(self, name, *arguments):
        """Builds the project and runs what came of it; returns what the programs printed."""
        build = self.folder / name
        run("cmake", "-S", PROJECT, "-B", build, "-G", "Ninja", *arguments)
        run("cmake", "--build", build)
        programs = sorted(build.glob("c*_with_*"))
        self.assertEqual(len(programs), 4)
        return [run(program) for program in programs]

    def pkg_config(self, *arguments):
        printed = run("pkg-config", *arguments, "fletching",
                      PKG_CONFIG_PATH=str(self.libraries / "pkgconfig"))
        return shlex.split(printed)

    def test_headers_are_installed_and_no_others(self):
        installed = {path.name: path.read_text() for path in (self.stage / "include").rglob("*.h")}
        ours = {path.name: path.read_text() for path in (ROOT / "include").rglob("*.h")}
        self.assertEqual(installed, ours)

    def test_licence_is_installed(self):
        for name in ("LICENSE", "NOTICE"):
            self.assertEqual(len(list((self.stage / "share/doc").rglob(name))), 1, name)

    def test_command_is_installed(self):
        self.assertRegex(run(self.stage / "bin/fletch", "--version"), r"^fletch 0\.1\.")
        for path in ("share/man/man1/fletch.1", "share/bash-completion/completions/fletch",
                     "share/zsh/site-functions/_fletch"):
            self.assertTrue((self.stage / path).is_file(), path)

    def test_soname_and_links(self):
        names = {path.name for path in self.libraries.glob("libfletching.so*")}
        self.assertIn(SONAME, names)
        self.assertIn("libfletching.so", names)
        dynamic = run("readelf", "-dW", self.libraries / "libfletching.so")
        self.assertIn(f"soname: [{SONAME}]", dynamic)
        self.assertRegex(dynamic, r"FLAGS.*NOW")
        self.assertIn("GNU_RELRO", run("readelf", "-lW", self.libraries / "libfletching.so"))

    def test_symbols_are_versioned(self):
        symbols = run("readelf", "--dyn-syms", "-W", self.libraries / "libfletching.so")
        ours = re.findall(r"(?:FUNC|OBJECT)\s+GLOBAL\s+DEFAULT\s+\d+\s+(\S+)", symbols)
        self.assertIn(f"fletch_version@@{VERSION_NODE}", ours)
        for symbol in ours:
            self.assertRegex(symbol, rf"^fletch_\w+@@{VERSION_NODE}$")

    def test_no_path_of_this_machine_is_installed(self):
        for path in self.stage.rglob("*"):
            if path.suffix in (".cmake", ".pc"):
                self.assertNotIn(str(ROOT), path.read_text(), path)
                self.assertNotIn(str(self.folder), path.read_text(), path)

    def test_find_package(self):
        printed = self.build_and_run("found", f"-DCMAKE_PREFIX_PATH={self.stage}")
        self.assertTrue(all(line.startswith("fletching 0.1.") for line in printed), printed)

    def test_find_package_refuses_another_version(self):
        with self.assertRaisesRegex(AssertionError, 'compatible with requested version "0.2"'):
            self.build_and_run("refused", f"-DCMAKE_PREFIX_PATH={self.stage}",
                               "-DWANTED_VERSION=0.2")

    def test_add_subdirectory(self):
        self.build_and_run("beside", f"-DFLETCHING_SOURCE={ROOT}")

    def test_pkg_config_shared(self):
        words = self.pkg_config("--cflags", "--libs")
        for source, compiler in COMPILERS.items():
            program = self.folder / f"{source}.shared"
            run(compiler, PROJECT / source, *words, "-o", program)
            self.assertIn(SONAME, run("readelf", "-dW", program))
            run(program, LD_LIBRARY_PATH=str(self.libraries))

    def test_pkg_config_static(self):
        words = self.pkg_config("--static", "--cflags", "--libs")
        for source, compiler in COMPILERS.items():
            program = self.folder / f"{source}.static"
            run(compiler, PROJECT / source, "-static", *words, "-o", program)
            run(program)

    def test_example_of_the_readme(self):
        example = re.search(r"^```c\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
        source, program = self.folder / "example.c", self.folder / "example"
        source.write_text(example[1])
        words = self.pkg_config("--cflags", "--libs")
        run(COMPILERS["uses_rings.c"], source, *words, "-o", program)
        self.assertEqual(run(program, LD_LIBRARY_PATH=str(self.libraries)), "42\n")

    def test_pkg_config_tells_the_version(self):
        self.assertEqual(self.pkg_config("--modversion"), ["0.1.0"])


if __name__ == "__main__":
    unittest.main()
