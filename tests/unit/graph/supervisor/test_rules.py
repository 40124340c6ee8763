"""The rules on transcripts as the coding loop writes them: what fires, at which call, and what does not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from core.artifacts import BudgetLeft, CheckRun, Milestone, Plan, PlanStep, QAReport, StepResult
from core.config.settings import BudgetSettings, RuleThresholds
from core.tool_effects import effects_of
from graph.supervisor.rules import RuleInput, find_problems
from graph.supervisor.snapshot import check_outcome, take_snapshot
from tools.agent.toolbox import coding_tools

PLAN = Plan(milestones=(Milestone(title="m", steps=(PlanStep(id="s1", title="one"), PlanStep(id="s2", title="two"))),))
RED = (
    "$ python -m pytest\nFAILED tests/test_a.py::test_x - assert {n}\n1 failed in {n}.12s\n[RED, exit code 1, {n}.2 s]"
)
GREEN = "$ pytest\n3 passed in {n}.1s\n[green, {n}.2 s]"
EFFECTS = {tool.name: effects_of(tool) for tool in coding_tools()}


@dataclass
class Transcript:
    """A loop's messages, written call by call."""

    messages: list[BaseMessage] = field(default_factory=lambda: [HumanMessage("do it")])

    def act(self, tool: str, result: str = "ok", *, error: bool = False, **args: Any) -> "Transcript":
        ident = f"c{len(self.messages)}"
        self.messages.append(AIMessage("", tool_calls=[{"name": tool, "args": args, "id": ident}]))
        status = "error" if error else "success"
        effects = {"effects": EFFECTS[tool].names()} if tool in EFFECTS else {}
        self.messages.append(
            ToolMessage(result, tool_call_id=ident, name=tool, status=status, additional_kwargs=effects)
        )
        return self

    def say(self, text: str) -> "Transcript":
        self.messages.append(AIMessage(text))
        return self


def fired(transcript: Transcript, **outer: Any) -> list[str]:
    state = {"task": "t", "plan": PLAN, "current_step": "s1", **outer}
    snapshot = take_snapshot(state, {"messages": transcript.messages}, node="implement")
    return [finding.rule for finding in find_problems(RuleInput(snapshot, RuleThresholds()))]


def reads_one_file(t: Transcript, n: int) -> None:
    t.act("read_file", "1 a = 1", path="a.py")


def misses_the_edit(t: Transcript, n: int) -> None:
    t.act("edit_file", f"old text was not found; {n} lines differ", error=True, path="a.py", old=f"guess {n}", new="x")


def goes_back_and_forth(t: Transcript, n: int) -> None:
    t.act("read_file", "text", path="a.py" if n % 2 else "b.py")


def edits_without_effect(t: Transcript, n: int) -> None:
    t.act("edit_file", f"edited at line {n}", path="a.py", old=str(n), new=str(n + 1))
    t.act("run_checks", RED.format(n=n))


def looks_around(t: Transcript, n: int) -> None:
    t.act("search_text", f"found in file{chr(97 + n)}.py", pattern=f"p{n}")


def talks(t: Transcript, n: int) -> None:
    t.say(f"I will do it. {n}")


def works_hard(t: Transcript, n: int) -> None:
    t.act("edit_file", f"edited f{n}", path=f"f{n}.py", old="a", new="b")


@pytest.mark.parametrize(
    ("habit", "rule", "turns"),
    [
        (reads_one_file, "repeated_call", 3),
        (misses_the_edit, "repeated_error", 3),
        (goes_back_and_forth, "alternating_pair", 6),
        (edits_without_effect, "unchanged_outcome", 3),
        (looks_around, "no_change", 15),
        (talks, "monologue", 3),
        (works_hard, "long_step", 46),
    ],
)
def test_a_rule_fires_at_its_threshold_and_not_before(
    habit: Callable[[Transcript, int], None], rule: str, turns: int
) -> None:
    transcript = Transcript()
    for turn in range(1, turns):
        habit(transcript, turn)
        assert fired(transcript) == [], turn
    habit(transcript, turns)
    assert fired(transcript)[0] == rule


