"""The command line on real repositories, with the engine that needs no model."""

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.storage.database import database_of
from graph.store.inbox import SqliteInbox
from graph.store.thread_store import ThreadStore
from rolecall.commands.repair import print_result
from rolecall.invocation import Invocation
from tests.integration.jobs import SLUGIFY, SLUGS
from tests.modelserver.process import ModelServerProcess
from tests.repositories import fingerprint, git, make_repository
from tests.unit.rolecall.command_line import HOUSE, Begun, Done, environment, rolecall
from tests.unit.rolecall.terminal import Terminal
from tools.repair.result import Patch, RepairResult

TASK = "Make the failing tests pass"
OFF = {"ROLECALL_CONFIG": ""}
SLOW_AND_RED = "--checks=sleep 4; false"
"""Keeps a run in its first check for as long as a test needs."""


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """A repository with one fault that a search finds."""
    return make_repository(
        tmp_path / "red",
        {
            "ages.py": "def adult(age):\n    return age > 18\n",
            "test_ages.py": (
                "from ages import adult\n\n\ndef test_at_the_mark():\n    assert adult(18)\n\n\n"
                "def test_below():\n    assert not adult(17)\n\n\ndef test_above():\n    assert adult(40)\n"
            ),
        },
    )


def start(*words: str, cwd: Path) -> Begun:
    return Begun(*words, cwd=cwd, env=environment(cwd.parent, OFF))


def call(*words: str, cwd: Path, env: Mapping[str, str] = OFF) -> Done:
    return rolecall(*words, cwd=cwd, env=env)


def wait_for_event(process: Begun, name: str) -> dict[str, Any]:
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == name:
            return event
    raise AssertionError(f"the run ended without {name}: {process.communicate()}")


def last(done: Done) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(done.out.splitlines()[-1])
    return event


def test_a_killed_run_is_resumed_and_its_work_is_brought_home(red: Path) -> None:
    before = fingerprint(red)
    run = start("run", TASK, "--yes", "--json", "--max-minutes=5", cwd=red)
    thread = wait_for_event(run, "tool_started")["thread"]
    run.send_signal(signal.SIGKILL)
    run.communicate()

    assert "interrupted" in call("threads", cwd=red).out
    seen = call("watch", thread, cwd=red)
    assert "its status is interrupted" in seen.err
    assert seen.err.startswith("00:00  ")
    resumed = call("resume", "--last", "--json", cwd=red)
    events = [json.loads(line) for line in resumed.out.splitlines()]
    assert (resumed.code, last(resumed)["status"], resumed.err) == (0, "done", "")
    assert {event["thread"] for event in events} == {thread}
    assert [event["event"] for event in events].count("result") == 1
    assert {"v", "ts", "thread", "status", "exit_code", "report", "diff", "usage"} <= last(resumed).keys()
    assert Path(last(resumed)["report"]).is_file()
    assert last(resumed)["usage"]["coder"]["specs"] == ["embedded"]
    assert fingerprint(red) == before

    assert json.loads(call("threads", "show", thread[:6], "--json", cwd=red).out)["thread"]["options"]["limits"] == {
        "max_minutes": 5.0
    }
    assert "age >= 18" in call("diff", thread[:6], cwd=red).out
    assert "ages.py | 2 +-" in call("diff", thread[:6], "--stat", cwd=red).out
    log = call("log", thread[:6], cwd=red).out
    assert "resumed " in log
    assert "python -m pytest" in log
    assert call("apply", thread[:6], cwd=red).code == 0
    assert git(red, "log", "-1", "--format=%s") == f"Merge rolecall/{thread[:8]}: {TASK}"
    assert "age >= 18" in (red / "ages.py").read_text()
    again = call("resume", cwd=red)
    assert again.code == 2
    assert "nothing to resume" in again.err
    assert again.err.splitlines()[-1].endswith(f"rolecall log {thread[:8]}")
    assert call("threads", "delete", thread[:6], "--yes", cwd=red).code == 0
    assert f"rolecall/{thread[:8]}" not in git(red, "branch", "--all", "--format=%(refname:short)").replace("Merge", "")
    assert call("threads", cwd=red).out == ""


