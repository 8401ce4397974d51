"""Proves each rule by a tree that breaks it, fixtures/<rule>. fixtures/<rule>.expected lists what
must be found there, a "path:line: part of the message" for each. fixtures/clean breaks none."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

from rules import RULES  # noqa: E402
from rules.compiled import output_of  # noqa: E402
from source import Finding, Tree  # noqa: E402

FIXTURES = Path(__file__).parent / "fixtures"
CLEAN = FIXTURES / "clean"


def run(*command):
    result = output_of(command)
    if result.returncode != 0:
        raise AssertionError(f"{command}: {result.stderr}")


def build_library(tree, folder):
    """Compiles the fixture's sources into both libraries, if it has a symbol map."""
    script = tree.root / "src/fletching.map"
    if not script.exists():
        return
    objects = []
    for source in sorted(tree.root.glob("src/**/*.c")):
        objects.append(str(folder / (source.stem + ".o")))
        run("cc", "-fPIC", "-I", str(tree.root / "include"), "-I", str(tree.root / "src"),
            "-c", str(source), "-o", objects[-1])
    tree.static_library = folder / "libfletching.a"
    tree.shared_library = folder / "libfletching.so"
    run("ar", "rcs", str(tree.static_library), *objects)
    run("cc", "-shared", f"-Wl,--version-script={script}", *objects, "-o",
        str(tree.shared_library))


def expectations(fixture):
    for line in fixture.with_name(fixture.name + ".expected").read_text().splitlines():
        path, number, message = line.split(":", 2)
        yield Finding(path, int(number), message.strip())


class FixtureTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def findings(self, rule, fixture):
        tree = Tree(fixture)
        build_library(tree, self.folder)
        found = sorted(rule.check(tree))
        if any("skipped" in note for note in tree.notes):
            self.skipTest("; ".join(tree.notes))
        return found

    def check_broken(self, rule):
        wanted = list(expectations(FIXTURES / rule.name))
        self.assertTrue(wanted, "the fixture expects nothing")
        for finding in self.findings(rule, FIXTURES / rule.name):
            match = next((want for want in wanted
                          if (want.path, want.line) == (finding.path, finding.line)
                          and want.message in finding.message), None)
            self.assertIsNotNone(match, f"not expected: {finding}")
            wanted.remove(match)
        self.assertEqual(wanted, [], "not found")

    def test_every_fixture_has_a_rule(self):
        names = {rule.name for rule in RULES} | {CLEAN.name}
        self.assertEqual({path.name for path in FIXTURES.iterdir() if path.is_dir()}, names)


def add_tests(rule):
    def broken(self):
        self.check_broken(rule)

    def clean(self):
        self.assertEqual(self.findings(rule, CLEAN), [])

    name = rule.name.replace("-", "_")
    setattr(FixtureTest, f"test_{name}_finds_what_breaks_it", broken)
    setattr(FixtureTest, f"test_{name}_finds_nothing_in_the_clean_tree", clean)


for each_rule in RULES:
    add_tests(each_rule)

if __name__ == "__main__":
    unittest.main()
