import os
from collections.abc import Iterator

import pytest

from tests.golden.golden import Golden


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="accept the texts as they are now")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each worker begin with its share of what takes long, so that none is alone with it at the end.

    `--dist worksteal` gives each worker a slice of the list, and whoever has nothing left takes from the end of
    another's. The slices made here are those it will give.
    """
    kinds: tuple[list[pytest.Item], ...] = ([], [], [])
    slow, whole_runs, rest = kinds
    for item in items:
        is_run = item.nodeid.startswith("tests/integration/")
        (slow if item.get_closest_marker("slow") else whole_runs if is_run else rest).append(item)
    items.clear()
    for workers in range(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), 0, -1):
        size = sum(map(len, kinds)) // workers
        share = [*_taken(slow, len(slow) // workers), *_taken(whole_runs, len(whole_runs) // workers)]
        items += [*share, *_taken(rest, size - len(share))]


def _taken(items: list[pytest.Item], count: int) -> list[pytest.Item]:
    taken, items[:] = items[:count], items[count:]
    return taken


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(update=bool(request.config.getoption("--update-golden")))


@pytest.fixture(scope="session", autouse=True)
def own_user_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What rolecall keeps for a user is kept for these tests, also of repositories that several of them share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROLECALL_STATE_DIR", str(tmp_path_factory.mktemp("user-state")))
        # Most checks of the repositories in tests are pytest runs by our own interpreter: each would load our plugins.
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        yield
