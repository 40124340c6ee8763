"""The git program as a typed async call. Owns how git is started (in which directory, with which configuration, for
how long) and what its failures become; knows nothing of worktrees or threads.

`Git` reads the repository's configuration, with every program in it turned off, and is for refs and history.
`Git.isolated` returns one that has its own git directory and shares only the objects: whatever reads files goes
through it, because no filter, driver or hook is configured there.
"""

import asyncio
import hashlib
import logging
import os
import shlex
import signal
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import DiskFullError, RepositoryError
from core.redaction import redact
from core.storage.storage_errors import DISK_FULL
from tools.git.config import GitConfig
from tools.git.location import GitLocation, git_program, locate
from tools.git.private_git_dir import make_git_dir

_LOG = logging.getLogger(__name__)
LIMIT_S = 120.0
"""Seconds after which a git call is stopped."""
_ENDING_S = 5.0
_OFF = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.sshCommand=false",
    "core.askPass=",
    "core.editor=:",
    "core.pager=cat",
    "core.alternateRefsCommand=",
    "sequence.editor=:",
    "credential.helper=",
    "gpg.program=false",
    "gpg.ssh.program=false",
    "gpg.x509.program=false",
    "commit.gpgsign=false",
    "log.showSignature=false",
    "protocol.allow=never",
    "submodule.recurse=false",
    "rerere.enabled=false",
    "maintenance.auto=false",
    "gc.auto=0",
    "core.quotePath=false",
    "core.splitIndex=false",
    "apply.ignoreWhitespace=no",
    "color.ui=false",
    # As an option of `git diff` the same would ask for a patch, also where only the figures are wanted.
    "diff.context=3",
    "advice.detachedHead=false",
)
_RUNS_HOOKS = frozenset({"update-ref", "worktree", "merge", "commit", "add", "init"})
"""Subcommands that may run a program which the configuration names under a custom name."""
PLAIN_DIFF = (
    "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short", "--ignore-submodules=all", "--src-prefix=a/",
    "--dst-prefix=b/", "--no-relative",
)  # fmt: skip
"""A diff that reads the same whatever the user has configured."""


class GitTimeoutError(RepositoryError):
    """A git call took longer than allowed."""


