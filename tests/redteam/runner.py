"""Runs attempts: each in a process of its own, forked from one that has everything imported, as the user of its
policy. Owns processes and their end; judges nothing."""

import asyncio
import ctypes
import importlib
import json
import os
import pkgutil
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.redteam import attempts as folder
from tests.redteam.apart import path_for_users
from tests.redteam.attack import HOUSE, Attack, BrokenAttemptError
from tests.redteam.attempt import Attempt, Policy, Result
from tests.redteam.proofs import fingerprint_of
from tests.redteam.world import World
from tests.unit.rolecall.fork_server import Server, import_everything, server_from_here

USER = 47_110
"""The first of the user ids that attempts of an ordinary user are made with, when the runner is root."""
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_KEPT = ("PATH", "LANG", "LC_ALL", "TERM", "TZ")


def all_attempts() -> list[Attempt]:
    """Every attempt of every module, by class."""
    modules = [
        importlib.import_module(f"{folder.__name__}.{found.name}") for found in pkgutil.iter_modules(folder.__path__)
    ]
    found = [attempt for module in modules for attempt in getattr(module, "ATTEMPTS", ())]
    return sorted(found, key=lambda attempt: (attempt.kind, attempt.id))


def policies_here() -> tuple[Policy, ...]:
    """The policies that can be tried by whoever runs this: only root can also become an ordinary user."""
    return tuple(Policy) if os.geteuid() == 0 else (Policy.USER, Policy.HOST)


Group = tuple[Attempt, ...]


@dataclass(slots=True)
class _Running:
    group: Group
    policy: Policy
    pid: int
    world: World
    began: float = field(default_factory=time.monotonic)

    @property
    def within_s(self) -> float:
        return sum(attempt.within_s for attempt in self.group)


def run_all(
    pairs: Sequence[tuple[Attempt, Policy]], *, beside: int, keep: bool = False, progress: bool = False
) -> list[Result]:
    """Make all attempts, several at a time, those that strain the machine last and one by one."""
    import_everything()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    parent = Path("/srv") if os.access("/srv", os.W_OK) else Path(tempfile.gettempdir())
    base = Path(tempfile.mkdtemp(prefix="rolecall-redteam-", dir=parent))
    base.chmod(0o755)
    groups = _grouped(pairs)
    together = sorted((one for one in groups if not one[0][0].alone), key=lambda one: -one[0][0].within_s)
    single = [one for one in groups if one[0][0].alone]
    try:
        return [
            *_run(together, base, beside, keep=keep, progress=progress),
            *_run(single, base, 1, keep=keep, progress=progress),
        ]
    finally:
        if keep:
            print(f"the worlds are kept in {base}", file=sys.stderr)
        else:
            shutil.rmtree(base, ignore_errors=True)


def _grouped(pairs: Sequence[tuple[Attempt, Policy]]) -> list[tuple[Group, Policy]]:
    groups: dict[tuple[str, Policy], list[Attempt]] = {}
    for attempt, policy in pairs:
        groups.setdefault((attempt.group or attempt.id, policy), []).append(attempt)
    return [(tuple(group), policy) for (_, policy), group in groups.items()]


def _run(
    groups: Sequence[tuple[Group, Policy]], base: Path, beside: int, *, keep: bool, progress: bool
) -> list[Result]:
    waiting, running, results = list(groups), [], []
    while waiting or running:
        while waiting and len(running) < beside:
            running.append(_start(*waiting.pop(0), base))
        time.sleep(0.02)
        for one in [one for one in running if _has_ended(one)]:
            running.remove(one)
            found = _results(one)
            results += found
            for result in found if progress else ():
                told = result.error.strip()[-300:] or result.escape[:160]
                print(f"{result.seconds:6.1f} s  {result.name}  {told}", file=sys.stderr, flush=True)
            _sweep(one.world)
            if not keep:
                shutil.rmtree(one.world.base, ignore_errors=True)
        _reap({one.pid for one in running})
    return results


