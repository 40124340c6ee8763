"""The names `python`, `python3` and `pytest` on a command's PATH, all meaning the repository's own interpreter.
Owns a folder of small launchers in the run folder; many machines have a python3 and no python."""

import os
import shlex
from pathlib import Path

from tools.target_python import TargetPython


def write_launchers(folder: Path, target: TargetPython) -> dict[str, str]:
    """Write the launchers that are missing beside the interpreter; blocking, a few small files.

    Returns:
        The target's environment with a PATH on which the names mean its interpreter.
    """
    folder.mkdir(parents=True, exist_ok=True)
    python = Path(target.python)
    wanted = {"python": "", "python3": ""} | ({"pytest": " -m pytest"} if target.has_pytest else {})
    for name, arguments in wanted.items():
        launcher = folder / name
        text = f'#!/bin/sh\nexec {shlex.quote(str(python))}{arguments} "$@"\n'
        if not launcher.is_file() or launcher.read_text(encoding="utf-8") != text:
            launcher.write_text(text, encoding="utf-8")
            launcher.chmod(0o755)
    beside = [str(python.parent)] if python.is_absolute() else []
    path = [str(folder), *beside, target.env.get("PATH", os.defpath)]
    return target.env | {"PATH": os.pathsep.join(path)}