@dataclass(frozen=True, slots=True)
class GitOutput:
    """The result of one git call."""

    code: int
    out: str
    err: str

    @property
    def reason(self) -> str:
        """What git complained about: its fatal error, else its last line."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        told = next((line for line in lines if line.startswith("fatal: ")), lines[-1] if lines else "")
        return redact(told.removeprefix("fatal: ").removeprefix("error: ")) or f"exit code {self.code}"


class Git:
    """Runs git in one directory.

    Args:
        folder: The working tree, or a directory in which git is to find its repository itself.
        place: Which git directory belongs to it; found without git when `None`.
        discover: Let git find the repository around the directory.
    """

    def __init__(self, folder: Path, place: GitLocation | None = None, *, discover: bool = False) -> None:
        self.folder = folder
        self._place = place
        self._looked = place is not None or discover
        self._program: tuple[str | None, str] | None = None
        self._config: GitConfig | None = None
        self._isolated: IsolatedGit | None = None

    async def place(self) -> GitLocation:
        """The git directory and the working tree.

        Raises:
            RepositoryError: The directory is not the top of a working tree, or a worktree unknown to its repository.
        """
        place = await self._located()
        if place is None:
            raise RepositoryError(
                f"{self.folder} is not the top-level directory of a git working tree",
                hint="give the directory of a git repository with --repo",
            )
        return place

    async def _located(self) -> GitLocation | None:
        if not self._looked:
            self._place = await asyncio.to_thread(locate, self.folder)
            self._looked = True
        return self._place

    async def config(self) -> GitConfig:
        """The effective configuration of the repository, read once."""
        if self._config is None:
            self._config = GitConfig(await self.run("config", "--list", "-z"))
        return self._config

    async def isolated(self) -> "IsolatedGit":
        """The git that reads files: it ignores any configuration that names a program."""
        if self._isolated is None:
            self._isolated = IsolatedGit(await self.place(), await self.config())
        return self._isolated

    async def try_run(
        self,
        *args: str,
        stdin: str | None = None,
        index: Path | None = None,
        env: Mapping[str, str] | None = None,
        limit_s: float = LIMIT_S,
    ) -> GitOutput:
        """Run git and return its result.

        Args:
            args: Subcommand and arguments.
            stdin: Text for its standard input.
            index: An index file other than the directory's own.
            env: Additional environment variables.
            limit_s: Seconds after which it is ended.

        Raises:
            GitTimeoutError: It was ended.
            RepositoryError: git is not installed, or the directory is gone.
            DiskFullError: There was no room for what it had to write.
        """
        if self._program is None:
            self._program = await asyncio.to_thread(git_program, self.folder)
        program, path = self._program
        if program is None:
            raise _not_started(self.folder)
        settings, own = await self._manner(_subcommand(args))
        whole = own | {"PATH": path} | ({"GIT_INDEX_FILE": str(index)} if index is not None else {}) | dict(env or {})
        begun = time.monotonic()
        starting = asyncio.ensure_future(asyncio.create_subprocess_exec(
            program, *settings, *args, cwd=self.folder, env=whole,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        ))  # fmt: skip
        try:
            # Cancelled while it starts, asyncio would kill it.
            process = await asyncio.shield(starting)
        except FileNotFoundError as error:
            raise _not_started(self.folder) from error
        except asyncio.CancelledError:
            await _asked_to_end(await starting)
            raise
        done = await _finished(process, stdin, limit_s, _subcommand(args))
        seconds = time.monotonic() - begun
        _LOG.debug("git %s in %s: exit code %d, %.3f s", shlex.join(args)[:500], self.folder, done.code, seconds)
        if done.code != 0 and any(words in done.err for words in DISK_FULL):
            raise DiskFullError(
                f"the disk is full: git {_subcommand(args)} could not write in {self.folder}",
                hint="free some space, then run the command again; all commits and checkpoints are safe",
            )
        return done

    async def _manner(self, command: str) -> tuple[list[str], dict[str, str]]:
        """Settings before the subcommand, and the environment."""
        place = await self._located()
        off = (*_OFF, *((await self.config()).programs_off() if command in _RUNS_HOOKS else ()))
        env = _environment()
        if place is not None:
            env |= {"GIT_DIR": str(place.git_dir), "GIT_WORK_TREE": str(place.work_tree)}
        return [part for setting in off for part in ("-c", setting)], env

    async def run(
        self, *args: str, stdin: str | None = None, index: Path | None = None, limit_s: float = LIMIT_S
    ) -> str:
        """Run git and return its output without the last line ending.

        Raises:
            GitTimeoutError: It took longer than allowed.
            RepositoryError: git failed; the message contains git's own.
        """
        done = await self.try_run(*args, stdin=stdin, index=index, limit_s=limit_s)
        if done.code != 0:
            raise RepositoryError(
                f"git {_subcommand(args)} failed in {self.folder}: {done.reason}",
                hint=f"run `git -C {str(self.folder)!r} status` and fix what it reports, then run the command again",
            )
        return done.out.removesuffix("\n")

    async def identity(self) -> dict[str, str]:
        """Environment variables that name rolecall as the author if the user has set no identity."""
        return (await self.config()).identity()

    async def commit_tree(self, tree: str, message: str, *parents: str) -> str:
        """Create a commit object from a tree; moves no branch, runs no hook, signs nothing.

        Raises:
            RepositoryError: The tree or a parent does not exist.
        """
        ancestry = [part for parent in parents for part in ("-p", parent)]
        git = await self.isolated()
        made = await git.try_run("commit-tree", tree, *ancestry, stdin=message, env=await self.identity())
        if made.code != 0:
            raise RepositoryError(f"git could not commit in {self.folder}: {made.reason}")
        return made.out.strip()

    async def resolve(self, revision: str) -> str | None:
        """The object a revision names, or `None`."""
        found = await self.try_run("rev-parse", "--verify", "--quiet", "--end-of-options", revision)
        # Old gits echo the separator.
        words = found.out.split()
        return words[-1] if found.code == 0 and words else None

    async def names(self, *args: str, index: Path | None = None, limit_s: float = LIMIT_S) -> list[str]:
        """Run a git command with `-z` output and split it."""
        out = await self.run(*args, index=index, limit_s=limit_s)
        return [name for name in out.split("\0") if name]


class IsolatedGit(Git):
    """Git with its own git directory: the objects, working tree and index are the repository's, refs, hooks and
    configuration are not. Revisions must be given as object names."""

    def __init__(self, place: GitLocation, config: GitConfig) -> None:
        super().__init__(place.work_tree, place)
        self._config = config
        self._own: Path | None = None
        self._making = asyncio.Lock()
        self._trees: dict[str, str] = {}
        """The tree of an index file, by the digest of its content."""

    async def isolated(self) -> "IsolatedGit":
        """Itself."""
        return self

    async def note_tree(self, index: Path, tree: str) -> None:
        """Remember which tree an index file contains."""
        self._trees[await asyncio.to_thread(index_digest, index)] = tree

    async def tree_of(self, index: Path) -> str | None:
        """The tree an index file is known to contain: `note_tree` recorded it for exactly this content."""
        return self._trees.get(await asyncio.to_thread(index_digest, index))

    async def own_dir(self) -> Path:
        """Its git directory, which lasts as long as this object."""
        async with self._making:
            if self._own is None:
                place = await self.place()
                own = await asyncio.to_thread(make_git_dir, place, await self.config())
                weakref.finalize(self, own.remove)
                self._own = own.path
        return self._own

    async def _manner(self, command: str) -> tuple[list[str], dict[str, str]]:
        place, own = await self.place(), await self.own_dir()
        env = {name: value for name, value in _environment().items() if not name.startswith("GIT_CONFIG")}
        env |= {
            "GIT_DIR": str(own), "GIT_WORK_TREE": str(place.work_tree), "GIT_OBJECT_DIRECTORY": str(place.objects),
            "GIT_INDEX_FILE": str(place.index), "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(own),
            "XDG_CONFIG_HOME": str(own), "GIT_LITERAL_PATHSPECS": "1",
        }  # fmt: skip
        return [], env


def index_digest(index: Path) -> str:
    """What identifies an index file; blocking."""
    return hashlib.sha256(index.read_bytes()).hexdigest() if index.is_file() else ""


async def _finished(process: asyncio.subprocess.Process, stdin: str | None, limit_s: float, command: str) -> GitOutput:
    sent = None if stdin is None else stdin.encode("utf-8", "surrogateescape")
    try:
        out, err = await asyncio.wait_for(process.communicate(sent), limit_s)
    except TimeoutError as error:
        await _asked_to_end(process)
        raise GitTimeoutError(
            f"git {command} took longer than {limit_s:.0f} s and was stopped",
            hint="look for very large files, pipes or a slow disk in the working tree, then run the command again",
        ) from error
    except asyncio.CancelledError:
        await _asked_to_end(process)
        raise
    text, complaint = (data.decode("utf-8", "surrogateescape") for data in (out, err))
    return GitOutput(process.returncode or 0, text, complaint)


async def _asked_to_end(process: asyncio.subprocess.Process) -> None:
    """Terminate git: killed, it would leave its lock files behind; asked to exit, it removes them."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(process.wait()), _ENDING_S)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())


def _subcommand(args: tuple[str, ...]) -> str:
    start = 0
    while args[start] == "-c":
        start += 2
    return args[start]


def _environment() -> dict[str, str]:
    # GIT_DIR and its kin, as set inside a hook or an alias, would send us to another repository.
    kept = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG", "GIT_EXEC_PATH")
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(kept)}
    if not Path(env.get("GIT_EXEC_PATH", "/")).is_absolute():
        del env["GIT_EXEC_PATH"]
    env.pop("SSH_ASKPASS", None)
    # No transport at all: a fetch of missing objects would run what the configuration names.
    return env | {
        "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1", "GIT_EDITOR": ":", "GIT_SEQUENCE_EDITOR": ":", "GIT_PAGER": "cat",
        "GIT_ASKPASS": "false", "GIT_SSH_COMMAND": "false",
    }  # fmt: skip


def _not_started(folder: Path) -> RepositoryError:
    if not folder.is_dir():
        return RepositoryError(
            f"{folder} is not a directory", hint="give the directory of a git repository with --repo"
        )
    return RepositoryError("git is not installed", hint="install git and run the command again")
