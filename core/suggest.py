"""Finds what a person meant: near matches of a name, as part of an error message."""

from collections.abc import Iterable
from difflib import get_close_matches


def near_matches(name: str, known: Iterable[str], *, limit: int = 3) -> tuple[str, ...]:
    """Known names like `name`, the nearest first."""
    by_folded = {candidate.casefold(): candidate for candidate in sorted(known)}
    found = get_close_matches(name.casefold(), by_folded, n=limit, cutoff=0.6)
    return tuple(by_folded[folded] for folded in found)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean `x`?`, or nothing when no name is near."""
    near = near_matches(name, known)
    return f"; did you mean {' or '.join(f'`{match}`' for match in near)}?" if near else ""
