"""Operators are weighed by the types of their operands, and slips of one operator come first."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from rolecall_search.candidates import Stream
from rolecall_search.evidence.localize import Suspicion
from rolecall_search.program.source import SourceFile
from rolecall_search.program.typeinfo import UnitTypes
from rolecall_search.templates.base import Hints
from rolecall_search.templates.operator_tables import binary_priors, misfits

TEXT, LIST, INT = frozenset({"str"}), frozenset({"list"}), frozenset({"int"})
SETS, UNKNOWN = frozenset({"set"}), frozenset[str]()


def binary(text: str) -> ast.BinOp:
    node = ast.parse(text, mode="eval").body
    assert isinstance(node, ast.BinOp)
    return node


def best(priors: dict[str, float]) -> str:
    return max(priors, key=lambda name: priors[name])


@pytest.mark.parametrize(
    ("text", "left", "wanted"),
    [
        ("a ^ b", TEXT, "+"), ("'(%s)' >> b", TEXT, "%"), ("a & b", LIST, "+"), ("a - b", LIST, "+"),
        ("a << b", INT, ">>"),
    ],
)  # fmt: skip
def test_the_left_operand_says_which_operator_was_meant(text: str, left: frozenset[str], wanted: str) -> None:
    assert best(binary_priors(binary(text), left, UNKNOWN, raised=False)) == wanted


def test_every_operator_may_become_every_other() -> None:
    assert set(binary_priors(binary("a << b"), UNKNOWN, UNKNOWN, raised=False)) >= {"+", "-", "%", "|", "*"}


def test_an_operator_that_raised_is_surely_the_fault() -> None:
    calm = binary_priors(binary("a << b"), UNKNOWN, UNKNOWN, raised=False)
    raised = binary_priors(binary("a << b"), UNKNOWN, UNKNOWN, raised=True)
    assert raised["%"] > 2 * calm["%"]


def test_an_operator_for_bits_beside_decimal_numbers_is_odd_and_arithmetic_comes_first() -> None:
    decimal = frozenset({"Decimal"})
    assert misfits("&", decimal, INT)
    assert not misfits("*", decimal, INT)
    priors = binary_priors(binary("a & b"), decimal, INT, raised=False)
    assert max(priors, key=lambda name: priors[name]) == "*"
    assert priors["*"] > 1.0 > priors["|"]


def test_an_operator_no_operand_takes_misfits() -> None:
    assert misfits("^", TEXT, UNKNOWN)
    assert misfits("-", INT, TEXT)
    assert misfits("+", SETS, UNKNOWN)
    assert not misfits("%", TEXT, INT)
    assert not misfits("^", UNKNOWN, INT)


def stream(folder: Path, text: str, lines: dict[int, float], hints: Hints | None = None) -> list[str]:
    path = folder / "program.py"
    path.write_text(text, encoding="utf-8")
    source = SourceFile.load(str(path), "program.py")
    suspicion = Suspicion(scores={str(path): lines}, covering={(str(path), line): {0} for line in lines})
    types = {source.units[0]: UnitTypes()} if source.units else {}
    found = Stream({str(path): source}, suspicion, types, hints or Hints())
    return [source.apply(candidate.edits) for candidate in found]


def place(made: list[str], part: str) -> int:
    return next(at for at, text in enumerate(made) if part in text)


def test_dropping_a_negation_comes_before_changing_what_it_negates(tmp_path: Path) -> None:
    made = stream(tmp_path, "def run(self, other):\n    if not self is other:\n        return 1\n", {2: 1.0})
    assert place(made, "if self is other") < place(made, "not self is not other")


def test_a_loop_over_nothing_gets_a_name_in_scope(tmp_path: Path) -> None:
    made = stream(tmp_path, "def run(words):\n    for word in []:\n        print(word)\n", {2: 1.0})
    assert place(made, "for word in words:") < 5


def test_the_error_in_flight_is_the_one_to_catch(tmp_path: Path) -> None:
    text = "def run(table):\n    try:\n        return table[0]\n    except Missing:\n        return 0\n"
    hints = Hints(errors=frozenset({"NameError"}), missing=frozenset({"Missing"}), in_flight=("KeyError",))
    made = stream(tmp_path, text, {3: 1.0, 4: 1.0}, hints)
    assert place(made, "except KeyError:") == 0
    assert "except NameError:" not in "".join(made[:5])


def test_entries_of_a_table_that_the_tests_name_come_first(tmp_path: Path) -> None:
    text = "FORMATS = {\n    'plain': (1, 2),\n    'grid': (3, 4),\n}\n"
    named = stream(tmp_path, text, {1: 0.5, 2: 0.5, 3: 0.5}, replace(Hints(), literals=("grid",)))
    assert "'plain': (1, 2)" in named[0]
    assert "'grid': (3, 4)" not in named[0]


def test_a_bit_operator_beside_a_decimal_number_is_a_suspect_by_itself(tmp_path: Path) -> None:
    assert misfits("&", frozenset({"float"}), UNKNOWN)
    assert not misfits("-", frozenset({"float"}), INT)
    text = "def run(a, b):\n    c = a - 1\n    d = b & 0.5\n    return c + d\n"
    made = stream(tmp_path, text, {2: 0.6, 3: 0.5, 4: 0.6})
    assert place(made, "d = b * 0.5") < 4


def test_a_private_method_that_nothing_uses_is_handed_on_early(tmp_path: Path) -> None:
    text = (
        "class Guard:\n    def start(self):\n        self.old = listen(2, default)\n\n"
        "    def _note(self):\n        self.asked = True\n\n    def _used(self):\n        return self._used()\n"
    )
    made = stream(tmp_path, text, {3: 1.0})
    assert place(made, "listen(2, self._note)") < 5
    assert not any("listen(2, self._used)" in one for one in made)


def test_a_lock_becomes_one_that_may_be_taken_twice(tmp_path: Path) -> None:
    made = stream(tmp_path, "def run(self):\n    self.lock = threading.Lock()\n", {2: 1.0})
    assert place(made, "self.lock = threading.RLock()") < 10


def test_one_too_many_is_taken_away_and_not_subtracted(tmp_path: Path) -> None:
    made = stream(tmp_path, "def run(count):\n    return range(count + 1)\n", {2: 1.0})
    assert place(made, "range(count)") < 10
    assert not any("count + 1 - 1" in one for one in made)
