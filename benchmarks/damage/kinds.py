"""The kinds of damage: what is done, which command meets it, what it must answer, and how the damage is undone."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import psutil

from benchmarks.damage.starter import Conditions
from benchmarks.damage.world import EARLY, THREAD, World
from core.errors import Exit
from graph.store.lease import host_id
from tests.repositories import git

Inflict = Callable[[World], None]


@dataclass(frozen=True, slots=True)
class Damage:
    """One kind."""

    group: str
    name: str
    inflict: Inflict
    says: str = ""
    """Part of the one sentence it is answered with; empty where the thread comes to its end all the same."""
    code: Exit = Exit.DONE
    undo: Inflict | None = None
    """What the user does about it; the thread then comes to its end. `None`: there is nothing to be done."""
    command: tuple[str, ...] = ("resume", THREAD, "--yes")
    conditions: Conditions = field(default_factory=Conditions)

    @property
    def title(self) -> str:
        """Group and name."""
        return f"{self.group}: {self.name}"


def _nothing(_: World) -> None:
    """The damage passes by itself."""


def _database(world: World) -> None:
    for path in world.layout.folder.glob("rolecall.db*"):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shutil.copy2(world.pristine / "repo/.rolecall/rolecall.db", world.database)


def _garbage(world: World) -> None:
    world.database.write_bytes(b"this is no database at all " * 200)


def _half(world: World) -> None:
    os.truncate(world.database, world.database.stat().st_size // 2 // 4096 * 4096)


def _zero_pages(world: World) -> None:
    with world.database.open("r+b") as file:
        file.seek(8192)
        file.write(b"\0" * (world.database.stat().st_size - 8192))


def _directory(world: World) -> None:
    world.database.unlink()
    world.database.mkdir()


def _link(world: World) -> None:
    world.database.rename(world.folder / "elsewhere.db")
    world.database.symlink_to(world.folder / "elsewhere.db")


def _stray_log(world: World) -> None:
    Path(f"{world.database}-wal").write_bytes(os.urandom(40_000))
    Path(f"{world.database}-shm").write_bytes(os.urandom(32_768))


def _sql(*statements: str) -> Inflict:
    return lambda world: world.sql(*statements)


_OURS = f"thread_id = '{THREAD}'"
_LAST = f"(SELECT MAX(checkpoint_id) FROM checkpoints WHERE checkpoint_ns = '' AND thread_id = '{THREAD}')"


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the write lock of a database."""
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        db.close()


def hold(database: Path, seconds: float) -> None:
    """Body of another process that holds the write lock for a while."""
    with locked(database):
        time.sleep(seconds)


def _locked_for(seconds: float) -> Inflict:
    def inflict(world: World) -> None:
        process = get_context("fork").Process(target=hold, args=(world.database, seconds), daemon=True)
        process.start()
        time.sleep(0.3)

    return inflict


def _lease_of(pid: int, started: str) -> Inflict:
    def inflict(world: World) -> None:
        where = host_id().replace("'", "''")
        now = time.time()
        values = f"'{THREAD}', {pid}, '{where}', {started}, {now}, {now}, 9, 0"
        world.sql(f"INSERT OR REPLACE INTO leases VALUES({values})")

    return inflict


def _own_lease(world: World) -> None:
    _lease_of(os.getpid(), repr(psutil.Process().create_time()))(world)


def _git_lock(*names: str) -> Inflict:
    def inflict(world: World) -> None:
        (world.repo / ".git").joinpath(*names).touch()

    return inflict


def _branch_lock(world: World) -> None:
    (world.repo / f".git/refs/heads/{world.branch}.lock").touch()


Place = Callable[[World], Path]


def _full(place: Place) -> Inflict:
    """Put a full file system where a folder is, with everything that was in it."""

    def inflict(world: World) -> None:
        folder = place(world)
        copy = world.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "-a", folder, copy], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", folder], check=True)
        subprocess.run(["cp", "-a", f"{copy}/.", folder], check=True)
        with (folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"\0" * 4096):
                pass

    return inflict


def _freed(place: Place) -> Inflict:
    return lambda world: (place(world) / "filler").unlink()


def _ours(world: World) -> Path:
    return world.layout.folder


def _tree(world: World) -> Path:
    return world.worktree


def _early_tree(world: World) -> Path:
    return world.layout.worktree(EARLY)


def _runs(world: World) -> Path:
    return world.run_folder


def _objects(world: World) -> Path:
    return world.repo / ".git/objects"


def _state(world: World) -> Path:
    return world.state


def _mode(mode: int, *places: Place) -> Inflict:
    def inflict(world: World) -> None:
        for place in places:
            place(world).chmod(mode)

    return inflict


def _no_objects(world: World) -> None:
    for folder in (_objects(world), *_objects(world).glob("??")):
        folder.chmod(0o500)


