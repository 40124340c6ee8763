import pytest
from gridworld.grid import Grid

from tests.maps import FARM, MAZE


@pytest.fixture
def maze():
    return Grid.parse(MAZE)


@pytest.fixture
def farm():
    return Grid.parse(FARM)
