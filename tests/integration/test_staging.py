"""What is left out of base, commits and snapshots: what cannot be stored, what is too large, and what is secret."""

import asyncio
import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from core.errors import RepositoryError
from core.redaction import Redactor
from core.secret_files import SecretFiles
from tests.repositories import fingerprint, git, make_repository, thread, write
from tools.git.command import Git, GitTimeoutError
from tools.worktree import staging
from tools.worktree.apply import apply_branch
from tools.worktree.staging_rules import StagingRules
from tools.worktree.workspace import GitWorkspace

TOKEN = "gh" + "p_" + "A1b2C3d4E5" * 4
KNOWN = "correct-horse-battery"
FILES = {"a.py": "a = 1\n", "b.py": "b = 1\n", "pkg/c.py": "c = 1\n"}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", FILES)


async def opened(repo: Path, rules: StagingRules | None = None, identity: str = "") -> GitWorkspace:
    workspace = await GitWorkspace.open(repo, identity or thread(), rules)
    await workspace.prepare()
    return workspace


def everything_stored(repo: Path) -> str:
    """The content of every object of a repository, those of no commit included."""
    ids = git(repo, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)").splitlines()
    return "\n".join(git(repo, "cat-file", "blob", line.split()[1]) for line in ids if line.startswith("blob"))


async def test_what_cannot_be_stored_is_left_out_and_named(repo) -> None:
    workspace = await opened(repo)
    root = workspace.root
    os.mkfifo(root / "pipe")
    for name in ("b.py", "pkg/c.py"):
        (root / name).unlink()
        os.mkfifo(root / name)
    with socket.socket(socket.AF_UNIX) as listener, tempfile.TemporaryDirectory() as short:
        listener.bind(f"{short}/s")  # the address of a socket may not be as long as that of the worktree
        shutil.move(f"{short}/s", root / "c.sock")
    write(root, {"a.py": "a = 2\n", ".GIT/config": "x\n", "text.odd": "x\n",
                 ".gitattributes": "*.odd working-tree-encoding=NO-SUCH\n"})  # fmt: skip
    assert await asyncio.wait_for(workspace.commit("Work"), 30)
    assert await workspace.changed_files() == (".gitattributes", "a.py")
    told = "\n".join(workspace.notices())
    assert "not regular files: b.py, pkg/c.py" in told
    assert "NO-SUCH" in told
    assert workspace.notices() == ()
    await workspace.discard()
    assert (root / "b.py").read_text() == "b = 1\n"


async def test_an_unreadable_file_is_left_out(repo, monkeypatch) -> None:
    workspace = await opened(repo)
    write(workspace.root, {"a.py": "a = 2\n", "locked.txt": "x\n"})
    usual = os.access
    monkeypatch.setattr(os, "access", lambda path, *rest, **more: (
        not str(path).endswith("locked.txt") and usual(path, *rest, **more)))  # fmt: skip
    assert await workspace.commit("Work")
    assert await workspace.changed_files() == ("a.py",)
    assert "cannot be read: locked.txt" in "\n".join(workspace.notices())


async def test_a_pipe_named_gitignore_does_not_hold_the_thread(repo, monkeypatch) -> None:
    monkeypatch.setattr(staging, "_LOOK_S", 0.5)
    workspace = await opened(repo)
    os.mkfifo(workspace.root / ".gitignore")
    os.mkfifo(workspace.root / "pkg/.gitattributes")
    write(workspace.root, {"a.py": "a = 2\n"})
    assert await asyncio.wait_for(workspace.commit("Work"), 30)
    assert await workspace.changed_files() == ("a.py",)


async def test_a_git_that_takes_too_long_is_ended(repo) -> None:
    os.mkfifo(repo / ".gitignore")
    with pytest.raises(GitTimeoutError, match="took longer than 0 s"):
        await Git(repo).run("ls-files", "--others", "--exclude-standard", limit_s=0.3)


async def test_a_large_file_is_left_out_before_it_is_read(repo) -> None:
    workspace = await opened(repo)
    for name in ("new.bin", "a.py"):
        with (workspace.root / name).open("wb") as file:
            file.truncate(2 * 2**30)
    write(workspace.root, {"b.py": "b = 2\n"})
    began = asyncio.get_running_loop().time()
    assert await workspace.commit("Work")
    assert asyncio.get_running_loop().time() - began < 10
    assert await workspace.changed_files() == ("b.py",)
    assert "too large: a.py, new.bin" in "\n".join(workspace.notices())


