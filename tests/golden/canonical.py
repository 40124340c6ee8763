"""The same task, plan and checks wherever a golden text needs some; nothing in them depends on a machine or a clock."""

from collections.abc import Mapping
from typing import Any

from core.artifacts import (
    CheckRun,
    CriterionVerdict,
    EarlierRequest,
    Milestone,
    Plan,
    PlanStep,
    QAReport,
    QAVerdict,
    Scope,
)
from nodes.text.prompt_text import checks_text, earlier_text, plan_text, review_text, scope_text, step_text

TASK = "Make the failing tests pass"
LISTING = "README.md\ninventory/__init__.py\ninventory/items.py\ntests/test_items.py"
STAT = " inventory/items.py | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)"
DIFF = """\
--- a/inventory/items.py
+++ b/inventory/items.py
@@ -23 +23 @@
-        return self.count < self.reorder_at
+        return self.count <= self.reorder_at
"""
SCOPE = Scope(
    goal="All tests pass.",
    acceptance_criteria=("The check `python -m pytest -q` passes.", "No test is changed."),
    relevant_files=("inventory/items.py",),
    constraints=("Public names stay as they are.",),
    out_of_scope=("Prices",),
    how_to_check="python -m pytest -q",
)
FIRST = PlanStep(
    id="s1",
    title="Order at the mark",
    details="An item exactly at its mark is not ordered; it should be.",
    expected_files=("inventory/items.py",),
    check="tests/test_items.py passes",
)
SECOND = PlanStep(id="s2", title="Say so in the README", priority=2)
PLAN = Plan(milestones=(Milestone(title="Reordering", steps=(FIRST, SECOND)),))
RED = CheckRun(command="python -m pytest -q", exit_code=1, duration_s=1.25, output="1 failed, 9 passed in 0.50s")
GREEN = RED.model_copy(update={"exit_code": 0, "output": "10 passed in 0.50s"})
VERDICT = QAVerdict(
    criteria=(CriterionVerdict(criterion="No test is changed.", met=False, evidence="tests/test_items.py was"),),
    concerns=("The bound is changed twice.",),
    accept=False,
)
EARLIER = EarlierRequest(
    task=TASK, outcome="done", summary="The bound includes the mark now.", steps=(FIRST.title,), planned=2
)  # fmt: skip
REJECTED = QAReport(checks=(RED,), verdict=VERDICT)
CALLS = "read_file {'path': 'inventory/items.py'} -> ok\nrun_checks {} -> 1 failing"

PLANNING = {
    "task": TASK, "listing": LISTING, "scope": scope_text(SCOPE), "checks": checks_text((RED,)),
    "done": "", "setback": "", "earlier": "",
}  # fmt: skip
BRIEF = {
    "task": TASK, "criteria": SCOPE.acceptance_criteria, "plan": plan_text(PLAN, current="s1"),
    "checks": checks_text((RED,)), "red": True,
}  # fmt: skip
JUDGING = {
    "task": TASK, "criteria": "\n".join(f"- {item}" for item in SCOPE.acceptance_criteria), "step": step_text(FIRST),
    "steps_left": True, "checks": checks_text((GREEN,)), "diff": DIFF,
}  # fmt: skip
STUCK = {
    "task": TASK, "plan": plan_text(PLAN, current="s1"), "step": step_text(FIRST), "qa": review_text(REJECTED),
}  # fmt: skip
ENDING = {
    "task": TASK, "outcome": "done: the step is accepted", "steps": "s1: The bound includes the mark now.",
    "checks": checks_text((GREEN,)), "stat": STAT,
}  # fmt: skip
SCOPING = {"task": TASK, "listing": LISTING, "checks": checks_text((RED,)), "red": True, "earlier": ""}
SUMMING = {"step": step_text(FIRST), "result": "The bound includes the mark now.", "stat": STAT}
WATCHING = {
    "task": TASK, "plan": "s1 [current] Order at the mark", "reason": "the same call was made three times",
    "step": FIRST.title, "attempt": 2, "calls": 7, "checks": "1 failing", "files": "calc.py",
    "used": "12%", "acts": CALLS,
}  # fmt: skip

PROMPTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "answer/system": {"": {"tools": False}, "with_tools": {"tools": True}},
    "answer/synthesize": {"": {"task": "What does reorder_at mean?", "notes": "inventory/items.py:14: the mark."}},
    "answer/user": {"": {"task": "What does reorder_at mean?", "listing": LISTING, "earlier": ""}},
    "ask/system": {"": {}},
    "ask/user": {
        "": {"question": "Is a bound inclusive here?", "files": [("inventory/items.py", "    14\treorder_at: int")]},
        "no_files": {"question": "Is a bound inclusive here?", "files": []},
    },
    "assess/system": {"": STUCK},
    "assess/user": {"": STUCK},
    "deep_research/system": {"": {}},
    "deep_research/user": {
        "": {"question": "Who reads reorder_at?"},
        "no_calls_left": {"question": "Who reads reorder_at?", "notes": "inventory/items.py:23 does."},
    },
    "explain_code/system": {"": {}},
    "explain_code/user": {
        "": {"path": "inventory/items.py", "code": "    14\treorder_at: int", "question": ""},
        "asked": {"path": "inventory/items.py", "code": "    14\treorder_at: int", "question": "What is the mark?"},
    },
    "implement/brief": {"": BRIEF, "no_checks": {**BRIEF, "checks": "", "red": False}},
    "implement/compact": {"": {}},
    "implement/system": {"": {}},
    "implement/user": {
        "": {"step": FIRST, "attempt": 1, "setback": ""},
        "again": {"step": SECOND, "attempt": 2, "setback": review_text(REJECTED)},
    },
    "plan/system": {"": PLANNING},
    "plan/user": {
        "": PLANNING,
        "continued": {**PLANNING, "task": "Say so in the README too", "earlier": earlier_text((EARLIER,))},
        "again": {**PLANNING, "done": plan_text(PLAN, done=("s1",)), "setback": "The mark was read the wrong way."},
    },
    "qa/system": {"": JUDGING, "last_step": {**JUDGING, "steps_left": False}},
    "qa/user": {"": JUDGING},
    "report/system": {"": ENDING},
    "report/user": {"": ENDING},
    "route/system": {"": {"task": TASK, "listing": LISTING}},
    "route/user": {"": {"task": TASK, "listing": LISTING, "earlier": ""}},
    "scope/system": {"": SCOPING},
    "scope/user": {"": SCOPING, "no_checks": {**SCOPING, "checks": "", "red": False}},
    "shared/data": {"": {}},
    "summarize/normalize": {"": {"limit": 2000, "text": "A long text."}},
    "summarize/system": {"": SUMMING},
    "summarize/user": {"": SUMMING},
    "supervisor/status": {"": {"facts": "implement · step 1/2", "task": TASK, "acts": CALLS}},
    "supervisor/system": {"": {}},
    "supervisor/user": {"": WATCHING},
}
"""Template to its cases; the name of a case is part of the name of its file."""
