"""Enforces a thread's limits: checked before every model call. Owns the comparison; the sums are the call log's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from core.config.settings import BudgetSettings
from core.errors import BudgetError
from core.events import EventSink
from llm_registry.records.call_log import CallLog, ThreadTotals
from llm_registry.records.wall_clock import WallClock

USUAL_ANSWER = 256
"""Tokens assumed for an answer before the thread has had any."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a call in flight will probably have spent when it ends."""

    tokens: int = 0
    cost_usd: float = 0.0


class Budget:
    """The limits of one thread.

    Args:
        limits: As configured.
        store: The call log.
        thread: Whose calls count.
        clock: Says how long the thread has run.
        events: Told what is estimated, or not counted at all.
    """

    def __init__(
        self, limits: BudgetSettings, store: CallLog, thread: str, clock: WallClock, events: EventSink
    ) -> None:
        self._limits = limits
        self._store = store
        self._thread = thread
        self._clock = clock
        self._events = events
        self._told: set[str] = set()
        self._flying: list[Reservation] = []
        self._landed = asyncio.Event()
        self._left_s: float | None = None

    async def check(self) -> ThreadTotals:
        """Refuse a call when a limit is used up.

        Raises:
            BudgetError: Says what was spent and which option raises the limit.
        """
        limits, spent = self._limits, await self._store.totals(self._thread, since=self._clock.since)
        self._tell(spent)
        guessed = f" ({spent.estimated_tokens} of them estimated)" if spent.estimated_tokens else ""
        if limits.max_tokens is not None and spent.tokens >= limits.max_tokens:
            raise _used_up(f"{spent.tokens} of {limits.max_tokens} tokens{guessed}", "--max-tokens", "max_tokens")
        if limits.max_cost_usd is not None and spent.cost_usd >= limits.max_cost_usd:
            raise _used_up(f"${spent.cost_usd:.4f} of ${limits.max_cost_usd:g}", "--max-cost", "max_cost_usd")
        if limits.max_model_calls is not None and spent.calls >= limits.max_model_calls:
            raise _used_up(f"{spent.calls} of {limits.max_model_calls} model calls", "", "max_model_calls")
        self._demand_time(await self._clock.seconds())
        return spent

    @asynccontextmanager
    async def admit(self, share: Reservation) -> AsyncIterator[None]:
        """Reserve a share of what is left during a call; waits while calls in flight may use up the rest.

        So simultaneous calls do not each see the same remainder and exceed the limit together. A call that
        is still running when time is up is ended.

        Args:
            share: What the prompt uses; the answer is assumed to be as long as previous ones.

        Raises:
            BudgetError: A limit is used up.
        """
        while True:
            landed = self._landed
            spent = await self.check()
            # What landed meanwhile is in neither sum.
            if landed is self._landed:
                if not self._flying or self._fits(spent):
                    break
                await landed.wait()
        mine = replace(share, tokens=share.tokens + (spent.usual_answer or USUAL_ANSWER)) if share.tokens else share
        end = asyncio.timeout(self._left_s)
        self._flying.append(mine)
        try:
            async with end:
                yield
        except TimeoutError:
            if end.expired():
                self._demand_time((self._limits.max_minutes or 0) * 60)
            raise
        finally:
            self._flying.remove(mine)
            self._landed.set()
            self._landed = asyncio.Event()

    def _demand_time(self, seconds: float) -> None:
        limit = self._limits.max_minutes
        if limit is None:
            return
        self._left_s = limit * 60 - seconds
        if self._left_s <= 0:
            raise _used_up(f"{seconds / 60:.1f} of {limit:g} minutes", "--max-minutes", "max_minutes")

    def _fits(self, spent: ThreadTotals) -> bool:
        """Whether something would be left if the calls in flight ended as estimated."""
        limits = self._limits
        ahead = (
            (limits.max_tokens, spent.tokens + sum(share.tokens for share in self._flying)),
            (limits.max_cost_usd, spent.cost_usd + sum(share.cost_usd for share in self._flying)),
            (limits.max_model_calls, spent.calls + len(self._flying)),
        )
        return all(limit is None or reckoned < limit for limit, reckoned in ahead)

    def _tell(self, spent: ThreadTotals) -> None:
        if self._limits.max_cost_usd is not None and spent.unpriced_calls:
            self._once(
                f"the price of {spent.unpriced_calls} model calls is unknown and does not count towards the cost "
                "limit; give the `cost` of their specs in the configuration"
            )
        if self._limits.max_tokens is not None and spent.estimated_tokens:
            self._once(
                f"the tokens of {spent.unmetered_calls} model calls were not reported by their servers and count "
                f"towards the token limit as estimated: {spent.estimated_tokens}"
            )

    def _once(self, message: str) -> None:
        # Figures differ from call to call; the first words name the matter.
        if message[:13] not in self._told:
            self._told.add(message[:13])
            self._events.emit("warning", message=message)


def _used_up(spent: str, flag: str, setting: str) -> BudgetError:
    raised = f"`{flag}` or `budget.{setting}`" if flag else f"`budget.{setting}`"
    return BudgetError(f"the budget is used up: {spent} spent", hint=f"resume with more: raise {raised}")
