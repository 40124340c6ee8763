"""`verify`: the checks of a thread's last commit, run again in a worktree of their own."""

import asyncio
import json
from pathlib import Path

import pytest

from core.storage.database import Database
from core.storage.layout import RepoLayout
from graph.store.lease import Lease
from tests.integration.jobs import SLUGIFY, SLUGS, do, openai, settings_with
from tests.integration.test_command_line import call
from tests.modelserver.competent import CompetentScript
from tests.modelserver.server import ModelServer
from tests.repositories import fingerprint, git, make_repository


@pytest.fixture
def done(tmp_path: Path) -> tuple[Path, str]:
    """A repository with a thread that made a commit and whose check was green."""
    repo = make_repository(tmp_path / "repo", SLUGS)
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        outcome = asyncio.run(do(repo, "Add a function slugify", settings_with(openai(server.v1))))
    assert outcome.status == "done"
    return repo, outcome.thread_id


def test_the_last_commit_is_checked_and_nothing_is_left_behind(done: tuple[Path, str]) -> None:
    repo, thread = done
    worktree = RepoLayout(repo).worktree(thread)
    (worktree / "test_left.py").write_text("def test_left():\n    assert False\n")  # in no commit
    before = fingerprint(repo), git(repo, "for-each-ref"), git(repo, "worktree", "list"), threads(repo)
    green = call("verify", thread[:8], cwd=repo)
    commit = git(repo, "rev-parse", f"rolecall/{thread[:8]}")
    assert (green.code, green.out) == (0, f"commit {commit[:8]} of {thread[:8]} is green: 1 check passed\n"), green.err
    assert "check" in green.err
    said = json.loads(call("verify", thread, "--json", cwd=repo).out)
    assert (said["green"], said["commit"], len(said["checks"])) == (True, commit, 1)
    assert (fingerprint(repo), git(repo, "for-each-ref"), git(repo, "worktree", "list"), threads(repo)) == before
    assert sorted(path.name for path in (repo / ".rolecall" / "worktrees").iterdir()) == [thread[:8]]
    assert "check" in call("log", thread, cwd=repo).out.splitlines()[-1]


def test_a_commit_that_breaks_a_test_is_red(done: tuple[Path, str]) -> None:
    repo, thread = done
    worktree = RepoLayout(repo).worktree(thread)
    (worktree / "test_later.py").write_text("def test_later():\n    assert 1 == 2\n")
    git(worktree, "add", "test_later.py")
    git(worktree, "-c", "user.name=u", "-c", "user.email=u@example.com", "commit", "-qm", "Break a test")
    red = call("verify", thread, cwd=repo)
    assert red.code == 1
    assert "is red: `" in red.out
    assert "assert 1 == 2" in red.err
    given = call("verify", thread, "--checks", "test -e no-such-file", cwd=repo)
    assert (given.code, "`test -e no-such-file` ended with 1" in given.out) == (1, True)


def test_deleting_the_tests_leaves_no_green(done: tuple[Path, str]) -> None:
    repo, thread = done
    worktree = RepoLayout(repo).worktree(thread)
    for file in list(worktree.glob("**/test_*.py")):
        git(worktree, "rm", "-q", str(file.relative_to(worktree)))
    git(worktree, "-c", "user.name=u", "-c", "user.email=u@example.com", "commit", "-qm", "Delete the tests")
    gone = call("verify", thread, cwd=repo)
    assert (gone.code, "is red" in gone.out) == (1, True), gone.out + gone.err


async def test_only_one_verification_at_a_time(done: tuple[Path, str]) -> None:
    repo, thread = done
    async with Lease(Database(RepoLayout(repo).database), f"verification of {thread}", discard=True):
        second = await asyncio.to_thread(call, "verify", thread, cwd=repo)
    assert second.code == 75
    assert (await asyncio.to_thread(call, "verify", thread, cwd=repo)).code == 0


def threads(repo: Path) -> list[str]:
    return [row["thread_id"] for row in json.loads(call("threads", "--json", cwd=repo).out)["threads"]]
