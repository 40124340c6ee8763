"""Folders no thread can work in: each is refused with one sentence that says what to do."""

from pathlib import Path

import pytest

from core.errors import RepositoryError
from tests.repositories import fingerprint, git, make_repository, thread, write
from tools.worktree.workspace import GitWorkspace

FILES = {"calc.py": "def add(a, b):\n    return a - b\n"}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "my repo", FILES)


async def refused(folder: Path) -> RepositoryError:
    with pytest.raises(RepositoryError) as caught:
        await (await GitWorkspace.open(folder, thread())).prepare()
    return caught.value


async def test_no_repository_is_refused_with_the_way_out(tmp_path) -> None:
    error = await refused(tmp_path)
    assert "not a git repository" in error.message
    assert "git init" in error.hint


async def test_a_missing_folder_is_refused(tmp_path) -> None:
    assert "is not a directory" in (await refused(tmp_path / "nowhere")).message


async def test_a_bare_repository_is_refused(tmp_path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    error = await refused(tmp_path / "bare.git")
    assert "bare" in error.message
    assert "git clone" in error.hint


async def test_the_git_folder_is_refused(repo) -> None:
    assert "inside a .git directory" in (await refused(repo / ".git")).message


async def test_a_repository_without_commits_is_refused(tmp_path) -> None:
    git(tmp_path, "init", "--quiet")
    error = await refused(tmp_path)
    assert "no commit" in error.message
    assert "git commit" in error.hint


async def test_a_branch_that_takes_the_name_of_ours_is_refused(repo) -> None:
    git(repo, "branch", "rolecall")
    before = fingerprint(repo)
    assert "git branch -m rolecall" in (await refused(repo)).hint
    assert fingerprint(repo) == before


async def test_a_branch_whose_name_holds_a_line_end_of_unicode_is_no_trouble(repo) -> None:
    git(repo, "branch", "rolecall/a\u2028b")
    workspace = await GitWorkspace.open(repo, thread())
    await workspace.prepare()
    await workspace.remove()
    assert git(repo, "for-each-ref", "--format=%(refname)", "refs/heads/rolecall").strip().endswith("a\u2028b")


async def test_a_conflict_under_way_is_refused(repo) -> None:
    git(repo, "checkout", "--quiet", "-b", "side")
    write(repo, {"calc.py": "side\n"})
    git(repo, "commit", "--quiet", "--all", "--message", "Side")
    git(repo, "checkout", "--quiet", "main")
    write(repo, {"calc.py": "main\n"})
    git(repo, "commit", "--quiet", "--all", "--message", "Main")
    git(repo, "merge", "side", check=False)
    before = fingerprint(repo)
    assert "git merge --abort" in (await refused(repo)).hint
    assert fingerprint(repo) == before


async def test_without_git_the_sentence_names_it(repo, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "git is not installed" in (await refused(repo)).message
