"""The environment that programs of the repository get: the user's own, without secrets, without rolecall's venv and
without what colours output that no terminal shows. Reads the environment of this process when asked, never on
import."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

ORIGINAL_PYTHONPATH = "ROLECALL_ORIGINAL_PYTHONPATH"
"""Where the command line keeps the user's PYTHONPATH while it cleans its own."""

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|(^|_)(AUTH|PAT|PWD_HASH|COOKIE)(_|$)", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_DROPPED = ("ROLECALL_", "GIT_", "LANGCHAIN_", "LANGGRAPH_", "LANGSMITH_", "PYTHONHOME", "PYTHONSTARTUP", "BASH_ENV")
_AGENTS = ("SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST")
_COLOURED = ("FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "PYTEST_FORCE_COLOR", "MYPY_FORCE_COLOR", "TTY_COMPATIBLE")
"""CI services and notebooks set these; models and the parsers of check output are not helped by escape codes."""
_MAKING = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKE_TERMOUT", "MAKE_TERMERR")
"""Set where rolecall was started by a Makefile: a `make` of the repository is not a part of that one."""


def user_environment(source: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the user's shell as commands may see it.

    Args:
        source: The environment to start from; that of this process when `None`.
    """
    given = dict(os.environ if source is None else source)
    kept = {name: value for name, value in given.items() if not _is_private(name, value)}
    kept = {name: value for name, value in kept.items() if name not in (*_COLOURED, *_MAKING)}
    pythonpath = given.get(ORIGINAL_PYTHONPATH, given.get("PYTHONPATH", ""))
    kept.pop("PYTHONPATH", None)
    if pythonpath:
        kept["PYTHONPATH"] = pythonpath
    if _is_ours(given.get("VIRTUAL_ENV", "")):
        kept.pop("VIRTUAL_ENV", None)
    kept["PATH"] = os.pathsep.join(user_path(given.get("PATH", os.defpath)))
    # A pager or an editor would wait for a person who is not there.
    return kept | {"PAGER": "cat", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0", "EDITOR": "true"}


def user_path(path: str) -> list[str]:
    """The folders of a PATH without those of the venv rolecall runs in."""
    return [entry for entry in path.split(os.pathsep) if entry and not _is_ours(str(Path(entry).parent))]


def in_own_venv() -> bool:
    """Whether this process runs in a venv, which then is rolecall's and nobody else's."""
    return sys.prefix != sys.base_prefix


def _is_private(name: str, value: str) -> bool:
    if name.startswith(_DROPPED) or name in _AGENTS:
        return True
    return bool(_SECRET.search(name) or _PASSWORD_IN_URL.search(value))


def _is_ours(prefix: str) -> bool:
    if not prefix or not in_own_venv() or not Path(prefix).exists():
        return False
    one, other = Path(prefix).stat(), Path(sys.prefix).stat()
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
