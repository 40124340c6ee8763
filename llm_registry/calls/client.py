"""One call to one spec: a free place, deadlines, the server's protocol, a normalised answer, a row in the book.

Owns nothing about which spec is called nor what happens after a failure; that is `fallback`'s.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import NeedsModelError
from core.events import EventSink
from core.known_secrets import spec_secrets
from core.redaction import redact
from core.replies import ModelReply
from llm_registry.calls.invoke import hear
from llm_registry.calls.model_cache import ModelShelf
from llm_registry.calls.normalize import Answer, normalize
from llm_registry.calls.prompt_redaction import Cleaner
from llm_registry.calls.requests import Ask, Done, Try
from llm_registry.calls.streaming import Heard
from llm_registry.calls.usage import Spent, spent_on, spent_unheard
from llm_registry.discovery.context_window import bears_cuts, characters, judge, shorten, was_cut
from llm_registry.endpoints.slots import Slots
from llm_registry.failures.errors import CallFailure, Kind
from llm_registry.records.budget import USUAL_ANSWER, Budget, Share
from llm_registry.records.call_log import CallRow, CallStore, cost_of
from llm_registry.records.tracing import OK
from llm_registry.specs.addresses import model_name
from llm_registry.specs.role_chains import Link


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that gave no usable answer."""

    kind: str
    detail: str
    seconds: float
    spent: Spent = field(default_factory=Spent)


class Client:
    """Calls specs.

    Args:
        shelf: The chat models.
        store: The book of calls.
        slots: Places on endpoints.
        budget: Asked before each call.
        events: Told about each call.
        cleaner: Every word to a server passes it, and every word of one.
    """

    def __init__(
        self, shelf: ModelShelf, store: CallStore, slots: Slots, budget: Budget, events: EventSink, cleaner: Cleaner
    ) -> None:
        self._cleaner = cleaner
        self._shelf = shelf
        self._store = store
        self._slots = slots
        self._budget = budget
        self._events = events
        self._warned: set[tuple[str, str, str]] = set()

    async def call(self, link: Link, ask: Ask, attempt: Try) -> Done:
        """Make the call.

        Raises:
            CallFailure: The spec gave no usable answer.
            BudgetError: A limit of the thread is used up.
        """
        await self._budget.check()
        ask = self._fitted(link, self._cleaner.ask(ask))
        try:
            return await self._placed(link, ask, attempt)
        except CallFailure as failure:
            shorter = self._shortened(link, ask) if failure.kind is Kind.CONTEXT else ask
            if shorter is ask:
                raise
        self._warn(link, ask, "the prompt was cut: the server said that it does not fit")
        return await self._placed(link, shorter, attempt)

    async def _placed(self, link: Link, ask: Ask, attempt: Try) -> Done:
        began = time.monotonic()
        waits = False

        def waiting(seconds: float | None, *, over: bool = False) -> None:
            nonlocal waits
            waits = not over
            known = None if seconds is None else round(seconds, 3)
            self._events.emit("model_waiting", role=ask.role, spec=link.name, seconds=known, over=over)

        limit = self._shelf.limit(link)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._slots.place(link.endpoint, limit, waiting=waiting))
            if waits:
                waiting(time.monotonic() - began, over=True)
            await stack.enter_async_context(self._budget.admit(_share(link, ask)))
            self._events.emit("model_started", node=ask.site.node, role=ask.role, spec=link.name)
            done = await self._make(link, ask, attempt)
        if done.answer.finish_reason == "length":
            self._warn(link, ask, "an answer was cut off by the token limit: raise max_output_tokens or the window")
        return done

    async def _make(self, link: Link, ask: Ask, attempt: Try) -> Done:
        began = time.monotonic()
        answer: Answer | None = None
        try:
            heard = await hear(self._shelf, link, ask)
            answer = self._cleaner.answer(link, normalize(heard.message, ask.tool_schemas))
            _demand_whole(answer, ask)
            self._demand_read(link, ask, answer)
        except (CallFailure, NeedsModelError) as failure:
            if isinstance(failure, CallFailure):
                # Servers repeat the key they refuse, and this text ends up in errors and reports.
                failure.message = redact(failure.message, spec_secrets(link.spec))
            kind, detail = _said(failure)
            spent = spent_on(link, ask, answer) if answer else spent_unheard(link, ask, kind)
            await self._book_failure(link, ask, attempt, Failed(kind, detail, time.monotonic() - began, spent))
            raise
        except asyncio.CancelledError:
            failed = Failed("cancelled", "", time.monotonic() - began)
            await asyncio.shield(self._book_failure(link, ask, attempt, failed))
            raise
        return await self._book(link, ask, attempt, heard, answer)

    def _fitted(self, link: Link, ask: Ask) -> Ask:
        window = self._shelf.window(link)
        if link.embedded or window.tokens is None or judge(ask.role, ask.size, window) != "shorten":
            return ask
        self._warn(link, ask, f"the prompt was cut to fit the window of {window.tokens} tokens")
        return replace(ask, messages=tuple(shorten(ask.messages, window.tokens)))

    def _shortened(self, link: Link, ask: Ask) -> Ask:
        """The prompt for a server that refused it as too long, where the work of the role survives a cut."""
        if link.embedded or not bears_cuts(ask.role):
            return ask
        tokens = min(self._shelf.window(link).tokens or ask.size.tokens, ask.size.tokens)
        messages = tuple(shorten(ask.messages, tokens))
        return replace(ask, messages=messages) if characters(messages) < characters(ask.messages) else ask

    def _demand_read(self, link: Link, ask: Ask, answer: Answer) -> None:
        """Catch a server that dropped part of the prompt without a word."""
        window, read = self._shelf.window(link).tokens, answer.usage.input_tokens
        if link.embedded or not was_cut(ask.characters, read, window):
            return
        said = f"the server read {read} tokens of a prompt of about {ask.size.tokens}"
        if window is not None and ask.size.tokens > window and not bears_cuts(ask.role):
            raise CallFailure(Kind.CONTEXT, f"{said}; its window is {window}")
        # Servers that keep a prompt in their cache may count only the new part of it, so this alone proves nothing.
        self._warn(link, ask, said)

    def _warn(self, link: Link, ask: Ask, message: str) -> None:
        # The first words name the matter; figures behind them differ from call to call.
        matter = (link.name, ask.role, message[:20])
        if matter not in self._warned:
            self._warned.add(matter)
            self._events.emit("model_warning", role=ask.role, spec=link.name, message=message)

    async def _book(self, link: Link, ask: Ask, attempt: Try, heard: Heard, answer: Answer) -> Done:
        usage, spent = answer.usage, spent_on(link, ask, answer)
        reply = ModelReply(
            items=answer.items, usage=usage, response_id=answer.response_id, finish_reason=answer.finish_reason,
            role=ask.role, spec=link.name, reason=attempt.reason, seconds=heard.seconds,
            first_token_s=heard.first_token_s, cost_usd=spent.cost_usd, attempts=attempt.number,
        )  # fmt: skip
        problem = ask.judge(answer)
        outcome = Kind.BAD_OUTPUT.value if problem else OK
        row = CallRow(
            **_common(link, ask, attempt), **_figures(spent), outcome=outcome, detail=problem,
            total_s=heard.seconds, first_token_s=heard.first_token_s,
        )  # fmt: skip
        await self._store.record(row)
        self._events.emit(
            "model_finished", node=ask.site.node, role=ask.role, spec=link.name, input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens, seconds=round(heard.seconds, 3), outcome=outcome,
        )  # fmt: skip
        return Done(answer, reply, problem)

    async def _book_failure(self, link: Link, ask: Ask, attempt: Try, failed: Failed) -> None:
        usage = failed.spent.usage
        row = CallRow(
            **_common(link, ask, attempt), **_figures(failed.spent), outcome=failed.kind, total_s=failed.seconds,
            detail=failed.detail,
        )  # fmt: skip
        await self._store.record(row)
        self._events.emit(
            "model_finished", node=ask.site.node, role=ask.role, spec=link.name, input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens, seconds=round(failed.seconds, 3), outcome=failed.kind,
        )  # fmt: skip


