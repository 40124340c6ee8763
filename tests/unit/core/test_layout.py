"""Names below `.rolecall/`, and that nothing outside of it is ever removed."""

from pathlib import Path

import pytest

from core.errors import RepositoryError, ThreadError
from core.storage.layout import RepoLayout
from core.storage.thread_ids import short_id

THREAD = "0aa1fe58-4a08-471e-b920-5cb6eb94149b"
CRAFTED = ["../../x", "..", "/etc", "", "0aa1fe58", THREAD.upper(), f"{THREAD}/..", f"{THREAD}\n", f"../{THREAD[3:]}"]


@pytest.mark.parametrize("thread", CRAFTED)
def test_no_path_is_made_of_what_is_no_uuid(tmp_path: Path, thread: str) -> None:
    layout = RepoLayout(tmp_path)
    for use in (layout.run, layout.worktree, layout.make_run, layout.remove_run, layout.remove_worktree, short_id):
        with pytest.raises(ThreadError):
            use(thread)


def test_files_and_worktree_of_a_thread_are_removed_and_nothing_else(tmp_path: Path) -> None:
    layout = RepoLayout(tmp_path)
    layout.folder.mkdir()
    other = layout.make_run("1aa1fe58-4a08-471e-b920-5cb6eb94149b")
    run = layout.make_run(THREAD)
    run.events.write_text("{}\n")
    layout.worktree(THREAD).mkdir(parents=True)
    (layout.worktree(THREAD) / "link").symlink_to(tmp_path)
    layout.remove_run(THREAD)
    layout.remove_worktree(THREAD)
    layout.remove_worktree(THREAD)
    assert not run.folder.exists()
    assert not layout.worktree(THREAD).exists()
    assert other.folder.is_dir()


@pytest.mark.parametrize("kind", ["runs", "worktrees"])
def test_a_linked_folder_is_not_emptied(tmp_path: Path, kind: str) -> None:
    victim = tmp_path / "victim"
    for name in (THREAD, short_id(THREAD)):
        (victim / name).mkdir(parents=True)
    layout = RepoLayout(tmp_path / "repo")
    layout.folder.mkdir(parents=True)
    (layout.folder / kind).symlink_to(victim)
    with pytest.raises(RepositoryError, match="was not created by rolecall"):
        (layout.remove_run if kind == "runs" else layout.remove_worktree)(THREAD)
    assert sorted(path.name for path in victim.iterdir()) == sorted([THREAD, short_id(THREAD)])


def test_a_link_in_the_place_of_a_thread_is_removed_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "kept").mkdir(parents=True)
    layout = RepoLayout(tmp_path / "repo")
    (layout.folder / "runs").mkdir(parents=True)
    (layout.folder / "runs" / THREAD).symlink_to(victim)
    with pytest.raises(RepositoryError):
        layout.make_run(THREAD)
    layout.remove_run(THREAD)
    assert (victim / "kept").is_dir()
    assert not (layout.folder / "runs" / THREAD).is_symlink()


def test_a_linked_rolecall_folder_is_not_touched(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "runs" / THREAD).mkdir(parents=True)
    layout = RepoLayout(tmp_path / "repo")
    layout.repo.mkdir()
    layout.folder.symlink_to(victim)
    with pytest.raises(RepositoryError):
        layout.remove_run(THREAD)
    with pytest.raises(RepositoryError):
        layout.make_run(THREAD)
    assert (victim / "runs" / THREAD).is_dir()
