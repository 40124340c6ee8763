"""Limits of a thread: calls at the same time, figures that servers keep to themselves, and time."""

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import BudgetError, ModelError
from core.storage.database import Database
from llm_registry.records import wall_clock
from llm_registry.records.wall_clock import WallClock, union_length
from tests.modelserver.faults import Fault
from tests.modelserver.reply import fail, say
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.raw import raw_server
from tests.unit.llm_registry.rig import HELLO, SITE, Ear, chat_spec, registry

WORDS = "word " * 40
DEAR = {"input": 10_000, "output": 10_000}


@pytest.mark.parametrize("places", [1, 8, None])
@pytest.mark.parametrize(
    ("limit", "served"), [({"max_model_calls": 3}, 3), ({"max_tokens": 100}, 2), ({"max_cost_usd": 1.0}, 2)]
)
async def test_calls_at_the_same_time_do_not_overshoot_together(
    limit: dict[str, Any], served: int, places: int | None, tmp_path: Path
) -> None:
    with ModelServer(lambda _: say(WORDS, delay=0.05)) as server:
        llm = {"primary": chat_spec(server, max_concurrency=places, cost=DEAR)}
        async with registry(llm, tmp_path, **limit) as models:
            calls = (models.chat("primary", HELLO, site=SITE) for _ in range(8))
            ends = await asyncio.gather(*calls, return_exceptions=True)
            used = models.usage()["primary"]
        assert len(server.requests) == served
    assert sum(isinstance(end, BudgetError) for end in ends) == 8 - served
    # One call takes 56 tokens: the last one allowed may go beyond the limit, and no other.
    assert ((used.input_tokens or 0) + (used.output_tokens or 0)) == 56 * served


async def test_calls_that_surely_fit_are_made_at_the_same_time(tmp_path: Path) -> None:
    with ModelServer(lambda _: say(WORDS, delay=0.3)) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path, max_tokens=100_000) as models:
            await asyncio.gather(*(models.chat("primary", HELLO, site=SITE) for _ in range(4)))
        assert max(server.max_in_flight.values()) == 4


async def test_a_cancelled_call_gives_its_share_back(tmp_path: Path) -> None:
    with ModelServer(lambda request: say("now") if request.index else fail(Fault.HANG_BEFORE_HEADERS)) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path, max_tokens=100) as models:
            hanging = asyncio.create_task(models.chat("primary", HELLO, site=SITE))
            while not server.requests:
                await asyncio.sleep(0.02)
            waiting = asyncio.create_task(models.chat("primary", HELLO, site=SITE))
            await asyncio.sleep(0.2)
            assert len(server.requests) == 1
            hanging.cancel()
            assert (await waiting).text == "now"


async def test_a_bad_answer_is_paid_for_too(tmp_path: Path) -> None:
    with ModelServer(lambda _: fail(Fault.REASONING_ONLY, say("", reasoning="hm " * 100))) as server:
        async with registry({"primary": chat_spec(server, cost=DEAR)}, tmp_path) as models:
            with pytest.raises(ModelError, match="nothing but reasoning"):
                await models.chat("primary", HELLO, site=SITE)
            used = models.usage()["primary"]
    assert used.calls == 2
    assert (used.output_tokens or 0) >= 2 * 60
    assert used.cost_usd == pytest.approx(((used.input_tokens or 0) + (used.output_tokens or 0)) / 100)


async def test_tokens_that_a_server_does_not_report_are_estimated_and_told(tmp_path: Path) -> None:
    ear = Ear()
    async with raw_server(silent_about_usage) as url:
        llm = {"primary": chat_spec(url, cost=DEAR)}
        async with registry(llm, tmp_path, ear=ear, max_tokens=150) as models:
            for _ in range(3):
                await models.chat("primary", HELLO, site=SITE)
            with pytest.raises(BudgetError) as caught:
                await models.chat("primary", HELLO, site=SITE)
            used = models.usage()["primary"]
    assert (used.input_tokens, used.output_tokens, used.cost_usd) == (None, None, None)
    assert used.calls == 3
    assert 150 <= used.estimated_tokens <= 210
    assert f"{used.estimated_tokens} of 150 tokens ({used.estimated_tokens} of them estimated)" in caught.value.message
    (warning,) = ear.of("warning")
    assert "1 model calls were not reported by their servers" in warning["message"]


async def silent_about_usage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    await reader.readexactly(length)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    for delta, reason in (({"role": "assistant", "content": WORDS}, None), ({}, "stop")):
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
                 "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}  # fmt: skip
        writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
    writer.write(b"data: [DONE]\n\n")
    await writer.drain()


async def test_minutes_of_earlier_runs_count_with_all_that_was_done_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(wall_clock, "time", SimpleNamespace(time=lambda: now[0]))
    with ModelServer(lambda _: say("hi")) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path, max_minutes=5) as models:
            await models.chat("primary", HELLO, site=SITE)
            now[0] += 240  # checks run, tools run; no model is asked
            await models.chat("primary", HELLO, site=SITE)
        now[0] += 86_400  # nobody works on it
        async with registry({"primary": chat_spec(server)}, tmp_path, max_minutes=5) as models:
            await models.chat("primary", HELLO, site=SITE)
            now[0] += 61
            with pytest.raises(BudgetError, match=r"5\.0 of 5 minutes"):
                await models.chat("primary", HELLO, site=SITE)


async def test_a_call_does_not_outlast_the_minutes(tmp_path: Path) -> None:
    with ModelServer(lambda _: fail(Fault.HANG_AFTER_FIRST_TOKEN)) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path, max_minutes=1 / 60) as models:
            began = time.monotonic()
            with pytest.raises(BudgetError, match="minutes spent"):
                await models.chat("primary", HELLO, site=SITE)
            assert time.monotonic() - began < 3
            assert models.usage()["primary"].calls == 1
        assert len(server.requests) == 1


async def test_the_end_of_a_run_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(wall_clock, "time", SimpleNamespace(time=lambda: now[0]))
    first = WallClock(Database(tmp_path / "book.db"), "t")
    await first.seconds()
    now[0] += 30
    await first.close()
    now[0] += 1000
    assert await WallClock(Database(tmp_path / "book.db"), "t").seconds() == 30


@pytest.mark.parametrize(
    ("spans", "length"),
    [([], 0), ([(0, 10), (20, 25)], 15), ([(0, 10), (5, 12), (6, 7)], 12), ([(10, 4), (20, 21)], 1)],
)
def test_moments_of_two_runs_count_once(spans: list[tuple[float, float]], length: float) -> None:
    assert union_length(spans) == length
