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
        "table": frozenset({"dict"}), "box": frozenset({"Box"}), "cost": INTS, "name": frozenset({"str"}),
        "lit": frozenset({"bool"}), "moment": frozenset({"datetime"}), "rows": frozenset({"list"}),
    },
    elements={"items": frozenset({"list"}), "rows": frozenset({"list", "int"})},
    attributes={"Box": {"low": INTS, "tries": INTS, "name": frozenset({"str"}), "parts": frozenset({"tuple"})}},
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
    "deep copy": ("b = list(items)", "b = [list(inner) for inner in items]"),
    "empty instead of None": ("b = table.get(text, ())", "b = table.get(text) or ()"),
    "accumulating": ("for x in items:\n        seen = set(x)", "seen.update(x)"),
    "pattern once": ('b = call("[-_]", text)', 'b = call("[-_]+", text)'),
    "first to the end": ('b = ("", "a", "rc")', 'b = ("a", "rc", "")'),
    "method, not attribute": ("b = text.seconds // 60", "b = text.total_seconds() // 60"),
    "method with a constant": ('a = text.strip("x")\n    b = word', 'b = word.strip("x")'),
    "function with an owner": ("a = self.take(row)\n    b = column", "b = self.take(column)"),
    "operand of a sibling": ("a = row + call(wide)\n    b = column", "b = column + call(wide)"),
    "rest of a division": ("a = row % 7\n    b = column", "b = column % 7"),
    "one operand negated": ("if text and text.isdigit():\n        b = text", "if text and not text.isdigit():"),
    "part alone": ("b = text + name", "b = text + name if text else name"),
    "loop over nothing": ("for x in items.split(1):\n        b = x", "for x in items.split(1) if items else []:"),
    "unread flag": ("flag = call(1)\n    c = other(row)\n    b = column", "b = other(column) if flag else column"),
    "operand under a flag": ("b = row == 3 or row == 2", "b = row == 3 or (lit and row == 2)"),
    "filter by what is made": ("b = [x.strip() for x in items]", "[x.strip() for x in items if x.strip()]"),
    "last, not first": ("b = items[1:]", "b = items[:-1]"),
    "entry made anew": ("table[text] = {row: wide}", "table.setdefault(text, {})[row] = wide"),
    "list made anew": ("table[text] = [row]", "table.setdefault(text, []).append(row)"),
    "sum made anew": ("for x in items:\n        table[x] = row", "table[x] = table.get(x, 0) + row"),
    "count elsewhere": ("b = row", "box.tries += 1\n    b = row"),
    "two names compared": ("for x in items:\n        b = x", "if row == wide:\n            continue"),
    "no digits": ("b = int(text)", "b = int(text or 0)"),
    "part of a moment": ("b = {moment: 1}\n    c = call(moment)", "c = call(moment.date())"),
    "if for while": ("if call():\n        b = row", "while call():"),
    "singular": ('b = f"{row} cells"', 'b = f"{row} cell" if row == 1 else f"{row} cells"'),
    "elements of an attribute": ("b = call(items)", "b = call([*items, *box.parts])"),
    "known already": ("table[text] = row", "if text in table:\n        return table[text]\n    table[text]"),
    "state kept": ("if text in table:\n        b = 1\n    b = row", "table[text] = self.low"),
    "texts joined": ('b = ".".join(rows)', 'b = ".".join(map(str, rows))'),
    "rows copied": ("b = rows", "b = [list(inner) for inner in rows]"),
    "conversion of an alternative": ("b = call(text or 0)", "b = call(int(text or 0))"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "wanted"), CASES.values(), ids=CASES)
def test_a_lost_piece_is_proposed(tmp_path: Path, body: str, wanted: str) -> None:
    text = (
        "def f(self, row, column, wide, high, seen, items, text, table, box, cost, call, other, word, name, lit, moment,"
        f" rows):\n    {body}\n"
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


def test_a_list_that_is_filled_and_not_read_counts_as_unused(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        "def f(a):\n    made = []\n    used = []\n    made.append(a)\n    used.append(a)\n    return used\n"
    )
    source = SourceFile.load(str(path), "program.py")
    assert unused_names(source, source.units[0]) == {"made"}


def test_what_a_function_that_always_raises_would_return_is_read_from_its_text(tmp_path: Path) -> None:
    text = "def f(self):\n    return 1 + max(x for x in self.items)\n"
    types = UnitTypes(names={"self": frozenset({"Box"})}, attributes={"Box": {"items": frozenset({"list"})}})
    assert any("if not self.items:\n        return 0\n" in made for made in edited(tmp_path, text, types=types))
