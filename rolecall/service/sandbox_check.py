"""Which policy commands would run under here, tried for real: for the doctor."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ConfigError

if TYPE_CHECKING:
    from core.config.settings import SandboxSettings


async def sandbox_policy(settings: "SandboxSettings", top: Path | None) -> tuple[str, bool]:
    """The policy in one sentence, and whether a run may begin under it.

    Args:
        settings: What is wanted.
        top: The user's checkout; `None` outside of any.
    """
    from tools.sandbox.sandbox import SandboxPaths, open_sandbox

    with tempfile.TemporaryDirectory(prefix="rolecall-") as folder:
        root = Path(folder) / "worktree"
        root.mkdir()
        try:
            sandbox = await open_sandbox(settings, SandboxPaths(root, top or Path(folder)))
        except ConfigError as error:
            return f"no run can start: {error.message}; {error.hint}", False
    return sandbox.policy, True
