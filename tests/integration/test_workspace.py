"""The worktree of a thread on real repositories: what it takes along, what it leaves alone, what it refuses."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import RepositoryError
from tests.repositories import fingerprint, git, make_repository, thread, write
from tools.worktree.staging_rules import TOO_LARGE, StagingRules
from tools.worktree.workspace import GitWorkspace

PREPARE = """
import asyncio, pathlib, sys
from tools.worktree.workspace import GitWorkspace
async def main():
    print("go", flush=True)
    await (await GitWorkspace.open(pathlib.Path(sys.argv[1]), sys.argv[2])).prepare()
asyncio.run(main())
"""
FILES = {"calc.py": "def add(a, b):\n    return a - b\n", "docs/read me.md": "# Calc\n", "gone.txt": "x\n"}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "my repo", FILES)


async def opened(repo: Path, thread_id: str = "") -> GitWorkspace:
    workspace = await GitWorkspace.open(repo, thread_id or thread())
    await workspace.prepare()
    return workspace


def dirty(repo: Path) -> None:
    """A checkout in every state git knows at once."""
    write(repo, {"stashed.txt": "s\n"})
    git(repo, "add", "stashed.txt")
    git(repo, "stash", "push", "--quiet")
    write(
        repo, {"staged.py": "STAGED = 1\n", "new/ünicode name.txt": "new\n", "calc.py": "# theirs\n" + FILES["calc.py"]}
    )
    git(repo, "add", "staged.py")
    write(repo, {"staged.py": "STAGED = 2\n", ".gitignore": "*.log\n", "debug.log": "ignored\n"})
    (repo / "gone.txt").unlink()
    (repo / "docs/read me.md").chmod(0o755)
    (repo / "link").symlink_to("calc.py")


async def test_the_checkout_stays_byte_identical_and_all_its_changes_come_along(repo) -> None:
    dirty(repo)
    before = fingerprint(repo)
    workspace = await opened(repo)
    assert (workspace.root / "staged.py").read_text() == "STAGED = 2\n"
    assert (workspace.root / "new/ünicode name.txt").read_text() == "new\n"
    assert (workspace.root / "calc.py").read_text().startswith("# theirs")
    assert (workspace.root / "link").is_symlink()
    assert os.access(workspace.root / "docs/read me.md", os.X_OK)
    assert not (workspace.root / "gone.txt").exists()
    assert not (workspace.root / "debug.log").exists()
    assert await workspace.diff() == ""
    write(workspace.root, {"calc.py": "changed\n", "more.py": "x = 1\n"})
    await workspace.commit("Change it")
    await workspace.snapshot()
    await workspace.discard()
    assert fingerprint(repo) == before
    assert git(repo, "stash", "list").count("\n") == 0
    await workspace.remove()
    assert fingerprint(repo) == before
    assert "rolecall" not in git(repo, "for-each-ref") + git(repo, "worktree", "list") + git(repo, "status", "--short")


async def test_a_diff_shows_only_the_work_of_the_thread(repo) -> None:
    dirty(repo)
    workspace = await opened(repo)
    write(workspace.root, {"calc.py": "def add(a, b):\n    return a + b\n", "pkg/new.py": "x = 1\n"})
    assert await workspace.changed_files() == ("calc.py", "pkg/new.py")
    first = await workspace.commit("Add")
    assert first == git(workspace.root, "rev-parse", "HEAD")
    assert await workspace.commit("Nothing new") is None
    write(workspace.root, {"later.py": "y = 2\n"})
    text = await workspace.diff()
    assert "+    return a + b" in text
    assert "b/later.py" in text
    assert "staged.py" not in text
    figures = await workspace.diff(stat=True)
    assert figures.splitlines()[-1].lstrip().startswith("3 files changed")


async def test_what_runs_leave_behind_is_not_committed(repo) -> None:
    workspace = await opened(repo)
    write(workspace.root, {"__pycache__/calc.pyc": b"\0", "x/.pytest_cache/v": "1", "keep.py": "k = 1\n"})
    write(workspace.root, {"crate/target/CACHEDIR.TAG": "", "crate/target/debug/x": "x"})
    await workspace.commit("Keep")
    assert git(workspace.root, "show", "--name-only", "--format=", "HEAD") == "keep.py"


async def test_a_second_prepare_keeps_the_work(repo) -> None:
    first = await opened(repo, identity := thread())
    write(first.root, {"draft.py": "draft\n"})
    second = await opened(repo, identity)
    assert second.root == first.root
    assert (second.root / "draft.py").read_text() == "draft\n"


async def test_a_worktree_that_vanished_is_made_again_from_its_branch(repo) -> None:
    workspace = await opened(repo, identity := thread())
    write(workspace.root, {"kept.py": "kept\n"})
    await workspace.commit("Keep")
    subprocess.run(["rm", "-rf", workspace.root], check=True)
    assert "kept.py" in await workspace.diff()
    again = await opened(repo, identity)
    assert (again.root / "kept.py").read_text() == "kept\n"


async def test_a_link_in_place_of_the_worktree_is_replaced_and_not_followed(repo, tmp_path) -> None:
    workspace = await opened(repo)
    other = make_repository(tmp_path / "other", {"theirs.txt": "theirs\n"})
    shutil.rmtree(workspace.root)
    workspace.root.symlink_to(other)
    before = fingerprint(other)
    again = await opened(repo, workspace.run_dir.name)
    (again.root / "planted.txt").write_text("x")
    assert await again.commit("work")
    assert fingerprint(other) == before
    assert not again.root.is_symlink()


async def test_snapshots_bring_files_back_and_forth(repo) -> None:
    workspace = await opened(repo)
    write(workspace.root, {"a.py": "one\n"})
    early = await workspace.snapshot()
    assert await workspace.snapshot() == early
    write(workspace.root, {"a.py": "two\n", "b.py": "new\n"})
    (workspace.root / "calc.py").unlink()
    late = await workspace.snapshot()
    await workspace.restore(early)
    assert (workspace.root / "a.py").read_text() == "one\n"
    assert not (workspace.root / "b.py").exists()
    assert (workspace.root / "calc.py").exists()
    git(repo, "gc", "--quiet", "--prune=now")
    await workspace.restore(late)
    assert (workspace.root / "b.py").read_text() == "new\n"
    assert not (workspace.root / "calc.py").exists()
    with pytest.raises(RepositoryError, match="no longer"):
        await workspace.restore("0" * 40)


async def test_discard_goes_back_to_the_last_commit(repo) -> None:
    workspace = await opened(repo)
    write(workspace.root, {"a.py": "one\n"})
    await workspace.commit("One")
    write(workspace.root, {"a.py": "two\n", "b.py": "b\n"})
    await workspace.discard()
    assert (workspace.root / "a.py").read_text() == "one\n"
    assert not (workspace.root / "b.py").exists()


@pytest.mark.parametrize("milliseconds", [5, 15, 30, 45, 60, 80, 110])
async def test_a_kill_while_preparing_does_no_harm(tmp_path, milliseconds) -> None:
    files = {f"pkg/module_{number}.py": f"x = {number}\n" * 50 for number in range(300)}
    repo, identity = make_repository(tmp_path / "big", files), thread()
    before = fingerprint(repo)
    argv = [sys.executable, "-c", PREPARE, str(repo), identity]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True, cwd=Path(__file__).parents[2])
    assert child.stdout is not None
    child.stdout.readline()
    await asyncio.sleep(milliseconds / 1000)
    os.killpg(child.pid, signal.SIGKILL)
    child.stdout.close()
    child.wait()
    # git itself runs in a session of its own and may be at work still.
    await asyncio.sleep(0.3)
    workspace = await opened(repo, identity)
    assert len(list((workspace.root / "pkg").iterdir())) == 300
    assert await workspace.diff() == ""
    assert git(workspace.root, "status", "--short") == ""
    assert fingerprint(repo) == before


async def test_no_identity_hook_or_signature_of_the_user_is_needed(repo, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    trace = tmp_path / "hook-ran"
    for name in ("pre-commit", "post-checkout", "commit-msg", "reference-transaction", "post-index-change"):
        hook = repo / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch '{trace}'\n")
        hook.chmod(0o755)
    subprocess.run(["git", "config", "commit.gpgsign", "true"], cwd=repo, check=True)
    subprocess.run(["git", "config", "gpg.program", "false"], cwd=repo, check=True)
    workspace = await opened(repo)
    write(workspace.root, {"a.py": "a\n"})
    assert await workspace.commit("By rolecall")
    assert not trace.exists()
    assert git(workspace.root, "log", "-1", "--format=%an <%ae>") == "rolecall <rolecall@localhost>"


async def test_a_configured_identity_is_kept(repo) -> None:
    git(repo, "config", "user.name", "Grace")
    git(repo, "config", "user.email", "grace@example.org")
    workspace = await opened(repo)
    write(workspace.root, {"a.py": "a\n"})
    await workspace.commit("By Grace")
    assert git(workspace.root, "log", "-1", "--format=%an <%ae>") == "Grace <grace@example.org>"


async def test_a_subdirectory_leads_to_the_top(repo) -> None:
    workspace = await opened(repo / "docs")
    assert workspace.repo == repo
    assert (workspace.root / "calc.py").exists()


async def test_a_detached_head_works(repo) -> None:
    git(repo, "checkout", "--quiet", "--detach")
    before = fingerprint(repo)
    workspace = await opened(repo)
    write(workspace.root, {"a.py": "a\n"})
    assert await workspace.commit("On a branch")
    assert fingerprint(repo) == before


async def test_a_linked_worktree_works(repo, tmp_path) -> None:
    linked = tmp_path / "linked"
    git(repo, "worktree", "add", "--quiet", "-b", "side", str(linked))
    write(linked, {"side.py": "side\n"})
    workspace = await opened(linked)
    assert workspace.repo == linked.resolve()
    assert (workspace.root / "side.py").exists()
    assert ".rolecall" not in git(linked, "status", "--short") + git(repo, "status", "--short")
    await workspace.remove()


async def test_a_submodule_is_there_and_left_alone(repo, tmp_path) -> None:
    library = make_repository(tmp_path / "library", {"lib.py": "LIB = 1\n"})
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "vendor/lib")
    git(repo, "commit", "--quiet", "--message", "Vendor it")
    workspace = await opened(repo)
    assert (workspace.root / "vendor/lib/lib.py").read_text() == "LIB = 1\n"
    assert any("vendor/lib" in sentence for sentence in workspace.warnings)
    write(workspace.root, {"a.py": "a\n"})
    await workspace.commit("Beside it")
    assert await workspace.changed_files() == ("a.py",)


async def test_a_repository_inside_the_repository_is_no_obstacle(repo) -> None:
    inner = repo / "inner"
    inner.mkdir()
    git(inner, "init", "--quiet")
    workspace = await opened(repo)
    assert await workspace.diff() == ""


async def test_generated_sources_come_along_and_stay_out_of_commits(tmp_path) -> None:
    files = {".gitignore": "_version.py\n*.so\n.env\nbuild/\n", "pkg/__init__.py": "from pkg import _version\n"}
    repo = make_repository(tmp_path / "pkg", files)
    ignored = {"pkg/_version.py": "V = 1\n", "pkg/fast.cpython-311.so": b"\x7fELF", ".env": "S=1\n", "build/x.py": "x"}
    write(repo, {**ignored, "pkg/__pycache__/a.pyc": b"x"})
    workspace = await opened(repo)
    assert (workspace.root / "pkg/_version.py").read_text() == "V = 1\n"
    assert (workspace.root / "pkg/fast.cpython-311.so").exists()
    assert not (workspace.root / ".env").exists()
    assert not (workspace.root / "build").exists()
    assert await workspace.commit("Nothing") is None


async def test_a_huge_new_file_stays_at_home(repo) -> None:
    with (repo / "dump.bin").open("wb") as file:
        file.truncate(70 * 2**20)
    workspace = await opened(repo)
    assert not (workspace.root / "dump.bin").exists()
    assert any("dump.bin" in sentence for sentence in workspace.warnings)
    assert (repo / "dump.bin").stat().st_size == 70 * 2**20


def test_the_largest_of_too_many_new_files_stay_at_home(tmp_path) -> None:
    for number in range(20):
        with (tmp_path / f"{number}.bin").open("wb") as file:
            file.truncate((30 + number) * 2**20)
    names = [path.name for path in tmp_path.iterdir()]
    left = StagingRules().judge(tmp_path, names)
    assert left == {f"{number}.bin": TOO_LARGE for number in range(14, 20)}
    assert StagingRules().judge(tmp_path, sorted(set(names) - left.keys())) == {}


async def test_the_folder_is_excluded_once_and_not_in_gitignore(repo) -> None:
    exclude = repo / ".git/info/exclude"
    exclude.write_text("mine")
    await opened(repo)
    await opened(repo)
    assert exclude.read_text() == "mine\n/.rolecall/\n"
    assert git(repo, "status", "--short") == ""


async def test_git_variables_of_a_hook_do_not_lead_astray(repo, tmp_path, monkeypatch) -> None:
    other = make_repository(tmp_path / "other", {"x": "x"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    workspace = await GitWorkspace.open(repo, thread())
    await workspace.prepare()
    assert (workspace.root / "calc.py").exists()


async def test_an_unknown_thread_has_no_diff(repo) -> None:
    workspace = await GitWorkspace.open(repo, thread())
    with pytest.raises(RepositoryError, match="no work of the thread"):
        await workspace.diff()


async def test_a_listing_folds_large_folders(tmp_path) -> None:
    files = {f"data/file_{number}.txt": "x" for number in range(500)} | {"pkg/a.py": "a", "top.py": "t"}
    workspace = await opened(make_repository(tmp_path / "many", files))
    assert (await workspace.listing(limit=50)).splitlines() == ["data/ (500 files)", "pkg/a.py", "top.py"]


async def test_a_lock_of_a_killed_git_is_no_obstacle(repo) -> None:
    workspace = await opened(repo)
    write(workspace.root, {"a.py": "a\n"})
    lock = Path(git(workspace.root, "rev-parse", "--absolute-git-dir")) / "index.lock"
    lock.touch()
    assert await workspace.commit("All the same")
    lock.touch()
    await workspace.discard()
    assert not lock.exists()


async def test_a_cancelled_git_leaves_no_lock(tmp_path) -> None:
    files = {f"m{number}.py": f"x = {number}\n" for number in range(600)}
    workspace = await opened(make_repository(tmp_path / "big", files))
    lock = Path(git(workspace.root, "rev-parse", "--absolute-git-dir")) / "index.lock"
    for delay in (0.01, 0.03, 0.05):
        write(workspace.root, dict.fromkeys(files, f"{delay}\n"))
        task = asyncio.create_task(workspace.commit("Stopped"))
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not lock.exists()
    write(workspace.root, {"last.py": "last\n"})
    assert await workspace.commit("Goes on")


async def test_a_half_made_worktree_is_made_anew(repo) -> None:
    workspace = await opened(repo, identity := thread())
    private = Path(git(workspace.root, "rev-parse", "--absolute-git-dir"))
    (private / "locked").write_text("initializing")
    (private / "index.lock").touch()
    (workspace.root / "calc.py").unlink()
    (workspace.run_dir / "worktree-ready").unlink()
    again = await opened(repo, identity)
    assert (again.root / "calc.py").read_text() == FILES["calc.py"]
    write(again.root, {"a.py": "a\n"})
    assert await again.commit("It works")


async def test_refs_that_others_pack_or_move_are_read_as_they_are(repo) -> None:
    workspace = await opened(repo)
    write(workspace.root, {"calc.py": "one\n"})
    first = await workspace.commit("One")
    git(repo, "pack-refs", "--all", "--prune")
    assert not (repo / ".git/refs/heads" / workspace.branch).exists()
    assert (await workspace.tip(), await workspace.has_uncommitted()) == (first, False)

    git(repo, "update-ref", f"refs/heads/{workspace.branch}", await workspace.base())
    assert (await workspace.tip(), await workspace.has_uncommitted()) == (None, True)
    git(repo, "update-ref", "-d", f"refs/heads/{workspace.branch}")
    with pytest.raises(RepositoryError, match="unknown revision"):
        await workspace.tip()


async def test_what_others_do_to_the_index_is_seen(repo) -> None:
    workspace = await opened(repo)
    assert (await workspace.submodules(), await workspace.diff()) == ((), "")
    git(workspace.root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib")
    git(workspace.root, "rm", "--quiet", "--cached", "calc.py")
    assert (await workspace.submodules(), await workspace.diff()) == (("lib",), "")
    (workspace.root / "calc.py").unlink()
    assert await workspace.changed_files() == ("calc.py",)
