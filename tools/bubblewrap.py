"""The walls of bubblewrap around one worktree. Owns what is visible, writable and hidden inside; starts nothing.

Later mounts lie over earlier ones, so the order of the steps below is the policy.
"""

import os
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
_SEARCH = Path(__file__).with_name("repair")
"""Our own program that runs inside, wherever rolecall is installed."""


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """The worktree and a private /tmp are writable; home is empty but for toolchains; no network unless allowed."""

    program: str
    root: Path
    repo: Path
    readable: tuple[Path, ...]
    network: bool = False

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
            *([] if self.network else ["--unshare-net"]),
            *self._system(), *self._home(), *self._repository(),
            *(["--bind", str(scratch), str(scratch)] if scratch else ["--unsetenv", "TMPDIR"]),
            "--chdir", str(cwd), "--", *argv,
        ]  # fmt: skip

    def _system(self) -> list[str]:
        steps = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        # Sockets of daemons live in /run: with docker's, the walls would be of paper.
        steps += [part for folder in ("/tmp", "/var/tmp", "/run") if Path(folder).is_dir()  # noqa: S108 - mount points
                  for part in ("--tmpfs", folder)]  # fmt: skip
        if self.network:
            steps += ["--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve"]
        return steps

    def _home(self) -> list[str]:
        home = Path.home()
        steps = ["--tmpfs", str(home)] if home.is_dir() and home != Path("/") else []
        shown = [home / name for name in _TOOLCHAINS] + [Path(entry) for entry in os.get_exec_path()]
        shown += [_SEARCH, *self.readable]
        for folder in dict.fromkeys(shown):
            if self._is_hidden(folder) and folder.is_dir():
                steps += ["--ro-bind", str(folder), str(folder)]
        for name in _SECRET_FILES:
            if (home / name).is_file():
                steps += ["--ro-bind", "/dev/null", str(home / name)]
        return steps

    def _repository(self) -> list[str]:
        steps = []
        home = Path.home()
        if self.repo != home and not home.is_relative_to(self.repo):
            steps += ["--ro-bind", str(self.repo), str(self.repo)]
            for secret in sorted(self.repo.glob(".env*")):
                if secret.is_file():
                    steps += ["--ro-bind", "/dev/null", str(secret)]
        for folder in _git_folders(self.repo):
            steps += ["--ro-bind", str(folder), str(folder)]
        if (self.repo / ".rolecall").is_dir():
            steps += ["--tmpfs", str(self.repo / ".rolecall")]
        steps += ["--bind", str(self.root), str(self.root)]
        if (self.root / ".git").exists():
            steps += ["--ro-bind", str(self.root / ".git"), str(self.root / ".git")]
        for folder in self.readable:
            if folder.is_relative_to(self.repo / ".rolecall") and folder.is_dir():
                steps += ["--ro-bind", str(folder), str(folder)]
        return steps

    def _is_hidden(self, folder: Path) -> bool:
        covers = (Path.home(), Path("/tmp"), Path("/var/tmp"), Path("/run"))  # noqa: S108 - mount points
        return folder not in covers and any(folder.is_relative_to(cover) for cover in covers if cover != Path("/"))


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