def _again_objects(world: World) -> None:
    for folder in (_objects(world), *_objects(world).glob("??")):
        folder.chmod(0o755)


def _read_only_mount(world: World) -> None:
    for command in (["--bind", world.repo, world.repo], ["-o", "remount,bind,ro", world.repo]):
        subprocess.run(["mount", *map(str, command)], check=True)


def _writable_mount(world: World) -> None:
    subprocess.run(["mount", "-o", "remount,bind,rw", str(world.repo)], check=True)


def _gone(*places: Place) -> Inflict:
    def inflict(world: World) -> None:
        for place in places:
            path = place(world)
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return inflict


def _registration(world: World) -> Path:
    return world.repo / ".git/worktrees" / world.worktree.name


def _no_branch(world: World) -> None:
    git(world.repo, "update-ref", "-d", f"refs/heads/{world.branch}")


def _no_base(world: World) -> None:
    git(world.repo, "update-ref", "-d", f"refs/rolecall/{world.worktree.name}/base")


def _no_commit(world: World) -> None:
    name = git(world.repo, "rev-parse", world.branch)
    (_objects(world) / name[:2] / name[2:]).unlink()


def _all_objects(world: World) -> None:
    shutil.copytree(world.pristine / "repo/.git/objects", _objects(world), dirs_exist_ok=True)


def _back(name: str) -> Inflict:
    def undo(world: World) -> None:
        source, target = world.pristine / name, world.folder / name
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        shutil.copytree(source, target, symlinks=True) if source.is_dir() else shutil.copy2(source, target)

    return undo


def _file_for_folder(world: World) -> None:
    shutil.rmtree(world.worktree)
    world.worktree.write_text("a file\n")


def _torn_events(world: World) -> None:
    with (world.run_folder / "events.jsonl").open("ab") as file:
        file.write(b'{"v":1,"event":"tool_fin\xff\xfe\0')


