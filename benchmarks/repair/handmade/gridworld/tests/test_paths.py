import random

import pytest
from gridworld.grid import Grid
from gridworld.paths import cheapest, directions, distance, sight_line, visible, within


def test_cheapest(maze):
    cost, way = cheapest(maze, (0, 0), (0, 6))
    assert way[0] == (0, 0)
    assert way[-1] == (0, 6)
    assert cost == len(way) - 1 == 10
    assert directions(way) == "S2 E3 N2 E3"


def test_water_costs_more(maze):
    cost, way = cheapest(maze, (4, 0), (4, 6))
    assert (4, 3) in way
    assert cost == 10


def test_a_long_way_round_water():
    grid = Grid(["~~~~~", ".....", "~~~~~"])
    grid[1, 2] = "~"
    grid[0, 2] = ","
    assert cheapest(grid, (1, 0), (1, 4))[0] == 8
    dry = Grid([".....", ".~~~.", "....."])
    assert cheapest(dry, (1, 0), (1, 4))[0] == 6


def test_no_way():
    grid = Grid([".#.", ".#.", ".#."])
    assert cheapest(grid, (0, 0), (0, 2)) is None


def test_the_start_is_free_and_a_way():
    grid = Grid(["~."])
    assert cheapest(grid, (0, 0), (0, 0)) == (0, [(0, 0)])
    assert cheapest(grid, (0, 0), (0, 1)) == (1, [(0, 0), (0, 1)])


def test_other_costs():
    grid = Grid(["a#b"])
    assert cheapest(grid, (0, 0), (0, 2), {"#": 7, "b": 1}) == (8, [(0, 0), (0, 1), (0, 2)])


def relaxed(grid, start):
    """Costs of all cells by going over the whole map until nothing gets better."""
    costs = {".": 1, ",": 2, "~": 5}
    best = {start: 0}
    while True:
        before = dict(best)
        for cell in grid.cells():
            ways = [best[near] + costs[grid[cell]] for near in grid.around(cell) if near in best]
            best[cell] = min([*ways, best.get(cell, 999)])
        if best == before:
            return best


@pytest.mark.parametrize("seed", range(12))
def test_no_way_is_cheaper(seed):
    rng = random.Random(seed)
    grid = Grid(["".join(rng.choices(".,~", [2, 1, 2], k=7)) for _ in range(7)])
    best = relaxed(grid, (0, 0))
    for goal in ((6, 6), (0, 6), (3, 3), (6, 2)):
        cost, way = cheapest(grid, (0, 0), goal)
        assert cost == best[goal]
        assert all(distance(one, other) == 1 for one, other in zip(way, way[1:], strict=False))


@pytest.mark.parametrize(("steps", "count"), [(0, 1), (1, 3), (2, 4), (3, 6), (4, 8)])
def test_within(maze, steps, count):
    reached = within(maze, (0, 0), steps)
    assert len(reached) == count
    assert max(reached.values()) == steps


def test_within_does_not_pass_walls(maze):
    assert (0, 3) not in within(maze, (0, 0), 6)
    assert within(maze, (0, 0), 50)[0, 3] == 7


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 0), (0, 3), [(0, 0), (0, 1), (0, 2), (0, 3)]),
        ((2, 0), (0, 0), [(2, 0), (1, 0), (0, 0)]),
        ((0, 0), (2, 2), [(0, 0), (1, 1), (2, 2)]),
        ((2, 2), (0, 0), [(2, 2), (1, 1), (0, 0)]),
        ((0, 0), (1, 3), [(0, 0), (0, 1), (1, 2), (1, 3)]),
        ((1, 1), (1, 1), [(1, 1)]),
    ],
)
def test_sight_line(one, other, expected):
    assert sight_line(one, other) == expected


@pytest.mark.parametrize("row", range(-3, 4))
@pytest.mark.parametrize("column", range(-3, 4))
def test_lines_have_no_gaps(row, column):
    cells = sight_line((0, 0), (row, column))
    assert cells[-1] == (row, column)
    assert len(cells) == max(abs(row), abs(column)) + 1


def test_visible(maze):
    assert visible(maze, (0, 0), (2, 0))
    assert not visible(maze, (0, 0), (0, 6))
    assert visible(maze, (0, 1), (0, 2))
    assert visible(maze, (0, 2), (0, 4))
    assert not visible(maze, (1, 0), (1, 3))


@pytest.mark.parametrize(("other", "expected"), [((0, 0), 0), ((3, 0), 3), ((0, 4), 4), ((-2, -2), 4), ((2, -3), 5)])
def test_distance(other, expected):
    assert distance((0, 0), other) == expected
    assert distance(other, (0, 0)) == expected


def test_directions():
    assert directions([]) == directions([(1, 1)]) == ""
    assert directions([(1, 1), (0, 1), (0, 0), (1, 0), (2, 0)]) == "N1 W1 S2"
