"""Bringing work home: merged or patched where that is safe, otherwise nothing is touched and the way is named."""

from pathlib import Path

import pytest

from tests.repositories import fingerprint, git, make_repository, thread, write
from tools.worktree.apply import ApplyResult, apply_branch
from tools.worktree.workspace import GitWorkspace

BODY = "".join(f"line {number}\n" for number in range(40))


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "home", {"a.txt": BODY, "b.txt": "b\n"})


async def worked(repo: Path, files: dict[str, str | bytes]) -> str:
    """A thread that committed these files."""
    workspace = await GitWorkspace.open(repo, identity := thread())
    await workspace.prepare()
    write(workspace.root, files)
    assert await workspace.commit("Do the work")
    return identity


async def untouched(repo: Path, identity: str) -> ApplyResult:
    before = fingerprint(repo)
    outcome = await apply_branch(repo, identity)
    assert fingerprint(repo) == before
    return outcome


async def test_a_clean_checkout_gets_a_merge(repo) -> None:
    identity = await worked(repo, {"new.py": "x = 1\n", "a.txt": BODY + "more\n"})
    outcome = await apply_branch(repo, identity)
    assert outcome.how == "merged"
    assert (repo / "new.py").read_text() == "x = 1\n"
    assert git(repo, "status", "--short") == ""
    assert git(repo, "log", "-1", "--format=%s").startswith(f"Merge rolecall/{identity[:8]}: Do the work")
    assert (await untouched(repo, identity)).how == "nothing"


async def test_edits_elsewhere_survive_a_merge(repo) -> None:
    identity = await worked(repo, {"new.py": "x = 1\n"})
    write(repo, {"b.txt": "mine\n", "untracked.txt": "mine\n"})
    assert (await apply_branch(repo, identity)).how == "merged"
    assert (repo / "b.txt").read_text() == "mine\n"
    assert (repo / "untracked.txt").read_text() == "mine\n"


@pytest.mark.parametrize("name", ["a.txt", "new.py"])
async def test_edits_of_the_same_file_stop_a_merge(repo, name) -> None:
    identity = await worked(repo, {"new.py": "x = 1\n", "a.txt": BODY + "more\n"})
    write(repo, {name: "mine\n"})
    outcome = await untouched(repo, identity)
    assert outcome.how == "manual"
    assert name in outcome.message
    assert f"git merge --no-ff rolecall/{identity[:8]}" in outcome.commands


async def test_an_ignored_file_is_not_overwritten(repo) -> None:
    write(repo, {".gitignore": "local.py\n"})
    git(repo, "add", ".gitignore")
    git(repo, "commit", "--quiet", "--message", "Ignore")
    workspace = await GitWorkspace.open(repo, identity := thread())
    await workspace.prepare()
    write(workspace.root, {"local.py": "theirs\n"})
    git(workspace.root, "add", "--force", "local.py")
    git(workspace.root, "commit", "--quiet", "--message", "Force it in")
    write(repo, {"local.py": "mine\n"})
    assert (await untouched(repo, identity)).how == "manual"


async def test_a_conflict_with_a_commit_stops_a_merge(repo) -> None:
    identity = await worked(repo, {"a.txt": BODY.replace("line 5\n", "theirs\n")})
    write(repo, {"a.txt": BODY.replace("line 5\n", "mine\n")})
    git(repo, "commit", "--quiet", "--all", "--message", "Mine")
    outcome = await untouched(repo, identity)
    assert outcome.how == "manual"
    assert "conflicts with newer commits in a.txt" in outcome.message
    assert outcome.conflicts == ("a.txt",)


