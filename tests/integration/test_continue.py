"""A thread that is not running goes on with a new request: the same branch, worktree and history, a new plan."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.errors import RepositoryError
from core.run_result import RunResult
from core.storage.database import database_of
from core.threads import ThreadOptions
from graph.runner import run_request
from graph.store.inbox import SqliteInbox
from tests.integration.jobs import (
    SLUGIFY,
    SLUGS,
    Heard,
    ask_more,
    do,
    go_on,
    openai,
    read,
    settings_with,
    spec_of,
    state_of,
)
from tests.modelserver.competent import CompetentScript
from tests.modelserver.reply import Reply
from tests.modelserver.request import ModelRequest
from tests.modelserver.server import ModelServer
from tests.repositories import git, make_repository
from tests.unit.rolecall.command_line import Begun, run_piped

FIRST = "Add a function slugify with tests"
SECOND = "Add a function whisper with a test"
WHISPER = {
    "slugs/whisper.py": "def whisper(text):\n    return text.lower()\n",
    "tests/test_whisper.py": (
        "from slugs.whisper import whisper\n\n\ndef test_whisper():\n    assert whisper('A') == 'a'\n"
    ),
}


def two_requests(request: ModelRequest) -> Reply:
    """Does whichever of the two requests the prompt is about."""
    files = WHISPER if "whisper" in request.prompt else SLUGIFY
    return CompetentScript(files=files)(request)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", SLUGS)


async def test_a_finished_thread_does_more_on_the_same_branch(repo: Path) -> None:
    with ModelServer(two_requests) as server:
        settings = settings_with(openai(server.v1))
        first = await do(repo, FIRST, settings)
        heard = Heard()
        again = await ask_more(repo, first.thread_id, SECOND, settings, heard=heard)
        prompts = [request.prompt for request in server.requests if request.title == "Plan"]
    assert (again.status, again.exit_code, again.branch) == ("done", 0, first.branch)
    assert heard.named("run_started")[0]["task"] == SECOND
    assert set(git(repo, "diff", "--name-only", "HEAD", first.branch).splitlines()) == {*SLUGIFY, *WHISPER}
    state = await state_of(repo, first.thread_id)
    assert [(one.task, one.outcome, len(one.steps)) for one in state["earlier"]] == [(FIRST, "done", 1)]
    assert [step.id for step in state["plan"].steps] == ["s2"], "ids of the first request are not used again"
    assert [result.step_id for result in state["step_results"]] == ["s2"]
    assert f"Request: {FIRST}\nOutcome: done" in prompts[-1]
    report = await read(again.report_path)
    assert f"> {SECOND}" in report
    assert f"   > {FIRST}" in report


async def test_what_is_not_finished_is_superseded_and_the_run_says_so(repo: Path) -> None:
    stopped = await do(repo, FIRST)
    assert stopped.status == "needs_model"
    heard = Heard()
    with ModelServer(two_requests) as server:
        again = await ask_more(repo, stopped.thread_id, SECOND, settings_with(openai(server.v1)), heard=heard)
    assert again.status == "done"
    [said] = [one["message"] for one in heard.named("warning") if "superseded" in one["message"]]
    assert said.endswith(f": {FIRST}")
    assert set(git(repo, "diff", "--name-only", "HEAD", again.branch).splitlines()) == set(WHISPER)
    state = await state_of(repo, again.thread_id)
    assert [(one.task, one.outcome) for one in state["earlier"]] == [(FIRST, "superseded")]


async def test_limits_count_from_the_new_request_on(repo: Path) -> None:
    with ModelServer(two_requests) as server:
        settings = settings_with(openai(server.v1), supervisor={"enabled": False})
        first = await do(repo, FIRST, settings)
        used = sum(role.calls for role in first.usage.values())
        limited = settings_with(
            openai(server.v1), supervisor={"enabled": False}, budget={"max_model_calls": used + 1}
        )  # fmt: skip
        again = await ask_more(repo, first.thread_id, SECOND, limited)
        assert again.status == "done", "what the first request used does not count"
        tight = settings_with(openai(server.v1), supervisor={"enabled": False}, budget={"max_model_calls": 2})
        stopped = await ask_more(repo, first.thread_id, "Add a test for whisper and more", tight)
        assert stopped.status == "budget"
        still = await go_on(repo, first.thread_id, tight)
        assert still.status == "budget", "what this request used counts when it is resumed"


@pytest.mark.parametrize("gone", ["worktree", "branch", "merged"])
async def test_a_worktree_or_branch_that_is_gone_is_made_again(repo: Path, gone: str) -> None:
    with ModelServer(two_requests) as server:
        settings = settings_with(openai(server.v1))
        first = await do(repo, FIRST, settings)
        worktree = repo / ".rolecall" / "worktrees" / first.branch.partition("/")[2]
        await asyncio.to_thread(shutil.rmtree, worktree)
        if gone == "branch":
            git(repo, "worktree", "prune")
            git(repo, "branch", "-D", first.branch)
        if gone == "merged":
            git(repo, "merge", "--no-ff", "-m", "take it", first.branch)
        again = await ask_more(repo, first.thread_id, SECOND, settings)
    assert again.status == "done", again.message
    assert set(git(repo, "diff", "--name-only", "main~0", first.branch).splitlines()) == (
        set(WHISPER) if gone == "merged" else {*SLUGIFY, *WHISPER}
    )


async def test_work_that_is_gone_for_good_is_one_sentence_and_changes_nothing(repo: Path) -> None:
    with ModelServer(two_requests) as server:
        settings = settings_with(openai(server.v1))
        first = await do(repo, FIRST, settings)
        for ref in git(repo, "for-each-ref", "--format=%(refname)", "refs/rolecall", "refs/heads/rolecall").split():
            git(repo, "update-ref", "-d", ref)
        with pytest.raises(RepositoryError, match="contains no work of the thread"):
            await ask_more(repo, first.thread_id, SECOND, settings)
    assert await SqliteInbox(database_of(repo), first.thread_id).after(0) == []
    assert (await state_of(repo, first.thread_id))["task"] == FIRST


async def test_a_secret_in_the_request_is_kept_by_nobody(repo: Path) -> None:
    token = "ghp_" + "a1B2" * 9
    with ModelServer(two_requests) as server:
        settings = settings_with(openai(server.v1))
        first = await do(repo, FIRST, settings)
        heard = Heard()
        spec = spec_of(repo, settings, thread_id=first.thread_id, asked=ThreadOptions(supervise=False))
        await run_request(spec, f"{SECOND} with {token}", listen=heard)
    assert any("looks like a secret" in one["message"] for one in heard.named("warning"))
    assert token.encode() not in await asyncio.to_thread(database_of(repo).path.read_bytes)


def environment(tmp_path: Path, url: str) -> Mapping[str, str]:
    roles = ("coder", "reasoning", "router", "summarizer", "supervisor")
    config = {"llm": {"primary": openai(f"{url}/v1"), **dict.fromkeys(roles, "primary")}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "ROLECALL_CONFIG": str(tmp_path / "config.json"), "ROLECALL_SANDBOX__MODE": "host"}


def rolecall(*words: str, env: Mapping[str, str], repo: Path) -> Begun:
    return Begun(*words, "--repo", str(repo), "--yes", "--json", cwd=repo.parent, env=env)


def result_of(process: Begun) -> RunResult:
    out, err = process.communicate(timeout=120)
    assert out, err
    return RunResult.model_validate({**json.loads(out.splitlines()[-1])})


def kill_at(process: Begun, event: str, value: str) -> None:
    for line in process.stdout:
        told = json.loads(line)
        if told["event"] == event and value in (told.get("node"), told.get("tool"), told.get("step"), ""):
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("event", "value"),
    [("run_started", ""), ("node_started", "route"), ("node_started", "plan"), ("tool_finished", "run_checks"),
     ("step_committed", "s2"), ("node_started", "report")],
)  # fmt: skip
async def test_a_continued_run_that_is_killed_is_resumed_to_the_same_end(
    tmp_path: Path, repo: Path, event: str, value: str
) -> None:
    with ModelServer(two_requests) as server:
        env = environment(tmp_path, server.url)
        first = result_of(rolecall("run", FIRST, env=env, repo=repo))
        assert first.status == "done"
        kill_at(rolecall("continue", first.thread_id[:8], SECOND, env=env, repo=repo), event, value)
        again = result_of(rolecall("resume", "--last", env=env, repo=repo))
    assert (again.thread_id, again.status) == (first.thread_id, "done")
    state = await state_of(repo, first.thread_id)
    assert state["task"] == SECOND
    assert [one.task for one in state["earlier"]] == [FIRST]
    assert set(git(repo, "diff", "--name-only", "HEAD", first.branch).splitlines()) == {*SLUGIFY, *WHISPER}
    applied = run_piped(["apply", first.thread_id[:8], "--repo", str(repo)], cwd=tmp_path, env=env)
    assert applied.returncode == 0, applied.stderr
    assert all((repo / path).is_file() for path in (*SLUGIFY, *WHISPER))


KILLED_AT_THE_FIRST_SIGN = """
import os, signal, sys
from core.storage import database
transact = database._transact