async def test_the_limits_hold_for_all_files_together(repo) -> None:
    workspace = await opened(repo, StagingRules(max_file=1000, max_total=1500))
    write(workspace.root, {"one.txt": "1" * 900, "two.txt": "2" * 800, "three.txt": "3" * 10, "big.txt": "b" * 1001})
    commit = await workspace.commit("Work")
    assert await workspace.changed_files(commit) == ("three.txt", "two.txt")


async def test_a_full_disk_is_no_fault_of_a_file(repo, monkeypatch) -> None:
    workspace = await opened(repo)
    write(workspace.root, {"new.py": "n\n"})
    (Path(git(workspace.root, "rev-parse", "--absolute-git-dir")) / "index.lock").touch()
    git_ = await Git(workspace.root).isolated()
    with pytest.raises(RepositoryError, match="could not store"):
        await staging.stage(
            git_, git(repo, "rev-parse", "HEAD").strip(), StagingRules(),
            index=(await git_.place()).index, tree=git(repo, "rev-parse", "HEAD^{tree}").strip(),
        )  # fmt: skip


async def test_a_file_that_became_a_folder_and_the_other_way_round(repo) -> None:
    workspace = await opened(repo)
    (workspace.root / "a.py").unlink()
    (workspace.root / "pkg/c.py").unlink()
    (workspace.root / "pkg").rmdir()
    write(workspace.root, {"a.py/inner.py": "i\n", "pkg": "now a file\n"})
    assert await workspace.commit("Work")
    assert await workspace.changed_files() == ("a.py", "a.py/inner.py", "pkg", "pkg/c.py")


async def test_a_folder_that_became_a_link(repo) -> None:
    workspace = await opened(repo)
    (workspace.root / "pkg").rename(workspace.root / "moved")
    (workspace.root / "pkg").symlink_to("moved")
    assert await workspace.commit("Work")
    assert await workspace.changed_files() == ("moved/c.py", "pkg", "pkg/c.py")
    assert not await workspace.has_uncommitted()
    await workspace.restore(git(repo, "rev-parse", "main^{tree}"))
    assert (workspace.root / "pkg/c.py").is_file()
    assert not (workspace.root / "pkg").is_symlink()


async def test_what_git_was_told_to_take_as_unchanged_stays_so(repo) -> None:
    workspace = await opened(repo)
    git(workspace.root, "update-index", "--assume-unchanged", "a.py", "pkg/c.py")
    write(workspace.root, {"a.py": "other\n"})
    (workspace.root / "pkg/c.py").unlink()
    assert await workspace.commit("Work") is None


async def test_uncommitted_secrets_stay_at_home(repo) -> None:
    write(repo, {".env": f"KEY={KNOWN}\n", "deploy/prod.key": "k\n", "notes.txt": f"token {TOKEN}\n",
                 "a.py": f"a = '{TOKEN}'\n", "fine.txt": "fine\n", "staged.txt": f"{TOKEN}-staged\n"})  # fmt: skip
    before = fingerprint(repo)
    workspace = await opened(repo)
    root = workspace.root
    assert (root / "fine.txt").exists()
    assert (root / "a.py").read_text() == FILES["a.py"]
    assert not any((root / name).exists() for name in (".env", "deploy/prod.key", "notes.txt", "staged.txt"))
    told = "\n".join(workspace.warnings)
    assert "sandbox.show" in told
    assert "a.py, notes.txt" in told
    assert ".env, deploy/prod.key" in told
    stored = everything_stored(repo)
    assert KNOWN not in stored
    assert TOKEN not in stored
    assert fingerprint(repo) == before


async def test_a_staged_secret_is_not_in_the_base(repo) -> None:
    write(repo, {".env": "KEY=1\n", "notes.txt": f"token {TOKEN}\n"})
    git(repo, "add", "--force", ".env", "notes.txt")
    workspace = await opened(repo)
    assert git(repo, "ls-tree", "-r", "--name-only", workspace.branch).split() == sorted(FILES)


