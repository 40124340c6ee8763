"""All comparisons, one list."""

from collections.abc import Callable, Iterator

from benchmarks.truth import use, verdict, words, work
from benchmarks.truth.seen import Claim, Seen

COMPARISONS: tuple[Callable[[Seen], Iterator[Claim]], ...] = (
    verdict.statuses, verdict.exit_codes, verdict.colours, verdict.counts, work.commits, work.files, work.checkout,
    work.branch, use.calls, use.served, use.fallbacks, use.durations, words.guidance, words.commands, words.advice,
)  # fmt: skip


def compare(seen: Seen) -> list[Claim]:
    """Every claim of a thread next to what is so."""
    return [claim for one in COMPARISONS for claim in one(seen)]
