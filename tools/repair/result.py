"""What a search for a repair returns: patches that pass the tests, and where the fault may be.

Owns the vocabulary shared with callers. It never calls a patch correct: a patch passes tests.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, computed_field

Status = Literal["nothing_fails", "plausible", "partial", "none", "unusable_tests", "interrupted"]
Confidence = Literal["high", "low"]
NAMED = 5
"""How many tests a claim names."""


class Frozen(BaseModel):
    """Base of the values below: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Edit(Frozen):
    """Replace `old`, which occurs exactly once in the file at `path`, with `new`."""

    path: str
    """POSIX path relative to the root."""
    old: str
    new: str


class Patch(Frozen):
    """One way to make the failing tests pass, or some of them, without breaking another."""

    diff: str
    """Unified diff with `a/` and `b/` prefixes."""
    edits: tuple[Edit, ...]
    """Exact replacements, to be made in this order."""
    line: int
    template: str
    """The kind of edit, in words."""
    score: float
    validated_by: int
    """How many tests passed with the patch."""
    whole: bool = True
    """Whether a fresh process ran the whole suite on it."""
    still_failing: tuple[str, ...] = ()
    """Tests that failed before and fail with the patch too."""
    mended: tuple[str, ...] = ()
    """Tests that failed before and pass now, if not all of them do."""
    sha256: str = ""
    """Of the patched file; with it, a later search can be told to skip the patch."""
    cluster: int
    """Patches of one cluster behave alike on every recorded call."""
    confidence: Confidence
    reason: str
    """The reason for the confidence."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def claim(self) -> str:
        """What it can be said to do, as a clause: never more than the tests run on it show."""
        if not self.still_failing:
            return f"passes {'all' if self.whole else 'the'} {self.validated_by} tests" + (
                "" if self.whole else " that were run; the whole suite was not run"
            )
        total = self.validated_by + len(self.still_failing)
        names = ", ".join(self.still_failing[:NAMED]) + (", …" if len(self.still_failing) > NAMED else "")
        still = "1 still fails" if len(self.still_failing) == 1 else f"{len(self.still_failing)} still fail"
        return f"passes {self.validated_by} of {total} tests; {still}: {names}"


class SuspiciousLine(Frozen):
    """A line that failing tests ran, and how suspicious it is."""

    path: str
    line: int
    score: float
    text: str


class Disagreement(Frozen):
    """A call on which patches that pass the tests behave differently."""

    call: str
    outputs: tuple[str, ...]
    """One output per patch of the result, in the same order."""


class RepairResult(Frozen):
    """The outcome of one search."""

    status: Status
    patches: tuple[Patch, ...] = ()
    """Best first."""
    suspicious: tuple[SuspiciousLine, ...] = ()
    disagreement: Disagreement | None = None
    tried: int = 0
    """Candidates that were run."""
    elapsed_s: float = 0.0
    failing: tuple[str, ...] = ()
    """Tests (or test files that can't be imported) that failed before."""
    passing: int = 0
    stop_reason: str = ""
    phases: dict[str, float] = {}
    """Wall-clock seconds by phase: start, tests, coverage, search, ranking."""
    cpu_s: float = 0.0
    """CPU seconds of all tries and whole runs."""
    validation_s: float = 0.0
    """Seconds of whole runs, which happen alongside the search."""


class RepairEvent(Frozen):
    """An event of a running search: collecting, baseline, suspicious, progress."""

    kind: str
    fields: dict[str, Any]  # JSON values as the search sends them
