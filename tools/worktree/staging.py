"""How the files of a working tree become a git tree, new files included. Owns what counts as a file worth storing and
the calls that store it; no filter runs, and what cannot be stored is left out by name. Touches only the index file it
is given."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from core.errors import RepositoryError
from tools.git.command import LIMIT_S, Git, GitTimeoutError, IsolatedGit
from tools.git.location import owning_checkout
from tools.worktree.staging_rules import FILTERED, NESTED, SECRET_NAME, SECRET_TEXT, StagingRules

JUNK = (
    "/.rolecall/", "__pycache__/", "*.pyc", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".tox/", ".nox/",
    ".hypothesis/", ".coverage", ".venv/", "node_modules/", "*.egg-info/",
)  # fmt: skip
"""What runs leave behind; without a .gitignore it would otherwise be committed."""

GITLINK = "160000"
_CACHE_MARK = "CACHEDIR.TAG"
_EXCLUDES = tuple(part for pattern in JUNK for part in ("-x", pattern))
_INDEX_STATUS = ("diff-index", "--cached", "--raw", "--no-abbrev", "--no-renames", "-z")
_FILE_STATUS = (
    "ls-files", "-v", "--stage", "--modified", "--deleted", "--others", "--exclude-standard", *_EXCLUDES, "-z"
)  # fmt: skip
_MAX_REFUSED = 50
_LOOK_S = 10.0
"""Seconds after which a pipe in place of a file of patterns is looked for."""
_PATTERN_FILES = frozenset({".gitignore", ".gitattributes"})
_NOT_THE_FILE = (
    "index.lock", "No space left", "Read-only file system", "insufficient permission", "unable to create temporary",
    "unable to write", "object directory",
)  # fmt: skip
"""Complaints about the repository, not about the file that was to be stored."""


@dataclass(frozen=True, slots=True)
class StagingResult:
    """What became of a working tree."""

    tree: str
    left_out: dict[str, str] = field(default_factory=dict)
    """Files left in the tree as in the previous commit, or left out, each with the reason."""


@dataclass(slots=True)
class _Changes:
    modified: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)
    unmerged: bool = False
    staged: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Paths where the index differs from the commit: mode and object in the commit, and mode in the index."""


async def stage(
    git: IsolatedGit, commit: str, rules: StagingRules, *, index: Path, tree: str, keep_links: bool = False
) -> StagingResult:
    """Update an index to the current content of the working tree.

    Args:
        git: The working tree.
        commit: Where left-out files keep their version from.
        rules: What is left out.
        index: The index file.
        tree: That of the commit.
        keep_links: Submodules moved in the index stay so; otherwise they are as in the commit.

    Raises:
        GitTimeoutError: git took too long.
        RepositoryError: The index is unmerged, or the repository cannot be written.
    """
    changes = await _changes(git, commit, tree, index)
    if changes.unmerged:
        raise RepositoryError(
            f"{git.folder} is in the middle of a merge with conflicts",
            hint="resolve the conflicts and commit, or abort the merge with `git merge --abort`",
        )
    present = await asyncio.to_thread(_present, git.folder, changes)
    left_out = await asyncio.to_thread(rules.judge, git.folder, present)
    left_out |= await _filtered(git, [name for name in present if name not in left_out], rules, index)
    left_out |= await _secret(git, commit, [name for name in present if name not in left_out], rules)
    gone = [name for name in changes.gone if not rules.secret_files.hides(name)]
    if gone:
        await _fed(git, index, "--force-remove", gone)
    taken = [name for name in dict.fromkeys((*changes.modified, *changes.new)) if name not in left_out]
    left_out |= await _added(git, index, taken)
    await _put_back(git, index, changes, left_out, rules, keep_links=keep_links)
    left_out |= dict.fromkeys(changes.nested, NESTED)
    if not (gone or taken or changes.staged):
        return StagingResult(tree, left_out)
    written = await git.run("write-tree", "--missing-ok", index=index)
    await git.note_tree(index, written)
    return StagingResult(written, left_out)


async def tracked_and_new(git: Git) -> list[str]:
    """The files of the working tree as a developer sees them, sorted; those kept out of it are not among them."""
    isolated = await git.isolated()
    tagged = await isolated.names(
        "ls-files", "-t", "--cached", "--deleted", "--others", "--exclude-standard", *_EXCLUDES, "-z"
    )
    by_tag: dict[str, set[str]] = {}
    for entry in tagged:
        by_tag.setdefault(entry[0], set()).add(entry[2:])
    new = _worth_keeping(sorted(by_tag.get("?", ())))
    tracked = by_tag.get("H", set()) | by_tag.get("M", set())
    return sorted((tracked - by_tag.get("R", set())) | set(new))


