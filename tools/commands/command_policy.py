"""Which commands run without asking. Owns the judgement; the line is read by `shell_grammar`, and what is known about
programs is in `shell_rules`. Whatever is not known to be harmless needs approval.

This is a convenience, not the barrier: the sandbox is the barrier.
"""

import glob
import os
import re
import shlex
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from core.config.settings import ApprovalSettings
from core.secret_files import SecretFiles
from tools.commands.shell_arguments import (
    ArgRule,
    SortedArguments,
    UnknownArgumentError,
    leading_arguments,
    sort_arguments,
)
from tools.commands.shell_grammar import ShellWord, SimpleCommand, UnsupportedShellError, read_commands
from tools.commands.shell_rules import (
    BUILDERS,
    LAUNCHERS,
    MAKE_VARIABLES,
    MODULES,
    READERS,
    VARIABLES,
    BuildProgram,
)

_MOST_FILES = 2000
"""Most files a pattern may match, and most files checked below a directory."""
_SETTING = re.compile(r"([A-Za-z_][\w.-]*)=([\w.,:+@ -]*)")


class CommandPolicy:
    """Judges commands of one worktree under one policy."""

    def __init__(self, approvals: ApprovalSettings, root: Path, *, walls: bool, hidden: SecretFiles, path: str) -> None:
        """Start without reading anything.

        Args:
            approvals: What the user allows.
            root: The worktree, in which commands start.
            walls: Whether commands run in bubblewrap.
            hidden: Which files are not shown.
            path: Where programs are looked for.
        """
        self._beginnings = [shlex.split(beginning) for beginning in approvals.allow]
        self._mode = approvals.mode
        self._root = Path(os.path.realpath(root))
        self._walls = walls
        self._hidden = hidden
        self._path = path

    def allows(self, command: str) -> bool:
        """Whether every part of a shell line is allowed and known to be harmless; checks names in the worktree."""
        try:
            folders = [self._root]
            for part in read_commands(command):
                self._check(part, folders)
        except (UnsupportedShellError, UnknownArgumentError, OSError, ValueError):
            return False
        return True

    def _check(self, command: SimpleCommand, folders: list[Path]) -> None:
        """Check one command from all directories it may run in; a `cd` adds one."""
        for name, _ in command.assignments:
            if name not in VARIABLES:
                raise UnknownArgumentError(name)
        entered = []
        for folder in folders:
            words = _without_prefix([text for word in command.words for text in _expanded(word, folder)])
            if words[0] == "cd":
                entered.append(self._entered(words, folder))
            else:
                self._check_words(words, folder)
        folders += entered

    def _entered(self, words: Sequence[str], folder: Path) -> Path:
        if len(words) != 2 or words[1].startswith("-"):
            raise UnknownArgumentError("cd")
        self._check_path(words[1], folder)
        return folder / words[1]

    def _check_words(self, words: list[str], folder: Path) -> None:
        program, *arguments = words
        if program in LAUNCHERS or not any(words[: len(each)] == each for each in self._beginnings if each):
            raise UnknownArgumentError(program)
        name = f"git {arguments[0]}" if program == "git" and arguments else program
        if name in READERS or program == "git":
            self._check_program(program)
            self._check_reader(name, arguments[1:] if program == "git" else arguments, folder)
        else:
            self._check_builder(program, arguments, folder)

    def _check_program(self, program: str) -> None:
        """On the host, the name must not resolve to a program in the repository."""
        found = None if self._walls else shutil.which(program, path=self._path)
        if found and Path(os.path.realpath(found)).is_relative_to(self._root):
            raise UnknownArgumentError(program)

    def _check_reader(self, name: str, arguments: list[str], folder: Path) -> None:
        # A signature in a format is checked by a program that the configuration names.
        if name not in READERS or (name.startswith("git ") and any("%G" in word for word in arguments)):
            raise UnknownArgumentError(name)
        known = sort_arguments(arguments, READERS[name], walls=self._walls)
        for path in known.paths:
            self._check_path(path, folder)
        if not self._walls and (name == "rg" or (name == "grep" and known.flags & {"-r", "--recursive"})):
            self._check_below([folder / path for path in known.paths] or [folder])

    def _check_builder(self, program: str, arguments: list[str], folder: Path) -> None:
        if not (self._mode == "anywhere" or (self._mode == "walls" and self._walls)):
            raise UnknownArgumentError(program)
        for word in arguments:
            for part in (word, word.partition("=")[2]):
                if part.startswith(("/", "~")) or ".." in part.split("/"):
                    self._check_path(part, folder)
        builder = BUILDERS.get(program, BuildProgram())
        known, operands = _own_arguments(arguments, builder)
        _check_refused(arguments, builder)
        for path in known.paths:
            self._check_path(path, folder)
        if builder.first and (not operands or operands[0] not in builder.first) and "--version" not in arguments:
            raise UnknownArgumentError(program)
        if "-m" in known.values:
            self._check_module(known.values["-m"][0], operands, folder)
        elif builder.operand and not known.flags & {"--version", "-V", "-v", "--test"} and operands[:1] in ([], ["-"]):
            raise UnknownArgumentError("code from its input")

    def _check_module(self, module: str, arguments: list[str], folder: Path) -> None:
        _check_refused(arguments, BUILDERS.get(module, BuildProgram()))
        place = module.replace(".", "/")
        own = [folder / start / f"{place}{end}" for start in ("", "src") for end in (".py", "/__main__.py")]
        if module not in MODULES and not any(file.is_file() for file in own):
            raise UnknownArgumentError(module)

    def _check_path(self, path: str, folder: Path) -> None:
        """A path must be in the worktree, whatever links it goes through."""
        if path in {"/dev/null", "-"}:
            return
        revision, colon, file = path.partition(":")
        for part in (path, *((revision, file) if colon else ())):
            place = Path(os.path.realpath(folder / part))
            if part.startswith("~") or ".." in part.split("/") or not place.is_relative_to(self._root):
                raise UnknownArgumentError(path)
            inside = place.relative_to(self._root)
            if inside.parts[:1] == (".git",) or (not self._walls and self._is_hidden(part, inside)):
                raise UnknownArgumentError(path)

    def _is_hidden(self, path: str, inside: Path) -> bool:
        return self._hidden.hides(PurePosixPath(path).as_posix()) or self._hidden.hides(inside.as_posix())

    def _check_below(self, places: list[Path]) -> None:
        """Without bubblewrap nothing hides secret-looking files from a program that walks directories."""
        below = (f"{folder}/{name}" for place in places for folder, _, files in os.walk(place) for name in files)
        for file in islice(below, _MOST_FILES * 10):
            if self._hidden.hides(os.path.relpath(file, self._root)):
                raise UnknownArgumentError(file)


