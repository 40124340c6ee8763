"""The five fields of a cron expression."""

from dataclasses import dataclass

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class CronError(ValueError):
    """An expression that means nothing."""


@dataclass(frozen=True)
class Field:
    """Bounds of a field, both inclusive, and the names its values may have."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """Return the number a text stands for; names count in any case.

        Raises:
            CronError: it is neither a number within bounds nor a name.
        """
        word = text.strip().lower()
        if word in self.names:
            return self.names.index(word) + self.low
        try:
            value = int(word)
        except ValueError:
            raise CronError(f"{text!r} is no {self.name}") from None
        if not self.low <= value <= self.high:
            raise CronError(f"{self.name} {value} is not between {self.low} and {self.high}")
        return value

    def parse(self, text: str) -> frozenset[int]:
        """Return the values a field's text selects: `*`, `5`, `1-5`, `*/15`, `10-40/10`, `7,9`."""
        values: set[int] = set()
        for part in text.split(","):
            values.update(self._range(part))
        return frozenset(values)

    def _range(self, part: str) -> range:
        span, _, every = part.partition("/")
        step = self._step(every) if every else 1
        if span == "*":
            return range(self.low, self.high + 1, step)
        first, dash, last = span.partition("-")
        start = self.number(first)
        if dash:
            end = self.number(last)
        else:
            end = self.high if every else start
        if end < start:
            raise CronError(f"{span} runs backwards")
        return range(start, end + 1, step)

    def _step(self, text: str) -> int:
        if not text.isdigit() or int(text) == 0:
            raise CronError(f"{text!r} is no step")
        return int(text)


MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day", 1, 31)
MONTH = Field("month", 1, 12, MONTHS)
WEEKDAY = Field("weekday", 0, 7, DAYS)
