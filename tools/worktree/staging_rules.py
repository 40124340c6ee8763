"""What in a working tree is left out of commits, and why. Checks names, kinds, sizes and contents; runs nothing."""

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.redaction import Redactor
from core.secret_files import SecretFiles

_MAX_TEXT = 2**20
"""Bytes of a file that are scanned for secrets."""
_SHOWN = 5

SECRET_NAME = "look like they contain secrets"  # noqa: S105 - words for people
SECRET_TEXT = "contain what looks like a key, token or password"  # noqa: S105 - words for people
TOO_LARGE = "are too large"
NO_FILE = "are not regular files"
UNREADABLE = "cannot be read"
SHOW = "list them in sandbox.show if models and commands may see them"
NESTED = "are separate repositories"
FILTERED = "use a filter program from the git configuration, which rolecall does not run"


@dataclass(frozen=True, slots=True)
class StagingRules:
    """What is left out.

    Args:
        secret_files: Which names look secret.
        redactor: Which contents are.
        known_only: Look for known secrets only, as in the thread's own work; not for what merely looks like one.
        max_file: Bytes of one new or changed file.
        max_total: Bytes of all of them.
    """

    secret_files: SecretFiles = field(default_factory=SecretFiles)
    redactor: Redactor = field(default_factory=Redactor)
    known_only: bool = True
    max_file: int = 64 * 2**20
    max_total: int = 512 * 2**20

    def for_base(self) -> "StagingRules":
        """The rules for what a person had not committed: whatever looks like a token is left out too."""
        return replace(self, known_only=False)

    def judge(self, folder: Path, names: Sequence[str]) -> dict[str, str]:
        """Files that cannot or should not be stored, each with the reason; blocking.

        Args:
            folder: The working tree.
            names: New and changed files in it.
        """
        found = {name: SECRET_NAME for name in names if self.secret_files.hides(name)}
        for name in names:
            reason = "" if name in found else _obstacle(folder / name)
            if reason:
                found[name] = reason
        rest = [name for name in names if name not in found]
        return found | dict.fromkeys(self._oversized(folder, rest), TOO_LARGE)

    def _oversized(self, folder: Path, names: Sequence[str]) -> set[str]:
        """Files that would bloat a repository: data sets and dumps no .gitignore names yet."""
        sizes = {name: size for name in names if (size := _size(folder / name))}
        total, large = sum(sizes.values()), set()
        for name in sorted(sizes, key=lambda name: sizes[name], reverse=True):
            if sizes[name] <= self.max_file and total <= self.max_total:
                break
            large.add(name)
            total -= sizes[name]
        return large

    def secrets_in(self, path: Path, name: str) -> frozenset[str]:
        """The placeholders for the secrets in a file; blocking. Empty for one the user asked for by name."""
        return frozenset() if self.secret_files.shows(name) else self.secrets_of(_text_of(path))

    def secrets_of(self, text: str) -> frozenset[str]:
        """The placeholders for the secrets in a text."""
        return self.redactor.found_in(text, known_only=self.known_only) if text else frozenset()


def exclusion_reasons(left_out: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence for each reason for which files are left out."""
    return tuple(
        f"left out of the commit because they {reason}: {name_some(names)}"
        for reason, names in _by_reason(left_out).items()
    )


def base_warnings(left_out: Mapping[str, str]) -> tuple[str, ...]:
    """What a person should know about changes that were not included, one sentence for each reason."""
    return tuple(
        f"uncommitted files were not copied into the worktree because they {reason}"
        f"{f' ({SHOW})' if reason in {SECRET_NAME, SECRET_TEXT} else ''}: {name_some(names)}"
        for reason, names in _by_reason(left_out).items() if reason != NESTED
    )  # fmt: skip


def _by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in sorted(left_out.items()):
        by_reason.setdefault(reason, []).append(name)
    return by_reason


def name_some(names: Iterable[str]) -> str:
    """The first names of many, and how many more there are."""
    known = sorted(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(known[:_SHOWN]) + more


def file_times(root: Path, names: Iterable[str]) -> int:
    """What identifies files by their time and size; blocking."""
    found = []
    for name in sorted(names):
        with suppress(OSError):
            about = os.lstat(root / name)
            found.append((name, about.st_mtime_ns, about.st_size))
    return hash(tuple(found))


def _obstacle(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return UNREADABLE
    if stat.S_ISLNK(mode):
        return ""
    if not stat.S_ISREG(mode):
        return NO_FILE
    return "" if os.access(path, os.R_OK) else UNREADABLE


def _size(path: Path) -> int:
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _text_of(path: Path) -> str:
    """The text of a regular file of limited size; empty for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _MAX_TEXT:
            return ""
        data = file.read(_MAX_TEXT)
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    return data.decode("utf-16", "replace") if wide else data.decode("utf-8", "replace")
