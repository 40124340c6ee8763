"""What the supervisor saves and what it costs: `python -m benchmarks.supervisor [--pairs N]`.

First table: models that loop, alternate, fail, stall, talk or burn budget until somebody tells them, with and without
a supervisor. Second: what a model that loops whatever it is told gets from a judge that always says "nudge". Third:
wall and processor time of a long run without model latency, paired, with it and without it.
"""

import argparse
import asyncio
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool

from core.artifacts import Milestone, Plan, PlanStep, RoleUsage
from core.config.settings import BudgetSettings, RuleThresholds, Settings, SupervisorSettings
from core.context import InboxItem, Models
from core.storage.database import Database
from graph.store.inbox import SqliteInbox
from graph.supervisor.companion import supervise_alongside
from graph.supervisor.intervention_log import InterventionLog
from graph.supervisor.supervise import supervise
from tests.steering.models import Opinions
from tests.steering.world import Heard, Speaker, build, call, context_of, opened, results, step, works

LIMIT = 60
"""Model calls after which the loop ends by itself, as in a run."""
LATENCY_S = 0.08
VISITS = 3
RUNGS_OF = {"nudge": ["nudge"], "replan": ["nudge", "replan"], "full": ["nudge", "replan", "model", "pause"]}
"""Policy, and the kinds of guidance a judge that always nudges must not keep the escalation from."""
STEPS = tuple(PlanStep(id=f"s{n}", title=f"step {n}") for n in range(1, 5))


@tool
async def read_file(path: str) -> str:
    """Read a file."""
    return f"the text of {path}"


@tool
async def edit_file(path: str, old: str, new: str) -> str:
    """Replace a text."""
    if old == "nowhere":
        raise_missing()
    return f"edited {path}"


def raise_missing() -> None:
    """Fail as the tool does when the text to replace is not there."""
    msg = "the old text is not in the file"
    raise ValueError(msg)


@tool
async def run_checks() -> str:
    """Run the tests."""
    return "$ pytest\nFAILED tests/test_a.py::test_x\n1 failed in 0.1s\n[RED, exit code 1, 0.1 s]"


def loops(done: int) -> AIMessage:
    """The same call again and again."""
    return call("read_file", done, path="a.py")


def alternates(done: int) -> AIMessage:
    """Two calls in turn."""
    return call("read_file", done, path="a.py" if done % 2 else "b.py")


def stalls(done: int) -> AIMessage:
    """Looks at ever other files and changes none."""
    return call("read_file", done, path=f"{done}.py")


def edits_in_vain(done: int) -> AIMessage:
    """Changes files, and the same test stays red."""
    return call("run_checks", done) if done % 2 else call("edit_file", done, path="a.py", old=str(done), new="x")


def burns(done: int) -> AIMessage:
    """Works, but far too much for one step."""
    return call("edit_file", done, path=f"{done}.py", old=str(done), new="x")


HABITS: Mapping[str, tuple[Callable[[int], AIMessage], str, int]] = {
    "loops": (loops, "repeated_call", 3),
    "alternates": (alternates, "alternating_pair", 6),
    "edits in vain": (edits_in_vain, "unchanged_outcome", 6),
    "stalls": (stalls, "no_change", 15),
    "burns budget": (burns, "budget_ahead", 21),
}
"""Habit, the rule that must fire, and the call at which its threshold is reached."""


@dataclass
class Row:
    """One habit, once without and once with a supervisor."""

    habit: str
    alone: int = 0
    watched: int = 0
    rule: str = ""
    at: int = 0
    """Tool calls seen when the rule fired."""
    next_call: bool = False
    """Whether the first model call that began after the guidance was stored had it in its prompt."""


class Counting(Opinions):
    """Models whose only figure is how often the coder was called."""

    def __init__(self, speaker: Speaker) -> None:
        super().__init__({})
        self._speaker = speaker

    def usage(self) -> Mapping[str, RoleUsage]:
        return {"coder": RoleUsage(calls=len(self._speaker.prompts))}


def told_at(speaker: Speaker) -> list[tuple[float, bool]]:
    """When each call began, and whether its prompt held guidance."""
    return [(began, _told(prompt)) for began, prompt in zip(speaker.began, speaker.prompts, strict=True)]


def _told(messages: Sequence[BaseMessage]) -> bool:
    return any(str(message.id).startswith("guidance-") for message in messages)


def _habitual(habit: Callable[[int], AIMessage]) -> Callable[[list[BaseMessage]], AIMessage]:
    def speak(messages: list[BaseMessage]) -> AIMessage:
        done = len(results(messages))
        return AIMessage("finished") if _told(messages) or done >= LIMIT - 1 else habit(done)

    return speak


