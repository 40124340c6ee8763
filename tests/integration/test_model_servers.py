"""Whole runs against scripted servers in every protocol, and with servers that die on the way."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from core.config.settings import Settings
from core.context import RunOptions
from core.run_result import RunResult
from core.threads import ThreadOptions
from graph import runner
from graph.context_factory import RunSpec
from tests.modelserver.competent import CompetentScript
from tests.modelserver.faults import Fault
from tests.modelserver.info import Shape
from tests.modelserver.process import ModelServerProcess
from tests.modelserver.reply import fail, give, say
from tests.modelserver.script import Rule, Rules, When
from tests.modelserver.server import ModelServer

FILES = {
    "slugify.py": 'def slugify(text):\n    return "-".join(text.lower().split())\n',
    "test_slugify.py": (
        "import unittest\n\nfrom slugify import slugify\n\n\nclass SlugifyTest(unittest.TestCase):\n"
        '    def test_words_are_joined(self):\n        self.assertEqual(slugify("A b"), "a-b")\n'
    ),
}
CHECKS = ("python -m unittest -q",)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What runs remember of endpoints is the user's; a port of a dead server may be another's next.
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "test_old.py").write_text(
        "import unittest\n\n\nclass OldTest(unittest.TestCase):\n"
        "    def test_it(self):\n        self.assertTrue(__name__)\n",
        encoding="utf-8",
    )
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", "begin")
    return folder


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode()


def settings(url: str, shape: Shape = Shape.OPENAI, **options: Any) -> Settings:
    provider = "ollama" if shape is Shape.OLLAMA else "openai_compatible"
    spec = {"provider": provider, "model": "scripted", "base_url": url, **options}
    others = ("coder", "reasoning", "router", "summarizer", "supervisor")
    return Settings.model_validate({"llm": {"primary": spec} | dict.fromkeys(others, "primary")})


async def run(repo: Path, chosen: Settings) -> RunResult:
    spec = RunSpec(
        str(uuid4()),
        repo,
        chosen,
        RunOptions(interactive=False, approve_all=True),
        ThreadOptions(checks=list(CHECKS), supervise=False),
        "Add a function slugify with tests",
    )
    return await runner.run(spec, listen=lambda _: None)


def assert_done(repo: Path, outcome: RunResult) -> None:
    assert (outcome.status, outcome.exit_code) == ("done", 0), outcome.message
    for path, content in FILES.items():
        assert git(repo, "show", f"{outcome.branch}:{path}") == content
    assert git(repo, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("shape", "api", "path"),
    [
        (Shape.OPENAI, "chat", "/v1/chat/completions"),
        (Shape.OPENAI, "responses", "/v1/responses"),
        (Shape.OLLAMA, "auto", "/api/chat"),
    ],
    ids=["chat", "responses", "ollama"],
)
async def test_a_task_is_done_in_every_protocol(repo, shape, api, path) -> None:
    with ModelServer(CompetentScript(FILES), shape=shape) as server:
        url = server.url if shape is Shape.OLLAMA else server.v1
        outcome = await run(repo, settings(url, shape, api=api))
    assert server.errors == []
    assert_done(repo, outcome)
    assert {request.path for request in server.requests} == {path}


def begun(results: int) -> When:
    """The coding loop, with so many tool results behind it."""
    return When(tool="write_file", tool_results=results)


async def test_a_task_is_done_by_a_model_that_stumbles(repo) -> None:
    plan = {"milestones": [{"title": "M", "steps": [{"id": "s1", "title": "Write slugify.py"}]}]}
    stumbles = Rules(
        [
            Rule(fail(Fault.OVERLOADED), When(schema="Scope"), times=1),
            Rule(fail(Fault.PROSE, give(plan)), When(schema="Plan"), times=1),
            Rule(fail(Fault.CUT, say("Let me begin.")), begun(0), times=1),
            Rule(fail(Fault.INVENTED_TOOL), begun(0), times=1),
            Rule(fail(Fault.NO_FINISH_REASON, say("Hm.")), begun(2), times=1),
            Rule(fail(Fault.ARGUMENTS_BROKEN), begun(3), times=1),
            Rule(fail(Fault.FENCED_JSON, give({"accept": True})), When(schema="QAVerdict")),
        ],
        CompetentScript(FILES),
    )
    with ModelServer(stumbles) as server:
        outcome = await run(repo, settings(server.v1, api="chat"))
    assert server.errors == []
    assert_done(repo, outcome)


async def test_a_run_whose_server_was_killed_goes_on_when_it_is_back(repo, tmp_path) -> None:
    script = {"competent": {"files": FILES, "pace": 0.02}}
    with ModelServerProcess(script, tmp_path) as server:
        chosen = settings(server.v1, api="chat")
        running = asyncio.create_task(run(repo, chosen))
        while await writes(server) < 2:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(server.kill)
        stopped = await running
        assert (stopped.status, stopped.exit_code) == ("needs_model", 4), stopped.message
        await asyncio.to_thread(server.start)
        options = RunOptions(interactive=False, approve_all=True)
        request = RunSpec(stopped.thread_id, repo, chosen, options)
        outcome = await runner.resume_thread(request, listen=lambda _: None)
        state = await asyncio.to_thread(server.state)
    assert_done(repo, outcome)
    asked_again = [request["title"] for request in state["requests"]]
    assert "Plan" not in asked_again


async def writes(server: ModelServerProcess) -> int:
    """How many requests of the coding loop have come."""
    state = await asyncio.to_thread(server.state)
    return [request["title"] for request in state["requests"]][3:].count("")
