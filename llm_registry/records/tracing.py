"""The trace of a run: a span for the run, one for each node under it, and a row for each decision there.

Owns the table `spans`; the spans of model calls are the rows of `call_log`, which name the trace, themselves and the
span they were made in. Contains no prompt and no answer.
"""

import asyncio
import json
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from core.redaction import Redactor
from core.storage.database import Database

OK = "ok"
_BEGIN = """
INSERT INTO spans(span_id, trace_id, parent_id, thread, kind, name, began, ended, outcome, attributes)
VALUES(:span_id, :trace_id, :parent_id, :thread, :kind, :name, :began, :ended, :outcome, :attributes)
"""
_END = "UPDATE spans SET ended = :ended, outcome = :outcome WHERE span_id = :span_id"
_current: ContextVar[tuple[str, str]] = ContextVar("rolecall_span", default=("", ""))
"""Trace and span in which this task works."""


def new_span_id() -> str:
    """An id as in OpenTelemetry: 16 hexadecimal digits, not all 0."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRow:
    """One span. Times are seconds since the epoch; the end is `None` while it lasts, or when its run was killed."""

    trace_id: str
    parent_id: str
    thread: str
    kind: Literal["run", "node", "decision"]
    name: str
    span_id: str = field(default_factory=new_span_id)
    began: float = field(default_factory=time.time)
    ended: float | None = None
    outcome: str = ""
    """`ok`, or the name of the exception that left it."""
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Trace:
    """The trace of one run of a thread.

    Args:
        database: Of the repository.
        thread: Whose run it is.
        redactor: Cleans what is noted.
        watch: Called with every span that ended.
    """

    def __init__(
        self, database: Database, thread: str, *, redactor: Redactor, watch: Callable[[SpanRow], None] | None = None
    ) -> None:
        self.id = uuid.uuid4().hex
        self._database, self._thread, self._redactor, self._watch = database, thread, redactor, watch
        self._root = ""

    @property
    def parent(self) -> str:
        """The span in which this task works: a node's, else that of the run."""
        trace, span = _current.get()
        return span if trace == self.id else self._root

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """The span of the whole run."""
        row = self._row("run", "run")
        self._root = row.span_id
        async with self._lasting(row):
            yield

    @asynccontextmanager
    async def node(self, name: str) -> AsyncIterator[None]:
        """The span of a node; calls made inside are its children."""
        row = self._row("node", name)
        mark = _current.set((self.id, row.span_id))
        try:
            async with self._lasting(row):
                yield
        finally:
            _current.reset(mark)

    async def note(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Record a decision in the current span."""
        now = time.time()
        clean = self._redactor.clean_tree(dict(attributes))
        row = replace(self._row("decision", name), began=now, ended=now, outcome=OK, attributes=clean)
        await self._keep(row)

    def _row(self, kind: Literal["run", "node", "decision"], name: str) -> SpanRow:
        return SpanRow(trace_id=self.id, parent_id=self.parent, thread=self._thread, kind=kind, name=name)

    @asynccontextmanager
    async def _lasting(self, row: SpanRow) -> AsyncIterator[None]:
        await self._keep(row)
        outcome = OK
        try:
            yield
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            await asyncio.shield(self._keep(replace(row, ended=time.time(), outcome=outcome), _END))

    async def _keep(self, row: SpanRow, statement: str = _BEGIN) -> None:
        values = {**asdict(row), "attributes": json.dumps(dict(row.attributes), default=str)}
        # Waiting for the disk at each node is not worth what a power cut may take.
        await self._database.write(statement, values, durable=False)
        if row.ended is not None and self._watch is not None:
            self._watch(row)
