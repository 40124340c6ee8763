"""What the walls cost: milliseconds per command, bare, on the host policy, in plain bubblewrap and in the walls.

Prints medians; asserts nothing. The ways take turns, so that a busy machine is equally hard on all of them.
"""

import argparse
import asyncio
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from core.config.settings import SandboxSettings
from tools.processes.environment import user_environment
from tools.sandbox.bubblewrap import Bubblewrap
from tools.sandbox.sandbox import Sandbox, SandboxPaths, open_sandbox

COMMAND = ["/bin/sh", "-c", "true"]
_PLAIN = ["bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net",
          "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]  # fmt: skip
Run = Callable[[], Awaitable[None]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(Path(folder), options.runs))


async def _measure(folder: Path, runs: int) -> None:
    root = _repository(folder)
    host = await open_sandbox(SandboxSettings(mode="host"), SandboxPaths(root, root.parent))
    walls = await open_sandbox(SandboxSettings(mode="bubblewrap"), SandboxPaths(root, root.parent))
    assert isinstance(walls._wrapper, Bubblewrap)  # noqa: SLF001 - measured from inside
    ways: dict[str, Run] = {
        "bare": lambda: _spawn([*COMMAND], root),
        "host policy": lambda: _run(host),
        "plain bubblewrap": lambda: _spawn([*_PLAIN, "--bind", str(root), str(root), *COMMAND], root),
        "walls": lambda: _run(walls),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, run in ways.items():
            started = time.perf_counter()
            await run()
            times[name].append((time.perf_counter() - started) * 1000)
    bare = statistics.median(times["bare"])
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:<18} {median:7.1f} ms  {median - bare:+7.1f} ms  (least {min(found):.1f}, {len(found)} runs)")
    cost = statistics.median(times["walls"]) - statistics.median(times["plain bubblewrap"])
    print(f"the walls cost {cost:+.1f} ms over plain bubblewrap")


async def _spawn(argv: list[str], root: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=root, env=user_environment(), start_new_session=True, stdin=asyncio.subprocess.DEVNULL
    )
    if await process.wait() != 0:
        raise SystemExit(f"{argv[0]} does not work here")


async def _run(sandbox: Sandbox) -> None:
    process = await sandbox.spawn(COMMAND, stdin=asyncio.subprocess.DEVNULL)
    await process.communicate()
    if process.returncode != 0:
        raise SystemExit("the policy does not work here")


def _repository(folder: Path) -> Path:
    """A checkout with a worktree in it, as a run has them."""
    repo = folder / "repo"
    there = ["-C", str(repo), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q", str(repo)], [*there, "commit", "-q", "--allow-empty", "-m", "x"],
                      [*there, "worktree", "add", "-q", str(repo / "tree")]):  # fmt: skip
        subprocess.run(["git", *arguments], check=True)
    return repo / "tree"


if __name__ == "__main__":
    main()
