"""Sends an OpenTelemetry span per run, node and model call, named after the GenAI semantic conventions. Needs the extra
`otel`.

Owns the exporter's life. A span carries what the call log contains: names, counts, times; no prompt, no answer, no
key. An unreachable collector costs the run only a warning at its end.
"""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from logging.handlers import BufferingHandler
from typing import TYPE_CHECKING, Any

from core.config.settings import TelemetrySettings
from core.errors import ConfigError
from core.redaction import redact
from llm_registry.failures.redirects import is_redirect, redirect_failure
from llm_registry.records.call_log import CallRow
from llm_registry.records.tracing import OK, SpanRow
from llm_registry.specs.network import is_local
from llm_registry.specs.optional_deps import install_command

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

RowListener = Callable[[CallRow | SpanRow], None]
_PROVIDERS = {"openai_compatible": "openai", "gguf": "llama.cpp"}
"""The convention's names where they differ from ours; any other name is used unchanged."""
_FLUSH_MS = 3000


@asynccontextmanager
async def span_export(settings: TelemetrySettings, *, warn: Callable[[str], None]) -> AsyncIterator[RowListener | None]:
    """Yield a function that turns a call log row into a span, or `None` when nothing is to be sent.

    Args:
        settings: Whether, and where to.
        warn: Told once when the collector does not accept spans.

    Raises:
        ConfigError: It is enabled, but the extra is not installed.
    """
    if not settings.otel:
        yield None
        return
    exporter = await asyncio.to_thread(_exporter, settings)
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - only with the extra

    processor = BatchSpanProcessor(exporter)
    with _warning_once(warn):
        try:
            yield await asyncio.to_thread(spans_of, processor)
        finally:
            await asyncio.to_thread(processor.force_flush, _FLUSH_MS)
            await asyncio.to_thread(processor.shutdown)


@contextmanager
def _warning_once(warn: Callable[[str], None]) -> Iterator[None]:
    """Turn the exporter's messages, which would disrupt the display, into one warning."""
    logger, told = logging.getLogger("opentelemetry"), BufferingHandler(sys.maxsize)
    told.setLevel(logging.WARNING)
    told.addFilter(lambda _: not told.buffer)  # a run of days keeps the first message only
    before, logger.propagate = logger.propagate, False
    logger.addHandler(told)
    try:
        yield
    finally:
        logger.removeHandler(told)
        logger.propagate = before
        if told.buffer:
            warn(f"spans could not be sent: {redact(told.buffer[0].getMessage())[:300]}")


def spans_of(processor: "BatchSpanProcessor") -> RowListener:
    """Turn rows into finished spans for a processor, each below its parent."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - only with the extra
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags  # noqa: PLC0415

    resource, scope = Resource.create({"service.name": "rolecall"}), InstrumentationScope("rolecall")
    sampled = TraceFlags(TraceFlags.SAMPLED)

    def watch(row: CallRow | SpanRow) -> None:
        began, ended = _times(row)
        trace, called = int(row.trace_id, 16), isinstance(row, CallRow)
        above = (
            SpanContext(trace, int(row.parent_id, 16), is_remote=True, trace_flags=sampled) if row.parent_id else None
        )
        processor.on_end(ReadableSpan(
            f"chat {row.model or row.spec}" if isinstance(row, CallRow) else row.name,
            SpanContext(trace, int(row.span_id, 16), is_remote=False, trace_flags=sampled),
            above if row.parent_id else None, resource=resource, instrumentation_scope=scope,
            attributes=span_attributes(row),
            kind=SpanKind.CLIENT if called else SpanKind.INTERNAL, start_time=began, end_time=ended,
            status=Status(StatusCode.UNSET) if row.outcome == OK else Status(StatusCode.ERROR, row.outcome),
        ))  # fmt: skip

    return watch


def _times(row: CallRow | SpanRow) -> tuple[int, int]:
    """Start and end in nanoseconds since the epoch."""
    if isinstance(row, CallRow):
        began = time.time() - row.total_s if row.started is None else row.started
        return int(began * 1e9), int(began * 1e9) + int(row.total_s * 1e9)
    return int(row.began * 1e9), int((row.ended or row.began) * 1e9)


def span_attributes(row: CallRow | SpanRow) -> dict[str, str | int | float]:
    """What a span says about a call, a node or a decision, without what is unknown and without model text."""
    if isinstance(row, SpanRow):
        decided = {f"rolecall.{row.name}.{key}": value for key, value in row.attributes.items() if key != "reason"}
        return {"gen_ai.conversation.id": row.thread, "rolecall.kind": row.kind, **decided}
    known: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(row.provider, row.provider),
        "gen_ai.request.model": row.model or None,
        "gen_ai.conversation.id": row.thread or None,
        "gen_ai.usage.input_tokens": row.input_tokens,
        "gen_ai.usage.output_tokens": row.output_tokens,
        "gen_ai.usage.reasoning.output_tokens": row.reasoning_tokens,
        "gen_ai.response.time_to_first_chunk": row.first_token_s,
        "error.type": None if row.outcome == OK else row.outcome,
        "rolecall.role": row.role,
        "rolecall.spec": row.spec,
        "rolecall.node": row.node or None,
        "rolecall.retries": row.retries,
        "rolecall.breaker": row.breaker,
        "rolecall.cost_usd": row.cost_usd,
    }
    return {key: value for key, value in known.items() if value is not None}


def require_exporter(settings: TelemetrySettings) -> None:
    """Check that what is enabled is installed.

    Raises:
        ConfigError: The extra is missing.
    """
    if not settings.otel:
        return
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: F401, PLC0415 - only with the extra
    except ImportError as error:
        raise ConfigError(
            "telemetry.otel is on, but the OpenTelemetry exporter is not installed",
            hint=f"{install_command('otel')}, or set telemetry.otel to false",
        ) from error


def _exporter(settings: TelemetrySettings) -> "SpanExporter":
    require_exporter(settings)
    import requests  # noqa: PLC0415 - the exporter's own HTTP library
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    base = settings.otlp_endpoint.rstrip("/").removesuffix("/v1/traces")

    def refuse_redirects(reply: requests.Response, **_: Any) -> None:
        if is_redirect(reply.status_code):
            reply.close()
            failure = redirect_failure(reply.status_code, base, reply.headers.get("location", ""))
            raise requests.exceptions.InvalidURL(
                f"{failure.message}; set telemetry.otlp_endpoint to it, if spans may be sent there"
            )

    session = requests.Session()
    session.hooks["response"].append(refuse_redirects)
    # No password that a `.netrc` holds for the host is added.
    session.auth = lambda request: request
    # What stays in the user's own network does not go through the proxy of the environment.
    session.trust_env = not is_local(base)
    exporter: SpanExporter = OTLPSpanExporter(
        endpoint=f"{base}/v1/traces", headers=dict(settings.otlp_headers) or None, timeout=_FLUSH_MS / 1000,
        session=session,
    )  # fmt: skip
    return exporter