async def test_squashed_it_is_one_commit_and_not_committed_it_is_none(repo) -> None:
    workspace = await GitWorkspace.open(repo, identity := thread())
    await workspace.prepare()
    for name in ("one.py", "two.py"):
        write(workspace.root, {name: "x = 1\n"})
        assert await workspace.commit(f"Add {name}")
    write(repo, {"b.txt": "mine\n"})
    git(repo, "commit", "--quiet", "--all", "--message", "Mine")
    before = git(repo, "rev-parse", "HEAD")
    write(repo, {"draft.txt": "mine\n"})

    files = await apply_branch(repo, identity, way="files")
    assert (files.how, git(repo, "rev-parse", "HEAD")) == ("patched", before)
    assert "uncommitted, as requested: one.py, two.py" in files.message
    assert git(repo, "diff", "--cached", "--name-only") == ""
    for name in ("one.py", "two.py"):
        (repo / name).unlink()

    squashed = await apply_branch(repo, identity, title="Add both", way="squash")
    assert squashed.how == "squashed"
    assert git(repo, "log", "--format=%s", f"{before}..HEAD") == "Add both"
    assert git(repo, "rev-list", "--parents", "-1", "HEAD").split()[1:] == [before]
    assert (repo / "two.py").read_text() == "x = 1\n"
    assert (repo / "b.txt").read_text() == "mine\n"
    assert git(repo, "status", "--short") == "?? draft.txt"


async def test_squashing_disturbs_as_little_as_merging(repo) -> None:
    identity = await worked(repo, {"a.txt": BODY.replace("line 5\n", "theirs\n")})
    write(repo, {"a.txt": BODY.replace("line 5\n", "mine\n")})
    outcome = await apply_branch(repo, identity, way="squash")
    assert (outcome.how, outcome.conflicts) == ("manual", ("a.txt",))
    assert outcome.commands[-1] == f"git merge --squash rolecall/{identity[:8]} && git commit"
    git(repo, "commit", "--quiet", "--all", "--message", "Mine")
    before = fingerprint(repo)
    assert (await apply_branch(repo, identity, way="squash")).conflicts == ("a.txt",)
    assert fingerprint(repo) == before


async def test_staged_changes_and_a_detached_head_stop_a_merge(repo) -> None:
    identity = await worked(repo, {"new.py": "x = 1\n"})
    write(repo, {"b.txt": "mine\n"})
    git(repo, "add", "b.txt")
    assert "staged changes: b.txt" in (await untouched(repo, identity)).message
    git(repo, "reset", "--quiet", "--hard")
    git(repo, "checkout", "--quiet", "--detach")
    assert "detached" in (await untouched(repo, identity)).message


async def test_a_merge_under_way_is_not_disturbed(repo) -> None:
    identity = await worked(repo, {"new.py": "x = 1\n"})
    git(repo, "checkout", "--quiet", "-b", "side")
    write(repo, {"side.txt": "s\n"})
    git(repo, "add", "side.txt")
    git(repo, "commit", "--quiet", "--message", "Side")
    git(repo, "checkout", "--quiet", "main")
    git(repo, "merge", "--no-ff", "--no-commit", "side")
    assert "merge is in progress" in (await untouched(repo, identity)).message


async def test_work_on_uncommitted_changes_becomes_a_patch(repo) -> None:
    write(repo, {"a.txt": BODY.replace("line 2\n", "my line\n"), "draft.txt": "draft\n"})
    head = git(repo, "rev-parse", "HEAD")
    identity = await worked(repo, {"a.txt": BODY.replace("line 2\n", "my line\n").replace("line 30\n", "theirs\n"),
                                   "picture.bin": bytes(range(256)), "draft.txt": "draft\nmore\n"})  # fmt: skip
    outcome = await apply_branch(repo, identity)
    assert outcome.how == "patched"
    assert "uncommitted, because the thread started with uncommitted changes of yours" in outcome.message
    assert "my line" in (repo / "a.txt").read_text()
    assert "theirs" in (repo / "a.txt").read_text()
    assert (repo / "picture.bin").read_bytes() == bytes(range(256))
    assert (repo / "draft.txt").read_text() == "draft\nmore\n"
    assert git(repo, "rev-parse", "HEAD") == head
    assert (await untouched(repo, identity)).how == "nothing"


