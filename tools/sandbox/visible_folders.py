"""Which directories of the machine are visible in the sandbox. Owns the lists; mounts nothing.

The root inside is empty, and what is needed is added: a list of what to hide would always lack the next disk,
the next user or the next daemon's directory.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "opt", "nix", "gnu")
"""Top-level directories that contain programs and their settings."""
_TOOLCHAINS = (
    ".local/bin", ".local/lib", ".local/share/uv", ".local/share/mise", ".local/share/pnpm", ".local/pipx", ".cargo",
    ".rustup", ".nvm", ".fnm", ".volta", ".pyenv", ".rbenv", ".nodenv", ".goenv", ".jenv", ".asdf", ".bun", ".deno",
    ".sdkman", ".m2", ".gradle", ".dotnet", ".ghcup", ".stack", ".opam", ".elan", ".julia", ".juliaup", ".pixi", ".rye",
    ".npm-global", "go", "miniconda3", "anaconda3", "miniforge3", "mambaforge", ".conda",
)  # fmt: skip
"""Directories in a home that contain compilers and interpreters."""
_OPEN_DOTS = frozenset({Path(name).parts[0] for name in _TOOLCHAINS} | {".cache", ".rolecall", ".venv"})
"""Dot names directly in a home, below which a directory may be shown on request."""
_PREFIX_PARTS = ("bin", "sbin", "lib", "lib64", "libexec", "include", "share", "Cellar")
INSTALLED = (".venv", "venv", "env", "node_modules", ".tox", ".nox", "vendor", ".pixi", ".bundle",
             "bower_components")  # fmt: skip
"""Top-level directories of a checkout that contain what was installed for it, shown where they are not tracked."""
_VENVS = frozenset({".venv", "venv", "env"})
_SEARCH = Path(__file__).parents[1] / "repair"
"""Our own program that runs inside, wherever rolecall is installed."""


@dataclass(frozen=True, slots=True)
class HostPaths:
    """The paths that decide everything, all real paths except the home as the user names it."""

    root: Path
    """The worktree."""
    repo: Path
    """The user's checkout."""
    home: Path
    """As the environment names it; `/` where there is none to hide."""

    @property
    def homes(self) -> tuple[Path, ...]:
        """The home under each of its names."""
        return tuple(dict.fromkeys((self.home, self.home.resolve())))

    @property
    def has_home(self) -> bool:
        """Whether there is a home to hide, and not the worktree or the whole machine."""
        return self.home.is_absolute() and self.home != Path("/") and self.root != self.home.resolve()

    def may_show(self, folder: Path) -> bool:
        """Whether a directory may be shown on request: never a parent of home, checkout or worktree, nor a private
        one."""
        private = (*self.homes, self.repo, self.root)
        if any(place.is_relative_to(folder) for place in private):
            return False
        if folder.is_relative_to(self.repo):
            top = folder.relative_to(self.repo).parts[0]
            return folder == _SEARCH or top in INSTALLED or _is_environment(folder)
        for home in self.homes if self.has_home else ():
            if folder.is_relative_to(home):
                first = folder.relative_to(home).parts[0]
                return not first.startswith(".") or first in _OPEN_DOTS
        return True


def shown_folders(scene: HostPaths, readable: Sequence[Path], tracked: Iterable[str]) -> tuple[Path, ...]:
    """What is visible besides the system, read-only: toolchains and what was requested; blocking.

    Args:
        scene: The host paths.
        readable: Directories that were requested.
        tracked: Top-level directories of the checkout that are its own code; the worktree has them too.
    """
    toolchains = [scene.home / name for name in _TOOLCHAINS] if scene.has_home else []
    wanted = [*toolchains, *_on_path(scene), _SEARCH, *readable, *_installed(scene.repo, frozenset(tracked))]
    shown: list[Path] = []
    for folder in sorted({name for place in wanted for name in (place, _real(place))}, key=lambda it: len(it.parts)):
        if not folder.is_absolute() or not _is_folder(folder):
            continue
        # Under the name of a toolchain a link may lead to anything of the user's.
        if not (scene.may_show(folder) and scene.may_show(_real(folder))):
            continue
        # What lies in a folder of the system is seen already, unless a cover lies over it.
        covered = folder.is_relative_to(scene.repo) or any(folder.is_relative_to(home) for home in scene.homes)
        if set(folder.parts[1:2]) & set(SYSTEM) and not covered:
            continue
        if folder.is_relative_to(scene.root) or any(folder.is_relative_to(other) for other in shown):
            continue
        shown.append(folder)
    return tuple(shown)


def _real(place: Path) -> Path:
    """The real path of a directory; a circular link stays as it is and does not count as one."""
    return Path(os.path.realpath(place))


def _on_path(scene: HostPaths) -> Iterator[Path]:
    for entry in map(Path, os.get_exec_path()):
        if entry.is_relative_to(scene.repo):
            # The worktree has its own copy; a venv there is shown as what it is.
            continue
        yield entry
        if entry.name in {"bin", "sbin"} and not any(entry.is_relative_to(home) for home in scene.homes):
            yield from (entry.parent / part for part in _PREFIX_PARTS)


def _installed(repo: Path, tracked: frozenset[str]) -> Iterator[Path]:
    for name in INSTALLED:
        folder = repo / name
        if name in tracked or folder.is_symlink() or not _is_folder(folder):
            continue
        if name not in _VENVS or _is_environment(folder):
            yield folder


def _is_folder(place: Path) -> bool:
    """Whether there is a directory that this user can access."""
    return os.access(place, os.R_OK | os.X_OK) and place.is_dir()


def _is_environment(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir()
