"""`.rolecall/` is used only when this user's rolecall made it."""

import json
import os
import stat
from pathlib import Path

import pytest

from core.errors import ConfigError, RepositoryError
from core.storage import ownership
from core.storage.layout import RepoLayout
from core.storage.user_state import user_secret


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def layout(tmp_path: Path) -> RepoLayout:
    (tmp_path / "repo").mkdir()
    return RepoLayout(tmp_path / "repo")


def test_a_new_folder_is_private_and_ours(layout: RepoLayout, state: Path) -> None:
    assert not ownership.require_ours(layout)
    ownership.make_state_folder(layout)
    ownership.make_state_folder(layout)
    assert ownership.require_ours(layout)
    assert stat.S_IMODE(layout.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "owner.key").stat().st_mode) == 0o600
    assert sorted(path.name for path in layout.folder.iterdir()) == ["owner"]


def test_a_moved_repository_stays_ours(layout: RepoLayout) -> None:
    ownership.make_state_folder(layout)
    moved = layout.repo.rename(layout.repo.with_name("moved"))
    assert ownership.require_ours(RepoLayout(moved))


def test_what_a_kill_left_of_the_making_stops_nobody(layout: RepoLayout) -> None:
    layout.folder.mkdir()
    (layout.folder / "owner.0123").touch()
    assert not ownership.require_ours(layout)
    ownership.make_state_folder(layout)
    assert ownership.require_ours(layout)


def test_a_folder_without_our_mark_is_refused(layout: RepoLayout) -> None:
    layout.folder.mkdir()
    layout.database.touch()
    with pytest.raises(RepositoryError, match="not created by rolecall for this user"):
        ownership.require_ours(layout)
    with pytest.raises(RepositoryError, match="not created by rolecall for this user"):
        ownership.make_state_folder(layout)
    ownership.adopt_state_folder(layout)
    assert ownership.require_ours(layout)


@pytest.mark.parametrize(
    "mark",
    ["", "{}", "[]", "null", "[" * 4000, '{"id": "x", "mac": "y"}', '{"id": 1, "mac": 2}',
     '{"id": "\\ud800", "mac": "\\ud800"}'],
)  # fmt: skip
def test_a_forged_mark_is_none(layout: RepoLayout, mark: str) -> None:
    layout.folder.mkdir()
    (layout.folder / "owner").write_text(mark)
    with pytest.raises(RepositoryError):
        ownership.require_ours(layout)


def test_another_users_mark_is_none(layout: RepoLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ownership.make_state_folder(layout)
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(tmp_path / "other"))
    with pytest.raises(RepositoryError):
        ownership.require_ours(layout)


def test_a_mark_is_no_link_and_no_pipe(layout: RepoLayout, tmp_path: Path) -> None:
    ownership.make_state_folder(layout)
    mark = layout.folder / "owner"
    (tmp_path / "mark").write_bytes(mark.read_bytes())
    mark.unlink()
    mark.symlink_to(tmp_path / "mark")
    with pytest.raises(RepositoryError):
        ownership.require_ours(layout)
    mark.unlink()
    os.mkfifo(mark)
    with pytest.raises(RepositoryError):
        ownership.require_ours(layout)


def test_a_linked_folder_is_refused_although_it_is_marked(layout: RepoLayout, tmp_path: Path) -> None:
    ownership.make_state_folder(layout)
    layout.folder.rename(tmp_path / "elsewhere")
    layout.folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RepositoryError, match="is a symbolic link"):
        ownership.require_ours(layout)
    layout.folder.unlink()
    layout.folder.touch()
    with pytest.raises(RepositoryError, match="is not a directory"):
        ownership.require_ours(layout)


@pytest.mark.parametrize("name", ["rolecall.db", "rolecall.db-wal", "rolecall.db-shm", "runs", "worktrees", "studio"])
def test_links_in_place_of_our_own_are_refused(layout: RepoLayout, tmp_path: Path, name: str) -> None:
    ownership.make_state_folder(layout)
    (layout.folder / name).symlink_to(tmp_path / "victim")
    with pytest.raises(RepositoryError, match="symbolic link"):
        ownership.require_ours(layout)
    (layout.folder / name).unlink()
    os.mkfifo(layout.folder / name)
    with pytest.raises(RepositoryError, match="not what rolecall creates"):
        ownership.require_ours(layout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_refused_in_one_clear_sentence(layout: RepoLayout) -> None:
    ownership.make_state_folder(layout)
    os.chown(layout.folder, 12345, 12345)
    with pytest.raises(RepositoryError, match=r"belongs to another user \(uid 12345\), and rolecall runs as uid 0"):
        ownership.require_ours(layout)


def test_the_key_of_a_user_is_read_only_from_a_file_of_theirs_alone(state: Path, tmp_path: Path) -> None:
    first = user_secret()
    assert len(first) == 32
    key = state / "owner.key"
    key.chmod(0o644)
    assert user_secret() == first
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.write_bytes(b"short")
    with pytest.raises(ConfigError, match="is not a key"):
        user_secret()
    key.unlink()
    (tmp_path / "planted").write_bytes(first)
    key.symlink_to(tmp_path / "planted")
    with pytest.raises(ConfigError):
        user_secret()


def test_a_state_folder_that_cannot_be_used_gives_way_to_one_of_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("ROLECALL_STATE_DIR", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    planted = tmp_path / "tmp" / f"rolecall-{os.getuid()}"
    planted.mkdir(mode=0o777)
    planted.chmod(0o777)
    with pytest.raises(ConfigError, match="not a directory private to this user"):
        user_secret()
    planted.rmdir()
    assert user_secret() == user_secret()
    assert stat.S_IMODE(planted.stat().st_mode) == 0o700


def test_the_mark_names_no_place(layout: RepoLayout) -> None:
    ownership.make_state_folder(layout)
    assert set(json.loads((layout.folder / "owner").read_text())) == {"id", "mac"}
