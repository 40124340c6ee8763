"""Which of a repository's git data is visible in the sandbox: objects and refs, the worktree's git directory, a config
without addresses and credentials. Decides whether the history may be seen at all; mounts nothing."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import RepositoryError
from core.secret_files import SecretFiles
from tools.git.config import GitConfig, config_text
from tools.git.location import GitLocation, git_command, locate

_SHOWN = ("objects", "refs", "packed-refs", "reftable", "HEAD", "shallow", "info")
_CORE = frozenset({
    "repositoryformatversion", "bare", "filemode", "ignorecase", "precomposeunicode", "symlinks", "autocrlf", "eol",
    "safecrlf", "quotepath", "abbrev", "sparsecheckout", "sparsecheckoutcone",
})  # fmt: skip
"""What git needs to read the repository correctly; much of the rest names programs, addresses and credentials."""
_LOOK_S = 3.0
_CONFIG_S = 10.0
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class GitView:
    """The git data shown inside; nothing of it where the history is hidden."""

    folder: Path | None = None
    """The git directory all worktrees share; `None` where git has nothing to show."""
    shown: tuple[Path, ...] = ()
    """Its files and directories that are mounted read-only."""
    written: tuple[tuple[Path, bytes], ...] = ()
    """Files that are not the repository's own but created for the sandbox."""
    hidden: str = ""
    """Why the history is hidden; empty when it is visible."""


def git_view(root: Path, repo: Path, wanted: Literal["auto", "show", "hide"], secret_files: SecretFiles) -> GitView:
    """Inspect a repository and choose what is visible; blocking, for some seconds in a large one.

    Args:
        root: The worktree.
        repo: The user's checkout.
        wanted: The setting `sandbox.git_history`.
        secret_files: Names that keep a history containing them hidden.
    """
    home, own = _located(repo), _located(root)
    if home is None:
        return GitView()
    common, private = home.common_dir.resolve(), own.git_dir.resolve() if own else None
    # Only one that git itself could have made, whatever a file says.
    if private is None or not private.is_dir():
        return GitView(folder=common)
    if private != common and private.parent != (common / "worktrees").resolve():
        return GitView(folder=common)
    hidden = 'sandbox.git_history is "hide"' if wanted == "hide" else ""
    if wanted == "auto":
        hidden = _reason_to_hide(repo, secret_files)
    if hidden:
        return GitView(folder=common, hidden=hidden)
    shown = [common / name for name in _SHOWN if (common / name).exists()]
    shown += _alternates(common)
    written = [(common / "config", _harmless_config(common / "config"))]
    if private != common:
        shown.append(private)
        if (private / "config.worktree").exists():
            written.append((private / "config.worktree", _harmless_config(private / "config.worktree")))
    elif (common / "index").exists():
        shown.append(common / "index")
    return GitView(folder=common, shown=tuple(shown), written=tuple(written))


def _located(folder: Path) -> GitLocation | None:
    with suppress(RepositoryError):
        return locate(folder)
    return None


def _alternates(common: Path) -> Iterator[Path]:
    """Object directories of other repositories that this one borrows from."""
    listing = common / "objects/info/alternates"
    if not listing.is_file():
        return
    for line in listing.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        place = (common / "objects" / line.strip()).resolve()
        if line.strip() and not line.startswith("#") and place.name == "objects" and place.is_dir():
            yield place


def _harmless_config(file: Path) -> bytes:
    argv, environment = git_command(file.parent, "config", "--file", str(file), "--no-includes", "--null", "--list")
    done = subprocess.run(argv, env=environment, check=False, capture_output=True, timeout=_CONFIG_S)
    config = GitConfig(done.stdout.decode("utf-8", "surrogateescape"))
    kept = {"core": config.section("core", _CORE), "extensions": config.section("extensions")}
    return config_text(kept).encode("utf-8", "surrogateescape")


def _reason_to_hide(repo: Path, secret_files: SecretFiles) -> str:
    """The first secret-looking file among everything git can reach, or that checking takes too long."""
    argv, environment = git_command(
        repo, "rev-list", "--objects", "--all", "--reflog", "--indexed-objects", "--missing=allow-any"
    )
    with subprocess.Popen(
        argv, cwd=repo, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        found = _first_hidden(process, secret_files)
        process.kill()
    if found is None:
        return f"it could not be scanned in {_LOOK_S:g} s"
    return f"it contains {found}" if found else ""


def _first_hidden(process: "subprocess.Popen[bytes]", secret_files: SecretFiles) -> str | None:
    """A path that looks secret, empty when there is none, `None` when the scan was not finished."""
    deadline = time.monotonic() + _LOOK_S
    descriptor = process.stdout.fileno() if process.stdout else -1
    os.set_blocking(descriptor, False)
    rest = b""
    while time.monotonic() < deadline:
        try:
            data = os.read(descriptor, _READ)
        except BlockingIOError:
            time.sleep(0.005)
            continue
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            path = line[line.find(b" ") + 1 :].decode("utf-8", "surrogateescape") if b" " in line else ""
            if path and secret_files.hides(path):
                return path
        if not data:
            return "" if process.wait() == 0 else None
    return None
