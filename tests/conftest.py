from collections.abc import Iterator

import pytest

from tests.golden.golden import Golden


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="accept the texts as they are now")


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