def _expanded(word: ShellWord, folder: Path) -> list[str]:
    """What the shell expands a word to: itself, or the files matching a pattern."""
    if not word.pattern:
        return [word.text]
    # Not pathlib, whose stars mean hidden files and folders too.
    found = list(islice(glob.iglob(word.pattern, root_dir=folder), _MOST_FILES + 1))  # noqa: PTH207
    if len(found) > _MOST_FILES:
        raise UnknownArgumentError(word.text)
    return found or [word.text]


def _without_prefix(words: list[str]) -> list[str]:
    """A command without a prefix that only limits its time or turns off a pager."""
    if words[0] == "timeout" and len(words) > 2 and re.fullmatch(r"\d+[sm]?", words[1]):
        return words[2:]
    if words[:2] == ["git", "--no-pager"]:
        return ["git", *words[2:]]
    return words


def _own_arguments(arguments: list[str], builder: BuildProgram) -> tuple[SortedArguments, list[str]]:
    """A build tool's own flags, and the operands after them."""
    rule: ArgRule | None = builder.own
    if rule is None:
        return SortedArguments(), list(arguments)
    if not builder.permuted:
        return leading_arguments(arguments, rule)
    known = sort_arguments(arguments, rule, walls=True)
    for word in known.texts:
        setting = _SETTING.fullmatch(word)
        if "=" in word and not (setting and setting[1] in MAKE_VARIABLES):
            raise UnknownArgumentError(word)
    if "-" in known.paths:  # `make -f -`
        raise UnknownArgumentError("code from its input")
    return known, known.texts


def _check_refused(arguments: Sequence[str], builder: BuildProgram) -> None:
    for word in arguments:
        name = word.partition("=")[0]
        for refused in builder.refused:
            long = refused.startswith("--")
            if name == refused or (long and len(name) > 3 and refused.startswith(name)):
                raise UnknownArgumentError(word)
            if len(refused) == 2 and refused[0] == "-" and word.startswith(refused):
                raise UnknownArgumentError(word)