async def test_the_configuration_of_the_user_changes_nothing(repo, tmp_path, monkeypatch) -> None:
    pager = tmp_path / "noise"
    pager.write_text("#!/bin/sh\necho noise\n")
    pager.chmod(0o755)
    for name, value in {
        "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.context": "0", "diff.external": str(pager),
        "diff.relative": "true", "diff.renames": "copies", "color.ui": "always", "core.pager": str(pager),
        "core.splitIndex": "true", "merge.ff": "only", "apply.whitespace": "error", "log.showSignature": "true",
        "core.quotePath": "true", "status.relativePaths": "false", "merge.verifySignatures": "true",
        "core.fsmonitor": str(pager), "commit.gpgsign": "true", "gpg.program": "false", "core.untrackedCache": "true",
    }.items():  # fmt: skip
        git(repo, "config", name, value)
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(pager))
    monkeypatch.setenv("GIT_TRACE", "1")
    write(repo, {"a.txt": BODY.replace("line 2\n", "my line\n")})
    before = fingerprint(repo)
    theirs = BODY.replace("line 2\n", "my line\n").replace("line 30\n", "theirs  \n")
    identity = await worked(repo, {"a.txt": theirs, "ü b.txt": "x\n"})
    assert fingerprint(repo) == before
    workspace = await GitWorkspace.open(repo, identity)
    lines = (await workspace.diff()).splitlines()
    assert lines[0] == "diff --git a/a.txt b/a.txt"
    assert lines[4:8] == ["@@ -28,7 +28,7 @@ line 26", " line 27", " line 28", " line 29"]
    assert await workspace.changed_files() == ("a.txt", "ü b.txt")
    assert (await apply_branch(repo, identity)).how == "patched"
    assert (repo / "a.txt").read_text() == theirs
    git(repo, "add", "--all")
    git(repo, "-c", "commit.gpgsign=false", "commit", "--quiet", "--no-gpg-sign", "--message", "All")
    second = await worked(repo, {"new.py": "x = 1\n"})
    assert (await apply_branch(repo, second)).how == "merged"


async def test_a_patch_that_no_longer_fits_changes_nothing(repo) -> None:
    write(repo, {"a.txt": BODY + "my end\n"})
    identity = await worked(repo, {"a.txt": BODY + "their end\n", "b.txt": "theirs\n"})
    write(repo, {"a.txt": "all new\n", "b.txt": "new too\n"})
    outcome = await untouched(repo, identity)
    assert outcome.how == "manual"
    assert "do not apply to your current files: a.txt, b.txt" in outcome.message
    assert outcome.conflicts == ("a.txt", "b.txt")
    assert any("git apply --3way" in command for command in outcome.commands)


async def test_work_in_no_commit_yet_is_left_out_and_named(repo) -> None:
    identity = await worked(repo, {"new.py": "x = 1\n"})
    workspace = await GitWorkspace.open(repo, identity)
    write(workspace.root, {"half.py": "half\n"})
    outcome = await apply_branch(repo, identity)
    assert outcome.how == "merged"
    assert "uncommitted changes of the thread were left out" in outcome.message
    assert not (repo / "half.py").exists()


async def test_a_thread_without_work_says_so(repo) -> None:
    workspace = await GitWorkspace.open(repo, identity := thread())
    await workspace.prepare()
    assert (await untouched(repo, identity)).how == "nothing"


@pytest.mark.parametrize(("running", "way"), [(True, "apply it again when it has finished"), (False, "resume it")])
async def test_what_is_in_no_commit_yet_is_named_with_the_way_to_get_it(repo, running, way) -> None:
    identity = await worked(repo, {"new.py": "x = 1\n"})
    write((await GitWorkspace.open(repo, identity)).root, {"later.py": "y = 2\n"})
    outcome = await apply_branch(repo, identity, title="Add x", running=running)
    assert git(repo, "log", "-1", "--format=%s") == f"Merge rolecall/{identity[:8]}: Add x"
    assert way in outcome.message
    assert not (repo / "later.py").exists()
