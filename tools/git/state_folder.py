"""Opens a repository's `.rolecall/`, or refuses it: it must be ours, and not tracked by the repository."""

import asyncio
from pathlib import Path

from core.errors import RepositoryError
from core.storage import ownership
from core.storage.layout import FOLDER, RepoLayout
from tools.git.command import Git
from tools.git.repository import exclude_rolecall


async def verified_layout(top: Path) -> RepoLayout:
    """rolecall's paths in a repository, once the directory is verified to be ours; it may be missing.

    Args:
        top: Top level of the checkout.

    Raises:
        RepositoryError: `.rolecall` is tracked by git, a link, another user's, or was not created by rolecall for this
            one. Nothing in it was read or written.
    """
    layout = RepoLayout(top)
    await require_untracked(layout)
    await asyncio.to_thread(ownership.require_ours, layout)
    return layout


async def ensure_layout(top: Path) -> RepoLayout:
    """rolecall's paths in a repository, with the directory created and hidden from git. Raises as `verified_layout`."""
    layout = await verified_layout(top)
    await exclude_rolecall(Git(top))
    await asyncio.to_thread(ownership.make_state_folder, layout)
    return layout


async def require_untracked(layout: RepoLayout) -> None:
    """Check that git tracks nothing of ours, in the index or in HEAD.

    Raises:
        RepositoryError: It does, under any case of the name.
    """
    git = Git(layout.repo)
    wanted = ("ls-files", "-z", "--cached")
    tracked = await git.try_run(*wanted, "--with-tree=HEAD", "--", f":(icase){FOLDER}")
    if tracked.code != 0:  # no commit yet
        tracked = await git.try_run(*wanted, "--", f":(icase){FOLDER}")
    if tracked.code != 0:
        raise RepositoryError(f"git cannot list the files of {layout.repo}: {tracked.reason}")
    if tracked.out:
        raise RepositoryError(
            f"the repository {layout.repo} tracks {FOLDER}, where rolecall stores its own data, so nothing "
            "in it is used",
            hint=f"if you trust who sent it: git rm -r --cached {FOLDER} && git commit, then delete the directory",
        )
