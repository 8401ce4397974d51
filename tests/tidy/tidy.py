"""Checks the rules of the tree that no compiler checks. Prints path:line: [rule] what is wrong."""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from rules import RULES  # noqa: E402
from source import Tree  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--c-compiler", default="cc")
    parser.add_argument("--cpp-compiler", default="c++")
    parser.add_argument("--shared-library", type=Path)
    parser.add_argument("--static-library", type=Path)
    parser.add_argument("--without", default="", metavar="PREFIX",
                        help="names that begin so are not in this build")
    parser.add_argument("rule", nargs="*", help="check these rules only")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    known = {rule.name for rule in RULES}
    for name in arguments.rule:
        if name not in known:
            sys.exit(f"no rule is named '{name}'; there are: {' '.join(sorted(known))}")
    tree = Tree(arguments.root, arguments.c_compiler, arguments.cpp_compiler,
                arguments.shared_library, arguments.static_library, arguments.without)
    found = 0
    for rule in RULES:
        if arguments.rule and rule.name not in arguments.rule:
            continue
        for finding in sorted(rule.check(tree)):
            print(f"{finding.path}:{finding.line}: [{rule.name}] {finding.message}")
            found += 1
    for note in tree.notes:
        print(f"note: {note}")
    print(f"{len(tree.files)} files, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