def _said(failure: CallFailure | NeedsModelError) -> tuple[str, str]:
    kind = failure.kind.value if isinstance(failure, CallFailure) else failure.code
    return kind, failure.message


def _share(link: Link, ask: Ask) -> Share:
    if link.embedded:
        return Share()
    answer = link.spec.max_output_tokens or USUAL_ANSWER
    return Share(ask.size.tokens, cost_of(link.spec.cost, ask.size.tokens, answer) or 0.0)


def _figures(spent: Spent) -> dict[str, Any]:
    usage = spent.usage
    return {
        "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens, "cost_usd": spent.cost_usd,
        "estimated_tokens": spent.estimated_tokens, "estimated_cost_usd": spent.estimated_cost_usd,
    }  # fmt: skip


def _common(link: Link, ask: Ask, attempt: Try) -> dict[str, Any]:
    return {
        "role": ask.role, "spec": link.name, "provider": link.spec.provider, "model": model_name(link.spec),
        "thread": ask.site.thread, "node": ask.site.node, "purpose": ask.site.purpose,
        "trace_id": ask.trace, "parent_id": ask.parent,
        "counted_tokens": ask.size.tokens, "retries": attempt.number - 1, "breaker": attempt.breaker,
    }  # fmt: skip


def _demand_whole(answer: Answer, ask: Ask) -> None:
    if not answer.finish_reason:
        raise CallFailure(Kind.CUT, "the answer stopped without a finish reason")
    # Servers that part thinking from words may take an object for thinking.
    thought_object = ask.structured and "{" in answer.reasoning and not ask.judge(answer)
    if not (answer.text.strip() or answer.calls or answer.broken or thought_object):
        said = "nothing but reasoning" if answer.reasoning else "nothing"
        cut = ", cut off by the token limit" if answer.finish_reason == "length" else ""
        raise CallFailure(Kind.BAD_OUTPUT, f"the model answered {said}{cut}")