_PLAIN = Conditions(ordinary=True)
_BEGIN = ("resume", EARLY, "--yes")
KINDS: tuple[Damage, ...] = (
    Damage("files", "database deleted", _gone(lambda w: w.database), "no thread", Exit.USAGE, _database),
    Damage("files", "database emptied", lambda w: os.truncate(w.database, 0), "no thread", Exit.USAGE, _database),
    Damage("files", "database overwritten", _garbage, "damaged", Exit.USAGE, _database),
    Damage("files", "database cut in half", _half, "damaged", Exit.USAGE, _database),
    Damage("files", "pages of zeros", _zero_pages, "damaged", Exit.USAGE, _database),
    Damage("files", "database is a folder", _directory, "", Exit.USAGE, _database),
    Damage("files", "database is a link", _link, "symbolic link", Exit.USAGE, _database),
    Damage("files", "stray write-ahead log", _stray_log),
    Damage("files", "torn line in the events", _torn_events),
    Damage("files", "mark deleted", _gone(lambda w: _ours(w) / "owner"), "was not created by rolecall", Exit.USAGE,
           _back("repo/.rolecall/owner")),
    Damage("files", "key of the user deleted", _gone(lambda w: w.state / "owner.key"), "was not created by rolecall",
           Exit.USAGE, _back("state/owner.key")),
    Damage("rows", "newer schema", _sql("PRAGMA user_version = 99"), "newer", Exit.USAGE,
           _sql("PRAGMA user_version = 1")),
    Damage("rows", "table without a column", _sql("ALTER TABLE threads RENAME COLUMN options TO wishes"), "damaged",
           Exit.USAGE, _sql("ALTER TABLE threads RENAME COLUMN wishes TO options")),
    Damage("rows", "options of the thread are no JSON", _sql(f"UPDATE threads SET options = '{{' WHERE {_OURS}"),
           "damaged", Exit.USAGE, _database),
    Damage("rows", "id of the thread is no UUID", _sql(f"UPDATE threads SET thread_id = '../../x' WHERE {_OURS}"),
           "no thread", Exit.USAGE, _database),
    Damage("rows", "status is an unknown word", _sql("UPDATE threads SET status = 'flying'")),
    Damage("rows", "lease holds text for numbers",
           _sql("UPDATE leases SET pid = 'x', heartbeat = 'y', since = 'z', released = 0")),
    Damage("rows", "message in the inbox with torn JSON",
           _sql(f"INSERT INTO inbox VALUES(7, '{THREAD}', 'resume', 'me', 'x', '{{', 0.0)")),
    Damage("blobs", "last checkpoint is noise",
           _sql(f"UPDATE checkpoints SET checkpoint = randomblob(900) WHERE checkpoint_id = {_LAST}"), "damaged",
           Exit.USAGE, _database),
    Damage("blobs", "last checkpoint is cut off",
           _sql(f"UPDATE checkpoints SET checkpoint = substr(checkpoint, 1, 99) WHERE checkpoint_id = {_LAST}"),
           "damaged", Exit.USAGE, _database),
    Damage("blobs", "last checkpoint is empty",
           _sql(f"UPDATE checkpoints SET checkpoint = x'' WHERE checkpoint_id = {_LAST}"), "damaged", Exit.USAGE,
           _database),
    Damage("blobs", "kind of a checkpoint unknown",
           _sql(f"UPDATE checkpoints SET type = 'pickle5' WHERE checkpoint_id = {_LAST}"), "damaged", Exit.USAGE,
           _database),
    Damage("blobs", "metadata is no JSON",
           _sql(f"UPDATE checkpoints SET metadata = '{{' WHERE checkpoint_id = {_LAST}"), "damaged", Exit.USAGE,
           _database),
    Damage("blobs", "write of a step is noise", _sql("UPDATE writes SET value = randomblob(90) WHERE value <> ''")),
    Damage("locks", "database locked for long", _locked_for(6), "locked", Exit.LOCKED, lambda _: time.sleep(4)),
    Damage("locks", "database locked for a moment", _locked_for(1.0), conditions=Conditions(busy_s=20)),
    Damage("locks", "thread driven by another process", _own_lease, "has been running in process", Exit.LOCKED,
           _sql("DELETE FROM leases")),
    Damage("locks", "lease of a dead process", _lease_of(1, "1.0")),
    Damage("locks", "lock of the user's index", _git_lock("index.lock")),
    Damage("locks", "lock of the branch", _branch_lock),
    Damage("disk", "full under .rolecall", _full(_ours), "full", Exit.LOCKED, _freed(_ours)),
    Damage("disk", "full under the worktree", _full(_early_tree), "full", Exit.LOCKED, _freed(_early_tree), _BEGIN),
    Damage("disk", "full under the run folder", _full(_runs), "full", Exit.LOCKED, _freed(_runs)),
    Damage("disk", "full under git's objects", _full(_objects), "full", Exit.LOCKED, _freed(_objects), _BEGIN),
    Damage("disk", "full under the user's state folder", _full(_state), "full", Exit.LOCKED, _freed(_state)),
    Damage("disk", "hardly any open files allowed", _nothing, "too many", Exit.LOCKED, _nothing,
           conditions=Conditions(files=16)),
    Damage("permissions", "repository on a read-only disk", _read_only_mount, "cannot be read or written", Exit.USAGE,
           _writable_mount),
    Damage("permissions", ".rolecall may not be written", _mode(0o500, _ours), "", Exit.USAGE,
           _mode(0o700, _ours), conditions=_PLAIN),
    Damage("permissions", ".rolecall may not be read", _mode(0o000, _ours), "cannot be opened", Exit.USAGE,
           _mode(0o700, _ours), conditions=_PLAIN),
    Damage("permissions", "database may not be written", _mode(0o400, lambda w: w.database), "", Exit.USAGE,
           _mode(0o644, lambda w: w.database), conditions=_PLAIN),
    Damage("permissions", "database may not be read", _mode(0o000, lambda w: w.database), "", Exit.USAGE,
           _mode(0o644, lambda w: w.database), conditions=_PLAIN),
    Damage("permissions", "run folder may not be written", _mode(0o500, _runs, ), "", Exit.USAGE,
           _mode(0o700, _runs), conditions=_PLAIN),
    Damage("permissions", "events may not be written", _mode(0o400, lambda w: _runs(w) / "events.jsonl"), "",
           Exit.USAGE, _mode(0o600, lambda w: _runs(w) / "events.jsonl"), conditions=_PLAIN),
    Damage("permissions", "git's objects may not be written", _no_objects, "insufficient permission", Exit.USAGE,
           _again_objects, _BEGIN, _PLAIN),
    Damage("permissions", "configuration may not be read", _mode(0o000, lambda w: w.folder / "config.json"), "",
           Exit.CONFIG, _mode(0o644, lambda w: w.folder / "config.json"), conditions=_PLAIN),
    Damage("deleted", "worktree", _gone(_tree)),
    Damage("deleted", "worktree, as git sees it", _gone(_registration)),
    Damage("deleted", "link of the worktree to git", _gone(lambda w: w.worktree / ".git")),
    Damage("deleted", "worktree replaced by a file", _file_for_folder),
    Damage("deleted", "run folder", _gone(_runs)),
    Damage("deleted", "branch", _no_branch),
    Damage("deleted", "base of the branch", _no_base),
    Damage("deleted", "commit of the branch", _no_commit, "unknown revision", Exit.USAGE, _all_objects),
    Damage("deleted", "git data of the repository", _gone(lambda w: w.repo / ".git"), "git repository", Exit.USAGE,
           _back("repo/.git")),
    Damage("clock", "a day back", _nothing, conditions=Conditions(clock_s=-86400)),
    Damage("clock", "three years ahead", _nothing, conditions=Conditions(clock_s=3 * 365 * 86400)),
)  # fmt: skip
