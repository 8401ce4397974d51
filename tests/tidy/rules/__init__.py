"""The table of rules. Each has a fixture of its name that breaks it (tests/tidy/fixtures)."""

from dataclasses import dataclass
from typing import Callable

from rules import compiled, files, layers, ordering, sizes, tokens


@dataclass(frozen=True)
class Rule:
    name: str
    check: Callable


RULES = (
    Rule("layers", layers.check_layers),
    Rule("include-form", layers.check_include_form),
    Rule("third-party", layers.check_third_party),
    Rule("public-only", layers.check_public_only),
    Rule("cycles", layers.check_cycles),
    Rule("banned-tokens", tokens.check_banned_tokens),
    Rule("conditionals", tokens.check_conditionals),
    Rule("open-work", tokens.check_open_work),
    Rule("prefix", tokens.check_prefix),
    Rule("relaxed", ordering.check_relaxed),
    Rule("seq-cst", ordering.check_seq_cst),
    Rule("citations", ordering.check_citations),
    Rule("edges", ordering.check_edges),
    Rule("litmus", ordering.check_litmus),
    Rule("preamble", ordering.check_preamble),
    Rule("file-length", sizes.check_file_length),
    Rule("line-length", sizes.check_line_length),
    Rule("function-length", sizes.check_function_length),
    Rule("parameters", sizes.check_parameters),
    Rule("nesting", sizes.check_nesting),
    Rule("nouns", files.check_nouns),
    Rule("unique-names", files.check_unique_names),
    Rule("pairs", files.check_pairs),
    Rule("hosts", files.check_hosts),
    Rule("machine-paths", files.check_machine_paths),
    Rule("links", files.check_links),
    Rule("version", files.check_version),
    Rule("headers", compiled.check_headers),
    Rule("exports", compiled.check_exports),
    Rule("library-symbols", compiled.check_library_symbols),
    Rule("format", compiled.check_format),
)
