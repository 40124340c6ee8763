import pytest
from gridworld.grid import Grid
from gridworld.life import Life

from tests.maps import GLIDER


@pytest.mark.parametrize(
    ("rows", "cycle"),
    [
        (["....", ".##.", ".##.", "...."], 1),
        ([".....", "..#..", "..#..", "..#..", "....."], 2),
        (["......", "......", "..###.", ".###..", "......", "......"], 2),
        (["....", "....", ".#..", "...."], 1),
    ],
)
def test_cycles(rows, cycle):
    assert Life(Grid(rows)).settle() == cycle


def test_blinker():
    life = Life(Grid([".....", "..#..", "..#..", "..#..", "....."]))
    assert life.step() == 4
    assert str(life.grid) == ".....\n.....\n.###.\n.....\n....."
    assert life.population() == 3
    assert life.age == 1


def test_the_first_grid_is_left_alone():
    grid = Grid(["...", "###", "..."])
    Life(grid).step()
    assert str(grid) == "...\n###\n..."


def test_a_glider_goes_round():
    life = Life(Grid.parse(GLIDER), wraps=True)
    assert life.settle(limit=30) == 24
    assert life.population() == 5


def test_a_glider_stops_at_the_edge():
    life = Life(Grid.parse(GLIDER))
    assert life.settle() == 1
    assert life.population() == 4


def test_not_settled_yet():
    assert Life(Grid.parse(GLIDER), wraps=True).settle(limit=23) is None


@pytest.mark.parametrize("wraps", [False, True])
def test_neighbours_across_the_edge(wraps):
    life = Life(Grid(["....", "....", "....", "#..#", "...#"]), wraps=wraps)
    assert life.neighbours((0, 0)) == (1 if wraps else 0)
    assert life.neighbours((4, 0)) == (3 if wraps else 1)
    assert life.neighbours((4, 3)) == (2 if wraps else 1)
