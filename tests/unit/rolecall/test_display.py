from datetime import datetime, timedelta
from io import StringIO

from rich.console import Console

from core.events import Event
from rolecall.output.display import Display
from tests.golden.golden import Golden
from tests.unit.rolecall.events import RUN, START, at


class Screen:
    """A display on a terminal that is a string, with a clock that stands at the last event."""

    def __init__(self, *, width: int = 100, quiet: bool = False) -> None:
        self.text = StringIO()
        self.console = Console(
            file=self.text, width=width, highlight=False, markup=False, emoji=False, color_system=None, no_color=True
        )
        self.now = START
        self.display = Display(self.console, quiet=quiet, now=lambda: self.now)

    def show(self, *events: Event, until: datetime | None = None) -> str:
        with self.display:
            for event in events or RUN:
                self.now = event.ts
                self.display.listen(event)
        self.now = until or self.now
        return self.text.getvalue()

    def footer(self) -> str:
        with self.console.capture() as captured:
            self.console.print(self.display.footer())
        return captured.get()


def test_a_run_in_lines(golden: Golden) -> None:
    golden.check("cli/display_lines.txt", Screen().show())


def test_the_live_part_tells_where_the_run_is(golden: Golden) -> None:
    screen = Screen()
    screen.show(until=START + timedelta(seconds=75))

    golden.check("cli/display_footer.txt", screen.footer())


def test_the_live_part_shows_what_is_typed() -> None:
    screen = Screen()
    screen.show()
    screen.display.typing = True
    screen.display.typed = "leave the API alone"

    assert "> leave the API alone" in screen.footer()


def test_the_live_part_never_wraps() -> None:
    screen = Screen(width=40)
    screen.show(at(0, "status", text="long " * 50), at(1, "node_started", node="implement", step="x" * 80))

    assert max(map(len, screen.footer().splitlines())) < 40


def test_a_question_is_shown_to_its_last_letter() -> None:
    command = "\n".join(f"echo {'x' * 300} {number}" for number in range(30)) + "; rm -rf end"
    for quiet in (False, True):
        text = Screen(width=40, quiet=quiet).show(at(0, "question", id="1", text=f"May this command run? {command}"))

        shown = [line[7:] for line in text.splitlines()]
        assert "".join(shown).replace(" ", "").endswith(command.replace("\n", "").replace(" ", ""))


def test_quiet_shows_only_what_a_person_must_know() -> None:
    text = Screen(quiet=True).show()

    assert "the network is off" in text
    assert "coder: primary:qwen → embedded" in text
    assert "edit_file" not in text
    assert "plan" not in text


def test_markup_in_texts_is_shown_as_it_is() -> None:
    assert "[bold]x[/bold] :smile:" in Screen().show(at(0, "status", text="[bold]x[/bold] :smile:"))


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in Screen().show(at(0, "status", text="\x1b[2Jgone"), at(1, "warning", message="a\x07b"))
