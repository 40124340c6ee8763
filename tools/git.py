"""The git program as a typed async call. Owns how git is started (no hooks, no prompts, no signing, no stray
locks in the user's index) and what its failures become; knows nothing of worktrees or threads."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import RepositoryError

_QUIET = (
    "core.hooksPath=/dev/null",
    "commit.gpgsign=false",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.splitIndex=false",
    "log.showSignature=false",
    "apply.ignoreWhitespace=no",
    "color.ui=false",
    # As an option of `git diff` the same would ask for a patch, also where only the figures are wanted.
    "diff.context=3",
    "gc.auto=0",
    "advice.detachedHead=false",
)
PLAIN_DIFF = (
    "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short", "--src-prefix=a/",
    "--dst-prefix=b/", "--no-relative",
)  # fmt: skip
"""A diff that reads the same whatever the user has configured."""
_IDENTITY = {"NAME": "rolecall", "EMAIL": "rolecall@localhost"}


@dataclass(frozen=True, slots=True)
class GitOutput:
    """What one call of git gave back."""

    code: int
    out: str
    err: str

    @property
    def reason(self) -> str:
        """The last line git complained with."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1].removeprefix("fatal: ").removeprefix("error: ") if lines else f"exit code {self.code}"


class Git:
    """Runs git in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def try_run(
        self, *args: str, stdin: str | None = None, index: Path | None = None, env: Mapping[str, str] | None = None
    ) -> GitOutput:
        """Run git and give back whatever came of it.

        Args:
            args: Subcommand and arguments.
            stdin: Text for its standard input.
            index: An index file other than the folder's own.
            env: More environment variables.

        Raises:
            RepositoryError: git is not installed, or the folder is gone.
        """
        settings = [part for setting in _QUIET for part in ("-c", setting)]
        starting = asyncio.ensure_future(asyncio.create_subprocess_exec(
            "git", *settings, *args, cwd=self.folder, env=_environment(index, env),
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
        sent = None if stdin is None else stdin.encode("utf-8", "surrogateescape")
        try:
            out, err = await process.communicate(sent)
        except asyncio.CancelledError:
            await _asked_to_end(process)
            raise
        return GitOutput(process.returncode or 0, _text(out), _text(err))

    async def run(self, *args: str, stdin: str | None = None, index: Path | None = None) -> str:
        """Run git and give back its output without the last line end.

        Raises:
            RepositoryError: git failed; the message carries its own words.
        """
        done = await self.try_run(*args, stdin=stdin, index=index)
        if done.code != 0:
            raise RepositoryError(
                f"git {args[0]} failed in {self.folder}: {done.reason}",
                hint=f"run `git -C {str(self.folder)!r} status` and mend what it reports, then run the command again",
            )
        return done.out.removesuffix("\n")

    async def identity(self) -> dict[str, str]:
        """Environment variables that name rolecall as the author where the user has set no identity."""
        given = {}
        for part, value in _IDENTITY.items():
            configured = await self.try_run("config", f"user.{part.lower()}")
            for whose in ("AUTHOR", "COMMITTER"):
                name = f"GIT_{whose}_{part}"
                if configured.code != 0 and not os.environ.get(name):
                    given[name] = value
        return given

    async def commit_tree(self, tree: str, message: str, *parents: str) -> str:
        """Make a commit object of a tree; moves no branch, runs no hook, signs nothing.

        Raises:
            RepositoryError: The tree or a parent is not there.
        """
        ancestry = [part for parent in parents for part in ("-p", parent)]
        made = await self.try_run("commit-tree", tree, *ancestry, stdin=message, env=await self.identity())
        if made.code != 0:
            raise RepositoryError(f"git could not make a commit in {self.folder}: {made.reason}")
        return made.out.strip()

    async def resolve(self, revision: str) -> str | None:
        """The object a revision names, or `None`."""
        found = await self.try_run("rev-parse", "--verify", "--quiet", "--end-of-options", revision)
        # Old gits echo the separator.
        words = found.out.split()
        return words[-1] if found.code == 0 and words else None

    async def names(self, *args: str, index: Path | None = None) -> list[str]:
        """Run a git command with `-z` output and split it."""
        out = await self.run(*args, index=index)
        return [name for name in out.split("\0") if name]


async def _asked_to_end(process: asyncio.subprocess.Process) -> None:
    """End git: killed, it would leave its lock files behind; asked to end, it removes them."""
    if process.returncode is None:
        process.terminate()
    await asyncio.shield(process.wait())


def _environment(index: Path | None, more: Mapping[str, str] | None) -> dict[str, str]:
    # GIT_DIR and its kin, as set inside a hook or an alias, would send us to another repository.
    kept = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG", "GIT_EXEC_PATH", "GIT_SSL", "GIT_CEILING")
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(kept)}
    env |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    if index is not None:
        env["GIT_INDEX_FILE"] = str(index)
    return env | dict(more or {})


def _not_started(folder: Path) -> RepositoryError:
    if not folder.is_dir():
        return RepositoryError(f"{folder} is no folder", hint="give the folder of a git repository with --repo")
    return RepositoryError("git is not installed", hint="install git and run the command again")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