def _start(group: Group, policy: Policy, base: Path) -> _Running:
    place = Path(tempfile.mkdtemp(prefix=f"{group[0].id}-{policy.name.lower()}-", dir=base))
    place.chmod(0o755)
    world = World(place)
    owner = USER + int.from_bytes(os.urandom(1), "big") if os.geteuid() == 0 and policy is Policy.USER else None
    if owner is not None:
        os.chown(place, owner, owner)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os._exit(_child(group, policy, world, owner))
    return _Running(group, policy, pid, world)


def _child(group: Group, policy: Policy, world: World, owner: int | None) -> int:
    """Become the user, build the world, make the attempts, write down what came of each."""
    try:
        os.setsid()
        if owner is not None:
            os.setgroups([])
            os.setgid(owner)
            os.setuid(owner)
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        log = os.open(world.base / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _prepare(group[0], policy, world)
        asyncio.run(_attempted(group, policy, world, server_from_here()))
    except BaseException:  # noqa: BLE001 - told to the runner, which knows no more of this process
        _answer(world, "", error=traceback.format_exc())
    return 0


def _prepare(first: Attempt, policy: Policy, world: World) -> None:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    os.environ.clear()
    kept["PATH"] = path_for_users(kept["PATH"])
    os.environ.update(kept | {"HOME": str(world.home), "USER": "ada", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    if policy is Policy.HOST:
        os.environ["ROLECALL_SANDBOX__MODE"] = "host"
    os.chdir(HOUSE)
    world.build(first.files)


async def _attempted(group: Group, policy: Policy, world: World, server: Server) -> None:
    kept: dict[str, object] = {"fork server": server}
    async with AsyncExitStack() as shared:
        kept["shared"] = shared
        for attempt in group:
            attack = Attack(attempt, policy, world, kept)
            try:
                _answer(world, attempt.id, escape=await _made(attack))
            except BrokenAttemptError as error:
                _answer(world, attempt.id, error=str(error))
            except Exception:  # noqa: BLE001 - an attempt that breaks is told as such, and the next is made
                _answer(world, attempt.id, error=traceback.format_exc())


async def _made(attack: Attack) -> str:
    attempt, world = attack.attempt, attack.world
    if attempt.setup is not None:
        attempt.setup(attack)
    if attempt.settings:
        attack.configure(**attempt.settings)
    os.environ.update(world.filled(attempt.env) | world.env)
    os.chdir(world.repo)
    attack.kept["checkout"] = fingerprint_of(world)
    return await attack.make()


def _answer(world: World, name: str, **words: str) -> None:
    with (world.base / "answers.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"id": name, **words}) + "\n")


def _has_ended(one: _Running) -> bool:
    if time.monotonic() - one.began > one.within_s:
        _kill_group(one.pid)
    try:
        return os.waitpid(one.pid, os.WNOHANG)[0] == one.pid
    except ChildProcessError:
        return True


def _results(one: _Running) -> list[Result]:
    seconds = (time.monotonic() - one.began) / len(one.group)
    path = one.world.base / "answers.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    answers = {answer["id"]: answer for answer in map(json.loads, lines)}
    lost = answers.get("", {"error": f"it did not end within {one.within_s:.0f} s, or was killed"})
    found = {attempt.id: answers.get(attempt.id, lost) for attempt in one.group}
    return [Result(name, one.policy, answer.get("escape", ""), answer.get("error", ""), seconds)
            for name, answer in found.items()]  # fmt: skip


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _sweep(world: World) -> None:
    """End what an attempt left running: whatever carries its words or stands in its folder."""
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        words = " ".join(process.info["cmdline"] or ())
        if process.pid != os.getpid() and (
            world.token in words or str(world.base) in words or (process.info["cwd"] or "").startswith(str(world.base))
        ):
            process.kill()


def _reap(ours: set[int]) -> None:
    """Collect the daemons that became ours and have ended."""
    for child in psutil.Process().children():
        if child.pid not in ours and child.status() == psutil.STATUS_ZOMBIE:
            os.waitpid(child.pid, os.WNOHANG)
