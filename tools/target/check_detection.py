"""Which checks a repository has, judging by its files. Pure: reads only names and small configuration files."""

import json
import re
import shlex
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tools.files.untrusted_files import read_untrusted

PYTEST = "python -m pytest -q"
UNITTEST = "python -m unittest discover"
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")
_LOOSE_TEST_FILE = re.compile(r"(^|/)tests?[^/]*\.py$")
_NPM_EMPTY = "no test specified"
_MAKE_TEST = re.compile(r"^(test|check)\s*:(?!=)", re.MULTILINE)
_MAX_READ = 1_000_000


def detect_checks(root: Path, files: Sequence[str], *, has_pytest: bool) -> tuple[str, ...]:
    """Commands that check the repository, as a person would type them; empty when none is recognized.

    Args:
        root: The worktree.
        files: Its files, relative.
        has_pytest: Whether the repository's interpreter can run pytest.
    """
    names = set(files)
    found = [check for check in (
        _python(root, files, has_pytest=has_pytest), _npm(root, names), "cargo test" if "Cargo.toml" in names else "",
        "go test ./..." if "go.mod" in names else "",
    ) if check]  # fmt: skip
    return tuple(found) or tuple(check for check in (_runner(names), _make(root, names)) if check)[:1]


def _python(root: Path, files: Sequence[str], *, has_pytest: bool) -> str:
    tests = [name for name in files if _TEST_FILE.search(name)]
    if has_pytest and (_configures_pytest(root) or tests):
        return PYTEST if tests or _mentions_other_patterns(root) else ""
    loose = tests or [name for name in files if _LOOSE_TEST_FILE.search(name)]
    return _unittest(root, loose)


def _unittest(root: Path, tests: Sequence[str]) -> str:
    cases = [name for name in tests if "unittest" in _read(root, name)]
    if not cases:
        return ""
    folders = {name.rpartition("/")[0] for name in cases}
    start = f" -s {shlex.quote(min(folders, key=len))}" if "" not in folders else ""
    pattern = "" if all(Path(name).name.startswith("test") for name in cases) else " -p '*test*.py'"
    return f"{UNITTEST}{start}{pattern}"


def _configures_pytest(root: Path) -> bool:
    if any((root / name).is_file() for name in ("pytest.ini", ".pytest.ini", "pytest.toml", "conftest.py")):
        return True
    if "[tool:pytest]" in _read(root, "setup.cfg") or "[pytest]" in _read(root, "tox.ini"):
        return True
    try:
        tables = tomllib.loads(_read(root, "pyproject.toml")).get("tool")
    except (tomllib.TOMLDecodeError, RecursionError):
        # A broken file says nothing about checks; the checks themselves will complain about it.
        return False
    return isinstance(tables, dict) and "pytest" in tables


def _mentions_other_patterns(root: Path) -> bool:
    """Whether the configuration finds tests under custom names."""
    return any("python_files" in _read(root, name) or "doctest" in _read(root, name)
               for name in ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini"))  # fmt: skip


def _npm(root: Path, names: set[str]) -> str:
    if "package.json" not in names:
        return ""
    try:
        package = json.loads(_read(root, "package.json"))
    except (ValueError, RecursionError):
        return ""
    scripts = package.get("scripts") if isinstance(package, dict) else None
    script = str(scripts.get("test", "")) if isinstance(scripts, dict) else ""
    return "npm test" if script.strip() and _NPM_EMPTY not in script else ""


def _runner(names: set[str]) -> str:
    if "noxfile.py" in names:
        return "nox"
    return "tox" if "tox.ini" in names else ""


def _make(root: Path, names: set[str]) -> str:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        target = _MAKE_TEST.search(_read(root, name)) if name in names else None
        if target:
            return f"make {target.group(1)}"
    return ""


def _read(root: Path, name: str) -> str:
    """A small file of the repository itself; empty for links, pipes and large files."""
    return (read_untrusted(root, name, max_bytes=_MAX_READ) or b"").decode("utf-8", "replace")
