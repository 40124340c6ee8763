"""One call to one spec: a free slot, deadlines, the server's protocol, a normalised answer, a row in the call log.

Does not decide which spec is called or what happens after a failure; `fallback` does.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from core.errors import NeedsModelError
from core.events import EventSink
from core.known_secrets import spec_secrets
from core.redaction import redact
from core.replies import ModelReply
from llm_registry.calls.invoke import invoke_spec
from llm_registry.calls.model_cache import ModelCache
from llm_registry.calls.normalize import ParsedAnswer, parse_answer
from llm_registry.calls.prompt_redaction import PromptRedactor
from llm_registry.calls.requests import Attempt, CallResult, RoleRequest
from llm_registry.calls.usage import CallUsage, usage_of_answer, usage_of_failure
from llm_registry.discovery.context_window import (
    count_characters,
    may_shorten,
    prompt_fit,
    shorten_messages,
    was_truncated,
)
from llm_registry.endpoints.slots import Slots
from llm_registry.failures.errors import CallFailure, ErrorKind
from llm_registry.records.budget import USUAL_ANSWER, Budget, Reservation
from llm_registry.records.call_log import CallLog, CallRow, cost_of
from llm_registry.records.tracing import OK
from llm_registry.specs.addresses import model_name
from llm_registry.specs.role_chains import ChainLink


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a call ended."""

    outcome: str
    """`ok`, or the kind of failure."""
    detail: str
    total_s: float
    first_token_s: float | None = None
    spent: CallUsage = field(default_factory=CallUsage)