def test_good_work_breaks_no_rule() -> None:
    transcript = Transcript().act("list_files", "a.py").act("read_file", "text", path="a.py")
    transcript.act("run_checks", RED.format(n=1)).act("edit_file", "edited", path="a.py", old="1", new="2")
    transcript.act("run_checks", RED.replace("test_x", "test_y").format(n=2))
    transcript.act("edit_file", "edited", path="a.py", old="2", new="3").act("run_checks", GREEN.format(n=3))
    assert fired(transcript.say("done")) == []


def test_green_checks_that_stay_green_are_no_fault() -> None:
    transcript = Transcript()
    for turn in range(5):
        transcript.act("edit_file", f"edited {turn}", path=f"{turn}.py", old="a", new="b")
        transcript.act("run_checks", GREEN.format(n=turn))
    assert fired(transcript) == []


def test_an_edit_that_was_there_already_is_no_change() -> None:
    transcript = Transcript()
    for turn in range(15):
        text = f"a.py already has this text at line {turn}; nothing was changed"
        transcript.act("edit_file", text, path=f"{turn}.py", old="a", new="b")
    assert "no_change" in fired(transcript)


def test_a_command_that_writes_counts_as_a_change() -> None:
    transcript = Transcript()
    for turn in range(14):
        looks_around(transcript, turn)
    transcript.act("run_command", "", command="sed -i s/a/b/ a.py")
    assert fired(transcript) == []


def test_a_thread_that_is_finished_breaks_no_rule() -> None:
    transcript = Transcript()
    for _ in range(9):
        reads_one_file(transcript, 0)
    snapshot = take_snapshot({"task": "t"}, {"messages": transcript.messages}, node="")
    assert snapshot.finished
    assert find_problems(RuleInput(snapshot, RuleThresholds())) == ()


def test_budget_that_runs_ahead_of_the_steps() -> None:
    limits = BudgetSettings(max_model_calls=100)

    def rules(left: int, **outer: Any) -> list[str]:
        state = {"task": "t", "plan": PLAN, "current_step": "s1", "budget_left": BudgetLeft(model_calls=left), **outer}
        snapshot = take_snapshot(state, {}, node="implement", limits=limits)
        return [finding.rule for finding in find_problems(RuleInput(snapshot, RuleThresholds()))]

    assert rules(66) == []
    assert rules(65) == ["budget_ahead"]
    assert rules(30, steps_done=("s1",)) == []
    assert rules(14, steps_done=("s1",)) == ["budget_ahead"]


def test_what_was_used_since_the_last_checkpoint_counts() -> None:
    snapshot = take_snapshot(
        {"task": "t", "plan": PLAN, "budget_left": BudgetLeft(model_calls=90)}, {}, node="implement",
        limits=BudgetSettings(max_model_calls=100), left=BudgetLeft(model_calls=60),
    )  # fmt: skip
    assert snapshot.used == pytest.approx(0.4)


def test_a_transcript_near_its_window() -> None:
    transcript = Transcript()
    usage = {"input_tokens": 8000, "output_tokens": 600, "total_tokens": 8600}
    transcript.messages.append(AIMessage("", usage_metadata=usage))  # type: ignore[arg-type]
    snapshot = take_snapshot({"task": "t"}, {"messages": transcript.messages}, node="implement")

    def rules(window: int | None) -> list[str]:
        return [finding.rule for finding in find_problems(RuleInput(snapshot, RuleThresholds(), window))]

    assert rules(10_000) == ["near_window"]
    assert rules(12_000) == []
    assert rules(None) == []


def test_a_step_is_long_by_the_measure_of_the_others() -> None:
    results = tuple(StepResult(step_id="s", attempt=1, text="", tool_calls=n) for n in (6, 8, 7))
    transcript = Transcript()
    for turn in range(21):
        works_hard(transcript, turn)
    assert fired(transcript, step_results=results) == []
    assert fired(works_hard(transcript, 99) or transcript, step_results=results) == ["long_step"]


def test_outcomes_compare_by_the_tests_that_fail() -> None:
    def report(output: str) -> QAReport:
        return QAReport(checks=(CheckRun(command="pytest", exit_code=1, duration_s=1, output=output),))

    one, two = check_outcome(report(RED.format(n=1)), at=1), check_outcome(report(RED.format(n=7)), at=9)
    other = check_outcome(report(RED.format(n=1).replace("test_x", "test_y")), at=1)
    assert one is not None
    assert two is not None
    assert other is not None
    assert one.mark == two.mark != other.mark
    assert one.failing == 1
    assert check_outcome(QAReport(checks=()), at=0) is None
