"""Our git runs no program of the target, whatever its configuration, attributes or PATH name, and reads no other
repository than the one the thread belongs to."""

import os
import shutil
from pathlib import Path

import pytest

from tests.repositories import fingerprint, git, make_repository, thread, write
from tools.git.command import Git
from tools.git.location import safe_path
from tools.worktree.apply import apply_branch
from tools.worktree.staging import tracked_and_new
from tools.worktree.workspace import GitWorkspace

BODY = "".join(f"line {number}\n" for number in range(20))
PROGRAMS = (
    "filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.evil.textconv", "diff.evil.command",
    "diff.external", "merge.evil.driver", "merge.default", "core.fsmonitor", "core.hooksPath", "core.sshCommand",
    "core.gitProxy", "core.editor", "core.pager", "core.askPass", "credential.helper", "gpg.program",
    "gpg.ssh.program", "uploadpack.packObjectsHook", "core.alternateRefsCommand", "trailer.evil.command",
    "interactive.diffFilter", "sequence.editor", "hook.evil.command",
)  # fmt: skip
ATTRIBUTES = "*.txt filter=evil diff=evil merge=evil\n"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


def script(path: Path, canary: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho \"$0\" >> '{canary}'\ncat\n")
    path.chmod(0o755)
    return path


def armed(folder: Path, evil: Path, key: str) -> None:
    """Set a key to a program, and the keys it takes effect with."""
    value = {"merge.default": "evil", "core.hooksPath": str(evil.parent)}.get(key, str(evil))
    git(folder, "config", key, value)
    for name, beside in {"merge.evil.driver": f"{evil} %O %A %B", "commit.gpgsign": "true", "submodule.recurse": "true",
                         "filter.evil.required": "false", "hook.evil.event": "reference-transaction",
                         "protocol.ext.allow": "always"}.items():  # fmt: skip
        if name.rpartition(".")[0] == key.rpartition(".")[0] or key == "merge.default" or name.startswith("commit"):
            git(folder, "config", name, beside)


async def whole_life(repo: Path) -> str:
    """Everything a thread does with git."""
    workspace = await GitWorkspace.open(repo, identity := thread())
    await workspace.prepare()
    write(workspace.root, {"a.txt": BODY.replace("line 3\n", "theirs\n"), "new.txt": "new\n", "b.py": "b = 2\n"})
    first = await workspace.snapshot()
    await workspace.diff()
    await workspace.patch()
    await workspace.listing()
    await workspace.commit("Work")
    write(workspace.root, {"a.txt": "other\n"})
    await workspace.restore(first)
    await workspace.discard()
    await apply_branch(repo, identity)
    await (await GitWorkspace.open(repo, identity)).prepare()
    await workspace.remove()
    return identity


@pytest.mark.parametrize("key", PROGRAMS)
@pytest.mark.parametrize("uncommitted", [False, True], ids=["clean", "dirty"])
async def test_no_program_of_the_configuration_runs(tmp_path, canary, key, uncommitted) -> None:
    repo = make_repository(tmp_path / "repo", {"a.txt": BODY, "b.py": "b = 1\n", ".gitattributes": ATTRIBUTES})
    evil = script(repo / "tools/evil.sh", canary)
    for hook in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change", "post-merge"):
        script(repo / "tools" / hook, canary)
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Tools")
    armed(repo, evil, key)
    if uncommitted:
        write(repo, {"a.txt": BODY + "mine\n", "draft.txt": "draft\n"})
    await whole_life(repo)
    assert not canary.exists(), canary.read_text()


@pytest.mark.parametrize("program", ["python3 -m evil", "./evil.sh", "evil.sh"])
async def test_a_filter_that_is_found_in_the_working_tree_does_not_run(tmp_path, canary, monkeypatch, program) -> None:
    repo = make_repository(tmp_path / "repo", {"a.txt": BODY, ".gitattributes": ATTRIBUTES, "b.py": "b = 1\n",
                                               "evil.py": f"open({str(canary)!r}, 'w').close()\n"})  # fmt: skip
    script(repo / "evil.sh", canary)
    monkeypatch.setenv("PATH", f"{repo}{os.pathsep}.{os.pathsep}{os.environ['PATH']}")
    git(repo, "config", "filter.evil.clean", program)
    git(repo, "config", "filter.evil.smudge", program)
    write(repo, {"a.txt": BODY + "mine\n"})
    await whole_life(repo)
    assert not canary.exists()


async def test_a_git_of_the_target_does_not_run(tmp_path, canary, monkeypatch) -> None:
    repo = make_repository(tmp_path / "repo", {"a.txt": BODY, "b.py": "b = 1\n"})
    for name in ("git", "git-merge", "git-remote-https"):
        script(repo / "bin" / name, canary)
    monkeypatch.chdir(repo)
    path = os.pathsep.join((str(repo / "bin"), "bin", "", ".", os.environ["PATH"]))
    monkeypatch.setenv("PATH", path)
    await whole_life(repo)
    assert not canary.exists()
    assert safe_path(repo, path) == os.environ["PATH"].removeprefix(f"{repo}/bin:bin::.:")


