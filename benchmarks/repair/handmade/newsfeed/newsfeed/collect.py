"""Asks sources at the same time, with retries, a limit and a memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from newsfeed.entries import Entry, merge, read_entry

Fetch = Callable[[str], Awaitable[Sequence[Mapping[str, object]]]]


class SourceError(Exception):
    """A source that could not be read."""


@dataclass
class Report:
    """What came, and what did not."""

    entries: list[Entry] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: int = 0


async def fetch_again(fetch: Fetch, url: str, tries: int = 3, pause_s: float = 0.0) -> Sequence[Mapping[str, object]]:
    """Fetch a source, again after a connection error, up to `tries` times in all.

    The pause doubles from try to try.

    Raises:
        SourceError: the last try failed as well.
    """
    for attempt in range(tries):
        try:
            return await fetch(url)
        except ConnectionError as error:
            if attempt == tries - 1:
                raise SourceError(f"{url}: {error}") from error
            await asyncio.sleep(pause_s * 2**attempt)
    raise SourceError(f"{url}: no try was allowed")


class Collector:
    """Reads sources, no more than `at_once` at a time, and each only once unless forgotten."""

    def __init__(self, fetch: Fetch, *, at_once: int = 4, tries: int = 3) -> None:
        self.fetch = fetch
        self.tries = tries
        self.gate = asyncio.Semaphore(at_once)
        self.known: dict[str, list[Entry]] = {}

    async def source(self, url: str, report: Report) -> list[Entry]:
        """Return the entries of a source; what is no entry is counted as skipped."""
        if url in self.known:
            return self.known[url]
        async with self.gate:
            raw = await fetch_again(self.fetch, url, self.tries)
        entries = []
        for data in raw:
            try:
                entries.append(read_entry(data, url))
            except (KeyError, ValueError):
                report.skipped += 1
        self.known[url] = entries
        return entries

    def forget(self, url: str) -> None:
        """Read a source anew next time."""
        self.known.pop(url, None)

    async def collect(self, urls: Sequence[str]) -> Report:
        """Read all sources; a source that fails stops no other."""
        report = Report()
        answers = await asyncio.gather(*(self.source(url, report) for url in urls), return_exceptions=True)
        found: list[Entry] = []
        for url, answer in zip(urls, answers, strict=True):
            if isinstance(answer, SourceError):
                report.failed[url] = str(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.extend(answer)
        report.entries = merge(found)
        return report

    async def stream(self, urls: Sequence[str]) -> AsyncIterator[Entry]:
        """Yield entries source by source as the sources answer, each link once; failing ones give none."""
        seen: set[str] = set()
        report = Report()
        tasks = [asyncio.ensure_future(self.source(url, report)) for url in urls]
        for task in asyncio.as_completed(tasks):
            try:
                entries = await task
            except SourceError:
                continue
            for entry in entries:
                if entry.link not in seen:
                    seen.add(entry.link)
                    yield entry
