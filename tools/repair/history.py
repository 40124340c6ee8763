"""The texts that the sources of a repository had before, as git has them.

Owns the two calls of git. The search compares them with the files of today.
"""

import contextlib
from pathlib import Path

from core.errors import RepositoryError
from core.secret_files import SecretFiles
from tools.git.command import Git

MOST_COMMITS, MOST_TEXTS, MOST_BYTES = 20, 40, 2_000_000
LIMIT_S = 5.0


async def earlier_texts(root: Path) -> dict[str, list[str]]:
    """Return by path the texts that recently changed sources had before, the newest first.

    Nothing where the folder is not the top of a repository, or git takes too long.
    """
    with contextlib.suppress(RepositoryError):
        git, hidden = Git(root), SecretFiles()
        wanted = ("--format=", "--raw", "--no-abbrev", "--no-renames", "--diff-filter=M", "--", "*.py")
        log = await git.run("log", f"-{MOST_COMMITS}", *wanted, limit_s=LIMIT_S)
        blobs: dict[str, list[str]] = {}
        for line in log.split("\n"):
            fields, _, path = line.partition("\t")
            # The text a commit made may differ from the file of today, too.
            if len(fields.split()) == 5 and not hidden.hides(path):
                blobs.setdefault(path, []).extend(reversed(fields.split()[2:4]))
        names = list(dict.fromkeys(name for found in blobs.values() for name in found))[:MOST_TEXTS]
        texts = await _contents(git, names) if names else {}
        known = {path: [texts[name] for name in found if name in texts] for path, found in blobs.items()}
        return {path: list(dict.fromkeys(found)) for path, found in known.items()}
    return {}


async def _contents(git: Git, names: list[str]) -> dict[str, str]:
    done = await git.try_run("cat-file", "--batch", stdin="\n".join(names) + "\n", limit_s=LIMIT_S)
    data, texts, at = done.out.encode("utf-8", "surrogateescape"), {}, 0
    while at < min(len(data), MOST_BYTES):
        head, _, _ = data[at:].partition(b"\n")
        words = head.split()
        if len(words) != 3:
            break
        start, size = at + len(head) + 1, int(words[2])
        with contextlib.suppress(UnicodeDecodeError):
            texts[words[0].decode()] = data[start : start + size].decode("utf-8")
        at = start + size + 1
    return texts
