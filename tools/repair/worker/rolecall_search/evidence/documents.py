"""What docstrings and comments say about the code: words, numbers, quoted names, raised exceptions.

Owns the reading of documentation and its weight for an edit. It proposes nothing.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

from rolecall_search.program.source import FUNCTION_TYPES, SourceFile, Unit

QUOTED = re.compile(r"`+([A-Za-z_][\w.]*)`+")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
RAISED = re.compile(r"\b([A-Z]\w*(?:Error|Exception|Warning)|[A-Z]\w+(?=: ))")
WORD = re.compile(r"[a-z]+")
COMMENT = re.compile(r"#([^\n]*)")
# Words of a text, parts of an edit or names of templates they speak for, and the weight.
SPEAKING: tuple[tuple[frozenset[str], tuple[str, ...], float], ...] = (
    (frozenset({"case", "cases", "lowercase", "uppercase", "lower", "upper"}), (".lower()", ".upper()", ".casefold()",
     "ignore case"), 2.0),
    (frozenset({"inclusive", "included", "including", "exclusive", "excluded", "most", "least", "within", "until",
                "below", "above", "between", "both", "ends", "more", "less", "than"}),
     ("comparison operator", "comparison operators", "off by one", "lower bound"), 1.3),
    (frozenset({"copy", "copies", "unchanged", "untouched", "own", "independent"}),
     ("copy instead of alias", "deep copy"), 1.5),
    (frozenset({"sorted", "order", "ordered", "newest", "oldest", "largest", "smallest", "descending", "ascending",
                "first", "last", "reverse", "reversed", "backwards"}),
     ("reverse=True", "reversed(", "sorted(", "add a sign", "swap elements", "another order", ".reverse()"), 1.4),
    (frozenset({"none", "empty", "missing", "without", "no", "nothing", "unless"}),
     ("early exit", "conditional value", "tolerant look-up", "empty instead of None", "test for None"), 1.3),
    (frozenset({"blank", "blanks", "space", "spaces", "whitespace", "stripped", "trimmed"}),
     (".strip()", ".rstrip()", ".lstrip()", "remove characters"), 1.4),
    (frozenset({"drop", "drops", "dropped", "remove", "removes", "removed", "delete", "deletes", "deleted", "forget"}),
     (".pop(", "del ", ".remove(", ".discard(", ".clear("), 1.5),
    (frozenset({"ends", "between", "neither", "edges", "inner", "outer"}), ("slice bounds",), 2.0),
    (frozenset({"rounded", "round", "rounds"}), ("round(", "//", "floor", "ceil", "ROUND_"), 1.3),
    (frozenset({"unique", "once", "twice", "duplicate", "duplicates", "distinct"}),
     ("store the lookup", "set(", ".add("), 1.3),
)  # fmt: skip
NAMED, NUMBERED, PROMISED = 1.25, 1.6, 1.5


@dataclass(frozen=True)
class Documented:
    """The documentation of one function."""

    words: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    raised: frozenset[str] = frozenset()
    speaking: tuple[tuple[tuple[str, ...], float], ...] = field(default=())

    def weight(self, template: str, written: str) -> float:
        """How well an edit agrees with the documentation; 1 when the documentation does not mention it.

        `written` is the text the edit adds.
        """
        made = 1.0
        for parts, weight in self.speaking:
            if any(part == template or part in written for part in parts):
                made = max(made, weight)
        if self.numbers and not made > 1.0 and written.strip() in self.numbers:
            made = NUMBERED
        if any(name in written for name in self.raised):
            made = max(made, PROMISED)
        if any(name in written for name in self.names):
            made = max(made, NAMED)
        return made


def read_documents(source: SourceFile, unit: Unit) -> Documented:
    """Gather the docstrings of a function and of its class, and the comments in it."""
    texts = [ast.get_docstring(node) or "" for node in ast.walk(unit.node) if isinstance(node, FUNCTION_TYPES)]
    parent = source.parents.get(unit.node)
    if isinstance(parent, (ast.ClassDef, ast.Module)):
        texts.append(ast.get_docstring(parent) or "")
    texts += COMMENT.findall(source.text[unit.start : unit.end])
    text = "\n".join(texts)
    words = frozenset(WORD.findall(text.lower()))
    return Documented(
        words=words,
        numbers=frozenset(NUMBER.findall(text)),
        names=frozenset(QUOTED.findall(text)),
        raised=frozenset(RAISED.findall(text)),
        speaking=tuple((parts, weight) for said, parts, weight in SPEAKING if said & words),
    )
