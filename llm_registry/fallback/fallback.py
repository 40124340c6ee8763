"""Walks the chain of a role until one spec serves: breakers, windows, retries, fallbacks and why.

Owns the decision retry / next spec / stop. The caller says how a spec is asked, so that plain chats and
structured answers share one walk.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from core.errors import ModelError, NeedsModelError
from core.events import EventSink
from llm_registry.calls.model_cache import ModelCache, spec_address
from llm_registry.calls.requests import Attempt, RoleRequest
from llm_registry.discovery.context_window import TokenEstimate, prompt_fit
from llm_registry.endpoints.breaker import Breakers, BreakerState
from llm_registry.failures.errors import ENDPOINT_DOWN, RETRIES, SPEC_DEAD, CallFailure, ErrorKind
from llm_registry.fallback.failure_hints import failure_hint
from llm_registry.fallback.preflight import BreakerOpen, Preflight
from llm_registry.specs.role_chains import Chain, ChainLink

T = TypeVar("T")
AskSpec = Callable[[ChainLink, Attempt], Awaitable[T]]

LONGEST_WAIT_S = 20.0
"""A server that asks for a longer wait than this is skipped for the next spec."""
LAST_WAIT_S = 60.0
"""The same where no other model follows."""
_BUSY = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED})
_BUSY_RETRIES = 5
"""The minimum for a busy server that no other model follows: it may be loading a model, and the alternative is to
stop. It is retried for as long as its first token may take."""
_DISPENSABLE = frozenset({"summarizer", "supervisor"})
"""A run continues without these, so it does not wait long for them."""
_GATE_POLL_S = 1.0
_TELL_AT = 2
"""Refusals in a row after which the wait is reported."""
_FIRST_PAUSE_S = 1.0
"""Before a busy server is retried; each further pause is twice as long."""
_LONGEST_PAUSE_S = 8.0


@dataclass(slots=True)
class ChainProgress:
    """One walk along a chain: what happened so far."""

    ask: RoleRequest
    chain: Chain
    size: TokenEstimate
    """Of the prompt."""
    notes: list[str] = field(default_factory=list)
    """What happened to each spec, for the reason and for the error."""
    last: str = ""
    """Name of the spec that was skipped last."""
    disabled: str = ""
    """The same, if it is disabled: the user's own choice."""
    troubles: list[tuple[ChainLink, ErrorKind]] = field(default_factory=list)
    """The same for the hint, if something can be done about it."""
    too_long_for: int | None = None
    """A window, in tokens, that is known to be too small."""

    @property
    def reason(self) -> str:
        """Why the next spec is asked."""
        return "; ".join(self.notes) or "first choice"

    def pass_over(self, link: ChainLink, failure: CallFailure, note: str = "") -> None:
        """Move on to the next spec."""
        self.last = link.name
        self.notes.append(f"{link.name}: {note or failure}")
        self.troubles.append((link, failure.cause))


