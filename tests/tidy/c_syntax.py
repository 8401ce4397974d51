"""Functions of C and C++ as far as rules need them: name, parameters, lines, nesting. Not a parser
of the language: it knows braces, parentheses and statements, and trusts that a compiler saw the
rest."""

import functools
import re
from dataclasses import dataclass

TOKEN = re.compile(r'\w+|->|::|"|[^\s\w]')
PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
CLOSING = {"(": ")", "[": "]", "{": "}"}
QUALIFIERS = {"const", "noexcept", "override", "final", "mutable"}
SCOPES = {"namespace", "class", "struct", "union", "extern"}


@dataclass(frozen=True)
class Token:
    text: str
    line: int


@dataclass(frozen=True)
class Function:
    name: str
    is_static: bool
    parameters: int
    first_line: int
    body_line: int
    last_line: int
    nesting: int
    nesting_line: int


def tokens_of(file):
    code = PREPROCESSOR.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), file.code)
    code = re.sub(r'"[^"\n]*"', '"', code)
    tokens = []
    for number, line in enumerate(code.split("\n"), 1):
        tokens += [Token(match[0], number) for match in TOKEN.finditer(line)]
    return tokens


def group_end(tokens, start):
    """The index behind the group that opens at `start`."""
    opening, closing = tokens[start].text, CLOSING[tokens[start].text]
    depth = 0
    for index in range(start, len(tokens)):
        if tokens[index].text == opening:
            depth += 1
        elif tokens[index].text == closing:
            depth -= 1
            if depth == 0:
                return index + 1
    return len(tokens)


def group_start(tokens, end):
    """The index of the parenthesis that opens the group that closes at `end`."""
    depth = 0
    for index in range(end, -1, -1):
        depth += {")": 1, "(": -1}.get(tokens[index].text, 0)
        if depth == 0:
            return index
    return 0


def count_parameters(tokens):
    """Of what stands between a function's parentheses."""
    if not tokens or [token.text for token in tokens] == ["void"]:
        return 0
    depth, count = 0, 1
    for token in tokens:
        if token.text in "([{<":
            depth += 1
        elif token.text in ")]}>":
            depth -= 1
        elif token.text == "," and depth == 0:
            count += 1
    return count


class Nesting:
    """How deep control statements lie in each other; `else if` continues its `if`."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.deepest = 0
        self.line = tokens[0].line if tokens else 0

    def text(self, index):
        return self.tokens[index].text if index < len(self.tokens) else ""

    def enter(self, index, depth):
        if depth > self.deepest:
            self.deepest = depth
            self.line = self.tokens[index].line

    def block(self, index, depth):
        while index < len(self.tokens) and self.text(index) != "}":
            index = self.statement(index, depth)
        return index + 1

    def condition(self, index):
        while index < len(self.tokens) and self.text(index) != "(":
            index += 1
        return group_end(self.tokens, index) if index < len(self.tokens) else index

    def statement(self, index, depth):
        word = self.text(index)
        if word == "{":
            return self.block(index + 1, depth)
        if word == "if":
            return self.branch(index, depth + 1)
        if word in ("for", "while", "switch"):
            self.enter(index, depth + 1)
            return self.statement(self.condition(index), depth + 1)
        if word == "do":
            self.enter(index, depth + 1)
            index = self.statement(index + 1, depth + 1)
            return self.condition(index) + 1
        return self.simple(index)

    def branch(self, index, depth):
        self.enter(index, depth)
        index = self.statement(self.condition(index), depth)
        while self.text(index) == "else" and self.text(index + 1) == "if":
            index = self.statement(self.condition(index + 1), depth)
        if self.text(index) == "else":
            index = self.statement(index + 1, depth)
        return index

    def simple(self, index):
        is_label = self.text(index) in ("case", "default") or self.text(index + 1) == ":"
        while index < len(self.tokens) and self.text(index) != "}":
            if self.text(index) in CLOSING:
                index = group_end(self.tokens, index)
                continue
            if self.text(index) == ";" or (is_label and self.text(index) == ":"):
                return index + 1
            index += 1
        return index


class FunctionFinder:
    def __init__(self, tokens):
        self.tokens = tokens
        self.functions = []

    def find(self):
        index = start = 0
        while index < len(self.tokens):
            word = self.tokens[index].text
            if word in (";", "}"):
                index = start = index + 1
            elif word in "([":
                index = group_end(self.tokens, index)
            elif word == "{":
                index, start = self.open_brace(start, index)
            else:
                index += 1
        return self.functions

    def open_brace(self, start, index):
        """Where to go on, and where the declaration begins that is read there."""
        words = [token.text for token in self.tokens[start:index]]
        end = group_end(self.tokens, index)
        if self.is_member_initializer(words):
            return end, start
        closing = self.parameters_end(start, index)
        if closing is not None and "=" not in words[:closing - start]:
            self.add(start, closing, index, end)
            return end, end
        if SCOPES.intersection(words) and "=" not in words and "enum" not in words:
            return index + 1, index + 1
        return end, end if "=" not in words else start

    @staticmethod
    def is_member_initializer(words):
        pairs = zip(words, words[1:])
        has_list = any(pair == (")", ":") for pair in pairs)
        return has_list and bool(re.match(r"\w|>", words[-1]))

    def parameters_end(self, start, index):
        """The index of the parenthesis that closes the parameters; None: not a function."""
        words = [token.text for token in self.tokens[start:index]]
        for position, pair in enumerate(zip(words, words[1:])):
            if pair in ((")", ":"), (")", "->")):
                return start + position
        last = index - 1
        while last > start:
            word = self.tokens[last].text
            if word in QUALIFIERS:
                last -= 1
            elif word == ")":
                opening = group_start(self.tokens, last)
                if self.tokens[opening - 1].text not in ("__attribute__", "_Alignas", "alignas"):
                    return last
                last = opening - 2
            else:
                return None
        return None

    def add(self, start, closing, index, end):
        opening = group_start(self.tokens, closing)
        nesting = Nesting(self.tokens[index + 1:end - 1])
        nesting.block(0, 0)
        first = start
        while self.tokens[first].text in ("FLETCH_BEGIN_DECLS", "FLETCH_END_DECLS"):
            first += 1
        self.functions.append(Function(
            name=self.tokens[opening - 1].text,
            is_static=any(token.text == "static" for token in self.tokens[start:opening]),
            parameters=count_parameters(self.tokens[opening + 1:closing]),
            first_line=self.tokens[first].line,
            body_line=self.tokens[index].line,
            last_line=self.tokens[end - 1].line,
            nesting=nesting.deepest,
            nesting_line=nesting.line,
        ))


@functools.lru_cache(maxsize=None)
def functions_of(file):
    return FunctionFinder(tokens_of(file)).find()
