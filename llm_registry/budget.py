"""Holds a thread to its limits: asked before every model call. Owns the comparison; the sums are the call book's."""

import time

from core.errors import BudgetError
from core.events import EventSink
from core.settings import BudgetSettings
from llm_registry.calls import CallStore, ThreadTotals


class Budget:
    """The limits of one thread.

    Args:
        limits: As configured.
        store: The book of calls.
        thread: Whose calls count.
        events: Told when a limit cannot be held.
    """

    def __init__(self, limits: BudgetSettings, store: CallStore, thread: str, events: EventSink) -> None:
        self._limits = limits
        self._store = store
        self._thread = thread
        self._events = events
        self._warned = False
        self._began = time.monotonic()
        self._earlier_s: float | None = None

    async def check(self) -> None:
        """Refuse a call when a limit is used up.

        Raises:
            BudgetError: Says what was spent and which option raises the limit.
        """
        limits, spent = self._limits, await self._store.totals(self._thread)
        if self._earlier_s is None:
            # Time of earlier runs is known only as far as their calls took it.
            self._earlier_s = spent.seconds
        self._warn_of_unknown(spent)
        minutes = (self._earlier_s + time.monotonic() - self._began) / 60
        if limits.max_tokens is not None and spent.tokens >= limits.max_tokens:
            raise _used_up(f"{spent.tokens} of {limits.max_tokens} tokens", "--max-tokens", "max_tokens")
        if limits.max_cost_usd is not None and spent.cost_usd >= limits.max_cost_usd:
            raise _used_up(f"${spent.cost_usd:.4f} of ${limits.max_cost_usd:g}", "--max-cost", "max_cost_usd")
        if limits.max_model_calls is not None and spent.calls >= limits.max_model_calls:
            raise _used_up(f"{spent.calls} of {limits.max_model_calls} model calls", "", "max_model_calls")
        if limits.max_minutes is not None and minutes >= limits.max_minutes:
            raise _used_up(f"{minutes:.1f} of {limits.max_minutes:g} minutes", "--max-minutes", "max_minutes")

    def _warn_of_unknown(self, spent: ThreadTotals) -> None:
        if self._limits.max_cost_usd is None or not spent.unpriced_calls or self._warned:
            return
        self._warned = True
        self._events.emit(
            "warning",
            message=f"the price of {spent.unpriced_calls} model calls is unknown and does not count towards the cost "
            "limit; give the `cost` of their specs in the configuration",
        )


def _used_up(spent: str, flag: str, setting: str) -> BudgetError:
    raised = f"`{flag}` or `budget.{setting}`" if flag else f"`budget.{setting}`"
    return BudgetError(f"the budget is used up: {spent} spent", hint=f"resume with more: raise {raised}")
