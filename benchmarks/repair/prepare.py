"""Red repositories from the corpus: pinned downloads, one venv per set of needs, a bug, a commit.

Owns everything on disk outside the repository (the cache). It judges nothing and runs no engine.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import platformdirs

from benchmarks.repair import corpus
from benchmarks.repair.corpus import Bug, Manifest, Package

CACHE = Path(platformdirs.user_cache_dir("rolecall-bench"))
_SKIP = shutil.ignore_patterns(".git", "__pycache__", "*.pyc", ".*_cache", "bugs.json")


def run(argv: list[str], cwd: Path, *, env: dict[str, str] | None = None) -> str:
    """Run a command to its end and return its output.

    Raises:
        RuntimeError: it ended with another code than 0; the text carries the tail of its output.
    """
    done = subprocess.run(argv, cwd=cwd, env=env, text=True, capture_output=True, check=False, timeout=600)
    if done.returncode:
        tail = (done.stdout + done.stderr)[-2000:]
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {tail}")
    return done.stdout


def fetch(package: Package, cache: Path) -> Path:
    """Return the unpacked source tree of a package, downloaded once and checked by its hash.

    Raises:
        RuntimeError: the archive that came is not the pinned one.
    """
    tree = cache / "trees" / f"{package.name}-{package.version}"
    if tree.is_dir():
        return tree
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
        pinned = f"{package.name}=={package.version}"
        run([*pip, "--no-deps", "--no-binary", package.name, pinned], Path(scratch))
        archive = next(Path(scratch).glob("*.tar.gz"))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != package.sha256:
            raise RuntimeError(f"{archive.name} has sha256 {digest}, pinned is {package.sha256}")
        with tarfile.open(archive) as packed:
            packed.extractall(scratch, filter="data")
        unpacked = next(p for p in Path(scratch).iterdir() if p.is_dir())
        tree.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(unpacked, tree)
    return tree


def interpreter(requires: tuple[str, ...], cache: Path) -> Path:
    """Return the Python of a venv that holds pytest and `requires`, made once."""
    wanted = sorted({"pytest", *requires})
    tag = hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:10]
    venv = cache / "venvs" / tag
    python = venv / "bin" / "python"
    if not (venv / "ready").exists():
        shutil.rmtree(venv, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(venv)], Path.cwd())
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        run([*pip, *wanted], Path.cwd())
        (venv / "ready").write_text("\n".join(wanted), encoding="utf-8")
    return python


def environment(python: Path, pythonpath: str = "") -> dict[str, str]:
    """Return the environment of a person who works in the program's venv."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    env["PATH"] = f"{python.parent}{os.pathsep}{env.get('PATH', '')}"
    env["VIRTUAL_ENV"] = str(python.parent.parent)
    if pythonpath:
        env["PYTHONPATH"] = pythonpath
    return env


def materialise(
    bug: Bug, manifest: Manifest, cache: Path, dest: Path, folder: Path = corpus.HERE
) -> tuple[Path, Package]:
    """Write the program with the bug as a committed git repository at `dest`.

    `folder` holds the corpus the bug is from.

    Returns:
        The interpreter that runs its tests, and the package (a made-up one for our own programs).
    """
    package = package_of(bug, manifest)
    tree = fetch(package, cache) if bug.kind == "mutated" else corpus.home(bug, folder)
    shutil.copytree(tree, dest, ignore=_SKIP)
    bug.write(dest)
    commit_all(dest)
    return interpreter(package.requires, cache), package


def package_of(bug: Bug, manifest: Manifest) -> Package:
    """Return the package a bug lives in."""
    if bug.kind != "mutated":
        return Package(name=bug.program, version="0", sha256="", sources=(".",))
    return next(p for p in manifest.packages if p.name == bug.program)


def commit_all(root: Path) -> None:
    """Make `root` a git repository with one commit that holds everything."""
    who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    run(["git", "init", "-q", "-b", "main"], root)
    (root / ".git" / "info" / "exclude").write_text("__pycache__/\n", encoding="utf-8")
    run(["git", "add", "-A", "-f"], root)
    run(["git", *who, "-c", "commit.gpgsign=false", "commit", "-q", "-m", "State"], root)


def main() -> None:
    """Fill the cache, or write one red repository to look at."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for downloads and venvs")
    parser.add_argument("--corpus", type=Path, default=corpus.HERE, help="folder with mutated.json and handmade/")
    parser.add_argument("--bug", help="id of a bug to write as a repository")
    parser.add_argument("--dest", type=Path, help="where that repository goes; must not exist")
    options = parser.parse_args()
    manifest = corpus.load_manifest(options.corpus / "mutated.json")
    if not options.bug:
        for package in manifest.packages:
            print(fetch(package, options.cache), interpreter(package.requires, options.cache))
        return
    bugs = (
        *manifest.bugs,
        *corpus.load_handmade(options.corpus / "handmade"),
        *corpus.load_hard(options.corpus / "hard"),
    )
    bug = next((b for b in bugs if b.id == options.bug), None)
    if bug is None or options.dest is None:
        parser.error("--bug needs a known id and --dest")
    python, _ = materialise(bug, manifest, options.cache, options.dest, options.corpus)
    print(options.dest, python)


if __name__ == "__main__":
    main()
