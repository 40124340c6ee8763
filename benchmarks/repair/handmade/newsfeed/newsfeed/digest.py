"""Sums up entries for reading."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from newsfeed.entries import Entry


def by_day(entries: Iterable[Entry]) -> dict[date, list[Entry]]:
    """Group entries by day, the latest day first, within a day as they came."""
    days: dict[date, list[Entry]] = defaultdict(list)
    for entry in entries:
        days[entry.when.date()].append(entry)
    return dict(sorted(days.items(), reverse=True))


def top_tags(entries: Iterable[Entry], count: int = 3) -> list[tuple[str, int]]:
    """Return the most frequent tags; among equally frequent ones the alphabet decides."""
    counts = Counter(tag for entry in entries for tag in entry.tags)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:count]


def recent(entries: Iterable[Entry], now: datetime, hours: float = 24) -> list[Entry]:
    """Return the entries of the last hours, the edge included, none from the future."""
    start = now - timedelta(hours=hours)
    return [entry for entry in entries if start <= entry.when <= now]


def age(when: datetime, now: datetime) -> str:
    """Say how long ago something was.

    >>> noon = datetime(2024, 5, 1, 12)
    >>> age(noon, noon + timedelta(seconds=59))
    'just now'
    >>> age(noon, noon + timedelta(minutes=1))
    '1 minute ago'
    >>> age(noon, noon + timedelta(hours=47))
    '1 day ago'
    """
    minutes = int((now - when).total_seconds() // 60)
    for size, unit in ((60 * 24, "day"), (60, "hour"), (1, "minute")):
        number = minutes // size
        if number:
            return f"{number} {unit} ago" if number == 1 else f"{number} {unit}s ago"
    return "just now"


def digest(entries: Sequence[Entry], now: datetime, per_day: int = 3) -> str:
    """Return a text of the entries by day, a line for those left out of a day."""
    lines = []
    for day, items in by_day(entries).items():
        lines.append(f"{day:%a %d %b}")
        lines += [f"  {item.title} ({age(item.when, now)})" for item in items[:per_day]]
        left = len(items) - per_day
        if left > 0:
            lines.append(f"  and {left} more")
    return "\n".join(lines)
