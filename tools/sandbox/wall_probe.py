"""Tests the sandbox before anything relies on it: a run inside tries what must not work. Owns the attempts and
the judgement of them."""

import asyncio
import itertools
from pathlib import Path

from tools.processes.child_process import end_process
from tools.processes.environment import user_environment
from tools.sandbox.bubblewrap import Bubblewrap
from tools.sandbox.seccomp import seccomp_filter
from tools.sandbox.visible_folders import SYSTEM

_TIMEOUT_S = 20
_MOST_NAMES = 40
_NAMESPACES = ("user", "pid", "ipc", "uts", "mnt", "net")
_NO_CAPABILITY = "0" * 16
_ATTEMPTS = """
for name in user pid ipc uts mnt net; do echo "namespace $name $(readlink /proc/self/ns/$name)"; done
while read -r name value; do echo "status $name $value"; done < /proc/self/status
[ -w . ] && echo worktree
for place in / /usr /etc /dev /bin /opt "$1" "$2"; do [ -w "$place" ] && echo "writable $place"; done
(true > "$1/.rolecall-probe") 2>/dev/null && echo "wrote in $1"
mount -o remount,rw,bind /usr 2>/dev/null && echo "mounted again"
true > /tmp/probe && chmod 4755 /tmp/probe 2>/dev/null && echo "set-uid"
shift 2
for place; do if [ -e "$place" ] || [ -L "$place" ]; then echo "visible $place"; fi; done
echo done
"""
"""Plain shell, which exists on every machine: the sandbox must be tested with what runs the commands."""


async def probe_walls(walls: Bubblewrap) -> str:
    """Test the sandbox; returns why it does not work, empty when it does."""
    command = ["/bin/sh", "-c", _ATTEMPTS, "sh", *await asyncio.to_thread(_arguments, walls)]
    launch = await asyncio.to_thread(walls.launch, command, walls.scene.root)
    try:
        process = await asyncio.create_subprocess_exec(
            *launch.argv, start_new_session=True, cwd=walls.scene.root, env=user_environment(),
            pass_fds=launch.inherited, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        return f"bubblewrap cannot be started: {error.strerror}"
    finally:
        launch.close()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            out, err = await process.communicate()
    except TimeoutError:
        return "bubblewrap does not respond"
    finally:
        await end_process(process)
    told = out.decode("utf-8", "replace").splitlines()
    if process.returncode != 0 or "done" not in told:
        lines = err.decode("utf-8", "replace").strip().splitlines()
        return f"bubblewrap does not work here: {lines[-1] if lines else process.returncode}"
    return await asyncio.to_thread(_hole, told, network=walls.settings.network)


def _arguments(walls: Bubblewrap) -> list[str]:
    """Checkout, home, and what must not be visible inside: names around the worktree that were not requested."""
    scene = walls.scene
    seen = (scene.root, *walls.shown, *walls.git.shown, *(place for place, _ in walls.git.written), *scene.homes)
    around = [*_names(scene.repo), *_names(Path("/")), *_names(Path("/run")), *_names(Path("/var"))]
    if scene.has_home:
        around += _names(scene.home)
    if walls.git.folder is not None:
        around += _names(walls.git.folder)
    hidden = [place for place in around if not any(other.is_relative_to(place) for other in (*seen, scene.repo))]
    hidden = [place for place in hidden if not any(place.is_relative_to(other) for other in seen[:-1])]
    system = {*SYSTEM, "dev", "proc", "run", "sys", "tmp", "var", "current-system", "opengl-driver", "systemd"}
    never = [place for place in hidden if not (place.name in system and len(place.parts) <= 3)]
    checkout = Path("/etc") if scene.repo in (scene.root, *scene.homes) else scene.repo
    return [str(checkout), str(checkout), *map(str, never)]


def _names(folder: Path) -> list[Path]:
    try:
        return list(itertools.islice(folder.iterdir(), _MOST_NAMES))
    except OSError:
        return []


def _hole(told: list[str], *, network: bool) -> str:
    """The first thing that should not have worked."""
    lines = (line.split(" ", 2) for line in told if line.startswith("status "))
    status = {name: value.strip() for _, name, value in lines}
    for name in ("CapEff:", "CapPrm:", "CapBnd:", "CapInh:", "CapAmb:"):
        if status.get(name, _NO_CAPABILITY) != _NO_CAPABILITY:
            return f"inside bubblewrap there are still capabilities ({name} {status[name]})"
    if status.get("NoNewPrivs:") != "1":
        return "inside bubblewrap programs can gain new privileges"
    if seccomp_filter() is not None and (status.get("Seccomp:") != "2" or "set-uid" in told):
        return "inside bubblewrap system calls are not filtered"
    for name in _NAMESPACES:
        if f"namespace {name} {Path('/proc/self/ns', name).readlink()}" in told and not (name == "net" and network):
            return f"bubblewrap shares the {name} namespace with the host"
    for line in told:
        if line.startswith(("writable ", "wrote ", "visible ", "mounted ")):
            return f"bubblewrap does not isolate completely: {line}"
    return "" if "worktree" in told else "inside bubblewrap the worktree is not writable"
