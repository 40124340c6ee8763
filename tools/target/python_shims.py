"""The names `python`, `python3` and `pytest` on a command's PATH, all meaning the repository's own interpreter.
Owns small launchers in the user's cache; many machines have a python3 and no python."""

import hashlib
import shlex
import tempfile
from pathlib import Path

from platformdirs import user_cache_path


def write_launchers(python: str, *, pytest: bool) -> Path:
    """Write launchers for an interpreter; blocking, a few small files, nothing when they exist.

    Args:
        python: Path of the interpreter.
        pytest: Whether it can run pytest, bundled or its own.

    Returns:
        A directory to put first on the PATH.
    """
    wanted = {"python": "", "python3": ""} | ({"pytest": " -m pytest"} if pytest else {})
    texts = {name: f'#!/bin/sh\nexec {shlex.quote(python)}{rest} "$@"\n' for name, rest in wanted.items()}
    digest = hashlib.sha256("".join(texts.values()).encode()).hexdigest()[:16]
    folder = user_cache_path("rolecall") / "launchers" / digest
    if all((folder / name).is_file() for name in texts):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        for name, text in texts.items():
            place = Path(made) / name
            place.write_text(text, encoding="utf-8")
            place.chmod(0o755)
            folder.mkdir(exist_ok=True)
            place.replace(folder / name)
    return folder
