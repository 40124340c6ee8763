"""Spans of model calls, sent over HTTP to a collector of our own."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from aiohttp import web
from langchain_core.messages import HumanMessage
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from core.config.settings import Settings, TelemetrySettings
from core.replies import CallSite, ModelReply
from core.storage.database import Database
from llm_registry.records.call_log import CallLog, CallRow
from llm_registry.records.telemetry import span_export
from llm_registry.registry import open_registry
from tests.modelserver.faults import Fault
from tests.modelserver.reply import say
from tests.modelserver.server import ModelServer, closed_port, faulty

GOOD = CallRow(
    role="coder", spec="coder:qwen", provider="openai_compatible", model="qwen", outcome="ok", total_s=2.0, thread="t1",
    node="implement", input_tokens=10, output_tokens=5, first_token_s=0.25, started=1000.0,
)  # fmt: skip
BAD = CallRow(
    role="coder", spec="coder:qwen", provider="ollama", outcome="refused", total_s=0.1, detail="sk-secret1234"
)


class Collector:
    """Takes spans as a real collector does."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        return web.Response(body=b"", content_type="application/x-protobuf")

    def spans(self) -> list[dict[str, object]]:
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found += [_plain(span) for span in scope.spans]
        return found


def _plain(span: object) -> dict[str, object]:
    told = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}  # type: ignore[attr-defined]
    seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9  # type: ignore[attr-defined]
    trace = span.trace_id.hex()  # type: ignore[attr-defined]
    ids = {"span": span.span_id.hex(), "parent": span.parent_span_id.hex()}  # type: ignore[attr-defined]
    return told | ids | {"name": span.name, "seconds": seconds, "trace": trace, "status": span.status.code}  # type: ignore[attr-defined]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    taking = Collector()
    application = web.Application()
    application.router.add_post("/v1/traces", taking.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    taking.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield taking
    await runner.cleanup()


async def test_each_call_becomes_a_span_named_by_the_conventions(collector: Collector, tmp_path: Path) -> None:
    warnings: list[str] = []
    settings = TelemetrySettings(otel=True, otlp_endpoint=collector.url, otlp_headers={"x-key": "k"})
    async with span_export(settings, warn=warnings.append) as watch:
        store = CallLog(Database(tmp_path / "calls.db"), watch=watch)
        await store.record(GOOD)
        await store.record(BAD)
    good, bad = sorted(collector.spans(), key=lambda span: str(span["rolecall.spec"]) + str(span["status"]))
    assert good["name"] == "chat qwen"
    assert good["trace"] == GOOD.trace_id
    assert good["seconds"] == pytest.approx(2.0)
    expected = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "qwen",
        "gen_ai.conversation.id": "t1", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5,
        "gen_ai.response.time_to_first_chunk": 0.25, "rolecall.role": "coder", "rolecall.node": "implement",
    }  # fmt: skip
    assert expected.items() <= good.items()
    assert "rolecall.cost_usd" not in good
    assert bad["error.type"] == "refused"
    assert bad["status"] == 2
    assert "gen_ai.usage.input_tokens" not in bad
    assert collector.headers[0]["x-key"] == "k"
    assert warnings == []
    assert b"sk-secret1234" not in b"".join(collector.bodies)


async def test_nothing_is_sent_unless_asked_for(collector: Collector, tmp_path: Path) -> None:
    async with span_export(TelemetrySettings(otlp_endpoint=collector.url), warn=[].append) as watch:
        assert watch is None
        await CallLog(Database(tmp_path / "calls.db"), watch=watch).record(GOOD)
    assert collector.bodies == []


