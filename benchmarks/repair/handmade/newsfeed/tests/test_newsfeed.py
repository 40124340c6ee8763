import asyncio
import doctest
from datetime import UTC, date, datetime, timedelta

import newsfeed.digest
import newsfeed.entries
import pytest
from newsfeed.collect import Collector, SourceError, fetch_again
from newsfeed.digest import age, by_day, digest, recent, top_tags
from newsfeed.entries import Entry, clean_link, merge, parse_when, read_entry, slug

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def entry(title, hours=0, link=None, tags=()):
    return Entry(title, link or f"http://x/{title}", NOON - timedelta(hours=hours), "s", frozenset(tags))


def raw(title, when="2024-05-01T12:00:00", **more):
    return {"title": title, "link": f"http://x/{title}", "when": when, **more}


class Web:
    """Sources that answer after some rounds of the loop, or fail a number of times first."""

    def __init__(self, answers, failures=None):
        self.answers = answers
        self.failures = dict(failures or {})
        self.asked = []
        self.open = self.most = 0

    async def __call__(self, url):
        self.asked.append(url)
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(0.001)
        self.open -= 1
        if self.failures.get(url, 0) > 0:
            self.failures[url] -= 1
            raise ConnectionError("refused")
        return self.answers[url]


@pytest.fixture
def web():
    return Web({"a": [raw("one"), raw("two", "2024-05-01T13:00:00")], "b": [raw("three"), {"title": "x"}], "c": []})


@pytest.mark.parametrize("module", [newsfeed.entries, newsfeed.digest])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2024-05-01T12:00:00", 12), ("2024-05-01T12:00:00Z", 12), ("2024-05-01T12:00:00-05:00", 17), ("2024-05-01", 0)],
)
def test_parse_when(text, hour):
    when = parse_when(text)
    assert when.hour == hour
    assert when.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("http://x/a", "http://x/a"),
        (" http://x/a/ ", "http://x/a"),
        ("http://X/A?b=1&utm_x=2&c=3", "http://x/A?b=1&c=3"),
        ("HTTPS://x?utm_a=1", "https://x"),
        ("http://x/a#b", "http://x/a"),
    ],
)
def test_clean_link(link, expected):
    assert clean_link(link) == expected


@pytest.mark.parametrize(
    ("title", "limit", "expected"),
    [
        ("A b C", 40, "a-b-c"),
        ("What's new?", 40, "what-s-new"),
        ("one two three", 7, "one-two"),
        ("one two three", 6, "one"),
        ("monumental", 3, ""),
        ("", 9, ""),
        ("one extraordinary a", 7, "one"),
    ],
)
def test_slug(title, limit, expected):
    assert slug(title, limit) == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("News, Sport", {"news", "sport"}),
        (["News", " ART "], {"news", "art"}),
        (None, set()),
        ("", set()),
        (",", set()),
    ],
)
def test_tags(tags, expected):
    assert read_entry(raw("t", tags=tags), "s").tags == expected


def test_merge():
    old, new = entry("old", 3, "http://x/1", ["a"]), entry("new", 1, "http://x/1", ["b"])
    other = entry("other", 2)
    for order in ([old, new, other], [new, other, old]):
        merged = merge(order)
        assert [one.title for one in merged] == ["other", "old"]
        assert merged[1].tags == {"a", "b"}
    assert merge([]) == []


def test_collect(web):
    report = asyncio.run(Collector(web).collect(["a", "b", "c"]))
    assert {one.title for one in report.entries} == {"one", "two", "three"}
    assert report.skipped == 1
    assert report.failed == {}
    assert {one.source for one in report.entries} == {"a", "b"}


def test_entries_of_the_same_time_are_sorted_by_title(web):
    report = asyncio.run(Collector(web).collect(["a", "b"]))
    assert [one.title for one in report.entries] == ["two", "three", "one"]


def test_a_failing_source_stops_no_other(web):
    web.failures = {"a": 9}
    report = asyncio.run(Collector(web).collect(["a", "b"]))
    assert [one.title for one in report.entries] == ["three"]
    assert report.failed == {"a": "a: refused"}
    assert web.asked.count("a") == 3


