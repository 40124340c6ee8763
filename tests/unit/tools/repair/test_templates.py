"""Every family proposes the edit a person would make for the faults it exists for."""

import ast
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from rolecall_search.program.source import SourceFile
from rolecall_search.program.typeinfo import UnitTypes
from rolecall_search.templates.base import Hints, make_context
from rolecall_search.templates.registry import proposals

CASES = {
    "comparison": ("if a < b:\n        b = a", "if a <= b:"),
    "both bounds": ("if a <= b and c <= b:\n        b = a", "if a < b and c < b:"),
    "membership": ("if a in items:\n        b = a", "if a not in items:"),
    "boolean": ("if a and b:\n        b = a", "if a or b:"),
    "negation": ("if not a:\n        b = a", "if a:"),
    "arithmetic": ("b = a - c", "b = a + c"),
    "grouping": ("b = a + c * b", "b = (a + c) * b"),
    "off by one": ("b = items[a:]", "b = items[a + 1:]"),
    "constant": ("b = a + 2", "b = a + 1"),
    "flag": ("b = sorted(items, reverse=False)", "b = sorted(items, reverse=True)"),
    "variable": ("b = a + a", "b = a + c"),
    "swapped arguments": ("b = call(a, c)", "b = call(c, a)"),
    "swapped operands": ("b = word + text", "b = text + word"),
    "any": ("b = any(items)", "b = all(items)"),
    "method": ("items.append(word)", "items.extend(word)"),
    "chained method": ("b = word.lower()", "b = word.strip().lower()"),
    "wrapped": ("b = items", "b = list(items)"),
    "unwrapped": ("b = list(items)", "b = items"),
    "bounded": ("b = b + a", "b = max(0, b + a)"),
    "slice": ("for x in items:\n        b = x", "for x in items[1:]:"),
    "last": ("b = items[0]", "b = items[-1]"),
    "look-up": ("b = table[word]", "b = table.get(word, 0)"),
    "empty list": ("return []", "return [[]]"),
    "guard": ("if a > 1:\n        b = a", "if a > 1 or not items:"),
    "truth test": ("if not word:\n        b = a", "if word is None:"),
    "loop condition": ("while True:\n        items.pop()", "while items:"),
    "early exit": ("b = items[0]", "if not items:"),
    "inserted append": ("b = a", "items.append(word)"),
    "kept result": ("word.strip()", "word = word.strip()"),
    "missing return": ("call(a)", "return call(a)"),
    "missing raise": ("ValueError(a)", "raise ValueError(a)"),
    "yield from": ("yield call(a)", "yield from call(a)"),
    "loop exit": ("for x in items:\n        break", "continue"),
    "assign": ("b = a", "b += a"),
    "accumulate": ("b += a", "b = a"),
    "assign instead of update": ("items.extend(word)", "items = word"),
    "exception": ("raise KeyError(a)", "raise ValueError(a)"),
    "option": ("b = sorted(items)", "b = sorted(items, reverse=True)"),
    "format": ('b = f"{a:.1f}"', 'b = f"{a:.2f}"'),
    "separator": ('b = ",".join(items)', 'b = ", ".join(items)'),
    "swapped branches": ("b = a if c else word", "b = word if c else a"),
}
TYPES = UnitTypes(
    names={
        "a": frozenset({"int"}), "b": frozenset({"int"}), "c": frozenset({"int"}),
        "items": frozenset({"list"}), "word": frozenset({"str", "NoneType"}),
        "text": frozenset({"str"}), "table": frozenset({"dict"}),
    },
    elements={"items": frozenset({"str"})},
    results=frozenset({"list"}),
)  # fmt: skip


def edited(folder: Path, text: str, types: UnitTypes = TYPES, hints: Hints | None = None) -> list[str]:
    path = folder / "program.py"
    path.write_text(text, encoding="utf-8")
    source = SourceFile.load(str(path), "program.py")
    unit = source.units[0]
    context = make_context(source, unit, types, hints or Hints(wanted_errors=("ValueError",)))
    made = []
    for node in ast.walk(unit.node):
        if isinstance(node, (ast.stmt, ast.expr, ast.comprehension, ast.ExceptHandler)):
            made += [source.apply(proposal.edits) for proposal in proposals(context, node)]
    return made


def compiles(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


@pytest.mark.parametrize(("body", "wanted"), CASES.values(), ids=CASES)
def test_fault_has_its_mending_edit(tmp_path: Path, body: str, wanted: str) -> None:
    text = f"def f(a, b, c, items, word, text, table, call):\n    {body}\n    return b\n"
    hits = [made for made in edited(tmp_path, text) if f"    {wanted}" in made]
    assert any(compiles(made) for made in hits)


def test_mutable_default_is_made_per_call(tmp_path: Path) -> None:
    text = "def f(a, into=[]):\n    into.append(a)\n    return into\n"
    made = edited(tmp_path, text)
    assert "def f(a, into=None):\n    if into is None:\n        into = []\n" in "".join(
        entry[: entry.index("into.append")] for entry in made if "into=None" in entry
    )


def test_handler_catches_the_error_the_tests_end_with(tmp_path: Path) -> None:
    text = dedent("""
        def f(a):
            try:
                return a[0]
            except KeyError:
                return None
    """)
    made = edited(tmp_path, text, hints=Hints(errors=frozenset({"IndexError"})))
    assert any("except (KeyError, IndexError):" in entry for entry in made)


def test_known_types_prune_variables(tmp_path: Path) -> None:
    text = "def f(a, c, items):\n    return a + 1\n"
    few = [m for m in edited(tmp_path, text) if "return items + 1" in m]
    unknown = replace(TYPES, names={})
    many = [m for m in edited(tmp_path, text, types=unknown) if "return items + 1" in m]
    assert (few, bool(many)) == ([], True)


def test_edits_keep_comments_and_line_ends(tmp_path: Path) -> None:
    text = "def f(a):\r\n    b = a - 1  # why\r\n    return b\r\n"
    path = tmp_path / "program.py"
    path.write_bytes(text.encode())
    source = SourceFile.load(str(path), "program.py")
    context = make_context(source, source.units[0], TYPES, Hints())
    statement = source.units[0].node.body[0]
    made = [source.apply(p.edits) for p in proposals(context, statement)]
    assert text.replace("    return b\r\n", "") not in made
    assert all("\n" not in entry.replace("\r\n", "") for entry in made)
    assert any("b += a - 1  # why\r\n" in entry for entry in made)