class FallbackRunner:
    """Asks the specs of chains in order.

    Args:
        shelf: Windows and protocols of specs.
        breakers: Which endpoints may be asked.
        events: Told about fallbacks.
    """

    def __init__(self, shelf: ModelCache, breakers: Breakers, events: EventSink) -> None:
        self._shelf = shelf
        self._breakers = breakers
        self._events = events
        self._dead: dict[str, CallFailure] = {}
        self._toolless: dict[str, CallFailure] = {}
        self._resting: dict[str, float] = {}
        self._told: dict[str, tuple[str, str]] = {}
        self._agreed: set[tuple[str, str]] = set()
        """Role and spec of first choices whose terms were announced."""
        self._contacts = Preflight(breakers)

    async def walk(self, chain: Chain, ask: RoleRequest, asking: AskSpec[T]) -> T:
        """Ask one spec after another until one serves.

        Raises:
            ModelError: None did; the text lists what happened to each.
        """
        off = "".join(chain.skipped[-1:])
        state = ChainProgress(ask, chain, ask.size, list(chain.opening), last=off, disabled=off)
        for link in chain.links:
            last = all(other.embedded for other in chain.links[chain.links.index(link) + 1 :])
            if (obstacle := self._obstacle(link, state, last=last)) is not None:
                state.pass_over(link, obstacle)
                continue
            try:
                return await self._serve(link, state, asking, last=last)
            except CallFailure as failure:
                self._learn(link, failure, state)
        listed = "; ".join(dict.fromkeys([*state.notes, *chain.notes])) or "its chain is empty"
        raise ModelError(f"no model can serve the role {chain.role!r}: {listed}", hint=self._hint(state, spare=True))

    def revive(self) -> None:
        """Forget which specs refused permanently: a new probe found their servers."""
        self._dead.clear()
        self._toolless.clear()

    def _obstacle(self, link: ChainLink, state: ChainProgress, *, last: bool) -> CallFailure | None:
        if link.name in self._dead:
            return self._dead[link.name]
        rest = self._resting.get(link.name, 0.0) - time.monotonic()
        if rest > 0 and not last:
            said = f"its server asked us to wait; next retry in {rest:.0f} s"
            return CallFailure(ErrorKind.RATE_LIMITED, said, blocked=True)
        if state.ask.tools and link.name in self._toolless:
            return self._toolless[link.name]
        if link.embedded or not (said := self._too_long(link, state)):
            return None
        return CallFailure(ErrorKind.CONTEXT, said, blocked=True)

    def _too_long(self, link: ChainLink, state: ChainProgress) -> str:
        window = self._shelf.window(link)
        if state.too_long_for is not None and window.tokens is not None and window.tokens <= state.too_long_for:
            return f"its window of {window.tokens} tokens is no larger"
        if prompt_fit(state.ask.role, state.size, window) == "refuse":
            return f"the prompt of about {state.size.tokens} tokens does not fit its window of {window.tokens}"
        return ""

    def _hint(self, state: ChainProgress, *, spare: bool) -> str:
        off = [note.removesuffix(" is disabled") for note in state.chain.notes] if spare else state.chain.skipped
        return failure_hint(state.troubles, off, self._shelf.facts, spare=spare)

    async def _serve(self, link: ChainLink, state: ChainProgress, asking: AskSpec[T], *, last: bool) -> T:
        if link.embedded:
            self._announce(link, state)
            try:
                return await asking(link, Attempt(state.reason))
            except NeedsModelError as error:
                if not state.notes:
                    raise
                # What the user must mend is what came before the engine of last resort.
                hint = self._hint(state, spare=False) or error.hint
                raise NeedsModelError(f"{error.message} Before that: {state.reason}", hint=hint) from error
        gate = await self._gate(link, state, last=last)
        self._announce(link, state)
        try:
            return await self._persist(link, state, Attempt(state.reason, 1, gate.state), asking, last=last)
        except BaseException:
            if gate.state == "half_open":
                # Cancelled or out of budget, the trial told nothing; others need not wait for it to run out.
                await asyncio.shield(self._breakers.end_trial(link.endpoint))
            raise

    async def _gate(self, link: ChainLink, state: ChainProgress, *, last: bool) -> BreakerState:
        """Get permission to call; waits for a busy server that has no fallback."""
        deadline, told = time.monotonic() + _patience(link, state), False
        while True:
            try:
                return await self._contacts.enter(link)
            except BreakerOpen as blocked:
                if not (last and blocked.busy) or time.monotonic() >= deadline:
                    raise
                if not told:
                    self._tell_busy(link, state, blocked)
                told = True
            await asyncio.sleep(_GATE_POLL_S * random.uniform(0.75, 1.25))  # noqa: S311 - no secret

    def _tell_busy(self, link: ChainLink, state: ChainProgress, failure: CallFailure) -> None:
        limit = _patience(link, state)
        self._events.emit(
            "model_warning", role=state.ask.role, spec=link.name,
            message=f"its server is busy and there is no fallback; retrying for up to {limit:g} s: {failure}",
        )  # fmt: skip

    async def _persist(
        self, link: ChainLink, state: ChainProgress, attempt: Attempt, asking: AskSpec[T], *, last: bool
    ) -> T:
        began = time.monotonic()
        while True:
            try:
                answer = await asking(link, attempt)
            except CallFailure as failure:
                await self._breakers.failed(link.endpoint, failure)
                if failure.kind in ENDPOINT_DOWN:
                    self._contacts.forget(link.endpoint)
                mended = await self._shelf.change_protocol(link, failure, structured=state.ask.structured)
                patient = last and time.monotonic() - began < _patience(link, state)
                pause = 0.0 if mended else _pause(failure, attempt.number, last=last, patient=patient)
                if pause is None:
                    raise
                if patient and failure.kind in _BUSY and attempt.number == _TELL_AT:
                    self._tell_busy(link, state, failure)
                await asyncio.sleep(pause)
                attempt = replace(attempt, number=attempt.number + 1)
            else:
                await self._breakers.succeeded(link.endpoint)
                self._shelf.understood(link)
                return answer

    def _announce(self, link: ChainLink, state: ChainProgress) -> None:
        before, state.last = state.last, link.name
        role = state.ask.role
        if not before or (before == state.disabled and not link.paid):
            self._told.pop(role, None)
            # A first choice that costs money or is on the internet is announced once per run, before it is asked.
            if link.terms and (role, link.name) not in self._agreed:
                self._agreed.add((role, link.name))
                message = f"serves {role}: {link.terms}"
                self._events.emit("model_warning", role=role, spec=link.name, message=message)
            return
        change = (before, link.name)
        # A fallback that lasts is told once; one that costs money each time.
        if self._told.get(role) != change or link.paid:
            self._told[role] = change
            self._events.emit(
                "model_fallback", role=role, **{"from": before}, to=link.name, reason=state.notes[-1],
                paid=link.paid, remote=link.remote,
            )  # fmt: skip

    def _learn(self, link: ChainLink, failure: CallFailure, state: ChainProgress) -> None:
        note = str(failure)
        if failure.kind in ENDPOINT_DOWN and not failure.blocked:
            note = f"{failure.kind.value.replace('_', ' ')} at {spec_address(link.spec)}: {failure.message}"
        state.pass_over(link, failure, note)
        if failure.kind in SPEC_DEAD:
            self._dead[link.name] = failure
        if failure.retry_after_s is not None:
            self._resting[link.name] = time.monotonic() + failure.retry_after_s
        if failure.kind is ErrorKind.UNSUPPORTED and state.ask.tools:
            self._toolless[link.name] = failure
        if failure.kind is ErrorKind.CONTEXT:
            state.too_long_for = self._shelf.window(link).tokens


def _patience(link: ChainLink, state: ChainProgress) -> float:
    """Seconds for which a busy server is retried when no other model follows."""
    return 0.0 if state.ask.role in _DISPENSABLE else link.spec.timeouts.first_token


def _pause(failure: CallFailure, tries: int, *, last: bool, patient: bool) -> float | None:
    """Seconds until the same spec is asked again, `None` when it is not."""
    busy = failure.kind in _BUSY
    retries = _BUSY_RETRIES if busy and last else RETRIES.get(failure.kind, 0)
    if failure.blocked or failure.final or (tries > retries and not (busy and patient)):
        return None
    wished = failure.retry_after_s or 0.0
    if wished > (LAST_WAIT_S if last else LONGEST_WAIT_S):
        return None
    base = min((_FIRST_PAUSE_S if busy else 0.2) * 2.0 ** (tries - 1), _LONGEST_PAUSE_S)
    # A server that asks for no patience, or for next to none, is not asked again without a pause.
    return max(wished, base * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