def test_the_display_is_live_and_what_is_typed_reaches_the_run(red: Path) -> None:
    words = [sys.executable, "-m", "rolecall", "run", TASK, "--yes", SLOW_AND_RED]
    with Terminal(words, cwd=red, env=environment(red.parent, OFF)) as terminal:
        terminal.wait_for("type to steer")
        terminal.wait_for("started    ")
        assert not terminal.echoes()
        terminal.suspend_and_continue()
        terminal.type("keep the ")
        terminal.wait_for("> keep the ")
        assert not terminal.echoes()
        terminal.type("name adult\n")
        terminal.wait_for("heard    user: keep the name adult")
        terminal.type("\x03")
        terminal.wait_for("stopping at the next step")
        code = terminal.end()

        assert code == 130
        assert terminal.echoes()
        assert "paused" in terminal.text
        assert terminal.text.rstrip().splitlines()[-1].startswith("continue with: ")
        assert "resume" in terminal.text.rstrip().splitlines()[-1]
        assert terminal.text.rstrip().endswith("--yes")
    threads = json.loads(call("threads", "--json", cwd=red).out)["threads"]
    shown = json.loads(call("threads", "show", threads[0]["thread_id"], "--json", cwd=red).out)["thread"]
    told = next(message for message in shown["messages"] if message["kind"] == "guidance")
    assert (told["text"], told["author"], told["status"]) == ("keep the name adult", "user", "seen")
    assert shown["options"]["checks"] == ["sleep 4; false"]


def test_ctrl_c_twice_stops_at_once(red: Path) -> None:
    run = start("run", TASK, "--yes", "--json", "--checks=sleep 60", cwd=red)
    wait_for_event(run, "node_started")
    time.sleep(1)
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=30)

    assert time.monotonic() - began < 15
    assert run.returncode == 130
    assert json.loads(out.splitlines()[-1])["exit_code"] == 130
    assert "resume" in err.splitlines()[-1]


def test_sigterm_stops_a_run_in_order(red: Path) -> None:
    run = start("run", TASK, "--yes", "--json", SLOW_AND_RED, cwd=red)
    wait_for_event(run, "node_started")
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=30)

    assert run.returncode == 143
    assert json.loads(out.splitlines()[-1])["exit_code"] == 143
    assert json.loads(out.splitlines()[-1])["message"] == "paused by SIGTERM"
    assert json.loads(call("threads", "--json", cwd=red).out)["threads"][0]["exit_code"] == 143
    assert "paused     exit 143" in call("log", json.loads(out.splitlines()[-1])["thread"], cwd=red).out
    assert "resume" in err.splitlines()[-1]


def test_a_run_in_the_background_can_be_followed_locked_steered_and_paused(red: Path) -> None:
    begun = call("run", TASK, "--yes", SLOW_AND_RED, "--background", cwd=red)
    thread = begun.out.strip()
    assert begun.code == 0
    assert f"watch {thread[:8]}" in begun.err

    locked = call("resume", thread, cwd=red)
    assert locked.code == 75
    assert f"watch {thread[:8]}" in locked.err.splitlines()[-1]
    assert json.loads(call("steer", thread, "mind", "the", "gap", "--json", cwd=red).out)["running"] is True
    worktree = red / ".rolecall" / "worktrees" / thread[:8]
    while not (worktree / ".git").exists():  # the run may have begun just now
        time.sleep(0.05)
    (worktree / "later.txt").write_text("in no commit yet")
    home = call("apply", thread, cwd=red)  # refused once there is a commit to take
    assert "still running" in home.out + home.err
    assert call("pause", thread, cwd=red).code == 0
    watched = call("watch", thread, cwd=red)
    assert watched.code == 0
    assert f"{thread[:8]} is not running; its status is paused" in watched.err
    assert "paused by user" in watched.out
    assert "paused" in call("threads", cwd=red).out
    assert " ago " in call("threads", cwd=red).out
    late = asyncio.run(SqliteInbox(database_of(red), thread).put(thread, kind="pause", author="user", text=""))
    shown = call("threads", "show", thread, cwd=red).out  # the second order is in no checkpoint
    assert f"message {late}  obeyed: user: pause" in shown
    assert "queued: user: pause" not in shown  # the word before it may be, when the pause gave its model call up
    assert "paused by user" in (red / ".rolecall" / "runs" / thread / "output.log").read_text()
    assert call("pause", thread, cwd=red).code == 2


def test_a_run_that_its_budget_stopped_goes_on_as_it_says(red: Path) -> None:
    stopped = call("run", TASK, "--yes", "--max-minutes=0.001", "--quiet", cwd=red)
    assert stopped.code == 5
    words = shlex.split(stopped.err.splitlines()[-1].removeprefix("continue with: "))
    assert words[-2:] == ["--yes", "--max-minutes=1"]

    assert call(*words[words.index("resume") : -1], "--max-minutes=5", "--quiet", cwd=red).code == 0


