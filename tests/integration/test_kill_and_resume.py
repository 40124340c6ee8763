"""The process is killed at real moments of a real run; the thread must end as if nothing had been."""

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from nodes.model_calls.tool_calls import INTERRUPTED
from tests.integration.jobs import SLUGIFY, SLUGS, openai, red_repository, state_of
from tests.modelserver.competent import CompetentScript
from tests.modelserver.reply import Reply, call
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.repositories import fingerprint, git, make_repository, write
from tests.unit.rolecall.command_line import Begun, run_piped

COMPETENT = CompetentScript(files=SLUGIFY)


def environment(tmp_path: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "ROLECALL_CONFIG": str(tmp_path / "config.json"), "ROLECALL_SANDBOX__MODE": "host"}


def start(repo: Path, env: Mapping[str, str]) -> Begun:
    return Begun("run", "Make the failing tests pass", "--repo", str(repo), "--yes", "--json", cwd=repo.parent, env=env)


def kill_at(process: Begun, event: str, field: str, value: str) -> None:
    for line in process.stdout:
        told = json.loads(line)
        if told["event"] == event and told.get(field) == value:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    process.communicate()


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        ("node_started", "node", "scope"),
        ("tool_started", "tool", "repair_search"),
        ("tool_finished", "tool", "edit_file"),
        ("step_committed", "step", "s1"),
        ("node_started", "node", "qa"),
    ],
    ids=["scope", "search", "edit", "commit", "qa"],
)
async def test_a_killed_run_is_resumed_to_the_same_end(tmp_path: Path, event: str, field: str, value: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    repo = red_repository(tmp_path / "repo")
    before = fingerprint(repo)
    env = environment(tmp_path)
    process = start(repo, env)
    kill_at(process, event, field, value)
    assert process.returncode == -signal.SIGKILL
    done = run_piped(["resume", "--last", "--repo", str(repo), "--yes", "--json"], cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["event"], result["status"], result["exit_code"]) == ("result", "done", 0)
    assert fingerprint(repo) == before
    assert git(repo, "log", "--format=%s", f"HEAD..{result['branch']}").splitlines() == ["Make the failing checks pass"]
    state = await state_of(repo, result["thread"])
    tip = git(repo, "rev-parse", result["branch"])
    assert [(item.step_id, item.commit) for item in state["step_results"]] == [("s1", tip)]


async def test_a_run_killed_while_its_worktree_is_made_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    repo = red_repository(tmp_path / "repo")
    write(repo, {".gitattributes": "*.py filter=slow\n"})
    git(repo, "config", "filter.slow.smudge", "sleep 30; cat")
    env = environment(tmp_path)
    process = start(repo, env)
    deadline = time.monotonic() + 60
    while not list(repo.glob(".rolecall/worktrees/*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    git(repo, "config", "--unset", "filter.slow.smudge")
    done = run_piped(["resume", "--last", "--repo", str(repo), "--yes", "--json"], cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "done"


async def test_a_command_that_was_running_at_the_kill_is_not_run_again_unasked(tmp_path: Path) -> None:
    marks, told = tmp_path / "marks", []

    def coder(request: ModelRequest) -> Reply:
        if "run_command" not in request.tool_names:
            return COMPETENT(request)
        made = [one for one in request.calls if one.name == "run_command"]
        if not made:
            return call("run_command", command=f"echo begun >> {marks}; sleep 20")
        told.append(request.result_of(made[0]))
        return COMPETENT(request)

    repo, env = make_repository(tmp_path / "repo", SLUGS), environment(tmp_path)
    with ModelServer(coder) as server:
        (tmp_path / "config.json").write_text(json.dumps({"llm": {"primary": openai(server.v1)}}))
        words = ("run", "Add a function slugify with tests", "--repo", str(repo), "--yes", "--quiet")
        process = Begun(*words, cwd=tmp_path, env=env)
        deadline = time.monotonic() + 60
        while not marks.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
        process.communicate()
        done = run_piped(["resume", "--last", "--repo", str(repo), "--yes", "--quiet"], cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert marks.read_text() == "begun\n"
    assert told[0] == INTERRUPTED