@asynccontextmanager
async def scratch_index(source: Path | None) -> AsyncIterator[Path]:
    """A copy of an index, so that staging is quick and the index itself stays as it is; a new one for `None`."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="rolecall-index-"))
    try:
        index = folder / "index"
        if source is not None:
            with suppress(FileNotFoundError):
                await asyncio.to_thread(shutil.copy2, source, index)
        yield index
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _changes(git: IsolatedGit, commit: str, tree: str, index: Path) -> _Changes:
    try:
        return await _looked(git, commit, tree, index, limit_s=_LOOK_S)
    except GitTimeoutError:
        if owning_checkout(git.folder) is None:
            raise
        # A pipe named .gitignore, which a command made, holds git for ever.
        await asyncio.to_thread(_without_pipes, git.folder)
        return await _looked(git, commit, tree, index)


async def _looked(git: IsolatedGit, commit: str, tree: str, index: Path, limit_s: float = LIMIT_S) -> _Changes:
    listed, staged = await asyncio.gather(
        git.names(*_FILE_STATUS, index=index, limit_s=limit_s), _staged(git, commit, tree, index, limit_s)
    )
    return await asyncio.to_thread(_sorted, git.folder, listed, staged)


async def _staged(
    git: IsolatedGit, commit: str, tree: str, index: Path, limit_s: float
) -> dict[str, tuple[str, str, str]]:
    """How an index differs from a commit; git is not asked again about an index it compared or wrote before."""
    if await git.tree_of(index) == tree:
        return {}
    parts = (await git.run(*_INDEX_STATUS, commit, index=index, limit_s=limit_s)).split("\0")
    found = {}
    for raw, name in zip(parts[::2], parts[1::2], strict=False):
        before, now, old, _, _ = raw.removeprefix(":").split(" ")
        found[name] = (before, old, now)
    if not found:
        await git.note_tree(index, tree)
    return found


def _sorted(folder: Path, listed: Sequence[str], staged: dict[str, tuple[str, str, str]]) -> _Changes:
    """What `_FILE_STATUS` lists, by what happened to it. Lower-case marks: git is to treat the file as unchanged."""
    others = [entry[2:] for entry in listed if entry[0] == "?"]
    names = {mark: [entry.partition("\t")[2] for entry in listed if entry[0] == mark and entry[2:8] != GITLINK]
             for mark in "RC"}  # fmt: skip
    links = tuple(f"{name}/" for name in others if (folder / name).is_symlink())
    hidden = [name for entry in listed if links and entry[0] in "HC"
              and (name := entry.partition("\t")[2]).startswith(links)]  # fmt: skip
    gone = dict.fromkeys((*names["R"], *hidden, *(name for name in names["C"] if _replaced(folder, name))))
    return _Changes(
        modified=[name for name in names["C"] if name not in gone],
        gone=list(gone),
        new=_worth_keeping(others),
        nested=[name for name in others if name.endswith("/")],
        unmerged=any(entry[0] in "Mm" for entry in listed),
        staged=staged,
    )


def _replaced(folder: Path, name: str) -> bool:
    """Whether a directory has replaced a file, or a link one of its parent directories."""
    path = folder / name
    if path.is_dir() and not path.is_symlink():
        return not (path / ".git").exists()
    return any((folder / parent).is_symlink() for parent in list(PurePosixPath(name).parents)[:-1])


def _worth_keeping(listed: Sequence[str]) -> list[str]:
    # The mark that builders and caches leave in folders nobody needs to keep, such as cargo's target.
    caches = tuple(name.removesuffix(_CACHE_MARK) for name in listed if name.endswith(f"/{_CACHE_MARK}"))
    return [name for name in listed if not name.endswith("/") and not name.startswith(caches)]


def _present(folder: Path, changes: _Changes) -> list[str]:
    """What is to be judged: changed, new, and only in the index, if it exists."""
    gone, sure = set(changes.gone), set(changes.modified)
    staged = [name for name, (before, _, now) in changes.staged.items() if GITLINK not in (before, now)]
    names = dict.fromkeys((*changes.modified, *changes.new, *(name for name in staged if name not in gone)))
    return [name for name in names if name in sure or os.path.lexists(folder / name)]


async def _filtered(git: IsolatedGit, names: Sequence[str], rules: StagingRules, index: Path) -> dict[str, str]:
    """Files of a filter that would run, were it ours. Of the thread's work only where git itself insists on it."""
    filters = (await git.config()).filters()
    active = {name for name, required in filters.items() if required or not rules.known_only}
    if not names or not active:
        return {}
    attributes = await attributes_of(git, names, "filter", index=index)
    return {name: FILTERED for name in names if attributes.get((name, "filter")) in active}