async def test_a_collector_that_is_away_is_one_warning_and_no_more(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    warnings: list[str] = []
    settings = TelemetrySettings(otel=True, otlp_endpoint=f"http://127.0.0.1:{closed_port()}")
    async with asyncio.timeout(20):
        async with span_export(settings, warn=warnings.append) as watch:
            store = CallLog(Database(tmp_path / "calls.db"), watch=watch)
            await store.record(GOOD)
        assert (await store.totals("t1")).calls == 1
    assert len(warnings) == 1
    assert "could not be sent" in warnings[0]
    assert capfd.readouterr().err == ""


async def test_spans_for_a_local_collector_take_no_proxy(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    warnings: list[str] = []
    async with span_export(TelemetrySettings(otel=True, otlp_endpoint=collector.url), warn=warnings.append) as watch:
        await CallLog(Database(tmp_path / "calls.db"), watch=watch).record(GOOD)
    assert [span["trace"] for span in collector.spans()] == [GOOD.trace_id]
    assert warnings == []


class Heard:
    def emit(self, event: str, /, **data: Any) -> None:
        """Nobody listens."""


async def test_every_call_of_a_registry_is_a_row_and_a_span_and_holds_no_secret(
    collector: Collector, tmp_path: Path
) -> None:
    key = "sk-live-opensesame-12"

    def spec(url: str, **more: Any) -> dict[str, Any]:
        return {"provider": "openai_compatible", "model": "scripted", "base_url": url, "api_key": key, **more}

    with (
        faulty(Fault.OVERLOADED, say("fine"), times=1) as busy,
        faulty(Fault.HANG_BEFORE_HEADERS) as asleep,
        ModelServer(say("here")) as good,
    ):
        settings = Settings.model_validate({
            "llm": {
                "primary": spec(busy.v1, cost={"input": 1, "output": 2}),
                "summarizer": spec(asleep.v1, timeouts={"first_token": 0.5}, fallback=["router"]),
                "router": spec(good.v1), "supervisor": spec(asleep.v1),
            },
            "telemetry": {"otel": True, "otlp_endpoint": collector.url, "otlp_headers": {"x-key": "swordfish"}},
        })  # fmt: skip
        database = tmp_path / "rolecall.db"
        async with open_registry(
            settings, thread_id="t1", database=Database(database), events=Heard(), state_dir=tmp_path / "state"
        ) as registry:
            question = [HumanMessage("tell me what the sphinx is")]
            for role in ("primary", "summarizer"):
                async with registry.span("n"):
                    await registry.note("routing", {"target_model": "CODING", "reason": "the sphinx"})
                    await registry.chat(role, question, site=CallSite(node="n"))
            await _cancelled(registry.chat("supervisor", question, site=CallSite(node="n")))
    async with aiosqlite.connect(database) as db:
        db.row_factory = aiosqlite.Row
        rows = [dict(row) for row in await db.execute_fetchall("SELECT * FROM calls ORDER BY id")]
    assert [(row["role"], row["outcome"], row["retries"]) for row in rows] == [
        ("primary", "overloaded", 0), ("primary", "ok", 1), ("summarizer", "first_token_timeout", 0),
        ("summarizer", "ok", 0), ("supervisor", "cancelled", 0),
    ]  # fmt: skip
    names = ("trace_id", "span_id", "parent_id", "spec")
    told = [(*(row[name] for name in names), None if row["outcome"] == "ok" else row["outcome"]) for row in rows]
    sent = collector.spans()
    spans = [
        (span["trace"], span["span"], span["parent"], span["rolecall.spec"], span.get("error.type"))
        for span in sent
        if "rolecall.spec" in span
    ]
    assert sorted(map(str, spans)) == sorted(map(str, told))
    assert len({span["trace"] for span in sent}) == 1
    (root,) = [span["span"] for span in sent if span.get("rolecall.kind") == "run"]
    nodes = {span["span"] for span in sent if span.get("rolecall.kind") == "node" and span["parent"] == root}
    assert len(nodes) == 2
    assert [row["parent_id"] in nodes for row in rows] == [True, True, True, True, False]
    decided = {span["parent"]: span["rolecall.routing.target_model"] for span in sent if span["name"] == "routing"}
    assert decided == dict.fromkeys(nodes, "CODING")
    priced = [row["role"] for row in rows if row["cost_usd"] is not None]
    assert priced == ["primary"]
    kept = b"".join([*collector.bodies, *(path.read_bytes() for path in tmp_path.rglob("rolecall.db*"))])
    for private in (b"opensesame", b"swordfish", b"sphinx is"):
        assert private not in kept
    assert b"sphinx" not in b"".join(collector.bodies)


async def _cancelled(call: Coroutine[Any, Any, ModelReply]) -> None:
    running = asyncio.create_task(call)
    await asyncio.sleep(0.5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
