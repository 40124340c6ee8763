"""The book of calls, on a real SQLite file."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from core.config.settings import Cost
from core.storage.database import Database
from llm_registry.records.call_log import CallLog, CallRow, ThreadTotals, cost_of


def row(**changes: object) -> CallRow:
    base: dict[str, object] = {
        "thread": "t1", "node": "plan", "role": "primary", "spec": "primary:big", "provider": "openai_compatible",
        "outcome": "ok", "total_s": 2.0, "first_token_s": 0.5, "input_tokens": 100, "output_tokens": 31,
    }  # fmt: skip
    return CallRow(**(base | changes))  # type: ignore[arg-type]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "rolecall.db"


async def test_an_empty_book_has_nothing_to_say(database: Path) -> None:
    store = CallLog(Database(database))
    assert await store.usage("t1") == {}
    assert await store.totals("t1") == ThreadTotals()
    assert await store.figures() == ()


async def test_usage_sums_per_role_and_names_the_specs_that_answered(database: Path) -> None:
    store = CallLog(Database(database))
    await store.record(row(cost_usd=0.5))
    await store.record(row(spec="big", outcome="refused", input_tokens=None, output_tokens=None))
    await store.record(row(spec="embedded", cost_usd=0.0))
    await store.record(row(role="coder"))
    await store.record(row(thread="t2", input_tokens=9999))
    usage = await store.usage("t1")
    assert list(usage) == ["primary", "coder"]
    primary = usage["primary"]
    assert (primary.calls, primary.input_tokens, primary.output_tokens) == (3, 200, 62)
    assert primary.specs == ("primary:big", "embedded")
    assert primary.cost_usd == 0.5
    assert primary.unpriced_calls == 0


async def test_tokens_stand_with_the_spec_that_was_called_whether_it_answered_or_not(database: Path) -> None:
    store = CallLog(Database(database))
    for _ in range(2):
        await store.record(row(spec="tiny", outcome="bad_output", input_tokens=10, output_tokens=4000))
        await store.record(row(spec="embedded", input_tokens=None, output_tokens=None, total_s=0.5))
    await store.record(row(spec="tiny", input_tokens=5, output_tokens=1))
    usage = (await store.usage("t1"))["primary"]
    tiny, embedded = usage.by_spec["tiny"], usage.by_spec["embedded"]
    assert (tiny.calls, tiny.failed, tiny.input_tokens, tiny.output_tokens) == (3, 2, 25, 8001)
    assert (embedded.calls, embedded.failed, embedded.input_tokens, embedded.seconds) == (2, 0, None, 1.0)
    assert usage.output_tokens == 8001
    assert usage.specs == ("tiny", "embedded")


async def test_unknown_stays_unknown_and_is_counted(database: Path) -> None:
    store = CallLog(Database(database))
    await store.record(row(input_tokens=None, output_tokens=None, estimated_tokens=40))
    usage = (await store.usage("t1"))["primary"]
    assert (usage.input_tokens, usage.output_tokens, usage.cost_usd) == (None, None, None)
    assert usage.unpriced_calls == 1
    totals = await store.totals("t1")
    assert usage.estimated_tokens == 40
    assert (totals.tokens, totals.estimated_tokens) == (40, 40)
    assert (totals.unmetered_calls, totals.unpriced_calls) == (1, 1)
    stored = await Database(database).read("SELECT input_tokens, cost_usd FROM calls")
    assert stored == [{"input_tokens": None, "cost_usd": None}]


async def test_figures_hold_medians_speed_and_kinds_of_failure(database: Path) -> None:
    store = CallLog(Database(database))
    for seconds in (1.5, 2.5, 9.5):
        await store.record(row(total_s=seconds, first_token_s=0.5))
    await store.record(row(outcome="hang", input_tokens=None, output_tokens=None, first_token_s=None, total_s=300))
    await store.record(row(role="coder"))
    (one,) = await store.figures("primary")
    assert (one.calls, one.failures, one.total_s, one.first_token_s) == (4, {"hang": 1}, 2.5, 0.5)
    assert one.tokens_per_s == pytest.approx(90 / 12)
    assert [figure.role for figure in await store.figures()] == ["coder", "primary"]


async def test_no_secret_reaches_the_file(database: Path) -> None:
    store = CallLog(Database(database), secrets=["hunter2-hunter2"])
    detail = "401 for hunter2-hunter2, Authorization: Bearer abcdef123456, http://me:pw@nas:1/v1, sk-or-v1-abcdef0123"
    await store.record(row(outcome="auth", detail=detail))
    kept = b"".join(path.read_bytes() for path in database.parent.iterdir())
    for secret in (b"hunter2", b"abcdef", b"me:pw"):
        assert secret not in kept
    assert b"401 for ***" in kept


async def test_many_writers_lose_no_row(database: Path) -> None:
    stores = [CallLog(Database(database)) for _ in range(8)]
    await asyncio.gather(*(store.record(row()) for store in stores for _ in range(5)))
    assert (await stores[0].totals("t1")).calls == 40


def test_a_price_needs_tokens_and_rates() -> None:
    assert cost_of(Cost(input=3, output=15), 1_000_000, 100_000) == pytest.approx(4.5)
    assert cost_of(Cost(input=0, output=0), 10, 10) == 0
    assert cost_of(None, 10, 10) is None
    assert cost_of(Cost(input=3, output=15), 10, None) is None


async def test_a_book_of_an_older_release_is_continued(database: Path) -> None:
    await CallLog(Database(database)).record(row())
    with closing(sqlite3.connect(database)) as db:
        for column in ("estimated_tokens", "estimated_cost_usd"):
            db.execute(f"ALTER TABLE calls DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 1")
    stores = [CallLog(Database(database)) for _ in range(4)]
    await asyncio.gather(*(store.record(row(estimated_tokens=7)) for store in stores))
    totals = await stores[0].totals("t1")
    assert (totals.calls, totals.tokens, totals.estimated_tokens) == (5, 5 * 131 + 4 * 7, 28)


async def test_sums_are_taken_on_from_the_last_row_whoever_wrote_the_next_ones(tmp_path: Path) -> None:
    async with Database(tmp_path / "sums.db") as database:
        log = CallLog(database)

        async def writes(number: int) -> None:
            tokens = None if number % 3 else number
            outcome = ("ok", "hang", "refused")[number % 3]
            made = row(
                role=f"r{number % 2}", spec=f"s{number % 4}", outcome=outcome, input_tokens=tokens,
                output_tokens=tokens, estimated_tokens=number % 2 or None,
            )  # fmt: skip
            await CallLog(database).record(made)

        for number in range(12):
            await asyncio.gather(writes(number), log.usage("t1"), log.totals("t1"), log.usage("t1"), log.totals("t1"))
        usage, totals = await log.usage("t1"), await log.totals("t1")
        assert (usage, totals) == (await CallLog(database).usage("t1"), await CallLog(database).totals("t1"))
        assert list(usage) == ["r0", "r1"]
        assert (await log.totals("t1", since=time.time() + 60)).calls == 0
        await database.write("DELETE FROM calls")
        assert (await log.usage("t1"), await log.totals("t1")) == (usage, totals)  # they were not read again
