"""Entries of feeds and how they are told apart."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True)
class Entry:
    """One article; `when` is in UTC."""

    title: str
    link: str
    when: datetime
    source: str = ""
    tags: frozenset[str] = frozenset()


def parse_when(text: str) -> datetime:
    """Read an ISO date and time; without a zone it is taken for UTC.

    >>> parse_when("2024-05-01T12:00:00+02:00").isoformat()
    '2024-05-01T10:00:00+00:00'
    >>> parse_when("2024-05-01T12:00:00").hour
    12
    """
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        return when.replace(tzinfo=UTC)
    return when.astimezone(UTC)


def clean_link(link: str) -> str:
    """Return a link without what does not matter: fragment, tracking, case of the host, slash at the end.

    >>> clean_link("HTTP://News.example/A/?utm_source=x&id=7#top")
    'http://news.example/A?id=7'
    """
    scheme, host, path, query, _ = urlsplit(link.strip())
    kept = [part for part in query.split("&") if part and not part.startswith("utm_")]
    return urlunsplit((scheme.lower(), host.lower(), path.rstrip("/"), "&".join(kept), ""))


def slug(title: str, limit: int = 40) -> str:
    """Return a title as part of a link, cut at a word's end so that it is no longer than `limit`.

    >>> slug("Hello, World!")
    'hello-world'
    >>> slug("one two three", 8)
    'one-two'
    """
    words = re.findall(r"[a-z0-9]+", title.lower())
    text = ""
    for word in words:
        longer = f"{text}-{word}" if text else word
        if len(longer) > limit:
            break
        text = longer
    return text


def read_entry(data: Mapping[str, object], source: str) -> Entry:
    """Make an entry of what a source sent.

    Raises:
        KeyError: it has no title, link or date.
    """
    tags = data.get("tags") or ()
    names = tags.split(",") if isinstance(tags, str) else tags
    return Entry(
        title=str(data["title"]).strip(),
        link=clean_link(str(data["link"])),
        when=parse_when(str(data["when"])),
        source=source,
        tags=frozenset(str(name).strip().lower() for name in names if str(name).strip()),  # type: ignore[attr-defined]
    )


def merge(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries, newest first, each link once.

    Of the same link the oldest entry stays, with the tags of all.
    """
    kept: dict[str, Entry] = {}
    for entry in entries:
        old = kept.get(entry.link)
        if old is None:
            kept[entry.link] = entry
            continue
        first = min(old, entry, key=lambda one: one.when)
        kept[entry.link] = replace(first, tags=old.tags | entry.tags)
    return sorted(kept.values(), key=lambda entry: (entry.when, entry.title), reverse=True)
