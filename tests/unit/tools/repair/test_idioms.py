"""Lost pieces come back from the code around them."""
# ruff: noqa: E501 - a body and what becomes of it stand side by side

from pathlib import Path

import pytest
from rolecall_search.program.source import SourceFile
from rolecall_search.program.typeinfo import UnitTypes
from rolecall_search.templates.base import unused_names

from tests.unit.tools.repair.test_templates import edited

INTS = frozenset({"int"})
TYPES = UnitTypes(
    names={
        "self": frozenset({"Box"}), "row": INTS, "column": INTS, "wide": INTS, "high": INTS,
        "seen": frozenset({"set"}), "items": frozenset({"list"}), "text": frozenset({"str"}),
        "table": frozenset({"dict"}), "box": frozenset({"Box"}), "cost": INTS,
    },
    elements={"items": frozenset({"list"})},
    attributes={"Box": {"low": INTS, "tries": INTS, "name": frozenset({"str"})}},
    methods={"Box": ("copy",)},
)  # fmt: skip
CASES = {
    "names exchanged in nested calls": ("b = call(row % wide, other(column % high))", "b = call(row % high, other(column % wide))"),
    "functions exchanged": ("b = max(row, min(column, 1))", "b = min(row, max(column, 1))"),
    "call moved": ("b = call(text, len(items))", "b = call(len(text), items)"),
    "method lost on both": ("b = call(text, text)", "b = call(text.lower(), text.lower())"),
    "method on one side": ("b = (text.lower(), word)", "b = (text.lower(), word.lower())"),
    "method in a comprehension": ("b = text.lower() in [own for own in items]", "b = text.lower() in [own.lower() for own in items]"),
    "option of a sibling call": ("b = row.shift(x=1)\n    c = row.shift(y=2)", "b = row.shift(x=1, y=2)"),
    "field of the clock": ("b = row.replace(minute=0)", "b = row.replace(hour=0, minute=0)"),
    "longer statement": ("self.take(1)\n    b = self.take(1) is not None", "b = self.take(1) is not None\n    b = self"),
    "seen not kept": ("if text not in seen:\n        b = text", "seen.add(text)"),
    "bound lost on both": ("return row < high and column < wide", "return 0 <= row < high and 0 <= column < wide"),
    "attribute as operand": ("return row", "return row + self.low"),
    "call over a sum": ("b = abs(row - wide + column - high)", "b = abs(row - wide) + abs(column - high)"),
    "sort key": ("b = sorted(items, key=lambda item: (item[1], item[0]))", "b = sorted(items, key=lambda item: (-item[1], item[0]))"),
    "better than known": ("if text not in table:\n        b = text", "if text not in table or cost < table[text]:"),
    "copy handed on": ("b = call(table)", "b = call(dict(table))"),
    "own copy": ("b = box", "b = box.copy()"),
    "copy in depth": ("b = list(items)", "b = [list(inner) for inner in items]"),
    "empty instead of None": ("b = table.get(text, ())", "b = table.get(text) or ()"),
    "accumulating": ("for x in items:\n        seen = set(x)", "seen.update(x)"),
    "pattern once": ('b = call("[-_]", text)', 'b = call("[-_]+", text)'),
    "first to the end": ('b = ("", "a", "rc")', 'b = ("a", "rc", "")'),
    "method, not attribute": ("b = text.seconds // 60", "b = text.total_seconds() // 60"),
    "conversion of an alternative": ("b = call(text or 0)", "b = call(int(text or 0))"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "wanted"), CASES.values(), ids=CASES)
def test_a_lost_piece_is_proposed(tmp_path: Path, body: str, wanted: str) -> None:
    text = (
        f"def f(self, row, column, wide, high, seen, items, text, table, box, cost, call, other, word):\n    {body}\n"
    )
    assert any(wanted in made for made in edited(tmp_path, text, types=TYPES))


def test_a_statement_of_a_sibling_function_is_offered(tmp_path: Path) -> None:
    text = "class P:\n    def one(self):\n        a = self.two()\n        return a\n\n    def two(self):\n        self.need(1)\n"
    made = edited(tmp_path, text)
    assert any("a = self.two()\n        self.need(1)\n" in entry for entry in made)


def test_a_property_of_the_class_may_stand_for_an_attribute(tmp_path: Path) -> None:
    text = "def f(box):\n    return box.low\n\n\nclass Box:\n    @property\n    def key(self):\n        return 1\n"
    assert any("return box.key" in entry for entry in edited(tmp_path, text, types=TYPES))


def test_an_own_attribute_is_passed_on_by_place(tmp_path: Path) -> None:
    text = "def f(self, url):\n    return again(url)\n\n\ndef again(url, tries=3):\n    return url\n"
    assert any("again(url, self.tries)" in entry for entry in edited(tmp_path, text, types=TYPES))


def test_one_more_attribute_is_compared_on_both_sides(tmp_path: Path) -> None:
    text = "def f(self, box):\n    return (self.low, self.tries) == (box.low, box.tries)\n"
    assert any("(self.low, self.tries, self.name) == (box.low, box.tries, box.name)" in entry
               for entry in edited(tmp_path, text, types=TYPES))  # fmt: skip


def test_names_that_nothing_reads_are_known(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        "from m import Used, Lost\n\n\ndef f(a, every):\n    end = a\n    return Used(a)\n", encoding="utf-8"
    )
    source = SourceFile.load(str(path), "program.py")
    assert unused_names(source, source.units[0]) == {"Lost", "every", "end"}
