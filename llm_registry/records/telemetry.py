"""Sends an OpenTelemetry span per run, node and model call, named after the GenAI semantic conventions. Needs the extra
`otel`.

Owns the exporter's life. A span carries what the call log contains: names, counts, times; no prompt, no answer, no
key. An unreachable collector costs the run only a warning at its end.
"""

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
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
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

RowListener = Callable[[CallRow | SpanRow], None]
_PROVIDERS = {"openai_compatible": "openai", "gguf": "llama.cpp"}
"""The convention's names where they differ from ours; any other name stands for itself."""
_FLUSH_MS = 3000
_ids: contextvars.ContextVar[tuple[int, int]] = contextvars.ContextVar("rolecall_span_ids", default=(0, 0))
"""Trace and span of the row that becomes a span."""


@asynccontextmanager
async def span_export(settings: TelemetrySettings, *, warn: Callable[[str], None]) -> AsyncIterator[RowListener | None]:
    """Yield what turns a row of the call log into a span, or `None` when nothing is to be sent.

    Args:
        settings: Whether, and where to.
        warn: Told once when the collector does not take spans.

    Raises:
        ConfigError: It is switched on, but the extra is not installed.
    """
    if not settings.otel:
        yield None
        return
    exporter = await asyncio.to_thread(_exporter, settings)
    provider = await asyncio.to_thread(_provider, exporter)
    with _warning_once(warn):
        try:
            yield spans_of(provider)
        finally:
            await asyncio.to_thread(provider.force_flush, _FLUSH_MS)
            await asyncio.to_thread(provider.shutdown)


@contextmanager
def _warning_once(warn: Callable[[str], None]) -> Iterator[None]:
    """Turn the exporter's messages, which would disrupt the display, into one warning."""
    logger, told = logging.getLogger("opentelemetry"), _FirstMessage()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(told)
    try:
        yield
    finally:
        logger.removeHandler(told)
        logger.propagate = before
        if told.message:
            warn(f"spans could not be sent: {told.message[:300]}")


class _FirstMessage(logging.Handler):
    """Keeps the first message; called from the exporter's thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.message = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.message = self.message or redact(record.getMessage())


def spans_of(provider: "TracerProvider") -> RowListener:
    """Turn rows into finished spans of a provider, each below its parent."""
    from opentelemetry.trace import (  # noqa: PLC0415 - only with the extra
        NonRecordingSpan,
        SpanContext,
        SpanKind,
        Status,
        StatusCode,
        TraceFlags,
        set_span_in_context,
    )

    tracer = provider.get_tracer("rolecall")

    def watch(row: CallRow | SpanRow) -> None:
        began, ended = _times(row)
        trace, span, above = _number(row.trace_id, 32), _number(row.span_id, 16), _number(row.parent_id, 16)
        parent = SpanContext(trace, above, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        called = isinstance(row, CallRow)
        token = _ids.set((trace, span))
        try:
            made = tracer.start_span(
                f"chat {row.model or row.spec}" if isinstance(row, CallRow) else row.name,
                context=set_span_in_context(NonRecordingSpan(parent)) if trace and above else None,
                kind=SpanKind.CLIENT if called else SpanKind.INTERNAL, start_time=began,
                attributes=span_attributes(row),
            )  # fmt: skip
        finally:
            _ids.reset(token)
        if row.outcome != OK:
            made.set_status(Status(StatusCode.ERROR, row.outcome))
        made.end(ended)

    return watch


def _times(row: CallRow | SpanRow) -> tuple[int, int]:
    """Begin and end in nanoseconds since the epoch."""
    if isinstance(row, CallRow):
        began = time.time() - row.total_s if row.started is None else row.started
        return int(began * 1e9), int(began * 1e9) + int(row.total_s * 1e9)
    return int(row.began * 1e9), int((row.ended or row.began) * 1e9)


def span_attributes(row: CallRow | SpanRow) -> dict[str, str | int | float]:
    """What a span says of a call, a node or a decision; what is unknown is left out, and so are words of models."""
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
    """Check that what is switched on is installed.

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

    class Direct(requests.Session):
        """Follows no redirect, and adds no password that a `.netrc` holds for the host."""

        def send(self, request: Any, **kwargs: Any) -> Any:
            reply = super().send(request, **{**kwargs, "allow_redirects": False})
            if is_redirect(reply.status_code):
                failure = redirect_failure(reply.status_code, base, reply.headers.get("location", ""))
                raise requests.exceptions.InvalidURL(
                    f"{failure.message}; set telemetry.otlp_endpoint to it, if spans may be sent there"
                )
            return reply

    session = Direct()
    session.auth = _unchanged
    # What stays in the user's own network does not go through the proxy of the environment.
    session.trust_env = not is_local(base)
    exporter: SpanExporter = OTLPSpanExporter(
        endpoint=f"{base}/v1/traces", headers=dict(settings.otlp_headers) or None, timeout=_FLUSH_MS / 1000,
        session=session,
    )  # fmt: skip
    return exporter


def _unchanged(request: Any) -> Any:
    return request


def _provider(exporter: "SpanExporter") -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - only with the extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(
        resource=Resource.create({"service.name": "rolecall"}), id_generator=trace_ids(), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def trace_ids() -> Any:
    """An id generator that takes the ids of the row, so that a span is found by its row."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415 - only with the extra

    class RowIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _ids.get()[0] or super().generate_trace_id()

        def generate_span_id(self) -> int:
            return _ids.get()[1] or super().generate_span_id()

    return RowIds()


def _number(text: str, digits: int) -> int:
    """An id as a number; 0, which is never an id, if invalid."""
    return int(text, 16) if len(text) == digits and all(letter in "0123456789abcdef" for letter in text) else 0
