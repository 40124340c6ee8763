"""Whether a patch is right: does the program equal the original, or did a reader say so.

Owns the fresh run of all tests on the patched program and the book of verdicts. Passing the tests
alone never counts as correct.
"""

import ast
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.repair.corpus import HERE, Bug

VERDICTS = HERE / "verdicts.json"
TESTS_LIMIT_S = 90.0

Judgement = Literal["restored", "correct", "wrong", "unread", "implausible", "none"]
Book = dict[str, dict[str, dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Bench:
    """A repository with a bug in it and what runs its tests."""

    root: Path
    python: Path
    env: dict[str, str]


def fingerprint(diff: str) -> str:
    """Return a short hash of the lines a diff takes and gives, wherever they stand."""
    kept = [
        line.rstrip()
        for line in diff.splitlines()
        if line.startswith(("+", "-")) and not line.startswith(("+++ ", "--- "))
    ]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:12]


def load_verdicts(path: Path = VERDICTS) -> Book:
    """Read what people judged: bug id, then fingerprint, then verdict and reason."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def judge(bug: Bug, diff: str, bench: Bench, verdicts: Book) -> Judgement:
    """Judge one patch; the tests run only where the text alone does not decide."""
    if not diff:
        return "none"
    with tempfile.TemporaryDirectory() as scratch:
        patched = Path(scratch) / "patched"
        shutil.copytree(bench.root, patched, ignore=shutil.ignore_patterns(".rolecall"))
        if not apply(diff, patched):
            return "implausible"
        if restored(bug, bench.root, patched):
            return "restored"
        if not passes(Bench(patched, bench.python, bench.env)):
            return "implausible"
    read = verdicts.get(bug.id, {}).get(fingerprint(diff))
    if read is None:
        return "unread"
    return "correct" if read["verdict"] == "correct" else "wrong"


def apply(diff: str, root: Path) -> bool:
    """Apply a unified diff to a repository; whether git could."""
    argv = ["git", "apply", "--whitespace=nowarn", "-"]
    text = diff if diff.endswith("\n") else diff + "\n"
    return not subprocess.run(argv, cwd=root, input=text.encode(), capture_output=True, check=False).returncode


def restored(bug: Bug, red: Path, patched: Path) -> bool:
    """Whether the patch gives the original program back and touches nothing else."""
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=patched,
        text=True,
        capture_output=True,
        check=True,
    ).stdout.splitlines()
    originals = bug.originals(red)
    if sorted(line[3:] for line in changed) != sorted(originals):
        return False
    return all(_same_program(text, (patched / path).read_bytes()) for path, text in originals.items())


def _same_program(text: str, patched: bytes) -> bool:
    try:
        return ast.dump(ast.parse(text)) == ast.dump(ast.parse(patched))
    except SyntaxError:
        return False


def passes(bench: Bench) -> bool:
    """Whether all tests pass in a fresh interpreter."""
    process = subprocess.Popen(
        [str(bench.python), "-m", "pytest", "-q", "-x", "--tb=no", "-p", "no:cacheprovider"],
        cwd=bench.root,
        env={**bench.env, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(TESTS_LIMIT_S) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