def test_a_report_of_an_end_that_a_thread_has_gone_beyond_is_not_shown(red: Path) -> None:
    call("run", TASK, "--yes", "--max-minutes=0.001", "--quiet", cwd=red)
    thread = json.loads(call("threads", "--json", cwd=red).out)["threads"][0]["thread_id"]
    assert "report" in json.loads(call("threads", "show", thread, "--json", cwd=red).out)["thread"]

    asyncio.run(ThreadStore(database_of(red)).set_status(thread, "paused"))
    assert "report" not in json.loads(call("threads", "show", thread, "--json", cwd=red).out)["thread"]


def test_a_background_run_that_cannot_begin_says_why(red: Path) -> None:
    done = call("run", TASK, "--background", "--model=coder=absent", cwd=red)

    assert (done.code, done.out) == (2, "")
    assert "unknown model" in done.err
    assert git(red, "worktree", "list").count("\n") == 0


def test_a_background_run_that_no_model_can_do_ends_as_one_in_the_foreground(red: Path) -> None:
    refused = call("run", "Add a login page", "--background", cwd=red)
    assert (refused.code, refused.out) == (4, "")
    assert "The embedded engine has no LLM" in refused.err
    [thread] = json.loads(call("threads", "--json", cwd=red).out)["threads"]
    assert thread["status"] == "needs_model"
    assert refused.err.splitlines()[-1].endswith(f"resume {thread['thread_id'][:8]}")
    events = call("run", "Add a login page", "--background", "--json", cwd=red).out.splitlines()
    assert [json.loads(line)["status"] for line in events if json.loads(line)["event"] == "result"] == ["needs_model"]


def test_an_invalid_configuration_is_exit_3(red: Path) -> None:
    (red.parent / "bad.json").write_text('{"llm": {"summarizzer": {"provider": "ollama"}}, "budgett": {}}')

    done = call("run", TASK, "--config", str(red.parent / "bad.json"), cwd=red)

    assert done.code == 3
    assert "error[config]" in done.err
    assert "budget" in done.err
    assert not (red / ".rolecall").exists()


def test_repair_prints_a_patch_that_git_applies(red: Path) -> None:
    done = call("repair", "--budget", "30s", cwd=red)

    assert done.code == 0, done.err
    assert git(red, "status", "--porcelain") == ""
    subprocess.run(["git", "apply", "-"], cwd=red, input=done.out, text=True, check=True)
    (red / "docs").mkdir()
    again = call("repair", "--checks", "python -m pytest test_ages.py", "--json", cwd=red / "docs")
    assert json.loads(again.out)["status"] == "nothing_fails"


def test_repair_says_where_there_is_nothing_to_search(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", "bare.git"], cwd=tmp_path, check=True)
    bare = call("repair", cwd=tmp_path / "bare.git")
    assert (bare.code, "bare repository" in bare.err) == (2, True), bare.err

    (tmp_path / "plain").mkdir()
    plain = call("repair", cwd=tmp_path / "plain")
    assert plain.code == 1
    assert "is not in a git repository" in plain.err
    assert plain.err.splitlines()[-1].endswith("repair --help")


def test_repair_finds_the_tests_that_a_run_would_check(tmp_path: Path) -> None:
    case = "import unittest\nimport ages\n\n\nclass Case(unittest.TestCase):\n    def test_at_the_mark(self):\n"
    texts = {
        "ages.py": "def adult(age):\n    return age > 18\n",
        "testages.py": case + "        self.assertTrue(ages.adult(18))\n        self.assertFalse(ages.adult(17))\n",
    }
    done = call("repair", "--json", "--budget", "20s", cwd=make_repository(tmp_path / "red", texts))
    assert (done.code, "age >= 18" in done.out) == (0, True), done.err


def test_what_is_doubtful_about_all_patches_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    patches = [
        Patch(diff="", edits=(), line=1, template=f"edit {reason}", score=1.0, validated_by=1, cluster=0,
              confidence="low", reason=reason)
        for reason in ("a", "a", "b", "b", "")
    ]  # fmt: skip
    print_result(RepairResult(status="plausible", patches=tuple(patches)), Invocation(argv=["repair"]))
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("patch")]
    assert [line.partition("low")[2] for line in told] == [" (a)", "", " (b)", "", ""]


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(
        '{"llm": {"primary": {"provider": "openai_compatible", "model": "m", "base_url": "http://a:hunter2@h/v1",'
        ' "api_key": "swordfish-1", "options": {"headers": {"X-Api-Key": "swordfish-2"}}}}}'
    )
    for words in (["show"], ["show", "--json"]):
        done = rolecall("config", *words, "--config", "c.json", cwd=tmp_path)
        assert done.code == 0
        assert "openai_compatible" in done.out
        assert "swordfish" not in done.out
        assert "hunter2" not in done.out


