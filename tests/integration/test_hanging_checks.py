"""Checks that hang or end their interpreter: red within seconds, and the test is named."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from core.artifacts import CheckRun
from core.config.settings import CheckSettings, SandboxSettings, Settings
from tests.repositories import make_repository, thread
from tests.unit.tools.assembly import open_toolset
from tests.unit.tools.bench import Events

FINE = "def test_fine():\n    assert True\n\n"
HANGS = {
    "loop": "def test_odd():\n    while True:\n        pass\n",
    "loop that swallows": "def test_odd():\n    while True:\n        try:\n            while True:\n"
    "                pass\n        except:\n            pass\n",
    "import": "import time\ntime.sleep(1000)\ndef test_odd(): pass\n",
    "fixture": "import pytest, time\n@pytest.fixture(scope='session')\ndef odd():\n    time.sleep(1000)\n\n"
    "def test_odd(odd):\n    pass\n",
    "thread": "import threading\ndef test_odd():\n    t = threading.Thread(target=threading.Event().wait)\n"
    "    t.start()\n    t.join()\n",
    "socket": "import socket\ndef test_odd():\n    a, b = socket.socketpair()\n    a.recv(1)\n",
    "program": "import subprocess\ndef test_odd():\n    subprocess.Popen(['sleep', '1000']).wait()\n",
    "stdin": "import os\ndef test_odd():\n    a, b = os.pipe()\n    os.dup2(a, 0)\n    os.read(0, 1)\n",
    "regular expression": "import re\ndef test_odd():\n    re.match(r'(a+)+$', 'a' * 60 + 'b')\n",
    "lock": "import threading\ndef test_odd():\n    lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()\n",
}
ENDS = {
    "exit without an error": "import os\ndef test_odd():\n    os._exit(0)\n",
    "abort": "import os\ndef test_odd():\n    os.abort()\n",
    "segfault": "import ctypes\ndef test_odd():\n    ctypes.string_at(0)\n",
    "killed": "import os, signal\ndef test_odd():\n    os.kill(os.getpid(), signal.SIGKILL)\n",
    "import": "import os\nos._exit(0)\ndef test_odd(): pass\n",
}


async def checked(tmp_path: Path, text: str, limit_s: float) -> tuple[CheckRun, Events]:
    repo = make_repository(tmp_path / "repo", {"test_a.py": FINE, "test_b.py": FINE + text, "test_c.py": FINE})
    settings = Settings(sandbox=SandboxSettings(mode="host"), checks=CheckSettings(test_timeout_s=limit_s))
    events: Any = Events()
    tools = await open_toolset(repo, thread(), settings, events)
    (run,) = await tools.checks.run()
    return run, events


@pytest.mark.parametrize("text", HANGS.values(), ids=HANGS)
async def test_a_check_that_hangs_is_red_and_names_where(tmp_path: Path, text: str) -> None:
    begun = time.monotonic()
    run, _ = await checked(tmp_path, text, 1.5)
    assert (run.passed, run.timed_out) == (False, False)
    assert "test_b.py" in run.output
    assert "FAILED test_b.py" in run.output or "ERROR test_b.py" in run.output, run.output
    assert "\x1e" not in run.output
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("text", ENDS.values(), ids=ENDS)
async def test_a_check_whose_interpreter_ends_is_red_and_names_the_test(tmp_path: Path, text: str) -> None:
    run, _ = await checked(tmp_path, text, 0.0)
    assert run.exit_code != 0
    assert "FAILED test_b.py" in run.output
    assert "what follows was not run" in run.output


async def test_a_thread_that_never_ends_does_not_keep_the_check(tmp_path: Path) -> None:
    text = "import threading\ndef test_odd():\n    threading.Thread(target=threading.Event().wait).start()\n"
    run, _ = await checked(tmp_path, text, 0.0)
    assert not run.passed
    assert "did not exit: a thread may still be running" in run.output


async def test_a_hang_among_short_tests_is_seen_without_any_setting(tmp_path: Path) -> None:
    begun, crowded = time.monotonic(), max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    run, events = await checked(tmp_path, HANGS["loop"], 0.0)
    assert not run.passed
    assert "FAILED test_b.py::test_odd" in run.output
    assert "while True" in run.output
    assert time.monotonic() - begun < 30 * min(3.0, crowded)
    shown = [data["test"] for data in events.of("check_progress")]
    assert "test_b.py::test_odd" in shown


async def test_a_green_check_stays_green(tmp_path: Path) -> None:
    run, events = await checked(tmp_path, "import time\ndef test_slow():\n    time.sleep(1.2)\n", 0.0)
    assert run.passed, run.output
    assert "5 passed" not in run.output
    assert "4 passed" in run.output
    assert events.of("check_progress")


@pytest.mark.parametrize(("command", "code"), [("python -m pytest --version", 0), ("python -m pytest --no-such", 4)])
async def test_a_pytest_that_runs_no_test_keeps_its_exit_code(tmp_path: Path, command: str, code: int) -> None:
    repo = make_repository(tmp_path / "repo", {"test_a.py": FINE, "conftest.py": ""})
    tools = await open_toolset(repo, thread(), Settings(), Events(), checks=[command])  # type: ignore[arg-type]
    (run,) = await tools.checks.run()
    assert (run.exit_code, "FAILED" in run.output) == (code, False), run.output


CASES = "import threading, unittest\n\nclass Fine(unittest.TestCase):\n    def test_fine(self):\n        pass\n\n"
UNITTEST_HANGS = {
    "test": "class Odd(unittest.TestCase):\n    def test_odd(self):\n        while True:\n            pass\n",
    "swallows": "class Odd(unittest.TestCase):\n    def test_odd(self):\n        while True:\n            try:\n"
    "                threading.Event().wait()\n            except Exception:\n                pass\n",
    "class set-up": "class Odd(unittest.TestCase):\n    @classmethod\n    def setUpClass(cls):\n"
    "        threading.Event().wait()\n\n    def test_odd(self):\n        pass\n",
    "import": "threading.Event().wait()\n",
    "thread": "class Odd(unittest.TestCase):\n    def test_odd(self):\n"
    "        threading.Thread(target=threading.Event().wait).start()\n",
    "exit": "import os\nclass Odd(unittest.TestCase):\n    def test_odd(self):\n        os._exit(0)\n",
}


async def checked_without_pytest(tmp_path: Path, text: str, limit_s: float) -> tuple[CheckRun, Events]:
    repo = make_repository(tmp_path / "repo", {"test_a.py": CASES, "test_b.py": CASES + text, "test_c.py": CASES})
    settings = Settings(sandbox=SandboxSettings(mode="host"), checks=CheckSettings(test_timeout_s=limit_s))
    events: Any = Events()
    tools = await open_toolset(repo, thread(), settings, events, checks=["python -m unittest discover"])
    (run,) = await tools.checks.run()
    return run, events


@pytest.mark.parametrize("text", UNITTEST_HANGS.values(), ids=UNITTEST_HANGS)
async def test_a_plain_unittest_suite_that_hangs_is_red_and_names_where(tmp_path: Path, text: str) -> None:
    begun = time.monotonic()
    run, _ = await checked_without_pytest(tmp_path, text, 1.0)
    assert (run.passed, run.timed_out, run.command) == (False, False, "python -m unittest discover")
    assert "test_b" in run.output or "did not exit: a thread may still be running" in run.output, run.output
    assert "\x1e" not in run.output
    assert time.monotonic() - begun < 30


async def test_a_unittest_hang_is_seen_without_any_setting(tmp_path: Path) -> None:
    run, events = await checked_without_pytest(tmp_path, UNITTEST_HANGS["test"], 0.0)
    assert "ERROR: test_odd (test_b.Odd" in run.output
    assert "while True" in run.output
    assert any(data["test"] == "test_b.Odd.test_odd" for data in events.of("check_progress"))


async def test_a_green_unittest_suite_stays_green(tmp_path: Path) -> None:
    run, _ = await checked_without_pytest(tmp_path, "", 0.0)
    assert (run.passed, "Ran 3 tests" in run.output, "rolecall" in run.output) == (True, True, False), run.output
