"""Real git repositories for tests, and a way to see whether anything in one was touched."""

import hashlib
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
OURS = (".rolecall/", ".git/worktrees/", ".git/objects/", ".git/refs/heads/rolecall/", ".git/refs/rolecall/",
        ".git/logs/refs/heads/rolecall/", ".git/info/exclude")  # fmt: skip


def git(folder: Path, *args: str, check: bool = True) -> str:
    done = subprocess.run(["git", *AUTHOR, *args], cwd=folder, check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def make_repository(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    write(folder, files)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "First commit")
    return folder.resolve()


def thread() -> str:
    return str(uuid.uuid4())


def fingerprint(top: Path) -> dict[str, str]:
    """Every file of a checkout, its git folder included, but for what rolecall says it keeps there."""
    found = {}
    for path in sorted(top.rglob("*")):
        name = path.relative_to(top).as_posix()
        if name.startswith(OURS) or path.is_dir():
            continue
        body = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        found[name] = f"{path.lstat().st_mode:o} {hashlib.sha256(body).hexdigest()}"
    return found
