"""Finds a set of releases in which every need is met."""

from collections.abc import Mapping, Sequence

from resolver.index import Index, Release
from resolver.version import Requirement

Chosen = dict[str, Release]


class Conflict(Exception):
    """No set of releases fits; `wanted` is the requirement that could not be met last."""

    def __init__(self, wanted: Requirement, why: str) -> None:
        super().__init__(f"{wanted}: {why}")
        self.wanted = wanted


def solve(index: Index, roots: Sequence[str]) -> Chosen:
    """Return the chosen release of each package needed, newest first tried.

    Raises:
        Conflict: there is no such set.
    """
    return _extend(index, {}, [Requirement.parse(text) for text in roots])


def _extend(index: Index, chosen: Chosen, pending: list[Requirement]) -> Chosen:
    if not pending:
        return chosen
    wanted, *rest = pending
    have = chosen.get(wanted.name)
    if have is not None:
        if wanted.allows(have.version):
            return _extend(index, chosen, rest)
        raise Conflict(wanted, f"{have} is chosen")
    last = Conflict(wanted, "nothing fits" if wanted.name in index else "no such package")
    for release in index.candidates(wanted):
        try:
            return _extend(index, {**chosen, wanted.name: release}, [*rest, *release.needs])
        except Conflict as conflict:
            last = conflict
    raise last


def install_order(chosen: Mapping[str, Release]) -> list[str]:
    """Return the names such that each package follows what it needs; cycles are cut where entered.

    Packages that do not depend on each other are in the order of the alphabet.
    """
    done: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        for need in sorted(need.name for need in chosen[name].needs):
            visit(need)
        done.append(name)

    for name in sorted(chosen):
        visit(name)
    return done


def why(chosen: Mapping[str, Release], name: str) -> list[str]:
    """Return the names of the chosen packages that need a package, sorted."""
    return sorted(release.name for release in chosen.values() if any(need.name == name for need in release.needs))


def outdated(index: Index, chosen: Mapping[str, Release]) -> list[tuple[str, str, str]]:
    """Return (name, chosen version, newest version) of packages that are not at the newest."""
    found = []
    for name, release in sorted(chosen.items()):
        latest = index.latest(name)
        if latest is not None and latest.version > release.version:
            found.append((name, str(release.version), str(latest.version)))
    return found


def orphans(chosen: Mapping[str, Release], roots: Sequence[str]) -> set[str]:
    """Return the chosen packages that nothing needs, directly or not, if only these roots stay."""
    needed: set[str] = set()
    waiting = [Requirement.parse(root).name for root in roots]
    while waiting:
        name = waiting.pop()
        if name in needed or name not in chosen:
            continue
        needed.add(name)
        waiting.extend(need.name for need in chosen[name].needs)
    return set(chosen) - needed
