"""The interpreter of the target repository and the environment it runs the worktree's code with. Owns the search
for it; never gives the target rolecall's own interpreter environment."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from core.errors import ConfigError
from tools.files.untrusted_files import read_untrusted
from tools.processes.environment import in_own_venv, user_environment
from tools.sandbox.sandbox import Sandbox
from tools.target.bundled_pytest import install_bundle, modules_for
from tools.target.interpreter_probe import InterpreterProbe
from tools.target.python_shims import write_launchers

_MANAGERS = (
    ("poetry.lock", ("poetry", "env", "info", "--executable")),
    ("Pipfile", ("pipenv", "--py")),
    ("pdm.lock", ("pdm", "info", "--python")),
)
"""Environment managers that keep interpreters outside the repository: a file of theirs, and how they are asked."""
_MANAGER_TIMEOUT_S = 20
_PROBE_TIMEOUT_S = 30
_PROBE = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import importlib.util, json
def there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
maps = [getattr(sys.modules.get(getattr(f, "__module__", "")), "MAPPING", {}) for f in sys.meta_path]
names = sys.argv[1].split(",")
json.dump({"python": sys.executable, "version": list(sys.version_info[:2]),
           "prefix": sys.prefix, "base": sys.base_prefix,
           "present": [n for n in names if there(n)], "path": sys.path,
           "mapped": [p for m in maps if isinstance(m, dict) for p in m.values()]}, sys.stdout)
"""
"""Run by the target, so it is plain Python of any version. The repository, where it runs as version managers
look there, must not shadow the standard library. MAPPING is where setuptools keeps editable packages."""


@dataclass(frozen=True, slots=True)
class TargetPython:
    """An interpreter that runs the repository's code."""

    python: str
    env: dict[str, str] = field(default_factory=dict)
    """The whole environment: the user's, without secrets, with the worktree's code and its own programs first."""
    has_pytest: bool = False
    """With or without a loan."""
    note: str = ""
    """A note for the user about the choice; empty when there is nothing to say."""
    readable: tuple[Path, ...] = ()
    """Directories a sandbox must leave readable for it."""


class _Told(BaseModel):
    """What an interpreter says about itself."""

    python: str
    version: tuple[int, int]
    prefix: str
    base: str
    present: list[str] = Field(max_length=100)
    path: list[str] = Field(max_length=1000)
    mapped: list[str] = Field(max_length=10_000)


@dataclass(frozen=True, slots=True)
class _Probed:
    """An interpreter that runs, and what of its words is believed."""

    python: str
    told: _Told
    readable: tuple[Path, ...]
    code: tuple[Path, ...]
    """Places of the checkout that it imports from."""


async def find_target_python(sandbox: Sandbox, configured: str = "") -> TargetPython:
    """Choose the interpreter of a repository: configured, its own venv, that of its manager, the active, the PATH.

    Args:
        sandbox: Where interpreters are probed. Without bubblewrap, those that came with the repository are skipped.
        configured: The setting `checks.python`; a relative path starts at the checkout.

    Raises:
        ConfigError: The configured interpreter does not run.
    """
    # An ignored venv lies in the checkout; the code of the worktree must win over what is installed.
    repo, root, look = sandbox.repo, sandbox.root, InterpreterProbe(sandbox)
    if configured:
        python = await asyncio.to_thread(shutil.which, configured) or str(repo / configured)
        probed = await _probe(python, repo, look)
        if probed is None:
            raise ConfigError(
                f"checks.python names {configured}, which does not run",
                hint="give the path of a Python interpreter, or leave checks.python empty",
            )
        return await _settle(probed, repo, root, "")
    passed: list[str] = []
    async for python in _candidates(repo, look):
        refusal = await look.refusal(python)
        probed = None if refusal else await _probe(python, repo, look)
        if probed is not None:
            note = f"{passed[0]}; using {python}" if passed else ""
            return await _settle(probed, repo, root, note)
        passed.append(f"{python} {refusal or 'does not run'}")
    return TargetPython("python3", user_environment(), note="no Python interpreter was found for the repository")


async def _candidates(repo: Path, look: InterpreterProbe) -> AsyncIterator[str]:
    for name in (".venv", "venv", "env"):
        for python in _in_prefix(repo / name):
            yield python
    async for python in _managed(repo, look):
        yield python
    for python in await asyncio.to_thread(lambda: list(_outside())):
        yield python


async def _managed(repo: Path, look: InterpreterProbe) -> AsyncIterator[str]:
    """Interpreters of the managers whose files the repository contains and whose program is installed."""
    if not look.walled and await asyncio.to_thread(_brings_plugins, repo):
        return
    env = user_environment()
    for mark, argv in _MANAGERS:
        program = await asyncio.to_thread(shutil.which, argv[0], path=env["PATH"]) if (repo / mark).is_file() else None
        said = await look.ask([program, *argv[1:]], _MANAGER_TIMEOUT_S) if program else None
        lines = (said or b"").decode("utf-8", "replace").strip().splitlines()
        if lines:
            yield lines[-1].strip()


