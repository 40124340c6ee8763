"""A rectangular map."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

Cell = tuple[int, int]
STRAIGHT = ((-1, 0), (0, 1), (1, 0), (0, -1))
DIAGONAL = ((-1, 1), (1, 1), (1, -1), (-1, -1))


class Grid:
    """Characters by (row, column), both counted from 0 at the top left."""

    def __init__(self, rows: list[str]) -> None:
        if len({len(row) for row in rows}) > 1:
            raise ValueError("rows differ in length")
        self.rows = [list(row) for row in rows]

    @classmethod
    def parse(cls, text: str) -> Grid:
        """Read a map from lines; blank lines around it and blanks at the sides are dropped."""
        return cls([line.strip() for line in text.strip().splitlines()])

    @property
    def height(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        return len(self.rows[0]) if self.rows else 0

    def __contains__(self, cell: Cell) -> bool:
        row, column = cell
        return 0 <= row < self.height and 0 <= column < self.width

    def __getitem__(self, cell: Cell) -> str:
        if cell not in self:
            raise IndexError(f"{cell} is off the map")
        return self.rows[cell[0]][cell[1]]

    def __setitem__(self, cell: Cell, value: str) -> None:
        if cell not in self:
            raise IndexError(f"{cell} is off the map")
        self.rows[cell[0]][cell[1]] = value

    def __str__(self) -> str:
        return "\n".join("".join(row) for row in self.rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]

    def cells(self) -> Iterator[Cell]:
        """Yield all cells, row by row."""
        for row in range(self.height):
            for column in range(self.width):
                yield (row, column)

    def find(self, value: str) -> list[Cell]:
        return [cell for cell in self.cells() if self[cell] == value]

    def around(self, cell: Cell, *, diagonal: bool = False) -> Iterator[Cell]:
        """Yield the neighbours on the map, clockwise from the top, then the diagonal ones if wanted."""
        steps = STRAIGHT + DIAGONAL if diagonal else STRAIGHT
        for down, right in steps:
            near = (cell[0] + down, cell[1] + right)
            if near in self:
                yield near

    def copy(self) -> Grid:
        return Grid(["".join(row) for row in self.rows])

    def turned(self) -> Grid:
        """Return the map turned clockwise by a quarter.

        >>> print(Grid(["abc", "def"]).turned())
        da
        eb
        fc
        """
        return Grid(["".join(row) for row in zip(*reversed(self.rows), strict=True)])

    def flipped(self) -> Grid:
        """Return the map mirrored left to right.

        >>> print(Grid(["abc", "def"]).flipped())
        cba
        fed
        """
        return Grid(["".join(reversed(row)) for row in self.rows])


def region(grid: Grid, start: Cell, fits: Callable[[str], bool] | None = None) -> set[Cell]:
    """Return the connected cells around `start` that fit; by default those equal to it."""
    if fits is None:
        fits = grid[start].__eq__
    if not fits(grid[start]):
        return set()
    found = {start}
    waiting = deque([start])
    while waiting:
        for near in grid.around(waiting.popleft()):
            if near not in found and fits(grid[near]):
                found.add(near)
                waiting.append(near)
    return found


def regions(grid: Grid) -> list[tuple[str, int]]:
    """Return value and size of every region, the largest first, equal ones as they come."""
    seen: set[Cell] = set()
    sizes = []
    for cell in grid.cells():
        if cell in seen:
            continue
        cells = region(grid, cell)
        seen |= cells
        sizes.append((grid[cell], len(cells)))
    return sorted(sizes, key=lambda item: item[1], reverse=True)


def perimeter(grid: Grid, cells: set[Cell]) -> int:
    """Number of cell sides between these cells and others or the edge of the map."""
    return sum(4 - sum(near in cells for near in grid.around(cell)) for cell in cells)
