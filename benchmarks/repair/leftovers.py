"""What an engine left behind: changed files, temporary files, processes.

Owns looking; it cleans nothing up.
"""

import hashlib
import time
from pathlib import Path

import psutil

MARK = "ROLECALL_BENCH_MARK"
_PATIENCE_S = 2.0


def photograph(root: Path) -> dict[str, str]:
    """Return a digest per file of a checkout, git's HEAD and index among them."""
    files = [p for p in root.rglob("*") if p.is_file() and not _own(p.relative_to(root))]
    files += [p for p in (root / ".git" / "HEAD", root / ".git" / "index") if p.exists()]
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _own(path: Path) -> bool:
    """Whether the path is git's, or the folder where a run is meant to keep its state."""
    return path.parts[0] in {".git", ".rolecall"}


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Name the files that came, went or changed."""
    return sorted(f"changed {name}" for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def processes(mark: str, root: Path) -> list[str]:
    """Name processes that carry the mark or work in `root`; new ones get a moment to end."""
    deadline = time.monotonic() + _PATIENCE_S
    while (found := _alive(mark, root)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _alive(mark: str, root: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["pid", "name"]):
        try:
            ours = process.environ().get(MARK) == mark or Path(process.cwd()).is_relative_to(root)
            dead = process.status() == psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            continue
        if ours and not dead:
            found.append(f"process {process.info['pid']} {process.info['name']}")
    return found


def temporaries(folder: Path) -> list[str]:
    """Name what lies in a folder that was empty before."""
    return [f"temporary {path.name}" for path in folder.iterdir()]
