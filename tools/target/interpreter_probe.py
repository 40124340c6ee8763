"""How a repository's interpreter is probed: in the sandbox, or on the host if it is not one of its files. Owns
that choice, the limits on its output, and which directories may be shown for it."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from tools.git.command import Git
from tools.processes.child_process import end_process
from tools.processes.environment import user_environment
from tools.sandbox.sandbox import Sandbox

MAX_SAID_BYTES = 1_000_000
_MOST_LINKS = 40
_SECRET_FOLDERS = frozenset(
    {".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config", ".mozilla", ".password-store", ".netrc"}
)


class InterpreterProbe:
    """Runs short queries for one repository under its policy."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._repo = sandbox.repo
        self._root = sandbox.root
        self._sandbox = sandbox
        self.walled = sandbox.walled
        """Whether the probe runs in bubblewrap."""

    async def ask(self, argv: Sequence[str], timeout_s: float) -> bytes | None:
        """What a program prints, run where the checkout is; `None` when it fails, is slow or prints too much."""
        try:
            process = await self._start(argv)
        except OSError:
            return None
        try:
            async with asyncio.timeout(timeout_s):
                said = await _read(process)
                await process.wait()
        except TimeoutError:
            return None
        finally:
            await end_process(process)
        return said if process.returncode == 0 else None

    async def _start(self, argv: Sequence[str]) -> asyncio.subprocess.Process:
        shown = await asyncio.to_thread(lambda: [*self.prefixes_of(argv[0]), *_managed_folders()])
        sandbox = await asyncio.to_thread(self._sandbox.showing, shown)
        return await sandbox.spawn(
            argv, self._repo, user_environment() | {"PIPENV_DONT_LOAD_ENV": "1"}, stdin=asyncio.subprocess.DEVNULL
        )

    async def refusal(self, python: str) -> str:
        """Why an interpreter is not run at all, as a clause; empty when it may be.

        In the sandbox any may. On the host, one that came with the repository would be its code, run before anyone
        was asked.
        """
        if self.walled:
            return ""
        hops = await asyncio.to_thread(_hops, self._repo / python)
        if self._root != self._repo and any(hop.is_relative_to(self._root) for hop in hops):
            return "is in the worktree"
        places = {hop for hop in hops if hop.is_relative_to(self._repo)}
        places |= {hop.parent.parent for hop in places if hop.parent.parent.is_relative_to(self._repo)}
        places.discard(self._repo)
        if not places:
            return ""
        names = sorted(str(place.relative_to(self._repo)) for place in places)
        tracked = await Git(self._repo).try_run("ls-files", "--", *names, env={"GIT_LITERAL_PATHSPECS": "1"})
        return "came with the repository and there is no sandbox" if tracked.code == 0 and tracked.out.strip() else ""

    def prefixes_of(self, python: str) -> list[Path]:
        """Directories an interpreter is installed in, which must be readable for it to run; blocking."""
        hops = _hops(self._repo / python)
        named = [hop.parent.parent for hop in hops]
        named += [base for prefix in named if (base := _base_of(prefix)) is not None]
        return [folder for folder in dict.fromkeys(named) if self.may_be_shown(folder, python)]

    def may_be_shown(self, folder: Path, python: str) -> bool:
        """Whether a directory is the prefix of an interpreter we started, and not the user's own data; blocking.

        Args:
            folder: What the interpreter, or a file beside it, names as its own.
            python: What was started.
        """
        real, home = Path(os.path.realpath(folder)), Path(os.path.realpath(Path.home()))
        kept = (home, Path(os.path.realpath(self._repo)), Path(os.path.realpath(self._root)))
        if any(place.is_relative_to(real) for place in kept) or _SECRET_FOLDERS & set(real.parts):
            return False
        if not (real / "pyvenv.cfg").is_file() and not any(real.glob("lib*/python3*/os.py")):
            return False
        started = os.path.realpath(self._repo / python)
        holds = (real / "bin", real / "Scripts")
        return Path(started).is_relative_to(real) or any(
            os.path.realpath(place) == started for where in holds for place in where.glob("python*")
        )


def _managed_folders() -> list[Path]:
    """Where managers create the venvs they are asked for; nothing else is there."""
    places = (".cache/pypoetry/virtualenvs", ".local/share/virtualenvs", ".local/share/pdm/venvs")
    return [folder for place in places if (folder := Path.home() / place).is_dir()]


async def _read(process: asyncio.subprocess.Process) -> bytes | None:
    """All of the output, which is read to its end so that nothing stays open; `None` when it is too much."""
    assert process.stdout is not None
    said = bytearray()
    while chunk := await process.stdout.read(65_536):
        said += chunk[: MAX_SAID_BYTES + 1 - len(said)]
    return bytes(said) if len(said) <= MAX_SAID_BYTES else None


def _hops(path: Path) -> list[Path]:
    """A path, every link along it, and their targets."""
    path = Path(os.path.normpath(path))
    hops = [path]
    for _ in range(_MOST_LINKS):
        link = next((place for place in (*reversed(path.parents), path) if place.is_symlink()), None)
        if link is None:
            break
        target = Path(os.path.normpath(link.parent / link.readlink()))
        path = target / path.relative_to(link)
        hops += [link, path]
    return hops


def _base_of(prefix: Path) -> Path | None:
    """The prefix that a venv says it was created from."""
    try:
        with (prefix / "pyvenv.cfg").open(encoding="utf-8", errors="replace") as file:
            lines = file.read(10_000).splitlines()
    except OSError:
        return None
    homes = [line.partition("=")[2].strip() for line in lines if line.partition("=")[0].strip() == "home"]
    return Path(homes[0]).parent if homes and Path(homes[0]).is_absolute() else None
