"""What packages there are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from resolver.version import Requirement, Version, normal


@dataclass(frozen=True)
class Release:
    """One version of a package and what it needs."""

    name: str
    version: Version
    needs: tuple[Requirement, ...] = ()
    yanked: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Index:
    """All releases, by name."""

    def __init__(self) -> None:
        self._releases: dict[str, dict[Version, Release]] = {}

    def add(self, name: str, version: str, needs: Iterable[str] = (), *, yanked: bool = False) -> Release:
        """Add a release; one of the same version is replaced."""
        requirements = tuple(Requirement.parse(text) for text in needs)
        release = Release(normal(name), Version.parse(version), requirements, yanked)
        self._releases.setdefault(release.name, {})[release.version] = release
        return release

    def __contains__(self, name: str) -> bool:
        return normal(name) in self._releases

    def candidates(self, requirement: Requirement) -> list[Release]:
        """Return the releases that fit, the newest first; yanked ones only if pinned by `==`."""
        pinned = {clause.version for clause in requirement.clauses if clause.op == "=="}
        found = [
            release
            for release in self._releases.get(requirement.name, {}).values()
            if requirement.allows(release.version) and (not release.yanked or release.version in pinned)
        ]
        return sorted(found, key=lambda release: release.version, reverse=True)

    def latest(self, name: str) -> Release | None:
        """Return the newest release, None if there is none; pre-releases and yanked ones do not count."""
        found = self.candidates(Requirement(normal(name)))
        return found[0] if found else None


def load(data: Mapping[str, Mapping[str, Iterable[str]]]) -> Index:
    """Make an index of nested mappings: name, then version, then needs."""
    index = Index()
    for name, versions in data.items():
        for version, needs in versions.items():
            index.add(name, version, needs)
    return index
