"""What a run says it changed: commits, files and line counts, against git."""

import re
from collections.abc import Iterator, Mapping

from benchmarks.truth.seen import Claim, Seen, same, shown
from benchmarks.truth.verdict import screen_part

_STAT = re.compile(r"^ (?P<path>.+?) +\| +(?:(?P<lines>\d+)(?: [+-]+)?|(?P<binary>Bin .*))$", re.MULTILINE)
_TOTAL = re.compile(r"(\d+) files? changed(?:, (\d+) insertions?\(\+\))?(?:, (\d+) deletions?\(-\))?")
_COMMIT = re.compile(r"^.{21}  commit   (?P<name>[0-9a-f]{8})  (?P<files>.+)$", re.MULTILINE)


def commits(seen: Seen) -> Iterator[Claim]:
    """Every commit that is named is on the branch with these files, and every one on the branch is named."""
    real = {commit.name[:8]: commit.files for commit in seen.real.commits}
    told = {found["name"]: frozenset(found["files"].split(", ")) for found in _COMMIT.finditer(seen.log)}
    if not _cut_off(seen):
        yield same("commits", "log", sorted(told), sorted(real))
    for name, files in told.items():
        yield same("commits", f"log, {name}", sorted(files), sorted(real.get(name, frozenset())))
    steps = _section(seen.report, "Steps")
    for name in re.findall(r"`([0-9a-f]{8})`", steps):
        yield Claim("commits", "report", name, sorted(real), name in real)
    if steps and seen.status == "done":
        yield same("steps", "report", steps.count("- [ ]"), 0)


def files(seen: Seen) -> Iterator[Claim]:
    """Names and line counts of report, `diff.patch` and `diff --stat` are those of git."""
    real = dict(seen.real.numstat)
    if seen.report and seen.status not in {"paused", "interrupted", "waiting"}:
        yield from _stat("report", _section(seen.report, "Changes"), seen.real.standing)
        yield same("files", "diff.patch", patched(seen.patch), sorted(seen.real.standing))
        if "The work is on branch" in seen.report:
            whole = sorted(real.items()) == sorted(seen.real.standing.items())
            yield same("files", "report, all of it on the branch", "is not committed yet" not in seen.report, whole)
    yield from _stat("diff --stat", seen.diff, seen.real.standing)
    if seen.status in {"done", "stuck", "answered", "not_done"}:
        yield same("files", "the branch of a finished thread", sorted(real), sorted(seen.real.standing))
    for place in (shown(seen.show, "diff"), str(seen.result.get("diff", ""))):
        if place:
            yield same("files", "the named diff", patched(seen.patch), sorted(seen.real.standing))


def checkout(seen: Seen) -> Iterator[Claim]:
    """A checkout that is said to be untouched is so; so is one of which nothing is said."""
    if any(call.words[0] == "apply" for call in seen.calls):
        return
    said = "not touched" if "your checkout was not touched" in seen.report else "nothing said"
    yield Claim("checkout", "report", said, "not touched" if seen.real.untouched else "touched", seen.real.untouched)


def branch(seen: Seen) -> Iterator[Claim]:
    """A branch that is named is there; one that the screen offers holds something."""
    for where, name in (("threads show", shown(seen.show, "branch")), ("--json", seen.result.get("branch", ""))):
        if name:
            yield same("branch", where, bool(name), bool(seen.real.tip))
    found = re.search(r"^branch +(\S+)$", screen_part(seen), re.MULTILINE)
    offered, changed = bool(found), bool(seen.real.numstat)
    if screen_part(seen) and seen.status in {"done", "stuck", "answered"}:
        yield same("branch", "screen", offered, changed)


def patched(patch: str) -> list[str]:
    """The files that a patch changes."""
    return sorted(set(re.findall(r"^diff --git a/(\S+) b/", patch, re.MULTILINE)))


def _stat(where: str, text: str, real: Mapping[str, tuple[int, int] | None]) -> Iterator[Claim]:
    said = {found["path"].strip(): None if found["binary"] else int(found["lines"]) for found in _STAT.finditer(text)}
    yield same("files", where, said, {name: sum(lines) if lines else None for name, lines in real.items()})
    if total := _TOTAL.search(text):
        both = [lines for lines in real.values() if lines]
        sums = (len(real), sum(more for more, _ in both), sum(less for _, less in both))
        yield same("files", f"{where}, in all", tuple(int(figure or 0) for figure in total.groups()), sums)


def _section(report: str, title: str) -> str:
    found = re.search(rf"^## {title}\n\n(.*?)(?=^## |\Z)", report, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def _cut_off(seen: Seen) -> bool:
    """A kill may have come between a commit and the line that tells of it."""
    return any(call.drives and call.code == -9 for call in seen.calls)
