"""One run from its repository to the comparison."""

import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.truth import words
from benchmarks.truth.case import Case
from benchmarks.truth.compare import compare
from benchmarks.truth.drive import PROGRAM, World, brought_up, drive, world
from benchmarks.truth.real import gather, requests
from benchmarks.truth.seen import Claim, Seen, shown
from tests.repositories import fingerprint


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a case: a thread or two, and their claims."""

    case: Case
    seen: tuple[Seen, ...]
    claims: tuple[Claim, ...]
    seconds: float

    @property
    def false(self) -> tuple[Claim, ...]:
        return tuple(claim for claim in self.claims if not claim.holds)

    @property
    def astray(self) -> str:
        """How the run ended, if not as its name says, so that nothing was compared that should have been."""
        cases = [self.case, *([self.case.also] if self.case.also else [])]
        ends = [(seen.status, case.status) for seen, case in zip(self.seen, cases, strict=True)]
        return "; ".join(f"{real} instead of {wanted}" for real, wanted in ends if real != wanted)


def attempt(case: Case, program: Sequence[str] = PROGRAM) -> Trial:
    """Make the run and compare."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="truth-") as folder,
        world(case, Path(folder).resolve(), tuple(program)) as made,
    ):
        seen = _threads(made, case)
    claims = [claim for one in seen for claim in compare(one)]
    return Trial(case, tuple(seen), tuple(claims), time.monotonic() - began)


def _threads(made: World, case: Case) -> list[Seen]:
    found = []
    for one in (case, *([case.also] if case.also else [])):
        before, earlier = fingerprint(made.repo), len(requests(made))
        thread = drive(made, one)
        found.append(_seen(made, one, thread, before, earlier))
    return [_followed(made, one) for one in found]


def _seen(made: World, case: Case, thread: str, before: dict[str, str], earlier: int) -> Seen:
    show, log, diff = (made.call(*verb, thread[:8]) for verb in (("threads", "show"), ("log",), ("diff", "--stat")))
    report, patch = (Path(shown(show.out, name) or "/no/such/paper") for name in ("report", "diff"))
    return Seen(
        name=case.name,
        thread=thread,
        calls=tuple(made.calls[thread]),
        real=gather(made, case, thread, before, earlier=earlier),
        report=report.read_text(encoding="utf-8") if report.exists() else "",
        show=show.out,
        log=log.out,
        patch=patch.read_text(encoding="utf-8", errors="replace") if patch.exists() else "",
        diff=diff.out,
        followed=(log, diff),
    )


def _followed(made: World, seen: Seen) -> Seen:
    brought_up(made)
    lines = [line for line in words.suggested(seen) if not re.search(r" (?:diff|log) \w+$", line)]  # called before
    return replace(seen, followed=(*seen.followed, *(made.shell(line) for line in _whole(made, lines))))


def _whole(made: World, lines: list[str]) -> list[str]:
    """The lines as a shell understands them here, where nothing named `rolecall` is on the PATH."""
    program = " ".join(made.program)
    return [f"{program} {line.removeprefix('rolecall ')}" if line.startswith("rolecall ") else line for line in lines]
