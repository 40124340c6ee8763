"""What `apply` says of work that is not known to be correct, and what it does only when it is told to."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.integration.jobs import SLUGIFY, SLUGS, do, openai, settings_with
from tests.modelserver.competent import CompetentScript
from tests.modelserver.server import ModelServer
from tests.repositories import fingerprint, git, make_repository
from tests.unit.rolecall.command_line import Done, environment, rolecall
from tests.unit.rolecall.terminal import Terminal
from tools.worktree.workspace import GitWorkspace

OFF = {"ROLECALL_CONFIG": ""}


def call(*words: str, cwd: Path) -> Done:
    return rolecall(*words, cwd=cwd, env=OFF)


@pytest.fixture
def stuck(tmp_path: Path) -> tuple[Path, str]:
    """A repository with a thread that made a commit and whose check stayed red."""
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        settings = settings_with(openai(server.v1), budget={"max_attempts": 1, "max_replans": 0})
        outcome = asyncio.run(do(repo, "Add a function slugify", settings, checks=["test -e no-such-file"]))
    assert outcome.status == "stuck"
    return repo, outcome.thread_id


def test_red_work_is_taken_only_when_one_insists(stuck: tuple[Path, str]) -> None:
    repo, thread = stuck
    before = fingerprint(repo)
    refused = call("apply", thread, "--squash", cwd=repo)
    assert (refused.code, refused.out) == (2, "")
    assert "it is stuck" in refused.err
    assert "the check `test -e no-such-file` is red, exit 1" in refused.err
    assert refused.err.splitlines()[-1].endswith(f"rolecall apply {thread[:8]} --squash --force")
    assert call("apply", thread, "--json", cwd=repo).code == 2
    assert fingerprint(repo) == before

    taken = call("apply", thread, "--squash", "--force", "--json", cwd=repo)
    said = json.loads(taken.out)
    assert (taken.code, said["how"], said["applied"]) == (0, "squashed", True)
    assert "the check `test -e no-such-file` is red, exit 1" in said["reservations"]
    assert "warning: this work is not known to be correct: it is stuck" in taken.err
    assert git(repo, "log", "-1", "--format=%s") == "Add a function slugify"
    again = call("apply", thread, cwd=repo)
    assert (again.code, "contains nothing that your branch does not already have" in again.out) == (0, True), again.err


def test_somebody_at_the_terminal_is_asked(stuck: tuple[Path, str]) -> None:
    repo, thread = stuck
    before = fingerprint(repo)
    words = [sys.executable, "-m", "rolecall", "apply", thread]
    for answer, code in (("n", 1), ("y", 0)):
        assert fingerprint(repo) == before
        with Terminal(words, cwd=repo, env=environment(repo.parent, OFF)) as terminal:
            terminal.wait_for("apply it anyway? [y/N]")
            assert "warning: it is stuck" in terminal.text
            terminal.type(f"{answer}\n")
            assert terminal.end() == code, terminal.text
    assert git(repo, "log", "-1", "--format=%s").startswith(f"Merge rolecall/{thread[:8]}")


async def test_files_the_user_shows_are_in_the_diff_of_the_command(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo", SLUGS)
    config = tmp_path / "c.json"
    config.write_text(json.dumps({"sandbox": {"show": ["credentials.json"]}}))
    begun = call("run", "Make the tests pass", f"--config={config}", "--yes", "--quiet", "--no-supervisor", cwd=repo)
    assert begun.code == 0, begun.err
    thread = json.loads(call("threads", "--json", cwd=repo).out)["threads"][0]["thread_id"]
    workspace = await GitWorkspace.open(repo, thread)
    (workspace.root / "credentials.json").write_text("{}\n")
    (workspace.root / ".env").write_text("A=1\n")
    shown = call("diff", thread, "--stat", cwd=repo)
    assert "credentials.json" in shown.out
    assert ".env" not in shown.out
    assert "uncommitted changes of the thread were left out" in call("apply", thread, cwd=repo).out
