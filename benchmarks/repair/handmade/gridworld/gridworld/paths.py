"""Ways through a map."""

import heapq
from collections.abc import Mapping

from gridworld.grid import Cell, Grid

COSTS = {".": 1, ",": 2, "~": 5}


def distance(one: Cell, other: Cell) -> int:
    """Steps between two cells where nothing is in the way.

    >>> distance((0, 0), (2, 3))
    5
    """
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def cheapest(grid: Grid, start: Cell, goal: Cell, costs: Mapping[str, int] = COSTS) -> tuple[int, list[Cell]] | None:
    """Return cost and cells of a cheapest way, both ends included; None if there is none.

    Entering a cell costs what `costs` says of it; cells not named there are walls. The start
    costs nothing.
    """
    best: dict[Cell, int] = {start: 0}
    came: dict[Cell, Cell] = {}
    waiting = [(distance(start, goal), start)]
    while waiting:
        _, cell = heapq.heappop(waiting)
        if cell == goal:
            return best[goal], _trace(came, goal)
        for near in grid.around(cell):
            if grid[near] not in costs:
                continue
            cost = best[cell] + costs[grid[near]]
            if near not in best or cost < best[near]:
                best[near] = cost
                came[near] = cell
                heapq.heappush(waiting, (cost + distance(near, goal), near))
    return None


def _trace(came: Mapping[Cell, Cell], goal: Cell) -> list[Cell]:
    way = [goal]
    while way[-1] in came:
        way.append(came[way[-1]])
    way.reverse()
    return way


def within(grid: Grid, start: Cell, steps: int, wall: str = "#") -> dict[Cell, int]:
    """Return the cells that can be reached in at most so many steps, and in how many."""
    reached = {start: 0}
    edge = [start]
    for step in range(1, steps + 1):
        following = []
        for cell in edge:
            for near in grid.around(cell):
                if near not in reached and grid[near] != wall:
                    reached[near] = step
                    following.append(near)
        edge = following
    return reached


def sight_line(one: Cell, other: Cell) -> list[Cell]:
    """Return the cells on the straight line between two cells, both included (Bresenham)."""
    (row, column), (last_row, last_column) = one, other
    down, right = abs(last_row - row), abs(last_column - column)
    step_row = 1 if last_row > row else -1
    step_column = 1 if last_column > column else -1
    error = right - down
    cells = [one]
    while (row, column) != other:
        twice = 2 * error
        if twice > -down:
            error -= down
            column += step_column
        if twice < right:
            error += right
            row += step_row
        cells.append((row, column))
    return cells


def visible(grid: Grid, one: Cell, other: Cell, wall: str = "#") -> bool:
    """Whether no wall stands between two cells; what stands on the ends does not matter."""
    return all(grid[cell] != wall for cell in sight_line(one, other)[1:-1])


def directions(way: list[Cell]) -> str:
    """Write a way as runs of compass letters.

    >>> directions([(0, 0), (0, 1), (0, 2), (1, 2)])
    'E2 S1'
    """
    letters = {(-1, 0): "N", (0, 1): "E", (1, 0): "S", (0, -1): "W"}
    runs: list[list[object]] = []
    for here, there in zip(way, way[1:], strict=False):
        letter = letters[there[0] - here[0], there[1] - here[1]]
        if runs and runs[-1][0] == letter:
            runs[-1][1] += 1  # type: ignore[operator]
        else:
            runs.append([letter, 1])
    return " ".join(f"{letter}{count}" for letter, count in runs)
