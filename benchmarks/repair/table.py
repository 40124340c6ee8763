"""The table of a benchmark run: rows, ratios and failures, for a terminal and for the docs.

Owns wording and counting; rows come from `run`.
"""

from collections.abc import Iterable, Sequence
from statistics import median

from pydantic import BaseModel, ConfigDict

# What hangs or kills the interpreter leaves little to search by; still, most of it is one line of Python.
BARS = {"mutated": (0.85, 0.90), "handmade": (0.55, 0.65), "hard": (0.60, 0.60)}
"""Shares of first patches that are right, and that pass all tests, by kind of bug."""
GOOD = ("restored", "correct")


class Row(BaseModel):
    """What became of one bug."""

    model_config = ConfigDict(frozen=True)

    bug: str
    kind: str
    category: str
    judgement: str
    rank: int
    """Place of the first right patch among those offered; 0 if there is none."""
    patches: int
    confidence: str
    template: str
    tried: int
    elapsed_s: float
    load: float | None = None
    """Load average when the search began, where it was recorded."""
    phases: dict[str, float] = {}
    """Seconds of the wall by phase, where they were recorded."""
    cpu_s: float = 0.0
    validation_s: float = 0.0
    status: str
    note: str
    leftovers: tuple[str, ...]
    diff: str
    others: tuple[str, ...] = ()

    @property
    def mended(self) -> bool:
        return self.judgement in GOOD


def ratios(rows: Sequence[Row]) -> list[str]:
    """Return one sentence per kind of bug."""
    lines = []
    for kind, (bar, passing) in BARS.items():
        of = [row for row in rows if row.kind == kind]
        if not of:
            continue
        mended = sum(row.mended for row in of)
        exact = sum(row.judgement == "restored" for row in of)
        plausible = sum(row.judgement in (*GOOD, "wrong", "unread") for row in of)
        listed = sum(row.rank > 0 for row in of)
        lines.append(
            f"{kind}: {mended}/{len(of)} right first ({mended / len(of):.0%}, bar {bar:.0%}): {exact} restored, "
            f"{mended - exact} correct by reading; {plausible} pass all tests ({plausible / len(of):.0%}, "
            f"bar {passing:.0%}), {listed} have a right patch among those listed; "
            f"median {median(row.elapsed_s for row in of):.1f} s, longest {max(row.elapsed_s for row in of):.0f} s; "
            f"median load average {_load(_middle(row.load for row in of))}"
        )
    return [*lines, *_speed(rows), *_honesty(rows)]


def _speed(rows: Sequence[Row]) -> list[str]:
    """Candidates a second of the search, and where the time goes."""
    timed = [row for row in rows if row.phases.get("search") and row.tried]
    total = sum(sum(row.phases.values()) for row in timed)
    if not total:
        return []
    rates = [row.tried / row.phases["search"] for row in timed]
    names = dict.fromkeys(name for row in timed for name in row.phases)
    shares = [f"{name} {sum(row.phases.get(name, 0.0) for row in timed) / total:.0%}" for name in names]
    cpu = median(1000 * row.cpu_s / row.tried for row in timed)
    whole = sum(row.validation_s for row in timed) / total
    return [
        (
            f"speed: median {median(rates):.0f} candidates/s, slowest {min(rates):.0f}; {cpu:.1f} ms of processor time "
            f"for each; share of time: {', '.join(shares)}; final validation {whole:.0%}, beside the search"
        )
    ]


def _middle(loads: Iterable[float | None]) -> float | None:
    known = [load for load in loads if load is not None]
    return median(known) if known else None


def _load(load: float | None) -> str:
    return "-" if load is None else f"{load:.1f}"


def _honesty(rows: Sequence[Row]) -> list[str]:
    lines = []
    for label in ("high", "low"):
        of = [row for row in rows if row.confidence == label]
        if of:
            right = sum(row.mended for row in of)
            lines.append(f"labelled {label}: {right}/{len(of)} right ({right / len(of):.0%})")
    unread = sum(row.judgement == "unread" for row in rows)
    if unread:
        lines.append(f"not read yet, counted as failures: {unread}")
    left = [f"{row.bug}: {', '.join(row.leftovers)}" for row in rows if row.leftovers]
    lines.append(f"left something behind: {len(left)}" + "".join(f"\n  {line}" for line in left))
    return lines


def line(row: Row) -> str:
    """Return a row for the terminal."""
    return (
        f"{row.bug:<46.46} {row.judgement:<11} {row.rank or '-':>4} {row.patches:>4} {row.confidence or '-':<5}"
        f"{row.tried:>6} {row.elapsed_s:>6.1f} s  {_load(row.load):>5}  {row.template}"
    )


HEAD = f"{'bug':<46} {'judgement':<11} {'rank':>4} {'of':>4} {'label':<5}{'tried':>6} {'time':>8} {'load':>6}  template"


def markdown(rows: Sequence[Row], sealed: Sequence[Row], about: Iterable[str]) -> str:
    """Return the page for the docs: the sealed part first, then what the engine was tuned on."""
    parts = ["# Repair benchmark", "", *about]
    for title, part in (("Sealed part", sealed), ("Tuned part", rows)):
        if part:
            parts += ["", f"## {title}", "", *_part(part)]
    return "\n".join(parts) + "\n"


def _part(rows: Sequence[Row]) -> list[str]:
    parts = [f"- {text}" for text in ratios(rows)]
    for kind in [kind for kind in BARS if any(row.kind == kind for row in rows)]:
        parts += ["", f"### {kind.capitalize()} bugs", "", *_markdown_rows(r for r in rows if r.kind == kind)]
    failures = [row for row in rows if not row.mended]
    parts += ["", "### Failures", ""]
    parts += [f"- `{row.bug}` ({row.category}): {_why(row)}" for row in failures]
    return parts


def _markdown_rows(rows: Iterable[Row]) -> list[str]:
    head = [
        "| bug | category | judgement | right one at | label | tried | seconds | load |",
        "|---|---|---|---|---|---|---|---|",
    ]
    body = [
        f"| `{row.bug}` | {row.category} | {row.judgement} | {f'{row.rank} of {row.patches}' if row.rank else '-'} | "
        f"{row.confidence or '-'} | {row.tried} | {row.elapsed_s:.1f} | {_load(row.load)} |"
        for row in rows
    ]
    return head + body


def _why(row: Row) -> str:
    if row.judgement == "none":
        return f"no patch; {row.status}, {row.note or 'no reason given'}"
    where = f"; a right one stands at place {row.rank}" if row.rank else ""
    taken = [
        text for text in row.diff.splitlines() if text.startswith(("+", "-")) and not text.startswith(("+++", "---"))
    ]
    return f"{row.judgement}: `{' ⏎ '.join(t.strip() for t in taken)}`{where}"
