"""Keeps the machine safe from the attempts: as root, all of them run in namespaces of their own.

Without walls an attempt of root's reaches every process and every mount there is. In namespaces of their own they
reach only each other, and whatever they leave running ends with the runner. There the interpreter is also made
reachable for the ordinary user, wherever it lies, and root's own home is covered.
"""

import ctypes
import os
import shutil
import stat
import sys
from pathlib import Path

HOUSE = Path(__file__).parents[2]
MARK = "ROLECALL_REDTEAM_APART"
_MS_BIND_ALL = 4096 | 16384


def go_apart() -> None:
    """Start this program again in namespaces for processes, mounts and shared memory; nothing for an ordinary user.

    Raises:
        SystemExit: There is no way to make them here.
    """
    if os.geteuid() != 0:
        return
    if os.environ.pop(MARK, ""):
        _uncover([Path(sys.base_prefix), Path(sys.prefix), HOUSE])
        return
    program = shutil.which("unshare")
    if program is None:
        raise SystemExit("unshare (of util-linux) is needed to make attempts as root without harming the machine")
    words = ["--pid", "--mount", "--ipc", "--fork", "--mount-proc", "--kill-child", "--"]
    os.environ[MARK] = "1"
    os.execv(program, [program, *words, sys.executable, "-m", "tests.redteam", *sys.argv[1:]])


def path_for_users(path: str) -> str:
    """The folders of a PATH that everybody may enter, with an interpreter among them."""
    folders = [part for part in path.split(os.pathsep) if part and _closed(Path(part)) is None and Path(part).is_dir()]
    kept = os.pathsep.join(part for part in folders if not Path(part).is_relative_to(sys.prefix))
    return kept if shutil.which("python3", path=kept) else f"{kept}{os.pathsep}{Path(sys.base_prefix, 'bin')}"


def _uncover(needed: list[Path]) -> None:
    """Cover folders that only root may enter, with what is needed of them bound into the cover."""
    libc = ctypes.CDLL(None, use_errno=True)
    closed = {path: cover for path in needed if (cover := _closed(path)) is not None}
    opened = {path: os.open(path, os.O_PATH) for path in closed}
    for cover in sorted(set(closed.values())):
        _mount(libc, b"tmpfs", cover, b"tmpfs", 0, b"mode=755")
    for path, fd in opened.items():
        path.mkdir(parents=True, exist_ok=True)
        _mount(libc, f"/proc/self/fd/{fd}".encode(), path, None, _MS_BIND_ALL, None)
        os.close(fd)


def _mount(libc: ctypes.CDLL, source: bytes, place: Path, kind: bytes | None, flags: int, data: bytes | None) -> None:
    if libc.mount(source, bytes(place), kind, flags, data) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(place))


def _closed(path: Path) -> Path | None:
    """The topmost folder on the way to a place that not everybody may pass."""
    way = [*reversed(path.parents), path]
    return next((at for at in way if at.is_dir() and not at.stat().st_mode & stat.S_IXOTH), None)