def test_a_collector_may_try_but_once(web):
    web.failures = {"a": 1, "b": 1}
    report = asyncio.run(Collector(web, tries=1).collect(["a", "c"]))
    assert list(report.failed) == ["a"]
    assert asyncio.run(Collector(web, tries=2).collect(["b"])).failed == {}


def test_other_errors_come_through(web):
    with pytest.raises(KeyError):
        asyncio.run(Collector(web).collect(["a", "nowhere"]))


@pytest.mark.parametrize(("failures", "tries", "works"), [(0, 1, True), (2, 3, True), (3, 3, False), (1, 1, False)])
def test_tries(web, failures, tries, works):
    web.failures = {"c": failures}
    if works:
        assert asyncio.run(fetch_again(web, "c", tries)) == []
        assert len(web.asked) == failures + 1
    else:
        with pytest.raises(SourceError):
            asyncio.run(fetch_again(web, "c", tries))
        assert len(web.asked) == tries


def test_pauses_double(web, monkeypatch):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    async def failing(url):
        raise ConnectionError(url)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(SourceError):
        asyncio.run(fetch_again(failing, "c", 4, 0.5))
    assert pauses == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_no_more_than_allowed_at_once(at_once):
    web = Web({str(number): [] for number in range(8)})
    asyncio.run(Collector(web, at_once=at_once).collect(list(web.answers)))
    assert web.most == at_once


def test_a_source_is_remembered(web):
    async def twice():
        collector = Collector(web)
        await collector.collect(["a"])
        again = await collector.collect(["a"])
        collector.forget("a")
        collector.forget("never seen")
        await collector.collect(["a"])
        return again

    assert len(asyncio.run(twice()).entries) == 2
    assert web.asked == ["a", "a"]


def test_stream(web):
    async def titles():
        return [one.title async for one in Collector(web).stream(["a", "b", "c"])]

    web.answers["c"] = [raw("one"), raw("four")]
    assert sorted(asyncio.run(titles())) == ["four", "one", "three", "two"]
    web.failures = {"b": 9}
    assert sorted(asyncio.run(titles())) == ["four", "one", "two"]


def test_by_day():
    days = by_day([entry("a"), entry("b", 30), entry("c", 1)])
    assert list(days) == [date(2024, 5, 1), date(2024, 4, 30)]
    assert [one.title for one in days[date(2024, 5, 1)]] == ["a", "c"]


def test_top_tags():
    entries = [entry("a", tags=["x", "y"]), entry("b", tags=["y", "z"]), entry("c", tags=["w"])]
    assert top_tags(entries) == [("y", 2), ("w", 1), ("x", 1)]
    assert top_tags(entries, 1) == [("y", 2)]
    assert top_tags([]) == []


def test_recent():
    entries = [entry("now"), entry("edge", 24), entry("old", 24.1), entry("future", -1)]
    assert [one.title for one in recent(entries, NOON)] == ["now", "edge"]
    assert [one.title for one in recent(entries, NOON, hours=25)] == ["now", "edge", "old"]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(0, "just now"), (1, "1 minute ago"), (59, "59 minutes ago"), (60, "1 hour ago"), (119, "1 hour ago"),
     (120, "2 hours ago"), (1439, "23 hours ago"), (1440, "1 day ago"), (4321, "3 days ago")],
)  # fmt: skip
def test_age(minutes, expected):
    assert age(NOON - timedelta(minutes=minutes), NOON) == expected


def test_digest():
    entries = [entry("a"), entry("b", 1), entry("c", 2), entry("d", 3), entry("e", 24)]
    assert digest(entries, NOON).splitlines() == [
        "Wed 01 May",
        "  a (just now)",
        "  b (1 hour ago)",
        "  c (2 hours ago)",
        "  and 1 more",
        "Tue 30 Apr",
        "  e (1 day ago)",
    ]
    assert "more" not in digest(entries[:3], NOON)
    assert digest([], NOON) == ""
