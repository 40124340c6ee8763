"""What must be hidden in directories visible in the sandbox: files that look like they contain credentials,
sockets of daemons, and what other users of the machine could not read. Owns the bounded walk; mounts nothing."""

import os
import re
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.secret_files import SecretFiles

_MOST_ENTRIES = 60_000
_MOST_LEVELS = 4
"""Credentials are near the top of a toolchain; below are the thousands of files of packages."""
_MOST_SECONDS = 1.5
_ALWAYS = frozenset({"settings-security.xml", "gradle.properties", "credentials"})
_PLAIN = (".py", ".pyc", ".pyi", ".so", ".js", ".ts", ".map", ".h", ".hpp", ".c", ".rs", ".go", ".md", ".txt", ".html",
          ".css", ".rst", ".gz", ".png", ".svg", ".mo", ".class", ".jar")  # fmt: skip
"""Endings of most files of packages; none of them is a secret by its name."""
_IF_THEY_TELL = frozenset({
    "settings.xml",
    "pip.conf", "pip.ini", "uv.toml", ".condarc", "condarc", ".yarnrc", ".yarnrc.yml", "bunfig.toml", "nuget.config",
    "config.toml", "config", "environment", "init.gradle",
})  # fmt: skip
"""Settings of package managers, in which only some people put a password."""
_CREDENTIAL = re.compile(rb"(?i)token|passw|secret|_auth|://[^/\s@]+@")
_COMMENT = re.compile(rb"<!--.*?-->|^\s*[#;].*?$", re.DOTALL | re.MULTILINE)
_KEY_FILES = (".pem", ".key")
_PRIVATE_KEY = b"PRIVATE KEY"
_LOOK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class HiddenPaths:
    """Paths that are covered by something empty."""

    files: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    unsearched: tuple[Path, ...] = ()
    """Where the walk ran into its limits: something deeper in them may have stayed visible."""


def find_hidden(folders: Iterable[Path], secret_files: SecretFiles, *, closed: bool = False) -> HiddenPaths:
    """Walk directories, upper levels first; blocking, for a second and a half at most.

    What lies deeper than some levels, or than the walk gets in its time, stays as it is; the latter is named.

    Args:
        folders: Where to search.
        secret_files: Which names are hidden.
        closed: Also hide what this user can read and others cannot: keys and password files of the machine.
    """
    covered: list[Path] = []
    unsearched: list[Path] = []
    deadline = time.monotonic() + _MOST_SECONDS
    found = [
        Path(entry.path)
        for top in folders
        for entry in _walk(top, covered if closed else None, unsearched, deadline)
        if _is_hidden(entry, entry.path[len(str(top)) :].lstrip("/"), secret_files, closed=closed)
    ]
    return HiddenPaths(tuple(found), tuple(covered), tuple(unsearched))


def _walk(
    top: Path, covered: list[Path] | None, unsearched: list[Path], deadline: float
) -> Iterator["os.DirEntry[str]"]:
    """Everything below except directories and links; closed directories go to `covered` instead of being entered.

    A top that is not walked to the end goes to `unsearched`.
    """
    left = _MOST_ENTRIES
    waiting = deque([(str(top), _MOST_LEVELS)])
    while waiting and left > 0 and time.monotonic() < deadline:
        folder, levels = waiting.popleft()
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError:
            # Gone, or closed to us and so to the commands as well.
            continue
        left -= len(entries)
        for entry in entries:
            if entry.is_symlink():
                continue
            if not entry.is_dir(follow_symlinks=False):
                yield entry
            elif covered is not None and _is_closed(entry, 0o005):
                covered.append(Path(entry.path))
            elif levels > 1 and entry.name != "__pycache__":
                waiting.append((entry.path, levels - 1))
    if waiting:
        unsearched.append(top)


def _is_hidden(entry: "os.DirEntry[str]", name_inside: str, secret_files: SecretFiles, *, closed: bool) -> bool:
    if not entry.is_file(follow_symlinks=False):
        return _is_socket(entry)
    if closed and _is_closed(entry, 0o004):
        return True
    name = entry.name.lower()
    if name in _ALWAYS or name.endswith(_PLAIN):
        return name in _ALWAYS
    if name in _IF_THEY_TELL:
        return _CREDENTIAL.search(_COMMENT.sub(b"", _beginning(entry.path))) is not None
    if not secret_files.hides(name_inside):
        return False
    # Bundles of public certificates have the same endings, and without them nothing trusts anybody.
    return not name.endswith(_KEY_FILES) or _PRIVATE_KEY in _beginning(entry.path)


def _is_closed(entry: "os.DirEntry[str]", bits: int) -> bool:
    """Whether this user may read an entry and others may not."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    ours = os.geteuid() in {0, status.st_uid} or status.st_gid in os.getgroups()
    return ours and status.st_mode & bits != bits


def _is_socket(entry: "os.DirEntry[str]") -> bool:
    try:
        return stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode)
    except OSError:
        return False


def _beginning(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_LOOK_BYTES)
    except OSError:
        return b""
