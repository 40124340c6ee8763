import pytest

from tools.processes.environment import ORIGINAL_PYTHONPATH, proxy_variables, user_environment


@pytest.mark.parametrize("name", ["FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "PYTEST_FORCE_COLOR"])
def test_output_is_not_coloured_for_a_reader_that_is_no_terminal(name: str) -> None:
    assert name not in user_environment({name: "1", "PATH": "/bin"})


@pytest.mark.parametrize("name", ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"])
def test_a_makefile_that_started_us_has_no_say_in_the_repositorys_own(name: str) -> None:
    assert name not in user_environment({name: "1", "PATH": "/bin"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENAI_API_KEY", "k"),
        ("LC_SESSION", "s"),
        ("GH_TOKEN", "t"),
        ("SSH_AUTH_SOCK", "/s"),
        ("DATABASE", "pg://ada:pw@db/x"),
    ],
)
def test_no_secret_is_handed_on(name: str, value: str) -> None:
    assert name not in user_environment({name: value, "PATH": "/bin"})


def test_what_toolchains_need_is_there_and_nothing_else() -> None:
    given = {"LANG": "C.UTF-8", "LC_ALL": "C", "CARGO_HOME": "/c", "PATH": "/bin", "NO_COLOR": "1", "MY_FLAG": "1"}
    kept = user_environment(given)
    assert kept.items() >= {name: value for name, value in given.items() if name != "MY_FLAG"}.items()
    assert "MY_FLAG" not in kept


def test_what_is_listed_is_passed_on_but_no_key_of_a_model() -> None:
    given = {"PATH": "/bin", "MY_TOKEN": "listed", "MODEL_KEY": "k-123456", "ROLECALL_X": "1"}
    kept = user_environment(given, more=("MY_TOKEN", "MODEL_KEY", "ROLECALL_X"), secrets=("k-123456",))
    assert kept["MY_TOKEN"] == "listed"
    assert not {"MODEL_KEY", "ROLECALL_X"} & set(kept)


def test_proxies_are_passed_on_without_a_password() -> None:
    given = {"https_proxy": "http://proxy:3128", "HTTP_PROXY": "http://ada:" + "pw@proxy:3128", "NO_PROXY": "a"}
    assert set(proxy_variables(given)) == {"https_proxy", "NO_PROXY"}


def test_the_users_own_pythonpath_is_given_back() -> None:
    assert user_environment({ORIGINAL_PYTHONPATH: "/mine", "PATH": "/bin"})["PYTHONPATH"] == "/mine"
