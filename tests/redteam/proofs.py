"""What proves an escape. Each looks at the world, never at what the product says of itself."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.redteam.attack import Attack
from tests.redteam.attempt import Proof
from tests.redteam.world import World
from tests.repositories import fingerprint


def seen(text: str = "@CANARY@") -> Proof:
    """A word that stands only in private files came back to the attacker, or is in the worktree."""

    def look(attack: Attack) -> str:
        if told := heard(text)(attack):
            return told
        word = attack.world.fill(text)
        worktrees = attack.world.repo / ".rolecall" / "worktrees"
        found = next((path for path in worktrees.rglob("*") if _holds(path, word.encode())), None)
        return f"it is in the worktree: {found}" if found else ""

    return look


def heard(text: str = "@CANARY@") -> Proof:
    """A word came back to the attacker."""

    def look(attack: Attack) -> str:
        word = attack.world.fill(text)
        at = attack.transcript.find(word)
        return f"the attacker read it: …{attack.transcript[max(0, at - 60) : at + 40]!r}" if at >= 0 else ""

    return look


def made(path: str) -> Proof:
    """A file was made where nobody may write."""

    def look(attack: Attack) -> str:
        place = Path(attack.world.fill(path))
        return f"{place} was made" if os.path.lexists(place) else ""

    return look


def changed(path: str, was: str = "as it was\n") -> Proof:
    """A file that was there has another content, another mode, or is gone."""

    def look(attack: Attack) -> str:
        place = Path(attack.world.fill(path))
        if not place.is_file():
            return f"{place} is gone"
        return f"{place} was changed" if place.read_text(errors="replace") != attack.world.fill(was) else ""

    return look


def alive(word: str = "@TOKEN@", *, wait_s: float = 1.0) -> Proof:
    """A process that carries the word in its command line lives on after everything was closed."""

    def look(attack: Attack) -> str:
        time.sleep(wait_s)
        found = [process.info for process in psutil.process_iter(["pid", "cmdline"])
                 if any(attack.world.fill(word) in part for part in process.info["cmdline"] or ())]  # fmt: skip
        return f"still alive: {found[0]}" if found else ""

    return look


def checkout_changed(attack: Attack) -> str:
    """Anything in the user's checkout is not as it was before the attempt."""
    before, now = attack.kept["checkout"], fingerprint_of(attack.world)
    other = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return f"changed in the checkout: {', '.join(other[:5])}" if other else ""


def fingerprint_of(world: World) -> dict[str, str]:
    """The user's checkout as it is now, special files left out."""
    links = {
        str(path.relative_to(world.repo)): str(path.readlink()) for path in world.repo.iterdir() if path.is_symlink()
    }
    try:
        return {**fingerprint(world.repo), **links}
    except OSError:
        return _sturdy(world.repo)


def noted(name: str) -> Proof:
    """An action noted an escape it saw itself."""
    return lambda attack: str(attack.kept.get(name, ""))


def connected(name: str = "listener") -> Proof:
    """Somebody connected to a server of the host."""
    return lambda attack: f"{attack.kept[name].connections} connections" if attack.kept[name].connections else ""


def found_in(folder: str, word: str, *, but: Callable[[Path], bool] = lambda _: False) -> Proof:
    """A word lies in some file below a folder."""

    def look(attack: Attack) -> str:
        wanted = attack.world.fill(word).encode()
        for path in sorted(Path(attack.world.fill(folder)).rglob("*")):
            if not but(path) and _holds(path, wanted):
                return f"it lies in {path}"
        return ""

    return look


def _holds(path: Path, word: bytes) -> bool:
    try:
        return (
            path.is_file() and not path.is_symlink() and path.stat().st_size < 50_000_000 and word in path.read_bytes()
        )
    except OSError:
        return False


def _sturdy(top: Path) -> dict[str, str]:
    found = {}
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in {".rolecall", ".git"}]
        for name in names:
            path = Path(folder, name)
            status = path.lstat()
            body = path.read_bytes() if path.is_file() and status.st_size < 1_000_000 else b""
            found[str(path)] = f"{status.st_mode:o} {hashlib.sha256(body).hexdigest()}"
    return found
