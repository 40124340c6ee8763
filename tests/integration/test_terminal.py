"""Runs on a real terminal that are interrupted, steered, watched and refused: what is shown and recorded is so."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.jobs import SLUGIFY, SLUGS
from tests.modelserver.process import ModelServerProcess
from tests.repositories import make_repository
from tests.unit.rolecall.command_line import Begun, Done, environment, rolecall
from tests.unit.rolecall.terminal import Terminal

OFF = {"ROLECALL_CONFIG": ""}
TASK = "Make the failing tests pass"
OURS = [sys.executable, "-m", "rolecall"]
COMMAND = "touch made-by-command; exit 3"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", SLUGS)


@pytest.fixture
def asking(repo: Path) -> Iterator[Path]:
    """A model that wants to run a command which nobody allowed beforehand."""
    step = {"title": "Write slugify", "files": SLUGIFY, "commands": [COMMAND]}
    with ModelServerProcess({"competent": {"steps": [step]}}, repo.parent) as server:
        spec = {"provider": "openai_compatible", "model": "scripted", "base_url": server.v1}
        roles = dict.fromkeys(("coder", "reasoning", "router", "summarizer", "supervisor"), "primary")
        (repo.parent / "models.json").write_text(json.dumps({"llm": {"primary": spec, **roles}}))
        yield repo


def call(*words: str, cwd: Path) -> Done:
    return rolecall(*words, cwd=cwd, env=OFF)


def on_terminal(*words: str, cwd: Path) -> Terminal:
    return Terminal([*OURS, *words], cwd=cwd, env=environment(cwd.parent, OFF))


def last_thread(repo: Path) -> str:
    return str(json.loads(call("threads", "--json", cwd=repo).out)["threads"][0]["thread_id"])


def events_of(repo: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in call("log", last_thread(repo), "--json", cwd=repo).out.splitlines()]


def test_a_thread_is_watched_on_a_terminal_while_it_runs_and_after(repo: Path) -> None:
    begun = call("run", TASK, "--yes", "--checks=sleep 3; false", "--background", cwd=repo)
    assert begun.code == 0, begun.err
    for _ in range(2):
        with on_terminal("watch", begun.out.strip(), cwd=repo) as terminal:
            terminal.wait_for("started    ")
            assert terminal.end() == 0, terminal.text
            assert "check    sleep 3; false  red (exit 1)" in terminal.text
            assert "Traceback" not in terminal.text


def test_a_refused_command_is_recorded_as_refused_and_never_as_run(asking: Path) -> None:
    config = f"--config={asking.parent / 'models.json'}"
    with on_terminal("run", "Add slugify", config, cwd=asking) as terminal:
        terminal.wait_for("answer y, n, or what to do instead")
        terminal.type("not on my machine\n")
        terminal.wait_for("refused  not on my machine")
        terminal.end()
    events = events_of(asking)
    refused = next(event for event in events if event["event"] == "command_refused")
    assert (refused["command"], refused["answer"]) == (COMMAND, "not on my machine")
    ended = [event for event in events if event["event"] == "tool_finished" and event["tool"] == "run_command"]
    assert [event["ok"] for event in ended] == [False]
    assert f"command  {COMMAND}  refused  not on my machine" in call("log", last_thread(asking), cwd=asking).out


def test_how_a_command_ended_is_shown_live_and_in_the_log(asking: Path) -> None:
    done = call("run", "Add slugify", f"--config={asking.parent / 'models.json'}", "--yes", cwd=asking)

    assert f"command  {COMMAND}  exit 3" in done.err
    assert f"command  {COMMAND}  exit 3" in call("log", last_thread(asking), cwd=asking).out


def test_half_typed_words_do_not_become_the_answer_to_a_question(asking: Path) -> None:
    config = f"--config={asking.parent / 'models.json'}"
    checks = "--checks=sleep 4; true"
    with on_terminal("run", "Add slugify", config, checks, cwd=asking) as terminal:
        terminal.wait_for("started    ")
        terminal.type("yes, but keep the na")
        terminal.wait_for("answer y, n, or what to do instead")
        terminal.wait_for("still sent to the run")
        terminal.type("mes\n")
        terminal.wait_for("> yes, but keep the names")
        time.sleep(1)
        terminal.type("n\n")
        terminal.wait_for("  refused")
        terminal.wait_for("heard    user: yes, but keep the names")
        terminal.end()


def test_ctrl_c_twice_in_a_check_says_what_happens_and_nothing_else(repo: Path) -> None:
    with on_terminal("run", TASK, "--yes", "--checks=sleep 60", cwd=repo) as terminal:
        terminal.wait_for("type to steer")
        terminal.wait_for("started    ")
        time.sleep(2)
        terminal.type("\x03")
        terminal.wait_for("stopping at the next step · Ctrl-C again to stop immediately")
        seen = len(terminal.text)
        time.sleep(1)
        terminal.type("\x03")
        assert terminal.end(seconds=20) == 130
        after = terminal.text[seen:]
    assert "Unknown child process" not in terminal.text
    assert "type to steer" not in after
    assert "stopped    stopped immediately, as requested" in call("log", last_thread(repo), cwd=repo).out


def test_a_closed_terminal_ends_a_run_in_a_check_within_five_seconds(repo: Path) -> None:
    with on_terminal("run", TASK, "--yes", "--checks=sleep 60", cwd=repo) as terminal:
        terminal.wait_for("started    ")
        time.sleep(2)
        began = time.monotonic()
        terminal.close()
        assert terminal.end(seconds=20) == 143
        assert time.monotonic() - began < 5
    assert any(event["event"] == "interrupted" for event in events_of(repo))


def test_a_kill_and_a_pause_stand_in_the_log_of_the_thread(repo: Path) -> None:
    words = ("run", TASK, "--yes", "--json", "--checks=sleep 3; false")
    run = Begun(*words, cwd=repo, env=environment(repo.parent, OFF))
    next(line for line in run.stdout if '"node_started"' in line)
    run.kill()
    run.communicate()
    again = Begun("resume", "--last", "--yes", "--json", cwd=repo, env=environment(repo.parent, OFF))
    next(line for line in again.stdout if '"node_started"' in line)
    again.send_signal(signal.SIGINT)
    again.communicate(timeout=60)

    log = call("log", last_thread(repo), cwd=repo).out
    assert "stopped    the previous run was killed" in log
    assert "paused     exit 130" in log
    assert log.index("stopped    the previous run") < log.index("resumed    ")


def test_the_first_lines_say_which_walls_there_are(repo: Path) -> None:
    host = {**OFF, "PATH": os.pathsep.join(_without_bubblewrap(repo.parent / "bin"))}
    open_ = rolecall("run", TASK, "--yes", "--checks=true", cwd=repo, env=host)
    walled = call("run", TASK, "--yes", "--checks=true", cwd=repo)

    first = "\n".join(open_.err.splitlines()[:4])
    assert "sandbox    commands run on the host WITHOUT isolation" in first
    assert "install" in first
    assert "sandbox    commands run in bubblewrap" in "\n".join(walled.err.splitlines()[:4])


def _without_bubblewrap(folder: Path) -> list[str]:
    """A search path with every program but one."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name != "bwrap" and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return [str(folder)]