def test_no_module_of_the_target_is_imported(red: Path) -> None:
    for name in ("core", "graph", "tools", "nodes", "memory", "llm_registry", "rich", "langgraph"):
        (red / name).mkdir()
        (red / name / "__init__.py").write_text("raise RuntimeError('the target was imported')\n")
    done = subprocess.run(
        [sys.executable, "-P", str(HOUSE / "rolecall" / "__main__.py"), "repair", "--budget=20s"],
        cwd=red, env={**environment(red.parent, OFF), "PYTHONPATH": os.pathsep.join([".", str(red)])},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert (done.returncode, "age >= 18" in done.stdout) == (0, True), done.stderr


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Path]:
    """A green repository, and a configured model that wants to run a command nobody allowed beforehand."""
    repo = make_repository(tmp_path / "repo", SLUGS)
    step = {"title": "Write slugify", "files": SLUGIFY, "commands": ["touch made-by-command"]}
    with ModelServerProcess({"competent": {"steps": [step]}}, tmp_path) as server:
        spec = {"provider": "openai_compatible", "model": "scripted", "base_url": server.v1}
        roles = dict.fromkeys(("coder", "reasoning", "router", "summarizer", "supervisor"), "primary")
        config = {"llm": {"primary": spec, **roles}}
        (tmp_path / "models.json").write_text(json.dumps(config))
        yield repo


def test_an_answer_is_printed_and_nothing_else_is_to_be_taken(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    script = {"competent": {"routing": "HANDLE", "target": "REASONING", "answer": "It shouts."}}
    with ModelServerProcess(script, tmp_path) as server:
        model = f"--model=primary=openai_compatible:scripted@{server.v1}"
        router = f"--model=router=openai_compatible:scripted@{server.v1}"
        done = call("run", "What does shout do?", model, router, "--quiet", cwd=repo)

    assert done.code == 0, done.err
    assert "answered" in done.out
    assert "It shouts." in done.out
    assert "rolecall apply" not in done.out


def test_a_command_waits_for_the_user_and_their_answer_counts(asking: Path) -> None:
    config = f"--config={asking.parent / 'models.json'}"
    alone = call("run", "Add slugify", config, "--json", cwd=asking)
    assert (alone.code, last(alone)["status"]) == (1, "waiting")
    assert "touch made-by-command" in last(alone)["message"]

    words = [sys.executable, "-m", "rolecall", "resume", "--last"]
    with Terminal(words, cwd=asking, env=environment(asking.parent, OFF)) as terminal:
        terminal.wait_for("answer y, n, or what to do instead")
        terminal.type("\x03")
        assert terminal.end(seconds=30) == 130
    with Terminal(words, cwd=asking, env=environment(asking.parent, OFF)) as terminal:
        terminal.wait_for("answer y, n, or what to do instead")
        terminal.type("yes\n")
        assert terminal.end() == 0, terminal.text
        assert "done, the checks are green" in terminal.text
    assert "made-by-command" in call("diff", last(alone)["thread"], "--stat", cwd=asking).out


def test_a_run_goes_on_when_nobody_reads_its_words_any_more(red: Path) -> None:
    words = f"{sys.executable} -m rolecall run '{TASK}' --yes 2>&1 | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words}"],
        cwd=red, env=environment(red.parent, OFF), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert "  done " in call("threads", cwd=red).out


def test_a_closed_terminal_stops_a_run_in_order(red: Path) -> None:
    words = [sys.executable, "-m", "rolecall", "run", TASK, "--yes", SLOW_AND_RED]
    with Terminal(words, cwd=red, env=environment(red.parent, OFF)) as terminal:
        terminal.wait_for("started    ")
        terminal.close()
        assert terminal.end(seconds=40) == 143
    listed = call("threads", cwd=red).out
    # At its next step, or where that is too far off for a terminal that is gone, at once.
    assert "paused" in listed or "interrupted" in listed


def test_a_reader_that_stops_reading_does_not_hold_the_run(red: Path) -> None:
    run = Begun("run", TASK, "--json", "--yes", cwd=red, env=environment(red.parent, OFF), buffer=4096)
    deadline = time.monotonic() + 120
    while " done " not in (listed := call("threads", cwd=red).out) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert " done " in listed
    lines = [json.loads(line) for line in run.communicate()[0].splitlines()]
    assert sum(len(json.dumps(line)) for line in lines) > 4096
    assert (lines[-1]["event"], lines[-1]["exit_code"], run.returncode) == ("result", 0, 0)
