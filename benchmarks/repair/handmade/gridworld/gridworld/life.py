"""Conway's life on a map with edges or one that wraps around."""

from gridworld.grid import Cell, Grid

ALIVE, DEAD = "#", "."


class Life:
    """A colony; `age` counts the generations so far."""

    def __init__(self, grid: Grid, *, wraps: bool = False) -> None:
        self.grid = grid
        self.wraps = wraps
        self.age = 0

    def neighbours(self, cell: Cell) -> int:
        """Count the living cells among the eight around."""
        count = 0
        for row in range(cell[0] - 1, cell[0] + 2):
            for column in range(cell[1] - 1, cell[1] + 2):
                near = (row, column)
                if near == cell:
                    continue
                if self.wraps:
                    near = (row % self.grid.height, column % self.grid.width)
                if near in self.grid and self.grid[near] == ALIVE:
                    count += 1
        return count

    def step(self) -> int:
        """Go on by one generation and return how many cells changed."""
        following = self.grid.copy()
        changed = 0
        for cell in self.grid.cells():
            count = self.neighbours(cell)
            alive = self.grid[cell] == ALIVE
            lives = count == 3 or (alive and count == 2)
            if lives != alive:
                following[cell] = ALIVE if lives else DEAD
                changed += 1
        self.grid = following
        self.age += 1
        return changed

    def population(self) -> int:
        return len(self.grid.find(ALIVE))

    def settle(self, limit: int = 100) -> int | None:
        """Run until a state comes back and return the length of the cycle.

        1 is a still life. None if nothing came back within `limit` generations.
        """
        seen = {str(self.grid): self.age}
        for _ in range(limit):
            self.step()
            state = str(self.grid)
            if state in seen:
                return self.age - seen[state]
            seen[state] = self.age
        return None
