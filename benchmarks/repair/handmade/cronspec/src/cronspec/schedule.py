"""A parsed expression and the moments it selects."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from cronspec.fields import DAY, HOUR, MINUTE, MONTH, WEEKDAY, CronError

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
HORIZON = timedelta(days=366 * 8)


class Schedule:
    """The moments, to the minute, that an expression selects.

    Day of month and day of week are alternatives if both are restricted, as in cron.
    Sunday is 0 and 7.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression.strip()
        parts = ALIASES.get(self.expression.lower(), self.expression).split()
        if len(parts) != 5:
            raise CronError(f"five fields are wanted, not {len(parts)}")
        minute, hour, day, month, weekday = parts
        self.minutes = MINUTE.parse(minute)
        self.hours = HOUR.parse(hour)
        self.days = DAY.parse(day)
        self.months = MONTH.parse(month)
        self.weekdays = frozenset(value % 7 for value in WEEKDAY.parse(weekday))
        self.any_day = day == "*"
        self.any_weekday = weekday == "*"

    def __repr__(self) -> str:
        return f"Schedule({self.expression!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return (self.minutes, self.hours, self.days, self.months, self.weekdays, self.any_day, self.any_weekday)

    def on(self, moment: datetime) -> bool:
        """Whether the job runs on the day of this moment."""
        if moment.month not in self.months:
            return False
        by_day = moment.day in self.days
        by_weekday = moment.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_day and by_weekday
        return by_day or by_weekday

    def matches(self, moment: datetime) -> bool:
        return moment.minute in self.minutes and moment.hour in self.hours and self.on(moment)

    def after(self, moment: datetime) -> datetime:
        """Return the next run strictly after `moment`.

        Raises:
            CronError: there is none within eight years.
        """
        at = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        end = at + HORIZON
        while at <= end:
            if not self.on(at):
                at = at.replace(hour=0, minute=0) + timedelta(days=1)
            elif at.hour not in self.hours:
                at = at.replace(minute=0) + timedelta(hours=1)
            elif at.minute not in self.minutes:
                at += timedelta(minutes=1)
            else:
                return at
        raise CronError(f"{self.expression} never runs")

    def runs(self, start: datetime) -> Iterator[datetime]:
        """Yield all runs after `start`."""
        at = start
        while True:
            at = self.after(at)
            yield at

    def between(self, start: datetime, end: datetime) -> list[datetime]:
        """Return the runs after `start` up to `end`, the latter included."""
        found = []
        for at in self.runs(start):
            if at > end:
                break
            found.append(at)
        return found
