import doctest

import gridworld.grid
import gridworld.paths
import pytest
from gridworld.grid import Grid, perimeter, region, regions


@pytest.mark.parametrize("module", [gridworld.grid, gridworld.paths])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def test_size(farm):
    assert (farm.height, farm.width) == (4, 4)
    assert (Grid(["ab"]).height, Grid(["ab"]).width) == (1, 2)
    assert (Grid([]).height, Grid([]).width) == (0, 0)


def test_ragged_maps_are_refused():
    with pytest.raises(ValueError):
        Grid(["ab", "c"])


@pytest.mark.parametrize("cell", [(-1, 0), (0, -1), (4, 0), (0, 4), (9, 9)])
def test_off_the_map(farm, cell):
    assert cell not in farm
    with pytest.raises(IndexError):
        farm[cell]
    with pytest.raises(IndexError):
        farm[cell] = "x"


def test_cells_and_find(farm):
    assert len(list(farm.cells())) == 16
    assert list(farm.cells())[4] == (1, 0)
    assert farm.find("C") == [(2, 0), (2, 1), (3, 0)]


@pytest.mark.parametrize(
    ("cell", "straight", "diagonal"),
    [
        ((0, 0), [(0, 1), (1, 0)], [(1, 1)]),
        ((1, 1), [(0, 1), (1, 2), (2, 1), (1, 0)], [(0, 2), (2, 2), (2, 0), (0, 0)]),
        ((3, 3), [(2, 3), (3, 2)], [(2, 2)]),
        ((0, 2), [(0, 3), (1, 2), (0, 1)], [(1, 3), (1, 1)]),
    ],
)
def test_around(farm, cell, straight, diagonal):
    assert list(farm.around(cell)) == straight
    assert list(farm.around(cell, diagonal=True)) == straight + diagonal


def test_a_copy_is_apart(farm):
    other = farm.copy()
    assert other == farm
    other[0, 0] = "Z"
    assert farm[0, 0] == "A"
    assert other != farm


def test_turning_four_times(farm):
    assert farm.turned().turned().turned().turned() == farm
    assert farm.turned() != farm
    assert farm.flipped().flipped() == farm


def test_region(farm):
    assert region(farm, (0, 0)) == {(0, 0), (0, 1), (1, 0)}
    assert len(region(farm, (0, 0), str.isalpha)) == 16
    assert region(farm, (0, 0), str.isdigit) == set()


def test_regions(farm):
    assert regions(farm) == [("B", 6), ("D", 4), ("A", 3), ("C", 3)]


@pytest.mark.parametrize(("start", "expected"), [((0, 0), 8), ((0, 2), 12), ((2, 0), 8), ((3, 3), 10)])
def test_perimeter(farm, start, expected):
    assert perimeter(farm, region(farm, start)) == expected