async def _habit_run(name: str, database: Path, *, watched: bool) -> tuple[Speaker, Row]:
    habit, _, _ = HABITS[name]
    speaker = Speaker(speak=_habitual(habit), latency=LATENCY_S)
    quick = SupervisorSettings(poll_s=0.01, max_load=1.0, cool_down_s=0, judge=False)
    settings = Settings(supervisor=quick, budget=BudgetSettings(max_model_calls=LIMIT))
    models = cast("Models", Counting(speaker))
    row = Row(name)
    plan = Plan(milestones=(Milestone(title="all", steps=STEPS),))
    async with opened(build(speaker, [read_file, edit_file, run_checks]), database) as graph:
        context = _context(database, settings, models)
        async with supervise_alongside(graph, Database(database), context) if watched else nullcontext():
            entry = {"task": "work", "plan": plan, "current_step": "s1"}
            await graph.ainvoke(entry, {"configurable": {"thread_id": "t"}}, context=context, durability="sync")
    if watched:
        await _judge_run(row, speaker, database)
    return speaker, row


async def _judge_run(row: Row, speaker: Speaker, database: Path) -> None:
    entries, items = (
        await InterventionLog(Database(database), "t").all(),
        await SqliteInbox(Database(database), "t").after(0),
    )
    if entries and items:
        row.rule, row.at = entries[0].rule, entries[0].work
        # The log is written once the row is stored; a call that began before that could not have seen it.
        after = [told for began, told in told_at(speaker) if began > entries[0].created]
        row.next_call = bool(after) and after[0]


def _context(database: Path, settings: Settings, models: Models) -> Any:
    context = context_of("t", SqliteInbox(Database(database), "t"), Heard(), settings)
    return dataclasses.replace(context, models=models)


async def habits(folder: Path) -> list[Row]:
    """Every habit with and without a supervisor."""
    rows = []
    for number, name in enumerate(HABITS):
        alone, _ = await _habit_run(name, folder / f"{number}-alone.db", watched=False)
        watched, row = await _habit_run(name, folder / f"{number}-watched.db", watched=True)
        row.alone, row.watched = len(alone.prompts), len(watched.prompts)
        rows.append(row)
    return rows


async def mild_judge(folder: Path, policy: str) -> list[InboxItem]:
    """What a loop that never listens is sent under a judge that always wants the same nudge."""
    database = folder / f"mild-{policy}.db"
    quick = {"poll_s": 0.01, "max_load": 1.0, "cool_down_s": 0, "cool_down_calls": 2, "policy": policy}
    settings = Settings(supervisor=SupervisorSettings.model_validate(quick))
    mild: Mapping[str, Sequence[Any]] = {"Suggestion": [{"action": "nudge", "text": "try harder"}] * LIMIT}
    models = Opinions(mild, {"reasoning": "bigger"}).as_models()
    for _ in range(VISITS):
        # A wish for a new plan ends a visit; the thread comes back to the same step with the same habit.
        speaker = Speaker(speak=_deaf_to_all, latency=LATENCY_S)
        async with opened(build(speaker, [read_file]), database) as graph:
            context = _context(database, settings, models)
            async with supervise_alongside(graph, Database(database), context):
                thread: Any = {"configurable": {"thread_id": "t"}}
                await graph.ainvoke({"task": "work"}, thread, context=context, durability="sync")
    return await SqliteInbox(Database(database), "t").after(0)


def _deaf_to_all(messages: list[BaseMessage]) -> AIMessage:
    done = len(results(messages))
    return AIMessage("finished") if done >= LIMIT // 3 else loops(done)


def _print_mild(policy: str, items: Sequence[InboxItem]) -> bool:
    texts = [item.text for item in items]
    repeated = len(texts) - len(set(texts))
    kinds = list(dict.fromkeys(item.kind for item in items))
    wanted = RUNGS_OF[policy]
    sound = kinds[: len(wanted)] == wanted and not repeated
    print(
        f"{policy:<8} {len(items):>5} {repeated:>9}  {' > '.join(kinds)}{'' if sound else '   <-- not as it should be'}"
    )
    return sound


class Metered(Coroutine[Any, Any, Any]):
    """A coroutine that knows how much of the event loop's processor time it took; other programs do not count."""

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner
        self.seconds = 0.0

    def send(self, value: Any) -> Any:
        began = time.thread_time()
        try:
            return self._inner.send(value)
        finally:
            self.seconds += time.thread_time() - began

    def throw(self, *error: Any) -> Any:
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Any:
        return self._inner.__await__()


