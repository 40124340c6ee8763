import os
from pathlib import Path

import pytest

from core.config.settings import SandboxSettings
from tools.processes.environment import ORIGINAL_PYTHONPATH, proxy_variables, user_environment
from tools.sandbox.sandbox import SandboxPaths, open_sandbox


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of this process, in place of the real one."""
    made = {"PATH": "/bin"}
    monkeypatch.setattr(os, "environ", made)
    return made


@pytest.mark.parametrize("name", ["FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "PYTEST_FORCE_COLOR"])
def test_output_is_not_coloured_for_a_reader_that_is_no_terminal(given, name: str) -> None:
    given[name] = "1"
    assert name not in user_environment()


@pytest.mark.parametrize("name", ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"])
def test_a_makefile_that_started_us_has_no_say_in_the_repositorys_own(given, name: str) -> None:
    given[name] = "1"
    assert name not in user_environment()


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
def test_no_secret_is_handed_on(given, name: str, value: str) -> None:
    given[name] = value
    assert name not in user_environment()


def test_what_toolchains_need_is_there_and_nothing_else(given) -> None:
    needed = {"LANG": "C.UTF-8", "LC_ALL": "C", "CARGO_HOME": "/c", "PATH": "/bin", "NO_COLOR": "1"}
    given |= {**needed, "MY_FLAG": "1"}
    kept = user_environment()
    assert kept.items() >= needed.items()
    assert "MY_FLAG" not in kept


async def test_what_is_listed_is_passed_on_but_no_key_of_a_model(tmp_path: Path, monkeypatch) -> None:
    for name, value in {"MY_TOKEN": "listed", "OTHER": "has k-123456 in it", "ROLECALL_X": "1"}.items():
        monkeypatch.setenv(name, value)
    settings = SandboxSettings(mode="host", env=("MY_TOKEN", "OTHER", "ROLECALL_X"))
    sandbox = await open_sandbox(settings, SandboxPaths(tmp_path, tmp_path), secrets={"llm.main.api_key": "k-123456"})
    out, _ = await (await sandbox.spawn(["/usr/bin/env"])).communicate()
    lines = out.decode().splitlines()
    assert "MY_TOKEN=listed" in lines
    assert not [line for line in lines if line.startswith(("OTHER=", "ROLECALL_X="))]


def test_proxies_are_passed_on_without_a_password(given) -> None:
    given |= {"https_proxy": "http://proxy:3128", "HTTP_PROXY": "http://ada:" + "pw@proxy:3128", "NO_PROXY": "a"}
    assert set(proxy_variables()) == {"https_proxy", "NO_PROXY"}


def test_the_users_own_pythonpath_is_given_back(given) -> None:
    given[ORIGINAL_PYTHONPATH] = "/mine"
    assert user_environment()["PYTHONPATH"] == "/mine"
