"""What a test runs is traced wherever it runs: in fixtures, in the test itself, and in what ends fixtures."""

from pathlib import Path

import pytest
from rolecall_search.evidence.baseline import Runner, measure
from rolecall_search.runtime.hosting import Host, host

PROGRAM = """\
def opened():
    return 1
def used():
    return 2
def closed():
    return 3
"""
TESTS = """\
import pytest
import watched_program as p

@pytest.fixture
def thing():
    p.opened()
    yield
    p.closed()

def test_it(thing):
    assert p.used() == 3
"""


def test_lines_of_fixtures_tests_and_finalizers_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "watched_program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "test_watched.py").write_text(TESTS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found: list[int] = []

    def loop(plugin: Host, session: pytest.Session) -> None:
        runner = Runner(plugin, session.items, str(tmp_path), lambda name: name == str(program))
        found.extend(line for run in measure(runner, 20.0).failing() for line in run.lines[str(program)])

    host(Host(loop), ("--rootdir", str(tmp_path), str(tmp_path)))
    assert {2, 4, 6} <= set(found)
