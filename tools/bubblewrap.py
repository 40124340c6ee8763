"""The walls of bubblewrap around one worktree. Owns what is visible, writable and hidden inside; starts nothing.

Later mounts lie over earlier ones, so the order of the steps below is the policy.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_TOOLCHAINS = (
    ".local/bin", ".local/lib", ".local/share/uv", ".local/share/mise", ".local/pipx", ".cargo", ".rustup", ".nvm",
    ".fnm", ".volta", ".pyenv", ".asdf", ".bun", ".deno", ".sdkman", ".m2", ".gradle", "go", "miniconda3", "anaconda3",
    "miniforge3", ".conda",
)  # fmt: skip
"""Folders of a home that compilers and interpreters live in."""
_SECRET_FILES = (
    ".cargo/credentials", ".cargo/credentials.toml", ".m2/settings.xml", ".gradle/gradle.properties",
    ".conda/.condarc",
)  # fmt: skip
_PRIVATE = (Path("/tmp"), Path("/var/tmp"), Path("/run"))  # noqa: S108 - covered by empty folders, not written
_OURS = ".rolecall"
_SEARCH = Path(__file__).with_name("repair")
"""Our own program that runs inside, wherever rolecall is installed."""


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """The worktree and a private /tmp are writable; home is empty but for toolchains; no network unless allowed."""

    program: str
    mounts: tuple[str, ...]
    root: Path
    repo: Path
    readable: tuple[Path, ...] = ()
    network: bool = False

    def showing(self, readable: Sequence[Path]) -> "Bubblewrap":
        """The same walls with more folders readable; blocking, looks at the machine again."""
        folders = (*self.readable, *readable)
        return build_walls(self.program, self.root, self.repo, folders, network=self.network)

    @property
    def policy(self) -> str:
        """What it does, in one sentence."""
        net = "network allowed" if self.network else "no network"
        return (
            f"commands run in bubblewrap: {net}, only the worktree and a private /tmp writable, home hidden, "
            "no secrets in the environment"
        )

    def wrap(self, argv: list[str], cwd: Path, scratch: Path | None = None) -> list[str]:
        """The command line that runs another command line inside the walls.

        Args:
            argv: Program and arguments.
            cwd: Working folder.
            scratch: A folder for temporary files besides /tmp; without one, a TMPDIR of the user's is forgotten.
        """
        return [
            self.program, "--die-with-parent", "--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
            *([] if self.network else ["--unshare-net"]), *self.mounts,
            *(["--bind", str(scratch), str(scratch)] if scratch else ["--unsetenv", "TMPDIR"]),
            "--chdir", str(cwd), "--", *argv,
        ]  # fmt: skip


def build_walls(program: str, root: Path, repo: Path, readable: Sequence[Path], *, network: bool) -> Bubblewrap:
    """Look at the machine and decide what is seen inside; blocking.

    Args:
        program: Path of bubblewrap.
        root: The worktree.
        repo: The user's checkout.
        readable: More folders that must stay readable.
        network: Whether the network may be used.
    """
    home = Path.home()
    steps = [*_system(network=network), *_home(home, readable), *_repository(home, root, repo)]
    for folder in readable:
        if folder.is_relative_to(repo / _OURS):
            steps += _read_only(folder)
    return Bubblewrap(program, tuple(steps), root, repo, tuple(readable), network)


def _system(*, network: bool) -> Iterator[str]:
    yield from ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
    # Sockets of daemons live in /run: with docker's, the walls would be of paper.
    for folder in _PRIVATE:
        if folder.is_dir():
            yield from ("--tmpfs", str(folder))
    if network:
        yield from ("--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve")


def _home(home: Path, readable: Sequence[Path]) -> Iterator[str]:
    if home.is_dir() and home != Path("/"):
        yield from ("--tmpfs", str(home))
    shown = [*(home / name for name in _TOOLCHAINS), *(Path(entry) for entry in os.get_exec_path()), _SEARCH, *readable]
    for folder in dict.fromkeys(shown):
        if _is_hidden(folder, home) and folder.is_dir():
            yield from _read_only(folder)
    for name in _SECRET_FILES:
        if (home / name).is_file():
            yield from _blank(home / name)


def _repository(home: Path, root: Path, repo: Path) -> Iterator[str]:
    if not home.is_relative_to(repo):
        yield from _read_only(repo)
        for secret in sorted(repo.glob(".env*")):
            if secret.is_file():
                yield from _blank(secret)
    for folder in _git_folders(repo):
        yield from _read_only(folder)
    if root.is_relative_to(repo / _OURS):
        yield from ("--tmpfs", str(repo / _OURS))
    yield from ("--bind", str(root), str(root))
    if (root / ".git").exists():
        yield from _read_only(root / ".git")


def _is_hidden(folder: Path, home: Path) -> bool:
    """Whether a folder lies under one that is covered by an empty one; the covers themselves stay covered."""
    covers = [cover for cover in (home, *_PRIVATE) if cover != Path("/")]
    return folder not in covers and any(folder.is_relative_to(cover) for cover in covers)


def _read_only(place: Path) -> tuple[str, str, str]:
    return ("--ro-bind", str(place), str(place))


def _blank(place: Path) -> tuple[str, str, str]:
    return ("--ro-bind", "/dev/null", str(place))


def _git_folders(repo: Path) -> list[Path]:
    """The folders git data lives in: `.git`, or what its file points to in a linked worktree."""
    entry = repo / ".git"
    if entry.is_dir():
        return [entry]
    if not entry.is_file():
        return []
    private = repo / entry.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    common = private / "commondir"
    if not common.is_file():
        return [private]
    return [private, (private / common.read_text(encoding="utf-8").strip()).resolve()]