class SpecClient:
    """Calls specs.

    Args:
        shelf: The chat models.
        store: The call log.
        slots: Slots of endpoints.
        budget: Asked before each call.
        events: Told about each call.
        cleaner: Cleans all text to and from servers.
    """

    def __init__(
        self,
        shelf: ModelCache,
        store: CallLog,
        slots: Slots,
        budget: Budget,
        events: EventSink,
        cleaner: PromptRedactor,
    ) -> None:
        self._cleaner = cleaner
        self._shelf = shelf
        self._store = store
        self._slots = slots
        self._budget = budget
        self._events = events
        self._warned: set[tuple[str, str, str]] = set()

    async def call(self, link: ChainLink, ask: RoleRequest, attempt: Attempt) -> CallResult:
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
            shorter = self._shortened(link, ask) if failure.kind is ErrorKind.CONTEXT else ask
            if shorter is ask:
                raise
        self._warn(link, ask, "the prompt was shortened: the server said that it does not fit")
        return await self._placed(link, shorter, attempt)

    async def _placed(self, link: ChainLink, ask: RoleRequest, attempt: Attempt) -> CallResult:
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

    async def _make(self, link: ChainLink, ask: RoleRequest, attempt: Attempt) -> CallResult:
        began = time.monotonic()
        answer: ParsedAnswer | None = None
        try:
            heard = await invoke_spec(self._shelf, link, ask)
            answer = self._cleaner.answer(link, parse_answer(heard.message, ask.tool_schemas))
            _demand_whole(answer, ask)
            self._demand_read(link, ask, answer)
        except (CallFailure, NeedsModelError) as failure:
            if isinstance(failure, CallFailure):
                # Servers repeat the key they refuse, and this text ends up in errors and reports.
                failure.message = redact(failure.message, spec_secrets(link.spec))
            kind = failure.kind.value if isinstance(failure, CallFailure) else failure.code
            spent = usage_of_answer(link, ask, answer) if answer else usage_of_failure(link, ask, kind)
            ended = _Outcome(kind, failure.message, time.monotonic() - began, spent=spent)
            await self._book(link, ask, attempt, ended)
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._book(link, ask, attempt, _Outcome("cancelled", "", time.monotonic() - began)))
            raise
        spent, problem = usage_of_answer(link, ask, answer), ask.judge(answer)
        outcome = ErrorKind.BAD_OUTPUT.value if problem else OK
        await self._book(link, ask, attempt, _Outcome(outcome, problem, heard.seconds, heard.first_token_s, spent))
        reply = ModelReply(
            text=answer.text, reasoning=answer.reasoning, tool_calls=answer.calls, usage=answer.usage,
            response_id=answer.response_id, finish_reason=answer.finish_reason,
            role=ask.role, spec=link.name, reason=attempt.reason, seconds=heard.seconds,
            first_token_s=heard.first_token_s, cost_usd=spent.cost_usd, attempts=attempt.number,
        )  # fmt: skip
        return CallResult(answer, reply, problem)

    def _fitted(self, link: ChainLink, ask: RoleRequest) -> RoleRequest:
        window = self._shelf.window(link)
        if link.embedded or window.tokens is None or prompt_fit(ask.role, ask.size, window) != "shorten":
            return ask
        self._warn(link, ask, f"the prompt was shortened to fit the context window of {window.tokens} tokens")
        return replace(ask, messages=tuple(shorten_messages(ask.messages, window.tokens)))

    def _shortened(self, link: ChainLink, ask: RoleRequest) -> RoleRequest:
        """A shorter prompt for a server that refused it as too long, if the role's work survives a cut."""
        if link.embedded or not may_shorten(ask.role):
            return ask
        tokens = min(self._shelf.window(link).tokens or ask.size.tokens, ask.size.tokens)
        messages = tuple(shorten_messages(ask.messages, tokens))
        return replace(ask, messages=messages) if count_characters(messages) < count_characters(ask.messages) else ask

    def _demand_read(self, link: ChainLink, ask: RoleRequest, answer: ParsedAnswer) -> None:
        """Catch a server that silently dropped part of the prompt."""
        window, read = self._shelf.window(link).tokens, answer.usage.input_tokens
        if link.embedded or not was_truncated(ask.characters, read, window):
            return
        said = f"the server read {read} tokens of a prompt of about {ask.size.tokens}"
        if window is not None and ask.size.tokens > window and not may_shorten(ask.role):
            raise CallFailure(ErrorKind.CONTEXT, f"{said}; its window is {window}")
        # Servers that keep a prompt in their cache may count only the new part of it, so this alone proves nothing.
        self._warn(link, ask, said)

    def _warn(self, link: ChainLink, ask: RoleRequest, message: str) -> None:
        # The first words name the matter; figures behind them differ from call to call.
        matter = (link.name, ask.role, message[:20])
        if matter not in self._warned:
            self._warned.add(matter)
            self._events.emit("model_warning", role=ask.role, spec=link.name, message=message)

    async def _book(self, link: ChainLink, ask: RoleRequest, attempt: Attempt, ended: _Outcome) -> None:
        spent, usage = ended.spent, ended.spent.usage
        await self._store.record(CallRow(
            role=ask.role, spec=link.name, provider=link.spec.provider, model=model_name(link.spec),
            thread=ask.site.thread, node=ask.site.node, purpose=ask.site.purpose,
            trace_id=ask.trace, parent_id=ask.parent,
            counted_tokens=ask.size.tokens, retries=attempt.number - 1, breaker=attempt.breaker,
            input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, reasoning_tokens=usage.reasoning_tokens,
            cost_usd=spent.cost_usd, estimated_tokens=spent.estimated_tokens,
            estimated_cost_usd=spent.estimated_cost_usd,
            outcome=ended.outcome, detail=ended.detail, total_s=ended.total_s, first_token_s=ended.first_token_s,
        ))  # fmt: skip
        self._events.emit(
            "model_finished", node=ask.site.node, role=ask.role, spec=link.name, input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens, seconds=round(ended.total_s, 3), outcome=ended.outcome,
        )  # fmt: skip


def _share(link: ChainLink, ask: RoleRequest) -> Reservation:
    if link.embedded:
        return Reservation()
    answer = link.spec.max_output_tokens or USUAL_ANSWER
    return Reservation(ask.size.tokens, cost_of(link.spec.cost, ask.size.tokens, answer) or 0.0)


def _demand_whole(answer: ParsedAnswer, ask: RoleRequest) -> None:
    if not answer.finish_reason:
        raise CallFailure(ErrorKind.CUT, "the answer stopped without a finish reason")
    # Servers that part thinking from words may take an object for thinking.
    thought_object = ask.structured and "{" in answer.reasoning and not ask.judge(answer)
    if not (answer.text.strip() or answer.calls or answer.broken or thought_object):
        said = "nothing but reasoning" if answer.reasoning else "nothing"
        cut = ", cut off by the token limit" if answer.finish_reason == "length" else ""
        raise CallFailure(ErrorKind.BAD_OUTPUT, f"the model answered {said}{cut}")
