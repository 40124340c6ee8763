"""What a person sees of a run, event by event."""

import io

from rich.console import Console

from core.events import Event
from rolecall.output.display import Display
from rolecall.output.run_view import RunView
from tests.unit.rolecall.events import at

BUSY = {"role": "router", "spec": "router:tiny"}


def lines(*events: Event) -> list[str]:
    view = RunView()
    return [line for event in events if (line := view.apply(event))]


def test_a_wait_for_a_place_is_told_once_when_it_is_long_and_once_when_it_is_over() -> None:
    waiting = [at(seconds, "model_waiting", **BUSY, seconds=seconds or None, over=False) for seconds in (0, 5, 10)]
    told = lines(*waiting, at(12, "model_waiting", **BUSY, seconds=12.3, over=True), at(12, "model_started", **BUSY))
    assert told == [
        "  model    router waits for a free slot on router:tiny  5.0 s",
        "  model    router had to wait for a free slot on router:tiny  12.3 s",
    ]
    short = at(1, "model_waiting", **BUSY, seconds=3.1, over=True)
    assert lines(waiting[0], short) == ["  model    router had to wait for a free slot on router:tiny  3.1 s"]
    assert lines(waiting[0], at(1, "model_waiting", **BUSY, seconds=0.1, over=True)) == []


def test_the_next_wait_is_told_too() -> None:
    long = at(5, "model_waiting", **BUSY, seconds=5.0, over=False)
    assert len(lines(long, at(6, "model_started", **BUSY), long)) == 2


def test_a_node_names_who_answered_it_and_says_when_it_failed() -> None:
    begun = at(0, "node_started", node="implement", step="s1")
    refused = at(1, "model_finished", node="implement", role="coder", spec="coder:qwen", outcome="refused")
    answer = at(2, "model_finished", node="implement", role="coder", spec="embedded", outcome="ok")
    beside = at(3, "model_finished", node="supervisor", role="summarizer", spec="tiny", outcome="ok")

    def ended(*events: Event, ok: bool) -> str:
        return lines(begun, *events, at(9, "node_finished", node="implement", seconds=9.0, ok=ok))[-1]

    assert ended(refused, ok=False) == "implement  failed  9.0 s"
    assert ended(refused, answer, beside, ok=True) == "implement  coder → embedded  9.0 s"


def test_the_header_knows_what_earlier_runs_used_and_that_the_first_call_is_going_on() -> None:
    view = RunView()
    assert view.spent == "no model call yet"
    view.apply(at(0, "model_started", node="route", role="router", spec="router:tiny"))
    assert view.spent == "first call"
    view = RunView()
    view.apply(at(0, "roles", roles={}, calls=3, input_tokens=1200, output_tokens=None))
    view.apply(at(0, "run_started", task="x", resumed=True))
    assert view.spent == "3 calls, 1.2k tokens in"


def test_what_costs_money_or_leaves_the_machine_stands_with_the_roles() -> None:
    terms = "calls cost money, what it is asked goes to a.example on the internet"
    roles = {"coder": {"spec": "cloud", "reason": "first choice", "terms": terms}, "primary": {"spec": "tiny"}}
    assert lines(at(0, "roles", roles=roles))[0].splitlines() == [
        f"roles      cloud serves coder ({terms})",
        "roles      tiny serves primary",
    ]
    fallback = at(1, "model_fallback", role="coder", to="cloud", reason="busy", paid=True, remote=True, **{"from": "a"})
    assert lines(fallback) == ["  model    coder: a → cloud  busy  paid, on the internet"]


def test_while_a_check_runs_it_is_named_and_no_model_is() -> None:
    display = Display(Console(file=io.StringIO(), width=200))

    def footer(*events: Event) -> str:
        for event in events:
            display.view.apply(event)
        out = io.StringIO()
        Console(file=out, width=200).print(display.footer())
        return out.getvalue()

    coder = {"node": "implement", "role": "coder", "spec": "coder:qwen"}
    assert "coder → coder:qwen" in footer(at(0, "node_started", node="implement"), at(1, "model_started", **coder))
    checked = footer(at(2, "model_finished", **coder, outcome="ok"), at(2, "check_started", command="make test"),
                     at(3, "model_started", node="supervisor", role="summarizer", spec="tiny"))  # fmt: skip
    assert "check make test" in checked
    assert "→" not in checked
    done = at(9, "check_finished", command="make test", exit_code=0, seconds=0.0, reused=True)
    assert "make test" not in footer(done)
    assert lines(done) == ["  check    make test  green  unchanged since it ran"]


def test_a_word_is_listed_once() -> None:
    word = at(1, "guidance", id=4, author="user", text="only ASCII", node="implement")
    assert len(lines(word, word)) == 1
