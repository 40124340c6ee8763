"""What `-v` and `-vv` print: the debug log of the call, on stderr while it happens."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from graph.store.debug_log import RedactingFormatter, attached, is_told


class ScreenHandler(logging.Handler):
    """Prints to the current standard error, above the live display."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        try:
            print(self.format(record), file=sys.stderr)
        except OSError:
            self.setLevel(logging.CRITICAL + 1)  # the terminal is gone


@contextmanager
def verbose_logging(level: int) -> Iterator[None]:
    """Print logs while the block runs: from INFO up at level 1, from DEBUG up above that."""
    handler = ScreenHandler(logging.INFO if level == 1 else logging.DEBUG)
    handler.setFormatter(RedactingFormatter())
    handler.addFilter(is_told)
    with attached(handler):
        yield