def _brings_plugins(repo: Path) -> bool:
    """Whether the repository has code that a manager would run to answer."""
    project = read_untrusted(repo, "pyproject.toml", max_bytes=1_000_000)
    return (repo / ".pdm-plugins").exists() or b"requires-plugins" in (project or b"")


def _outside() -> Iterator[str]:
    environ = user_environment()
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if environ.get(variable):
            yield from _in_prefix(Path(environ[variable]))
    for name in ("python3", "python"):
        found = shutil.which(name, path=environ["PATH"])
        if found:
            yield found
    # Last: the interpreter our venv was made from, which knows nothing of the venv.
    yield from _in_prefix(Path(sys.base_prefix))


def _in_prefix(prefix: Path) -> Iterator[str]:
    for name in ("bin/python", "bin/python3", "Scripts/python.exe"):
        if (prefix / name).is_symlink() or (prefix / name).exists():
            yield str(prefix / name)
            return


async def _probe(python: str, repo: Path, look: InterpreterProbe) -> _Probed | None:
    """What an interpreter is and has; `None` when it does not run.

    What it says decides what commands may read, and it may be a program of the repository: directories count only if
    they are its own, and paths of code only inside the checkout.
    """
    out = await look.ask([python, "-c", _PROBE, ",".join(modules_for((3, 0)))], _PROBE_TIMEOUT_S)
    try:
        told = _Told.model_validate_json(out or b"")
    except ValidationError:
        return None
    prefix = Path(told.prefix)
    shown = [prefix, Path(told.base), *await asyncio.to_thread(look.prefixes_of, python)]
    folders = [folder for folder in dict.fromkeys(shown) if await asyncio.to_thread(look.may_be_shown, folder, python)]
    places = [Path(path) for path in (*told.path, *(str(Path(path).parent) for path in told.mapped)) if path]
    code = [path for path in places
            if path.is_relative_to(repo) and ".." not in path.parts and not path.is_relative_to(prefix)]  # fmt: skip
    own = Path(told.python).is_absolute() and await asyncio.to_thread(Path(told.python).is_file)
    return _Probed(told.python if own else python, told, tuple(folders), tuple(code))


async def _settle(probed: _Probed, repo: Path, root: Path, note: str) -> TargetPython:
    env = user_environment()
    paths = [str(path) for path in _code_of(root, repo, probed)]
    given = [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry]
    paths += [str(_moved(Path(entry), repo, root)) for entry in given]
    has_pytest, lent = "pytest" in probed.told.present, False
    notes = [note] if note else []
    concerned = await asyncio.to_thread(_holds_python, root)
    readable = [prefix for prefix in probed.readable if prefix != Path("/usr")]
    if not has_pytest:
        loan = await asyncio.to_thread(install_bundle, probed.told.version, probed.told.present)
        lent = has_pytest = not loan.problem
        paths += [str(folder) for folder in loan.folders]
        readable += loan.folders
        told = f"so rolecall uses its own copy {loan.version}" if lent else f"and {loan.problem}"
        notes += [f"the repository's python ({probed.python}) has no pytest, {told}"] if concerned else []
    launchers = await asyncio.to_thread(write_launchers, probed.python, pytest=has_pytest)
    readable.append(launchers)
    env["PATH"] = os.pathsep.join([str(launchers), str(Path(probed.python).parent), env["PATH"]])
    env |= {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    prefix = Path(probed.told.prefix)
    if prefix != Path(probed.told.base) and not (in_own_venv() and prefix == Path(sys.prefix)):
        env["VIRTUAL_ENV"] = str(prefix)
    return TargetPython(probed.python, env, has_pytest, "; ".join(notes), tuple(dict.fromkeys(readable)))


def _holds_python(root: Path) -> bool:
    """Whether this is a Python project, judging by the top levels."""
    return any(next(root.glob(pattern), None) for pattern in ("*.py", "*/*.py", "*/*/*.py"))


def _code_of(root: Path, repo: Path, probed: _Probed) -> Iterator[Path]:
    """Where the worktree's importable code is: it must come before what an editable install points to."""
    if (root / "src").is_dir():
        yield root / "src"
    yield root
    for place in probed.code:
        yield _moved(place, repo, root)


def _moved(path: Path, repo: Path, root: Path) -> Path:
    """The same place in the worktree, for a path inside the user's checkout."""
    if path.is_relative_to(root) or not path.is_relative_to(repo):
        return path
    return root / path.relative_to(repo)
