"""A pytest for interpreters that have none: pure-Python copies of rolecall's own, in a cache outside the repository.
Owns the cache directories; `target_python` decides which of them an interpreter needs."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet
from platformdirs import user_cache_path

_MODULES = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
_BEFORE_3_11 = ("exceptiongroup", "tomli", "typing_extensions")


@dataclass(frozen=True, slots=True)
class PytestBundle:
    """What can be lent to one interpreter."""

    folders: tuple[Path, ...]
    version: str
    problem: str = ""
    """Why nothing can be lent; empty when something is."""


def modules_for(version: tuple[int, int]) -> tuple[str, ...]:
    """Modules pytest needs on a Python version, each from the distribution of its name."""
    return _MODULES + (_BEFORE_3_11 if version < (3, 11) else ())


def install_bundle(version: tuple[int, int], present: Sequence[str]) -> PytestBundle:
    """Copy the parts of pytest that an interpreter lacks; blocking, a second at most, nothing if already done.

    Args:
        version: The interpreter's major and minor version.
        present: Modules the interpreter has, which then are not lent.
    """
    own = metadata.version("pytest")
    folders = []
    for distribution in modules_for(version):
        if distribution in present:
            continue
        problem = _unfit(distribution, version)
        if problem:
            return PytestBundle((), own, problem)
        folders.append(_copy(distribution, user_cache_path("rolecall") / "lent"))
    return PytestBundle(tuple(folders), own)


def _unfit(distribution: str, version: tuple[int, int]) -> str:
    try:
        needs = metadata.metadata(distribution)["Requires-Python"] or ""
    except metadata.PackageNotFoundError:
        return f"rolecall bundles no {distribution} for Python {version[0]}.{version[1]}"
    if SpecifierSet(needs).contains(f"{version[0]}.{version[1]}.99"):
        return ""
    return f"{distribution} as installed with rolecall needs Python {needs}"


def _copy(distribution: str, cache: Path) -> Path:
    installed = metadata.distribution(distribution)
    target = cache / f"{distribution}-{installed.version}"
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "lent"
        for file in installed.files or ():
            if file.suffix == ".py" and ".." not in file.parts:
                place = made / file
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(installed.locate_file(file)), place)
        _publish(made, target)
    return target


def _publish(made: Path, target: Path) -> None:
    """Move a finished directory into place; a second process keeps what the first one created."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise
