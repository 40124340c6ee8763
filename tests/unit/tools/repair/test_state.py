"""What a try leaves in the program is seen, whatever holds it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rolecall_search.trials.state import State

TEXT = """
import collections, functools, random, warnings
SEEN, NAMES, TAGS, QUEUE = {}, [], set(), collections.deque()
COUNT = 0
RANDOM = random.Random(1) if "{closed}" else None
class Shelf:
    made = 0
    def __init__(self): self.books = []
SHELF = Shelf()
@functools.lru_cache
def square(number): return number * number
def outer():
    held = 0
    def inner():
        nonlocal held
        held += 1
    return inner
bump = outer()
def default(found=[]): found.append(1)
def count():
    global COUNT
    COUNT += 1
def plain(): return sorted([square.__name__, len(NAMES), dict(SEEN)], key=str)
def warn(): warnings.warn("careful")
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., tuple[Any, State]]]:
    made = []

    def make(closed: str = "", *given: object) -> tuple[Any, State]:
        path = tmp_path / "kept_program.py"
        module = ModuleType("kept_program")
        module.__file__ = str(path)
        sys.modules[module.__name__] = module
        made.append(module)
        exec(compile(TEXT.replace("{closed}", closed), str(path), "exec"), vars(module))
        return module, State(lambda name: name == str(path), given)

    yield make
    for module in made:
        sys.modules.pop(module.__name__, None)


@pytest.mark.parametrize(
    "call",
    [lambda m: m.SEEN.update(a=1), lambda m: m.NAMES.append(1), lambda m: m.TAGS.add(1), lambda m: m.QUEUE.append(1),
     lambda m: m.SHELF.books.append(1), lambda m: setattr(m.Shelf, "made", 300), lambda m: m.square(3),
     lambda m: m.bump(), lambda m: m.default(), lambda m: m.count(), lambda m: setattr(m.SHELF, "books", [])],
    ids=["dict", "list", "set", "deque", "attribute", "class", "cache", "closure", "default", "global", "rebound"],
)  # fmt: skip
def test_change_is_seen(program: Callable[..., tuple[Any, State]], call: Callable[[Any], object]) -> None:
    module, state = program()
    call(module)
    assert state.changed()


@pytest.mark.parametrize("call", [lambda m: m.plain(), lambda m: m.Shelf().books.append(1)], ids=["reads", "own"])
def test_what_only_reads_changes_nothing(program: Callable[..., tuple[Any, State]], call: Callable[[Any], Any]) -> None:
    module, state = program()
    call(module)
    assert not state.changed()
    assert not state.hidden


def test_a_warning_is_no_change(program: Callable[..., tuple[Any, State]]) -> None:
    module, state = program()
    with pytest.warns(UserWarning, match="careful"):
        module.warn()
    assert not state.changed()


def test_parameters_and_files_count(
    program: Callable[..., tuple[Any, State]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    _, state = program("", given)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    assert state.changed()
    state.begin()
    assert not state.changed()
    (folder / "left").touch()
    assert state.changed()
    (folder / "left").unlink()
    given.append(1)
    assert state.changed()


def test_what_cannot_be_looked_into_is_told(program: Callable[..., tuple[Any, State]]) -> None:
    assert program("yes")[1].hidden
