"""`python -m benchmarks.damage`: does every kind of damage to a real thread and prints how the command line met it."""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.damage.kinds import KINDS, Damage
from benchmarks.damage.starter import Conditions, Done, Starter
from benchmarks.damage.world import THREAD, World, competent, make_world
from core.errors import Exit

_APART = "--apart"
_RESUME = ("resume", THREAD, "--yes")


@dataclass(frozen=True, slots=True)
class Met:
    """How one kind of damage was met."""

    damage: Damage
    done: Done
    problems: tuple[str, ...]

    @property
    def words(self) -> str:
        """The one sentence of an error, or that the thread came to its end."""
        errors = [line for line in self.done.err.splitlines() if line.startswith("error[")]
        return errors[0] if errors else "done as if nothing had been" if self.done.code == 0 else self.done.err[-300:]


def meet(damage: Damage, world: World, starter: Starter) -> Met:
    """Damage, command, check, mend, resume, check."""
    world.reset()
    before, work = world.checkpoints(), world.commits()
    conditions = replace(damage.conditions, env=world.env)
    try:
        damage.inflict(world)
        done = starter.rolecall(damage.command, world.repo, conditions)
        problems = list(_wrong(damage, done))
        if damage.undo is not None and done.code != Exit.DONE:
            damage.undo(world)
            again = starter.rolecall(damage.command, world.repo, Conditions(busy_s=30, env=world.env))
            if again.code != Exit.DONE:
                problems.append(f"after it was mended: exit {again.code}: {again.err[-300:]}")
            elif damage.command == _RESUME and "write_file" in again.err:
                problems.append("after it was mended, work was done twice")
        problems += _lost(world, before, work)
    finally:
        _unmounted(world.folder)
    return Met(damage, done, tuple(problems))


def _wrong(damage: Damage, done: Done) -> Sequence[str]:
    found = []
    if done.code != damage.code:
        found.append(f"exit {done.code} instead of {int(damage.code)}")
    if damage.says not in done.err:
        found.append(f"does not say {damage.says!r}")
    if "Traceback" in done.err:
        found.append("shows a traceback")
    if damage.code == Exit.DONE and damage.command == _RESUME and "write_file" in done.err:
        found.append("work was done twice")
    return found


def _lost(world: World, checkpoints: set[str], commits: set[str]) -> Sequence[str]:
    try:
        gone = len(checkpoints - world.checkpoints()), len(commits - world.commits())
    except (sqlite3.Error, AssertionError) as error:
        return [f"the thread cannot be looked at: {error}"]
    return [f"lost {gone[0]} checkpoints and {gone[1]} commits"] if any(gone) else []


def _unmounted(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", place], check=True)


def main(kinds: Sequence[Damage]) -> int:
    """Do the damage, print the table, return the exit code."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="rolecall-damage-"))
    met = []
    try:
        with Starter(folder) as starter, competent() as server:
            world = make_world(folder, server)
            for damage in kinds:
                met.append(meet(damage, world, starter))
                _show(met[-1], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    wrong = [one for one in met if one.problems]
    codes = sorted({int(one.done.code) for one in met})
    print(f"\n{len(met)} kinds of damage in {time.monotonic() - began:.0f} s, exit codes {codes}: "
          f"{len(met) - len(wrong)} as they must be, {len(wrong)} wrong")  # fmt: skip
    return 1 if wrong else 0


def _show(met: Met, folder: Path) -> None:
    damage = met.damage
    print(f"{damage.group:12}{damage.name:38}{met.done.code:4}  {met.words.replace(str(folder), '…')[:170]}")
    for problem in met.problems:
        print(f"{'':12}WRONG: {problem}")
    sys.stdout.flush()


def _apart() -> None:
    """Go on in a mount namespace of our own, so that full and read-only disks are seen by nobody else."""
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *root, "--mount", sys.executable, "-m", "benchmarks.damage", _APART, *sys.argv[1:]]
    os.execvp(command[0], command)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.damage", description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="part of a group or name; repeatable")
    parser.add_argument(_APART, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.apart:
        _apart()
    sys.exit(main([kind for kind in KINDS if not given.only or any(part in kind.title for part in given.only)]))