async def test_a_token_that_was_committed_before_is_no_news(tmp_path) -> None:
    repo = make_repository(tmp_path / "repo", {"a.py": f"a = '{TOKEN}'\n"})
    write(repo, {"a.py": f"a = '{TOKEN}'\nb = 2\n"})
    workspace = await opened(repo)
    assert (workspace.root / "a.py").read_text().endswith("b = 2\n")


async def test_what_the_user_shows_comes_along(repo) -> None:
    write(repo, {".env": "KEY=1\n", "notes.txt": f"{TOKEN}\n"})
    workspace = await opened(repo, StagingRules(SecretFiles((".env", "notes.txt"))))
    assert (workspace.root / ".env").exists()
    assert (workspace.root / "notes.txt").exists()


async def test_a_tracked_secret_is_kept_in_commits_and_out_of_the_worktree(tmp_path) -> None:
    repo = make_repository(tmp_path / "repo", {**FILES, ".env": "KEY=1\n", "conf/odd [name]?.key": "k\n"})
    write(repo, {".env": "KEY=2\n"})
    before = fingerprint(repo)
    workspace = await opened(repo, identity=(identity := thread()))
    assert not (workspace.root / ".env").exists()
    assert not (workspace.root / "conf").exists()
    assert ".env" not in await workspace.listing()
    assert git(workspace.root, "status", "--short") == ""
    assert fingerprint(repo) == before
    write(workspace.root, {".env": "KEY=of a command\n", "a.py": "a = 2\n", "sub/.env": "KEY=3\n"})
    first = await workspace.snapshot()
    assert await workspace.commit("Work")
    assert git(repo, "show", f"{workspace.branch}:.env") == "KEY=1"
    await workspace.discard()
    await workspace.restore(first)
    assert await workspace.changed_files() == ("a.py",)
    assert "KEY=of" not in everything_stored(repo)
    git(repo, "checkout", "--quiet", "--", ".env")
    assert (await apply_branch(repo, identity)).how == "merged"
    assert (repo / ".env").read_text() == "KEY=1\n"
    assert (repo / "conf/odd [name]?.key").exists()
    assert (repo / "a.py").read_text() == "a = 2\n"


async def test_a_secret_staged_by_a_command_is_not_committed(tmp_path) -> None:
    repo = make_repository(tmp_path / "repo", {**FILES, "deploy.key": "k\n"})
    workspace = await opened(repo)
    write(workspace.root, {".env": "KEY=1\n", "a.py": "a = 2\n"})
    git(workspace.root, "add", "--force", ".env", "a.py")
    git(workspace.root, "rm", "--quiet", "--cached", "--sparse", "deploy.key")
    assert await workspace.commit("Work")
    assert await workspace.changed_files() == ("a.py",)


async def test_showing_a_tracked_secret_later_brings_it_in(tmp_path) -> None:
    repo = make_repository(tmp_path / "repo", {**FILES, ".env": "KEY=1\n"})
    workspace = await opened(repo, identity=(identity := thread()))
    write(workspace.root, {"a.py": "a = 2\n"})
    shown = await opened(repo, StagingRules(SecretFiles((".env",))), identity)
    assert (shown.root / ".env").read_text() == "KEY=1\n"
    assert (shown.root / "a.py").read_text() == "a = 2\n"
    hidden = await opened(repo, identity=identity)
    assert not (hidden.root / ".env").exists()
    assert (hidden.root / "a.py").read_text() == "a = 2\n"


async def test_a_known_secret_is_not_committed(repo) -> None:
    rules = StagingRules(redactor=Redactor({"API_KEY": KNOWN}))
    workspace = await opened(repo, rules)
    write(workspace.root, {"dump.txt": f"environment: {KNOWN}\n", "a.py": f"a = '{KNOWN}'\n", "b.py": "b = 2\n",
                           "fixture.txt": f"{TOKEN}\n"})  # fmt: skip
    assert await workspace.commit("Work")
    assert await workspace.changed_files() == ("b.py", "fixture.txt")
    assert "a.py, dump.txt" in "\n".join(workspace.notices())
    assert KNOWN not in await workspace.patch()
    assert KNOWN not in everything_stored(repo)


