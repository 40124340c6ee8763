"""The rules: pure functions from observations to problems. What to do about them is up to the escalation."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from core.config.settings import RuleThresholds
from core.text import counted
from graph.supervisor.snapshot import FinishedToolCall, Snapshot, share_done


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired."""

    rule: str
    reason: str
    """What was observed, with numbers."""
    advice: str
    """What to tell the working model."""


@dataclass(frozen=True, slots=True)
class RuleInput:
    """What the rules examine."""

    snapshot: Snapshot
    limits: RuleThresholds
    window: int | None = None
    """Context window of the coder in tokens; `None` when unknown."""


SupervisorRule = Callable[[RuleInput], Finding | None]


def find_problems(view: RuleInput) -> tuple[Finding, ...]:
    """All rules that fire, the most significant first. None fires for a finished thread."""
    if view.snapshot.finished:
        return ()
    return tuple(finding for rule in RULES if (finding := rule(view)) is not None)


def repeated_error(view: RuleInput) -> Finding | None:
    """The same tool fails in the same way, whatever its arguments."""
    need, acts = view.limits.repeated_errors, view.snapshot.acts
    last = _tail(acts, need)
    if not last or not all(act.error for act in last) or not _same((act.tool, act.result) for act in last):
        return None
    return Finding(
        "repeated_error",
        f"{last[0].tool} gave the same error {_run(acts, lambda a, b: (a.tool, a.result) == (b.tool, b.result))} times",
        f"{last[0].tool} has failed the same way {need} times. Do not repeat that call: read the error, check the "
        "actual state, and try another approach.",
    )


def repeated_call(view: RuleInput) -> Finding | None:
    """The same call returns the same result again."""
    need, acts = view.limits.repeated_calls, view.snapshot.acts
    last = _tail(acts, need)
    if not last or not _same((act.tool, act.args, act.result) for act in last):
        return None
    return Finding(
        "repeated_call",
        f"{last[0].tool} was called {_run(acts, _equal)} times with the same arguments and the same result",
        f"You called {last[0].tool} {need} times with the same arguments; the result will not change. Use what you "
        "have learned and take the next action for this step.",
    )


def alternating_pair(view: RuleInput) -> Finding | None:
    """Two calls alternate and neither returns anything new."""
    rounds, acts = view.limits.alternations, view.snapshot.acts
    last = _tail(acts, rounds * 2)
    if not last:
        return None
    first, second = last[0], last[1]
    turns = all(_equal(act, (first, second)[place % 2]) for place, act in enumerate(last))
    if not turns or _equal(first, second):
        return None
    return Finding(
        "alternating_pair",
        f"{first.tool} and {second.tool} alternated {rounds} times with the same results",
        f"You are going back and forth between {first.tool} and {second.tool}. Stop, say in one sentence what you are "
        "missing, and get exactly that.",
    )


def unchanged_outcome(view: RuleInput) -> Finding | None:
    """Files change, the checks fail the same way."""
    need, outcomes = view.limits.unchanged_outcomes, view.snapshot.outcomes
    last = outcomes[-need:]
    if len(last) < need or last[-1].failing == 0 or not _same(outcome.mark for outcome in last):
        return None
    return Finding(
        "unchanged_outcome",
        f"the checks failed the same way {need} times although files changed in between",
        f"After {need} changes the checks fail exactly as before: the cause is elsewhere. Undo what did not help, read "
        "the first failing test and the code it reaches, and form a new hypothesis.",
    )


def no_change(view: RuleInput) -> Finding | None:
    """Many calls, and no file has changed."""
    need, acts = view.limits.calls_without_change, view.snapshot.acts
    since = next((place for place, act in enumerate(reversed(acts)) if act.changed), len(acts))
    if since < need:
        return None
    return Finding(
        "no_change",
        f"no file has changed in {counted(since, 'tool call')}",
        f"You have made {counted(since, 'call')} without changing a file. Choose the smallest change that advances "
        "this step and make it now; if nothing needs to change, say so and stop.",
    )


def monologue(view: RuleInput) -> Finding | None:
    """Text without tool calls."""
    if view.snapshot.silent < view.limits.monologue:
        return None
    return Finding(
        "monologue",
        f"{view.snapshot.silent} answers in a row called no tool",
        "You are talking without acting. Call a tool that advances this step, or say that the step is done.",
    )


def near_window(view: RuleInput) -> Finding | None:
    """The transcript nearly fills the context window."""
    used, window = view.snapshot.prompt_tokens, view.window
    if not window or used < window * view.limits.window_used:
        return None
    return Finding(
        "near_window",
        f"the transcript uses {used} of {window} tokens",
        "Your context is nearly full. Do not read any more whole files; finish the current change, then stop.",
    )


def budget_ahead(view: RuleInput) -> Finding | None:
    """The budget is spent faster than steps are done."""
    used, done = view.snapshot.used, share_done(view.snapshot)
    if not view.snapshot.steps or used - done < view.limits.budget_ahead:
        return None
    return Finding(
        "budget_ahead",
        f"{used:.0%} of the budget is used and {done:.0%} of the steps are done",
        f"{used:.0%} of the budget is gone with {done:.0%} of the work done. Skip everything the acceptance "
        "criteria do not require and finish this step in as few calls as possible.",
    )


def long_step(view: RuleInput) -> Finding | None:
    """This step takes far longer than steps usually do."""
    snapshot = view.snapshot
    usual = max(median(snapshot.usual), 1) if snapshot.usual else view.limits.usual_calls
    # A run of very short steps makes an ordinary one look long; the configured length is the floor of the bound.
    bound = max(usual * view.limits.times_usual, float(view.limits.usual_calls))
    if len(snapshot.acts) <= bound:
        return None
    return Finding(
        "long_step",
        f"the step has taken {counted(len(snapshot.acts), 'tool call')}; steps here take {usual:g}",
        "This step is taking far longer than the others. If it is larger than planned, do the part that can "
        "be finished "
        "now and say what is left.",
    )


RULES: tuple[SupervisorRule, ...] = (
    repeated_error,
    repeated_call,
    alternating_pair,
    unchanged_outcome,
    monologue,
    no_change,
    near_window,
    budget_ahead,
    long_step,
)


def _equal(one: FinishedToolCall, other: FinishedToolCall) -> bool:
    return (one.tool, one.args, one.result) == (other.tool, other.args, other.result)


def _tail(acts: Sequence[FinishedToolCall], count: int) -> Sequence[FinishedToolCall]:
    return acts[-count:] if len(acts) >= count else ()


def _same(values: Iterable[Hashable]) -> bool:
    return len(set(values)) == 1


def _run(acts: Sequence[FinishedToolCall], equal: Callable[[FinishedToolCall, FinishedToolCall], bool]) -> int:
    return next((place for place, act in enumerate(reversed(acts)) if not equal(act, acts[-1])), len(acts))