async def attributes_of(
    git: IsolatedGit, names: Iterable[str], *attributes: str, index: Path | None = None, cached: bool = False
) -> dict[tuple[str, str], str]:
    """Attributes of paths, by path and attribute.

    Args:
        git: The working tree.
        names: The paths.
        attributes: Their names.
        index: Another index file.
        cached: Read `.gitattributes` from the index only.
    """
    source = ("--cached",) if cached else ()
    fed = "".join(f"{name}\0" for name in names)
    out = await git.try_run("check-attr", *source, "-z", "--stdin", *attributes, stdin=fed, index=index)
    words = out.out.split("\0")
    return {(path, name): value for path, name, value in zip(words[::3], words[1::3], words[2::3], strict=False)}


async def _secret(git: IsolatedGit, commit: str, names: Sequence[str], rules: StagingRules) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, secrets in (await asyncio.to_thread(_holding, git.folder, names, rules)).items():
        # What was committed before is no news.
        before = await git.try_run("cat-file", "blob", f"{commit}:{name}")
        if secrets - (rules.secrets_of(before.out) if before.code == 0 else frozenset()):
            found[name] = SECRET_TEXT
    return found


def _holding(folder: Path, names: Sequence[str], rules: StagingRules) -> dict[str, frozenset[str]]:
    return {name: secrets for name in names if (secrets := rules.secrets_in(folder / name, name))}


async def _fed(git: IsolatedGit, index: Path, how: str, names: Sequence[str]) -> str:
    """Pass names to `update-index`; returns its complaint, empty when all went well."""
    done = await git.try_run(
        "update-index", how, "-z", "--stdin", stdin="".join(f"{name}\0" for name in names), index=index
    )
    if done.code == 0:
        return ""
    if any(word in done.err for word in _NOT_THE_FILE):
        raise RepositoryError(
            f"git could not store the files of {git.folder}: {done.reason}",
            hint="check that the disk has free space and that the .git directory is writable, then run the "
            "command again",
        )
    lines = [line for line in done.err.splitlines() if line.strip()]
    return lines[0].removeprefix("error: ").removeprefix("fatal: ") if lines else f"exit code {done.code}"


async def _added(git: IsolatedGit, index: Path, names: Sequence[str]) -> dict[str, str]:
    """Store files; those git refuses are found by bisection, and returned with the reason."""
    refused: dict[str, str] = {}
    waiting = [list(names)] if names else []
    while waiting:
        batch = waiting.pop()
        complaint = await _fed(git, index, "--add", batch)
        if complaint and len(batch) == 1:
            refused[batch[0]] = f"cannot be stored ({complaint})"
            if len(refused) > _MAX_REFUSED:
                raise RepositoryError(f"git could not store the files of {git.folder}: {complaint}")
        elif complaint:
            waiting += [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
    return refused


async def _put_back(
    git: IsolatedGit, index: Path, changes: _Changes, left_out: dict[str, str], rules: StagingRules, *, keep_links: bool
) -> None:
    """Paths of the index that must be as in the commit: left out, secret, or submodules."""
    lines = []
    for name, (before, old, now) in changes.staged.items():
        link = GITLINK in (before, now) and not keep_links
        if name in left_out or rules.secret_files.hides(name) or link:
            lines.append(f"{before if old.strip('0') else '0'} {old}\t{name}\0")
            if link or rules.secret_files.hides(name):
                left_out.setdefault(name, NESTED if link else SECRET_NAME)
    if lines:
        await git.run("update-index", "-z", "--index-info", stdin="".join(lines), index=index)


def _without_pipes(folder: Path) -> None:
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for name in _PATTERN_FILES.intersection(files):
            if (Path(top) / name).is_fifo():
                (Path(top) / name).unlink()
