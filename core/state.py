"""The state of the graph: what a checkpoint contains, with keys a person can read in Studio."""

from typing import Annotated, Literal, NotRequired, TypedDict, TypeVar

from core.artifacts import (
    AssessDecision,
    BudgetLeft,
    EarlierRequest,
    Guidance,
    Plan,
    QAReport,
    Refusal,
    Report,
    RoutingDecision,
    Scope,
    Served,
    StepResult,
    StepSummary,
)

T = TypeVar("T")
Outcome = Literal["done", "answered", "not_done", "stuck", "needs_model", "budget"]
UNCHECKED = "accepted by review; there was no check to run"
"""How to describe a thread that is done in a repository without checks, because nothing is green there."""


def append(left: tuple[T, ...] | None, right: tuple[T, ...]) -> tuple[T, ...]:
    """Append what a node adds to the existing list."""
    return (*(left or ()), *right)


def merge(left: dict[str, T] | None, right: dict[str, T]) -> dict[str, T]:
    """Overlay the keys a node writes."""
    return {**(left or {}), **right}


def latest(left: int | None, right: int | None) -> int:
    """Keep the higher cursor, so that two readers of the inbox cannot set it back."""
    return max(left or 0, right or 0)


def deliver(left: tuple[Guidance, ...] | None, right: tuple[Guidance, ...]) -> tuple[Guidance, ...]:
    """Add guidance once, whichever of several readers delivers it."""
    known = {item.id for item in left or ()}
    return (*(left or ()), *(item for item in right if item.id not in known))


class RunState(TypedDict):
    """Everything a thread knows. Only `task` is set at the start."""

    task: str
    request: NotRequired[Annotated[int, latest]]
    """Inbox row of the request the thread is working on; none for the task the thread was started for."""
    earlier: NotRequired[Annotated[tuple[EarlierRequest, ...], append]]
    """Earlier requests, oldest first."""
    routing: NotRequired[RoutingDecision]
    answer: NotRequired[str]
    scope: NotRequired[Scope]
    plan: NotRequired[Plan]
    current_step: NotRequired[str | None]
    attempt: NotRequired[int]
    replans: NotRequired[int]
    steps_done: NotRequired[Annotated[tuple[str, ...], append]]
    step_results: NotRequired[Annotated[tuple[StepResult, ...], append]]
    summaries: NotRequired[Annotated[tuple[StepSummary, ...], append]]
    status_line: NotRequired[str]
    baseline: NotRequired[QAReport]
    """The checks before anything was changed."""
    qa: NotRequired[QAReport | None]
    assessment: NotRequired[AssessDecision]
    report: NotRequired[Report]
    outcome: NotRequired[Outcome]
    stop_reason: NotRequired[str]
    served: NotRequired[Annotated[dict[str, Served], merge]]
    """Node name to the model that served it last, and why."""
    budget_left: NotRequired[BudgetLeft]
    guidance_cursor: NotRequired[Annotated[int, latest]]
    guidance: NotRequired[Annotated[tuple[Guidance, ...], deliver]]
    steered: NotRequired[Annotated[int, latest]]
    """Id of the last guidance whose changes to the plan were applied or refused."""
    refused: NotRequired[Annotated[tuple[Refusal, ...], append]]
    snapshot: NotRequired[str]
    """Git tree of the worktree at this checkpoint."""
