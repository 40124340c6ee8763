import pytest

from tools.environment import ORIGINAL_PYTHONPATH, user_environment


@pytest.mark.parametrize("name", ["FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "PYTEST_FORCE_COLOR"])
def test_output_is_not_coloured_for_a_reader_that_is_no_terminal(name: str) -> None:
    assert name not in user_environment({name: "1", "PATH": "/bin"})


@pytest.mark.parametrize("name", ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"])
def test_a_makefile_that_started_us_has_no_say_in_the_repositorys_own(name: str) -> None:
    assert name not in user_environment({name: "1", "PATH": "/bin"})


@pytest.mark.parametrize(
    ("name", "value"),
    [("OPENAI_API_KEY", "k"), ("GH_TOKEN", "t"), ("SSH_AUTH_SOCK", "/s"), ("DATABASE", "pg://ada:pw@db/x")],
)
def test_no_secret_is_handed_on(name: str, value: str) -> None:
    assert name not in user_environment({name: value, "PATH": "/bin"})


def test_what_the_user_set_is_there() -> None:
    kept = user_environment({"LANG": "C.UTF-8", "MY_FLAG": "1", "PATH": "/bin", "NO_COLOR": "1"})
    assert {kept["LANG"], kept["MY_FLAG"], kept["NO_COLOR"], kept["PATH"]} == {"C.UTF-8", "1", "/bin"}


def test_the_users_own_pythonpath_is_given_back() -> None:
    assert user_environment({ORIGINAL_PYTHONPATH: "/mine", "PATH": "/bin"})["PYTHONPATH"] == "/mine"