async def test_an_include_of_the_repository_is_no_way_in(tmp_path, canary) -> None:
    repo = make_repository(tmp_path / "repo", {"a.txt": BODY, ".gitattributes": ATTRIBUTES, "b.py": "b = 1\n"})
    evil = script(tmp_path / "evil.sh", canary)
    write(repo, {"more.cfg": f'[filter "evil"]\n\tclean = {evil}\n[core]\n\tfsmonitor = {evil}\n'})
    git(repo, "config", "include.path", "../more.cfg")
    write(repo, {"a.txt": BODY + "mine\n"})
    await whole_life(repo)
    assert not canary.exists()


async def test_the_configuration_of_a_planted_repository_is_not_obeyed(tmp_path, canary) -> None:
    repo = make_repository(tmp_path / "repo", {"a.txt": BODY, "src/b.txt": "b\n", "b.py": "b = 1\n"})
    workspace = await GitWorkspace.open(repo, thread())
    await workspace.prepare()
    evil = script(tmp_path / "evil.sh", canary)
    for folder in (workspace.root / "src", workspace.root / "nested"):
        write(folder, {"x.txt": "x\n", ".gitattributes": ATTRIBUTES})
        git(folder, "init", "--quiet")
        for key in ("core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "diff.external"):
            git(folder, "config", key, str(evil))
    canary.unlink(missing_ok=True)
    await workspace.snapshot()
    await workspace.commit("Work")
    await workspace.discard()
    assert not canary.exists()
    assert await workspace.changed_files() == ("src/.gitattributes", "src/x.txt")
    assert any("nested/" in notice for notice in workspace.notices())


async def test_a_submodule_runs_nothing_and_stays_as_it_is(tmp_path, canary) -> None:
    library = make_repository(tmp_path / "library", {"lib.txt": "lib\n", ".gitattributes": ATTRIBUTES})
    repo = make_repository(tmp_path / "repo", {"a.txt": BODY, "b.py": "b = 1\n"})
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(repo, "commit", "--quiet", "--message", "Vendor it")
    evil = script(tmp_path / "evil.sh", canary)
    for key in ("filter.evil.clean", "filter.evil.smudge", "core.fsmonitor", "core.hooksPath"):
        git(repo / "lib", "config", key, str(evil))
    write(repo / "lib", {"lib.txt": "changed\n", ".env": "KEY=1\n"})
    link = git(repo, "rev-parse", "HEAD:lib")
    workspace = await GitWorkspace.open(repo, thread())
    await workspace.prepare()
    assert (workspace.root / "lib/lib.txt").read_text() == "changed\n"
    assert not (workspace.root / "lib/.env").exists()
    shutil.rmtree(workspace.root / "lib")
    make_repository(workspace.root / "lib", {"other.txt": "o\n"})
    write(workspace.root, {"b.py": "b = 2\n"})
    await workspace.commit("Work")
    assert git(repo, "rev-parse", f"{workspace.branch}:lib") == link
    assert not canary.exists()


@pytest.fixture
async def workspace(tmp_path: Path) -> GitWorkspace:
    repo = make_repository(tmp_path / "repo", {"a.txt": BODY, "b.py": "b = 1\n"})
    workspace = await GitWorkspace.open(repo, thread())
    await workspace.prepare()
    return workspace


async def test_without_its_git_file_the_worktree_does_not_become_the_checkout(workspace) -> None:
    write(workspace.repo, {"a.txt": "mine\n"})
    before = fingerprint(workspace.repo)
    write(workspace.root, {"b.py": "b = 2\n"})
    (workspace.root / ".git").unlink()
    assert "b.py" in await tracked_and_new(Git(workspace.root))
    await workspace.snapshot()
    assert "b = 2" in await workspace.diff()
    assert await workspace.commit("Work")
    assert await workspace.changed_files() == ("b.py",)
    assert git(workspace.root, "rev-parse", "--abbrev-ref", "HEAD") == workspace.branch
    assert fingerprint(workspace.repo) == before


@pytest.mark.parametrize("forged", ["folder", "file", "link"])
async def test_a_forged_git_file_is_not_believed(workspace, tmp_path, canary, forged) -> None:
    other = make_repository(tmp_path / "other", {"theirs.txt": "x\n"})
    evil = script(tmp_path / "evil.sh", canary)
    for key in ("core.fsmonitor", "core.hooksPath", "diff.external"):
        git(other, "config", key, str(evil))
    entry = workspace.root / ".git"
    entry.unlink()
    if forged == "folder":
        shutil.copytree(other / ".git", entry)
    elif forged == "file":
        entry.write_text(f"gitdir: {other}/.git\n")
    else:
        entry.symlink_to(other / ".git")
    before, theirs = fingerprint(workspace.repo), fingerprint(other)
    write(workspace.root, {"b.py": "b = 2\n"})
    assert "b.py" in await tracked_and_new(Git(workspace.root))
    await workspace.snapshot()
    assert await workspace.commit("Work")
    assert await workspace.changed_files() == ("b.py",)
    await workspace.discard()
    await workspace.remove()
    assert not canary.exists()
    assert fingerprint(workspace.repo) == before
    assert fingerprint(other) == theirs
