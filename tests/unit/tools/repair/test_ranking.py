"""What speaks for an edit before it is tried, and against a patch that passes."""

from pathlib import Path

import pytest
from rolecall_search.candidates import Candidate
from rolecall_search.evidence.documents import read_documents
from rolecall_search.evidence.errors import asked_for
from rolecall_search.evidence.kinship import behind
from rolecall_search.program.source import Edit, SourceFile
from rolecall_search.ranking.cluster import Behaviour
from rolecall_search.ranking.overfit import CALL, CONDITION, PARAMETER, RECURSION, TWICE, cost
from rolecall_search.ranking.rank import LIKELY, Ranked, label
from rolecall_search.templates.base import Hints
from rolecall_search.trials.jobs import Found

from tests.unit.tools.repair.test_operator_priors import place, stream


def loaded(folder: Path, text: str) -> SourceFile:
    path = folder / "program.py"
    path.write_text(text, encoding="utf-8")
    return SourceFile.load(str(path), "program.py")


def patched(folder: Path, text: str, old: str, new: str) -> Candidate:
    source = loaded(folder, text)
    at = text.index(old)
    return Candidate(source, source.units[0], (Edit(at, at + len(old), new),), "", 1, 1.0)


@pytest.mark.parametrize(
    ("body", "old", "new", "most"),
    [
        ("return run(a[1:], b) + b", "run(a[1:], b)", "a[1:]", RECURSION),
        ("return sorted(a) + b", "sorted(a)", "a", CALL),
        ("return a if b and a else 0", "b and a", "a", CONDITION),
        ("return a if b else 0", "a if b else 0", "a", CONDITION),
        ("return a + b", "a + b", "a", PARAMETER),
        ("return max(a, b)", "max(a, b)", "max(b, b) + a", TWICE),
        ("return a - b", "a - b", "a - a + b", TWICE),
    ],
)
def test_taking_something_away_costs(tmp_path: Path, body: str, old: str, new: str, most: float) -> None:
    assert cost(patched(tmp_path, f"def run(a, b):\n    {body}\n", old, new)) <= most


@pytest.mark.parametrize(
    ("old", "new"), [("a + b", "a - b"), ("a + b", "max(a, b)"), ("list(a)", "sorted(a)"), ("a if b", "a if b and a")]
)
def test_adding_and_exchanging_costs_nothing(tmp_path: Path, old: str, new: str) -> None:
    text = "def run(a, b):\n    c = list(a)\n    c = a if b else 0\n    return a + b + len(c)\n"
    assert cost(patched(tmp_path, text, old, new)) == 1.0


def test_a_raise_points_at_its_condition_and_what_feeds_that(tmp_path: Path) -> None:
    text = "def run(a):\n    b = a + 1\n    c = 1\n    if b > 3:\n        raise ValueError(c)\n    return b\n"
    source = loaded(tmp_path, text)
    body = source.units[0].node.body
    factors = behind(source, {5})
    assert factors[body[2]] > factors[body[0]] > 1.0
    assert factors[body[2].body[0]] < 1.0  # type: ignore[attr-defined]
    assert body[3] not in factors


def test_an_unlikely_edit_is_not_labelled_high(tmp_path: Path) -> None:
    candidate = patched(tmp_path, "def run(a, b):\n    return a + b\n", "a + b", "a - b")
    behaviour = Behaviour(calls=["run(1, 2)"])
    labels = {}
    for score in (LIKELY, LIKELY / 2):
        candidate.score = score
        entry = Ranked(Found(candidate, 0.1, whole=True), score, 1, 0, tests=9)
        labels[score] = label(entry, 0, 1, behaviour)[0]
    assert labels == {LIKELY: "high", LIKELY / 2: "low"}
    candidate.score = LIKELY
    assert label(Ranked(Found(candidate, 0.1, whole=True), 1.0, 1, 0, tests=9, cost=CALL), 0, 1, behaviour)[0] == "low"


def test_what_the_file_says_elsewhere_comes_first(tmp_path: Path) -> None:
    text = (
        "def run(self, name):\n    return name in self.held\n\n\ndef add(self, {0}):\n    self.held.add(normal({0}))\n"
    )
    wanted = "    return normal(name) in self.held"
    same, another = (place(stream(tmp_path, text.format(name), {2: 0.5}), wanted) for name in ("name", "word"))
    assert same < another


def test_the_line_that_raised_comes_first(tmp_path: Path) -> None:
    text = "def run(a):\n    b = a[0]\n    return b.name\n"
    path = str(tmp_path / "program.py")
    hints = Hints(errors=frozenset({"AttributeError"}), crashed=frozenset({(path, 3, "AttributeError")}))
    made = stream(tmp_path, text, {2: 0.5, 3: 0.5}, hints)
    plain = stream(tmp_path, text, {2: 0.5, 3: 0.5})
    assert place(made, "    b = a[0]\n") < place(plain, "    b = a[0]\n")


@pytest.mark.parametrize(
    ("said", "template", "written"),
    [
        ("The case of `word` does not matter.", "add a method call", "word.lower()"),
        ("Both ends are included.", "comparison operator", "<="),
        ("At most 7 of them.", "another constant", "7"),
        ("Raises:\n        KeyError: there is none.", "another exception type", "KeyError"),
        ("`other` comes first.", "another variable", "other"),
        ("None if it is empty.", "early exit", "if not a: return None"),
    ],
)
def test_documentation_speaks_for_an_edit(tmp_path: Path, said: str, template: str, written: str) -> None:
    source = loaded(tmp_path, f'def run(a):\n    """Do it.\n\n    {said}\n    """\n    return a\n')
    spoken = read_documents(source, source.units[0])
    assert spoken.weight(template, written) > 1.0
    assert spoken.weight("another thing", "plain") == 1.0


def test_many_edits_of_one_kind_do_not_crowd_out_another(tmp_path: Path) -> None:
    names = ", ".join(f"n{at}" for at in range(14))
    made = stream(tmp_path, f"def run({names}, x):\n    return n1[x]\n", {2: 1.0})
    assert place(made, "return n1[x + 1]") < 80


def test_what_nothing_reads_is_likely_what_was_lost(tmp_path: Path) -> None:
    text = "def run(low, high, every):\n    end = low\n    return low + end + high\n"
    made = stream(tmp_path, text, {2: 1.0})
    assert place(made, "end = every") < place(made, "end = high")


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("AttributeError", "early exit"), ("KeyError", "tolerant look-up"), ("IndexError", "off by one"),
        ("RecursionError", "another variable"), ("ZeroDivisionError", "conditional value"),
    ],
)  # fmt: skip
def test_an_exception_asks_for_its_kind_of_edit(kind: str, wanted: str) -> None:
    assert asked_for(frozenset({kind}), wanted) > asked_for(frozenset({"AssertionError"}), wanted) == 1.0


def test_a_none_that_was_read_is_guarded_before_a_constant_changes(tmp_path: Path) -> None:
    text = "def run(a):\n    return a.parent.name\n"
    path = str(tmp_path / "program.py")
    hints = Hints(errors=frozenset({"AttributeError"}), crashed=frozenset({(path, 2, "AttributeError")}))
    made, plain = stream(tmp_path, text, {2: 0.5}, hints), stream(tmp_path, text, {2: 0.5})
    assert place(made, "if a is None:") < place(plain, "if a is None:")
