import copy
import json

import pytest
from trees.nodes import Node, Proxy, is_even, is_odd


@pytest.fixture
def root():
    return Node("a", Node("b", Node("d"), Node("e", Node("f"))), Node("c"))


@pytest.mark.parametrize(("name", "depth", "height", "size"), [("a", 0, 3, 6), ("b", 1, 2, 4), ("f", 3, 0, 1)])
def test_measures(root, name, depth, height, size):
    node = root.find(name)
    assert (node.depth(), node.height(), node.size()) == (depth, height, size)


def test_path(root):
    assert root.find("f").path() == "a/b/e/f"
    assert root.path() == "a"


def test_find_nothing(root):
    assert root.find("z") is None


def test_repr(root):
    assert repr(root) == "Node('a', 2 children)"
    assert repr(root.find("c")) == "Node('c')"


def test_equality(root):
    assert root == Node("a", Node("b", Node("d"), Node("e", Node("f"))), Node("c"))
    assert root != Node("a", Node("c"), Node("b"))
    assert Node("x") == Node("y", Node("x")).children[0]
    assert root != "a"


def test_json(root):
    data = json.loads(root.to_json())
    assert data["children"][1] == {"name": "c", "children": []}


def test_copy(root):
    made = root.copy()
    assert made == root
    assert made is not root
    assert made.find("f").path() == "a/b/e/f"
    assert root.find("b").copy().parent is None


def test_proxy(root):
    proxy = Proxy(root)
    assert proxy.name == "a"
    assert proxy.size() == 6
    assert proxy._count == 2
    with pytest.raises(AttributeError):
        proxy.nothing


def test_a_proxy_can_be_copied(root):
    assert copy.copy(Proxy(root)).name == "a"


@pytest.mark.parametrize("number", range(-3, 6))
def test_even_and_odd(number):
    assert is_even(number) == (number % 2 == 0)
    assert is_odd(number) == (number % 2 == 1)
