"""Circuit breakers, one per endpoint, shared by all roles and all runs of this user.

Owns when an endpoint may be asked. A closed breaker lets calls through; an open one names the reason and the time
left; after a jittered cool-down one caller may try (half open), and its result decides for all.
"""

import logging
import random
import time
from dataclasses import dataclass
from typing import Literal

from core.storage.database import Database, Row, Transaction
from llm_registry.failures.errors import ENDPOINT_DOWN, ENDPOINT_SICK, CallFailure, ErrorKind

_LOG = logging.getLogger(__name__)
SICK_LIMIT = 4
"""Weight of consecutive failures of a server that does answer."""
_HANGS = frozenset({ErrorKind.FIRST_TOKEN_TIMEOUT, ErrorKind.IDLE_TIMEOUT, ErrorKind.TOTAL_TIMEOUT})
"""These cost the run minutes each, so they weigh double."""
FIRST_COOL_S = 5.0
LONGEST_COOL_S = 120.0
TRIAL_S = 330.0
"""A trial that never reports back (its process died) expires after this."""
_SPREAD = (0.75, 1.25)
"""Cool-downs are jittered by this."""
_ROW = "SELECT failures, cool_s, until, trial_until, kind, reason FROM breakers WHERE endpoint = :endpoint"
_TRY = "UPDATE breakers SET trial_until = :until WHERE endpoint = :endpoint"
_COUNT = """INSERT INTO breakers(endpoint, failures, cool_s, until, trial_until, kind, reason)
            VALUES(:endpoint, :failures, :cool, :until, 0, :kind, :reason)
            ON CONFLICT(endpoint) DO UPDATE SET failures = excluded.failures, cool_s = excluded.cool_s,
                until = excluded.until, trial_until = 0, kind = excluded.kind, reason = excluded.reason"""


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Whether an endpoint may be asked now."""

    state: Literal["closed", "open", "half_open"]
    reason: str = ""
    kind: ErrorKind | None = None
    """Of the failure that opened it."""
    wait_s: float = 0.0
    """Seconds until the next try, when open."""


class Breakers:
    """All breakers.

    Args:
        state: The shared database.
        jitter: Randomness of cool-downs, so that many runs do not return at the same moment.
    """

    def __init__(self, state: Database, *, jitter: random.Random | None = None) -> None:
        self._state = state
        self._jitter = jitter or random.Random()  # noqa: S311 - no secret

    async def enter(self, endpoint: str) -> BreakerState:
        """Ask to call; if half open, the caller makes the trial call."""

        def entered(unit: Transaction) -> BreakerState:
            row, now = _row(unit.execute(_ROW, {"endpoint": endpoint})), time.time()
            if row is None or row["until"] == 0:
                return BreakerState("closed")
            if (left := _left(row["until"], now, LONGEST_COOL_S * _SPREAD[1])) > 0:
                return BreakerState("open", row["reason"], _kind(row), left)
            if _left(row["trial_until"], now, TRIAL_S) > 0:
                return BreakerState("open", f"{row['reason']}; another call is trying it", _kind(row), 1.0)
            unit.execute(_TRY, {"endpoint": endpoint, "until": now + TRIAL_S})
            return BreakerState("half_open", row["reason"], _kind(row))

        return await self._state.transaction(entered, durable=False)

    async def succeeded(self, endpoint: str) -> None:
        """Close: the endpoint answered."""
        await self._do("DELETE FROM breakers WHERE endpoint = :endpoint", endpoint)

    async def failed(self, endpoint: str, failure: CallFailure) -> None:
        """Count a failure; opens immediately when the server is unreachable, after several in a row when it only
        fails."""
        if failure.kind not in ENDPOINT_DOWN | ENDPOINT_SICK:
            # Not as wished, but an answer: that is no sign of absence.
            await self._do("DELETE FROM breakers WHERE endpoint = :endpoint AND trial_until > 0", endpoint)
            return

        def counted(unit: Transaction) -> float:
            row, now = _row(unit.execute(_ROW, {"endpoint": endpoint})), time.time()
            if row and _left(row["until"], now, LONGEST_COOL_S * _SPREAD[1]) > 0:
                # Calls that were under way when it opened; only a trial may prolong it.
                return 0.0
            failures = (row["failures"] if row else 0) + (2 if failure.kind in _HANGS else 1)
            was_open = bool(row and row["until"] > 0)
            opens = failure.kind in ENDPOINT_DOWN or failures >= SICK_LIMIT or was_open
            cool = min((row["cool_s"] if row else 0) * 2 or FIRST_COOL_S, LONGEST_COOL_S) if opens else 0.0
            until = now + cool * self._jitter.uniform(*_SPREAD) if opens else 0.0
            unit.execute(_COUNT, {"endpoint": endpoint, "failures": failures, "cool": cool, "until": until,
                                  "kind": failure.kind.value, "reason": str(failure)[:200]})  # fmt: skip
            return cool

        if cool := await self._state.transaction(counted, durable=False):
            _LOG.info("the breaker of %s is open for about %.0f s: %s", endpoint, cool, failure)

    async def end_trial(self, endpoint: str) -> None:
        """Let another caller try: the trial was never finished."""
        await self._do("UPDATE breakers SET trial_until = 0 WHERE endpoint = :endpoint", endpoint)

    async def _do(self, statement: str, endpoint: str) -> None:
        await self._state.write(statement, {"endpoint": endpoint}, durable=False)


def _row(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None


def _kind(row: Row) -> ErrorKind | None:
    """`None` in a row of an older rolecall."""
    return ErrorKind(row["kind"]) if row["kind"] else None


def _left(moment: float, now: float, longest: float) -> float:
    """Seconds until a moment; none when it is further away than anyone would set it: then the clock was set back."""
    left = moment - now
    return left if 0 < left <= longest else 0.0
