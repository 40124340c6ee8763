"""The embedded engine's answers to structured questions: one extractor per artifact, none of which invents text."""

from collections.abc import Callable, Mapping
from typing import Any

from core.errors import NeedsModelError
from llm_registry.embedded.reading import asks_for_green, is_question, read_checks, sentences, wants_repair

ADVICE = "configure a model server (`rolecall config path`) and run `rolecall doctor`"
SCOPE_OF_ENGINE = "The embedded engine has no LLM: it only repairs failing Python tests by searching for a small patch"

Sections = Mapping[str, str]
Extractor = Callable[[Sections], dict[str, Any]]


def extract_routing(data: Sections) -> dict[str, Any]:
    """A question goes to the reasoning model, everything else to the coder."""
    asks = is_question(data.get("task", ""))
    return {
        "routing_decision": "DELEGATE",
        "target_model": "REASONING" if asks else "CODING",
        "confidence": 0.5,
        "reason": "worded as a question" if asks else "not worded as a question",
    }


def extract_scope(data: Sections) -> dict[str, Any]:
    """The goal is the task, the criteria are the checks.

    Raises:
        NeedsModelError: The checks are not red, or the task asks for something other than turning them green.
    """
    checks = read_checks(data.get("checks", ""))
    require_repair(data, red=checks.red)
    criteria = [f"the check `{command}` passes" for command in checks.commands]
    criteria += [f"the test {name} passes" for name in checks.failing]
    return {
        "goal": sentences(data.get("task", ""), 1),
        "acceptance_criteria": criteria,
        "relevant_files": list(checks.files),
        "constraints": ["tests are not changed"],
        "how_to_check": checks.commands[0] if checks.commands else "",
    }


def require_repair(data: Sections, *, red: bool) -> None:
    """Refuse what search cannot do. If the task is to make tests pass and they do, it is already done.

    Raises:
        NeedsModelError: See above.
    """
    if not wants_repair(data.get("task", "")):
        raise NeedsModelError(f"{SCOPE_OF_ENGINE}, and this task asks for something else.", hint=ADVICE)
    if not red and not (data.get("checks") and asks_for_green(data.get("task", ""))):
        raise NeedsModelError(f"{SCOPE_OF_ENGINE}, and no check of this repository is red.", hint=ADVICE)


def extract_plan(data: Sections) -> dict[str, Any]:
    """One step: find a patch that passes the checks."""
    checks = read_checks(data.get("checks", ""))
    require_repair(data, red=checks.red)
    failing = ", ".join(checks.failing[:5]) or "the red checks"
    step = {
        "id": "s1",
        "title": "Make the failing checks pass",
        "details": f"Search for a small patch that turns {failing} green and keeps the rest green.",
        "priority": 1,
        "expected_files": list(checks.files),
        "check": " && ".join(checks.commands),
    }
    return {"milestones": [{"title": "All checks are green", "steps": [step]}]}


def extract_step_summary(data: Sections) -> dict[str, Any]:
    """The first sentence of what the coder said."""
    return {"status_line": sentences(data.get("result", ""), 1)[:100] or sentences(data.get("step", ""), 1)[:100]}


def extract_verdict(data: Sections) -> dict[str, Any]:
    """Criteria that are checks are met when the checks are green.

    Raises:
        NeedsModelError: A criterion is about something other than the checks.
    """
    checks = read_checks(data.get("checks", ""))
    green = bool(checks.commands) and not checks.red
    criteria = [line.removeprefix("- ") for line in data.get("criteria", "").splitlines() if line.strip()]
    if not all(is_check(item) for item in criteria):
        raise NeedsModelError(
            "Judging these acceptance criteria needs a model; the checks alone are not enough.", hint=ADVICE
        )
    evidence = f"{', '.join(checks.commands)}: {'all green' if green else 'red'}"
    return {
        "criteria": [{"criterion": item, "met": green, "evidence": evidence} for item in criteria],
        "concerns": [],
        "accept": green,
    }


def is_check(criterion: str) -> bool:
    """Whether a criterion is one that `extract_scope` above writes."""
    return criterion.startswith(("the check `", "the test ")) and criterion.endswith("passes")


def extract_assessment(data: Sections) -> dict[str, Any]:
    """The search has no alternative to try."""
    del data
    return {"action": "stuck", "reason": "the search found no patch that passes the checks; a model may find one"}


def extract_narrative(data: Sections) -> dict[str, Any]:
    """What the steps said, verbatim."""
    outcome = data.get("outcome", "")
    done = outcome.startswith("done")
    return {
        "summary": data.get("steps", "").strip() or outcome,
        "left_to_do": [] if done else [f"{outcome}. A model may be able to: {ADVICE}."],
    }


EXTRACTORS: Mapping[str, Extractor] = {
    "RoutingDecision": extract_routing,
    "Scope": extract_scope,
    "Plan": extract_plan,
    "StepSummary": extract_step_summary,
    "QAVerdict": extract_verdict,
    "AssessDecision": extract_assessment,
    "ReportNarrative": extract_narrative,
}