def killed(connection, work, *, durable):
    result = transact(connection, work, durable=durable)
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'threads'").fetchall():
        if connection.execute("SELECT 1 FROM threads WHERE status = 'running'").fetchall():
            os.kill(os.getpid(), signal.SIGKILL)
    return result

database._transact = killed
from rolecall.cli import main
sys.exit(main(sys.argv[1:]))
"""


async def test_a_kill_right_after_the_thread_is_listed_running_does_not_lose_the_request(
    tmp_path: Path, repo: Path
) -> None:
    with ModelServer(two_requests) as server:
        env = environment(tmp_path, server.url)
        settings = settings_with(openai(server.v1))
        first = await do(repo, FIRST, settings)
        command = [sys.executable, "-c", KILLED_AT_THE_FIRST_SIGN, "continue", first.thread_id, SECOND]
        killed = await asyncio.to_thread(
            subprocess.run,
            [*command, "--repo", str(repo), "--yes"],
            cwd=Path(__file__).parents[2],
            env=env,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        again = await go_on(repo, first.thread_id, settings)
    assert again.status == "done"
    assert (await state_of(repo, first.thread_id))["task"] == SECOND


async def test_a_question_about_what_was_done_is_answered_and_the_work_stays(repo: Path) -> None:
    def asked(request: ModelRequest) -> Reply:
        question = "Why did you" in request.prompt
        script = CompetentScript(files=SLUGIFY, routing="HANDLE" if question else "DELEGATE", answer="For the slugs.")
        return script(request)

    with ModelServer(asked) as server:
        settings = settings_with(openai(server.v1))
        first = await do(repo, FIRST, settings)
        answered = await ask_more(repo, first.thread_id, "Why did you add it?", settings)
        prompt = server.requests[-1].prompt
    assert (answered.status, answered.message) == ("answered", "For the slugs.")
    assert f"Request: {FIRST}" in prompt
    assert (await state_of(repo, first.thread_id)).get("plan") is None
    assert set(git(repo, "diff", "--name-only", "HEAD", first.branch).splitlines()) == set(SLUGIFY)
