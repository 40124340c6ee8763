"""The command `demo`: the whole job on a small broken repository, with no model and no network."""

import argparse
import asyncio
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from core.errors import RepositoryError, RolecallError, UsageError
from core.storage.layout import FOLDER, RepoLayout
from rolecall.invocation import Invocation

TASK = "Make the failing tests pass"
_HERE = Path(__file__).resolve()
_EXAMPLES = (_HERE.parents[2] / "examples" / "inventory", _HERE.parents[1] / "example")
"""In a clone, and where a wheel puts it."""
_NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*_cache", ".benchmarks")


class DemoError(RolecallError):
    """The demonstration did not do what it should."""

    code = "demo"


def demo(options: argparse.Namespace, invocation: Invocation) -> int:
    """Copy the example, repair it, and show that the copy's own checkout was not touched."""
    folder = _place(options.dir)
    return asyncio.run(_demo(folder, options, invocation))


def _place(wanted: Path | None) -> Path:
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="rolecall-demo-")) / "inventory"
    folder = wanted.expanduser().resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} already exists and is not empty", hint="give a new directory with --dir")
    return folder


async def _demo(folder: Path, options: argparse.Namespace, invocation: Invocation) -> int:
    from core.config.settings import Settings
    from rolecall.service.runs import StartRequest
    from rolecall.terminal.terminal_run import drive

    await make_example_repository(folder)
    invocation.repo = str(folder)
    print(f"created a broken repository in {folder}", file=sys.stderr)
    before = await asyncio.to_thread(fingerprint, folder)
    # The user's own configuration stays out of it: this must run anywhere.
    request = StartRequest(task=TASK, repo=folder, settings=Settings(), approve_all=True)
    code = await drive(request, invocation, quiet=options.quiet)
    if await asyncio.to_thread(fingerprint, folder) != before:
        raise DemoError(f"the checkout in {folder} was changed by the run")
    if not options.json:
        await asyncio.to_thread(_show_patch, folder, invocation.thread)
    return code


def _show_patch(folder: Path, thread: str) -> None:
    file = RepoLayout(folder).run(thread).diff
    patch = file.read_text(encoding="utf-8", errors="surrogateescape") if file.is_file() else ""
    if patch:
        print(f"\n{patch}", end="")
    print(f"the checkout in {folder} is unchanged: the patch is only on the branch", file=sys.stderr)


async def make_example_repository(folder: Path) -> None:
    """Put the demo's broken repository into a directory.

    Raises:
        RepositoryError: The example is not installed.
    """
    from tools.git.command import Git

    example = next((path for path in _EXAMPLES if path.is_dir()), None)
    if example is None:
        raise RepositoryError("the demo's example is not installed", hint="run it in a clone of rolecall")
    await asyncio.to_thread(shutil.copytree, example, folder, ignore=_NOT_COPIED, dirs_exist_ok=True)
    git = Git(folder)
    await git.run("init", "--quiet", "--initial-branch=main")
    await git.run("add", "--all")
    await git.run("-c", "user.name=demo", "-c", "user.email=demo@localhost", "commit", "--quiet", "-m", "Inventory")


def fingerprint(folder: Path) -> str:
    """A digest of all files of a checkout, including index and HEAD, without rolecall's own directory."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        inside = path.relative_to(folder)
        if inside.parts[0] == FOLDER or (inside.parts[0] == ".git" and str(inside) not in {".git/index", ".git/HEAD"}):
            continue
        digest.update(str(inside).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
