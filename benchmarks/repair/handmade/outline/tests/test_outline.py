import pytest
from outline.text import dumps, loads, numbered
from outline.tree import Node

TEXT = """\
Fruit
  Apple
    Boskoop
  Pear
Bread"""


@pytest.fixture
def root():
    return loads(TEXT)


def test_round_trip(root):
    assert dumps(root) == TEXT


def test_empty_lines_do_not_count():
    assert dumps(loads("A\n\n  B\n")) == "A\n  B"


def test_jump_is_refused():
    with pytest.raises(ValueError, match="line 2"):
        loads("A\n    B")


def test_walk_is_top_down(root):
    assert [n.title for n in root.walk()] == ["", "Fruit", "Apple", "Boskoop", "Pear", "Bread"]


def test_depth_and_height(root):
    assert root.find("Boskoop").depth() == 3
    assert root.height() == 3
    assert root.find("Bread").height() == 0


def test_find_looks_everywhere(root):
    assert root.find("Pear").title == "Pear"
    assert root.find("Plum") is None


def test_path(root):
    assert root.find("Apple").path() == "/Fruit/Apple"


def test_siblings(root):
    assert [n.title for n in root.find("Apple").siblings()] == ["Pear"]
    assert root.siblings() == []


def test_remove_moves_children_up(root):
    root.find("Apple").remove()
    assert dumps(root) == "Fruit\n  Boskoop\n  Pear\nBread"
    assert root.find("Boskoop").path() == "/Fruit/Boskoop"


def test_numbered(root):
    assert list(numbered(root)) == [
        "1 Fruit", "1.1 Apple", "1.1.1 Boskoop", "1.2 Pear", "2 Bread",
    ]  # fmt: skip


def test_append_returns_the_child():
    top = Node("top")
    assert top.append(Node("x")).parent is top
