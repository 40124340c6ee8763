"""Shows a run on stderr: lines that scroll, and on a terminal a few live lines below them. Nothing goes to stdout."""

import errno
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from core.events import Event
from core.storage.thread_ids import short_id
from core.text import single_line
from rolecall.output.event_text import without_control_characters
from rolecall.output.run_view import RunView
from rolecall.output.streams import safe_stream, unfiltered


def utc_now() -> datetime:
    """The time of day in UTC."""
    return datetime.now(UTC)


class Screen(Console):
    """Standard error, on which text is never read as markup."""

    def __init__(self, *, plain: bool = False) -> None:
        super().__init__(
            file=unfiltered(sys.stderr),
            highlight=False,
            markup=False,
            emoji=False,
            force_terminal=False if plain else None,
        )

    def on_broken_pipe(self) -> None:
        """Report that no one reads any more; the inherited method would exit the program instead."""
        raise BrokenPipeError(errno.EPIPE, "standard error was closed")


class Display(AbstractContextManager["Display"]):
    """The screen of a run.

    Args:
        console: Where to draw; live only when it is a terminal.
        quiet: Show questions and warnings only.
        now: The clock.
    """

    def __init__(self, console: Console, *, quiet: bool = False, now: Callable[[], datetime] = utc_now) -> None:
        self.view = RunView()
        self.typed = ""
        self.typing = False
        """The user may type; show what is typed."""
        self.steers = False
        """The line being typed was started before the current question, so it is not its answer."""
        self.stopping = ""
        """How far stopping has got; empty unless a stop was requested."""
        self._console = console
        self._quiet = quiet
        self._now = now
        self._gone = False
        self._live: Live | None = None
        if console.is_terminal and not quiet:
            self._live = Live(console=console, get_renderable=self.footer, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        """Start drawing."""
        if self._live:
            self._live.start()
            sys.stderr = safe_stream(sys.stderr)  # what others print goes above the live lines, cleaned as before
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the live lines; scrolled lines stay."""
        if self._live:
            with suppress(OSError):  # the terminal is gone, and its lines with it
                self._live.stop()

    def listen(self, event: Event) -> None:
        """Show an event."""
        line = self.view.apply(event)
        loud = event.event in {"question", "warning", "error", "model_fallback"}
        said_at_the_end = event.event == "result" or (event.event == "error" and "traceback" in event.data)
        if line is None or said_at_the_end or (self._quiet and not loud):
            return
        self.say(line, style=_STYLES.get(event.event, ""))

    def say(self, text: str, *, style: str = "") -> None:
        """Print lines above the live part, each with the time since the start."""
        if self._gone:
            return
        try:
            self._print(text, style)
        except OSError:
            self._gone = True  # the terminal or the reader is gone; the run goes on without them

    def _print(self, text: str, style: str) -> None:
        for at, line in enumerate(without_control_characters(text).splitlines()):
            stamp = self.view.elapsed(self._now()) if at == 0 else " " * 5
            self._console.print(Text.assemble((f"{stamp}  ", "dim"), (line, style)), soft_wrap=True)

    def refresh(self) -> None:
        """Draw the live part now, as after a key."""
        if self._live and not self._gone:
            self._live.refresh()

    def footer(self) -> RenderableType:
        """The live part."""
        view, now = self.view, self._now()
        since = f"{(now - view.node_since).total_seconds():.0f} s" if view.node_since else ""
        name = short_id(view.thread) if view.thread else ""
        head = " · ".join(part for part in (name, view.elapsed(now), view.progress, view.spent) if part)
        serving = view.serving if view.calling else ""
        at = "  ".join(single_line(part) for part in (serving, view.doing, since) if part)
        rows = [
            Text(f"─ {single_line(head)}", style="dim"),
            Text.assemble(("● ", "green"), (f"{view.node or 'starting'}  ", "bold"), at),
        ]
        if view.status:
            rows.append(Text(f"  {single_line(view.status)}", style="italic"))
        if self.typing:
            rows.append(self._prompt())
        for row in rows:
            row.truncate(max(20, self._console.width - 1), overflow="ellipsis")
        return Group(*rows)

    def _prompt(self) -> Text:
        if self.typed:
            lead = "steer> " if self.steers else "> "
            return Text.assemble(
                (lead, "cyan"), without_control_characters(self.typed[-(self._console.width - 10) :]), ("▏", "cyan")
            )
        if self.stopping:
            return Text(self.stopping, style="dim")
        what = "type your answer, then Enter" if self.view.question else "type to steer, Enter to send · Ctrl-C to stop"
        return Text.assemble(("> ", "cyan"), (what, "dim"))


_STYLES = {
    "question": "bold cyan",
    "warning": "yellow",
    "error": "bold red",
    "model_fallback": "yellow",
    "model_warning": "yellow",
    "guidance": "cyan",
    "intervention": "magenta",
    "status": "italic",
}