@dataclass(frozen=True)
class Timing:
    """One long run."""

    wall_s: float
    cpu_s: float
    held_s: float = 0.0
    """Processor time the supervisor took from the event loop."""


async def overhead(folder: Path, *, steps: int, pairs: int) -> list[tuple[Timing, Timing]]:
    """Timings with a supervisor and without one, pair by pair."""
    timed = []
    for pair in range(pairs):
        times = {}
        # Which goes first changes from pair to pair, so that a warm disk favours neither.
        for watched in (True, False) if pair % 2 else (False, True):
            times[watched] = await _timed(folder / f"{pair}-{watched}.db", steps, watched=watched)
        timed.append((times[True], times[False]))
    return timed


async def _timed(database: Path, steps: int, *, watched: bool) -> Timing:
    opinions = Opinions({"StepSummary": [{"status_line": "works"}] * 100})
    stop = asyncio.Event()
    async with opened(build(Speaker(speak=works(steps)), [step]), database) as graph, Database(database) as handle:
        box = SqliteInbox(handle, "t")
        # Distinct work: no rule fires, so what is measured is the watching alone.
        settings = Settings(supervisor=SupervisorSettings(rules=_deaf()))
        context = dataclasses.replace(context_of("t", box, Heard(), settings), models=opinions.as_models())
        beside = Metered(
            supervise(
                "t",
                database=handle,
                graph=graph,
                models=context.models,
                settings=settings,
                events=context.events,
                stop=stop,
            )
        )
        wall, cpu = time.perf_counter(), time.process_time()
        watching = asyncio.create_task(beside) if watched else beside.close()
        await graph.ainvoke({"task": "work"}, {"configurable": {"thread_id": "t"}}, context=context, durability="sync")
        spent = Timing(time.perf_counter() - wall, time.process_time() - cpu, beside.seconds)
        stop.set()
        if watching is not None:
            await watching
    # A run that takes long, on a slow disk, gets its lines of status; an opinion is asked for when a rule fires.
    assert {role for role, _, _ in opinions.asked} <= {"summarizer"}, "an opinion was asked for although none was due"
    return spent


def _deaf() -> RuleThresholds:
    return RuleThresholds(calls_without_change=10_000, usual_calls=10_000)


def _print_habits(rows: Sequence[Row]) -> bool:
    print(f"{'habit':<14} {'calls alone':>11} {'with':>5}  {'rule':<18} {'fired at':>8} {'threshold':>9}  in next call")
    sound = True
    for row in rows:
        _, rule, threshold = HABITS[row.habit]
        good = row.rule == rule and row.next_call and row.watched < row.alone
        sound = sound and good
        print(
            f"{row.habit:<14} {row.alone:>11} {row.watched:>5}  {row.rule:<18} {row.at:>8} {threshold:>9}  "
            f"{'yes' if row.next_call else 'NO'}{'' if good else '   <-- not as it should be'}"
        )
    return sound


def _print_overhead(timed: Sequence[tuple[Timing, Timing]], steps: int) -> None:
    print(f"\n{steps} steps without model latency, {len(timed)} pairs, with a supervisor / without:")
    wall = [with_.wall_s / without.wall_s for with_, without in timed]
    cpu = [with_.cpu_s / without.cpu_s for with_, without in timed]
    held = [with_.held_s / with_.wall_s for with_, _ in timed]
    for label, values in (("wall time", wall), ("processor time", cpu), ("loop held", held)):
        told = " ".join(f"{value:.4f}" for value in values)
        print(f"{label:<15} median {statistics.median(values):.4f}   pairs: {told}")
    print("loop held: processor time the supervisor takes from the event loop, as a share of the run's wall time;")
    print("other programs on the machine disturb the first two lines, not this one")


async def _main(asked: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="supervisor-") as name:
        folder = Path(name)
        sound = True
        if not asked.overhead:
            sound = _print_habits(await habits(folder))
            print(f"\na judge that always nudges\n{'policy':<8} {'words':>5} {'repeated':>9}  levels")
            for policy in RUNGS_OF:
                sound = _print_mild(policy, await mild_judge(folder, policy)) and sound
        timed = await overhead(folder, steps=asked.steps, pairs=asked.pairs)
    _print_overhead(timed, asked.steps)
    return 0 if sound else 1


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; 1 when a habit was not broken as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--overhead", action="store_true", help="only the last table")
    return asyncio.run(_main(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
