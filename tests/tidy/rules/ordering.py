"""What lock-free code says about its memory orders.

A concept is a pair x.h, x.c of src/sync or src/memory. It declares edges in a comment
(" *   E1: ..."), cites them at each access ("E1 release", "E1 acquire"), and has a litmus test for
each, x_e1."""

import re
from collections import defaultdict

from source import Finding

DECLARATION = re.compile(r"^\s*/?\*+\s+E(\d+):")
CITATION = re.compile(r"\bE(\d+) (release|acquire)\b")
ORDERED = re.compile(r"\b(?:load|store|exchange|fetch_\w+?|cas(?:_weak|_strong)?)"
                     r"_(acquire|release|acq_rel)\s*\(")
RELAXED = r"\b\w+_relaxed\s*\("
SEQ_CST = r"\b\w*seq_cst\s*\("
SIDES = {"acquire": ("acquire",), "release": ("release",), "acq_rel": ("release", "acquire")}
PREAMBLE = ("Origin", "Roles", "Progress", "Edges", "Reclamation")


def atomic_users(tree):
    return [file for file in tree.library if file.path != "src/base/atomic.h"]


def check_relaxed(tree):
    """Each relaxed access says why it may be relaxed."""
    for file in atomic_users(tree):
        for line, match in file.search(RELAXED):
            if "relaxed:" not in file.comments_of_statement(line):
                yield Finding(file.path, line, f"{match[0].rstrip('( ')} without 'relaxed: why'")


def check_seq_cst(tree):
    """Each sequentially consistent operation says what for."""
    for file in atomic_users(tree):
        for line, match in file.search(SEQ_CST):
            if "seq_cst:" not in file.comments_of_statement(line):
                yield Finding(file.path, line, f"{match[0].rstrip('( ')} without 'seq_cst: why'")


def check_citations(tree):
    """Each acquire and release names its edge, there or in the comment above."""
    for file in tree.library:
        if not file.under("src/sync", "src/memory"):
            continue
        for line, match in file.search(ORDERED):
            cited = {side for _, side in CITATION.findall(file.comments_of_statement(line))}
            for side in SIDES[match[1]]:
                if side not in cited:
                    access = match[0].rstrip("( ")
                    yield Finding(file.path, line, f"{access} cites no edge as 'E<n> {side}'")


class Concept:
    def __init__(self):
        self.files = []
        self.declared = {}
        self.cited = defaultdict(dict)
        self.has_orders = False

    def read(self, file):
        self.files.append(file)
        self.has_orders |= any(True for _ in file.search(ORDERED))
        for number, comment in enumerate(file.comment_lines, 1):
            declaration = DECLARATION.match(comment)
            if declaration:
                self.declared.setdefault(int(declaration[1]), (file.path, number))
            for edge, side in CITATION.findall(comment):
                self.cited[int(edge)].setdefault(side, (file.path, number))


def concepts_of(tree):
    concepts = defaultdict(Concept)
    for file in tree.library:
        if file.under("src/sync", "src/memory"):
            concepts[file.stem].read(file)
    return concepts


def check_edges(tree):
    """Each edge is declared once and has both ends in the code."""
    for concept in concepts_of(tree).values():
        for edge, (path, line) in sorted(concept.declared.items()):
            for side in ("release", "acquire"):
                if side not in concept.cited[edge]:
                    yield Finding(path, line, f"E{edge} has no access that cites 'E{edge} {side}'")
        for edge, sides in sorted(concept.cited.items()):
            if edge not in concept.declared:
                for path, line in sides.values():
                    yield Finding(path, line, f"E{edge} is cited and not declared")


def check_litmus(tree):
    """Each edge has a litmus test: the word <concept>_e<n> in tests/litmus."""
    words = set()
    for file in tree.files:
        if file.under("tests/litmus") and file.is_c:
            words.update(re.findall(r"\w+_e\d+(?!\d)", file.text))
    names = {name.rpartition("litmus_")[2] for name in words} | words
    for stem, concept in concepts_of(tree).items():
        for edge, (path, line) in sorted(concept.declared.items()):
            if f"{stem}_e{edge}" not in names:
                yield Finding(path, line, f"no litmus test is named {stem}_e{edge}")


def check_preamble(tree):
    """Lock-free code opens with its origin, roles, progress, edges and reclamation."""
    for concept in concepts_of(tree).values():
        if not concept.has_orders:
            continue
        comments = "\n".join("\n".join(file.comment_lines) for file in concept.files)
        for word in PREAMBLE:
            if not re.search(rf"\b{word}\b", comments):
                yield Finding(concept.files[-1].path, 1, f"the opening comment has no '{word}'")