async def test_a_generated_source_with_a_token_is_not_copied(tmp_path) -> None:
    repo = make_repository(tmp_path / "repo", {**FILES, ".gitignore": "local.py\n_version.py\n"})
    write(repo, {"pkg/local.py": f"TOKEN = '{TOKEN}'\n", "pkg/_version.py": "v = 1\n"})
    workspace = await opened(repo)
    assert not (workspace.root / "pkg/local.py").exists()
    assert (workspace.root / "pkg/_version.py").exists()
    assert "pkg/local.py" in "\n".join(workspace.warnings)


def with_filter(repo: Path, *, required: bool) -> None:
    """A filter as LFS has it: the checkout holds other bytes than git."""
    git(repo, "config", "filter.big.clean", "tr a-z A-Z")
    git(repo, "config", "filter.big.smudge", "tr A-Z a-z")
    git(repo, "config", "filter.big.required", str(required).lower())
    write(repo, {".gitattributes": "*.big filter=big\n", "one.big": "content\n", "two.big": "content\n"})
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Filtered")


@pytest.mark.parametrize("required", [True, False])
async def test_filtered_files_do_not_change_by_themselves(repo, required) -> None:
    with_filter(repo, required=required)
    write(repo, {"two.big": "changed\n", "new.big": "new\n", "b.py": "b = 2\n"})
    os.utime(repo / "one.big")
    before = fingerprint(repo)
    workspace = await opened(repo)
    assert (workspace.root / "one.big").read_text() == "CONTENT\n"
    assert (workspace.root / "b.py").read_text() == "b = 2\n"
    assert git(repo, "diff", "--name-only", "HEAD", await workspace.base()) == "b.py"
    told = "\n".join(workspace.warnings)
    assert "new.big, one.big, two.big" in told
    os.utime(workspace.root / "one.big")
    write(workspace.root, {"a.py": "a = 2\n"})
    assert await workspace.commit("Work")
    assert await workspace.changed_files() == ("a.py",)
    assert fingerprint(repo) == before


async def test_work_on_a_file_of_a_required_filter_is_left_out_and_told(repo) -> None:
    with_filter(repo, required=True)
    workspace = await opened(repo)
    write(workspace.root, {"one.big": "a giant blob\n", "a.py": "a = 2\n"})
    assert await workspace.commit("Work")
    assert await workspace.changed_files() == ("a.py",)
    assert "one.big" in "\n".join(workspace.notices())
    assert "giant" not in everything_stored(repo)


@pytest.mark.parametrize("dirty", [False, True], ids=["merge", "patch"])
async def test_work_on_filtered_files_is_brought_home_by_the_user(repo, dirty) -> None:
    with_filter(repo, required=False)
    if dirty:
        write(repo, {"b.py": "b = 2\n"})
    workspace = await opened(repo, identity=(identity := thread()))
    write(workspace.root, {"one.big": "OTHER\n"})
    assert await workspace.commit("Work")
    before = fingerprint(repo)
    outcome = await apply_branch(repo, identity)
    assert outcome.how == "manual"
    assert "one.big" in outcome.message
    assert outcome.commands[0].startswith("git ")
    assert fingerprint(repo) == before


async def test_a_copied_checkout_is_not_read_as_changed(tmp_path) -> None:
    files = {f"m{number}.py": f"x = {number}\n" for number in range(200)}
    repo = make_repository(tmp_path / "repo", files)
    for name in files:
        os.utime(repo / name, (1, 1))
    workspace = await opened(repo)
    assert await workspace.base() == git(repo, "rev-parse", "HEAD")


async def test_line_ends_and_encodings_are_as_in_the_users_git(tmp_path) -> None:
    repo = make_repository(tmp_path / "repo", {
        "a.txt": "one\n", "w.wide": "wide\n".encode("utf-16"),
        ".gitattributes": "*.wide working-tree-encoding=UTF-16\n"})  # fmt: skip
    git(repo, "config", "core.autocrlf", "true")
    write(repo, {"a.txt": "one\r\n", "b.txt": "two\r\n"})
    workspace = await opened(repo)
    assert git(repo, "show", f"{workspace.branch}:b.txt") == "two"
    assert git(repo, "diff", "--name-only", "HEAD", workspace.branch) == "b.txt"
    assert (workspace.root / "b.txt").read_bytes() == b"two\r\n"
    assert (workspace.root / "w.wide").read_bytes().decode("utf-16").split() == ["wide"]
