"""What the nodes pass to one another: frozen artifacts that go into checkpoints and into the report."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Artifact(BaseModel):
    """Base of all artifacts: immutable, unknown fields are ignored because models like to add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class RoutingDecision(Artifact):
    """Who should handle the task."""

    routing_decision: Literal["HANDLE", "DELEGATE"]
    """HANDLE: answer directly; DELEGATE: pass on to the target model."""
    target_model: Literal["REASONING", "CODING"]
    """REASONING for a question that needs no file changes, CODING for a change."""
    confidence: float = Field(ge=0, le=1)
    reason: str = ""


class Scope(Artifact):
    """What the task requires, and how to tell that it is done."""

    goal: str
    acceptance_criteria: tuple[str, ...] = Field(min_length=1)
    relevant_files: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    out_of_scope: tuple[str, ...] = ()
    how_to_check: str = ""
    questions: tuple[str, ...] = ()
    """Questions only the user can answer; asked in interactive runs only."""


class PlanStep(Artifact):
    """One piece of work that ends in a commit."""

    id: str
    title: str
    details: str = ""
    priority: int = 1
    """Lower runs first; equal priorities run in the order of the plan."""
    expected_files: tuple[str, ...] = ()
    check: str = ""
    """How to verify that the step is done."""


class Milestone(Artifact):
    """A group of steps with a visible result."""

    title: str
    steps: tuple[PlanStep, ...] = Field(min_length=1)


class Plan(Artifact):
    """Milestones, each with steps."""

    milestones: tuple[Milestone, ...] = Field(min_length=1)

    @property
    def steps(self) -> tuple[PlanStep, ...]:
        """All steps in the order they run: by priority, then as written."""
        listed = [step for milestone in self.milestones for step in milestone.steps]
        return tuple(sorted(listed, key=lambda step: step.priority))


class StepResult(Artifact):
    """What one visit of the coding loop did."""

    step_id: str
    attempt: int
    text: str
    """The coder's final message."""
    files: tuple[str, ...] = ()
    """Changed by this visit, as in its commit."""
    commit: str | None = None
    tool_calls: int = 0
    served_by: str = ""


class StepSummary(Artifact):
    """A short summary of a step."""

    status_line: str
    """At most 100 characters."""


class CheckRun(Artifact):
    """One command of the repository's own checks, run for real."""

    command: str
    exit_code: int
    """Negative: killed by that signal."""
    duration_s: float
    output: str
    """Head and tail of the output."""
    output_path: str = ""
    """Path of the full output, relative to the run directory."""
    timed_out: bool = False

    @property
    def passed(self) -> bool:
        """Whether the command exited with 0 in time."""
        return self.exit_code == 0 and not self.timed_out


class CriterionVerdict(Artifact):
    """Whether one acceptance criterion is met, and the evidence."""

    criterion: str
    met: bool
    evidence: str = ""


class QAVerdict(Artifact):
    """A model's judgement of the diff against the acceptance criteria."""

    criteria: tuple[CriterionVerdict, ...] = ()
    concerns: tuple[str, ...] = ()
    accept: bool


class QAReport(Artifact):
    """The results of the checks, and the judgement on top of them."""

    checks: tuple[CheckRun, ...]
    verdict: QAVerdict | None = None

    @property
    def green(self) -> bool:
        """Whether every check passed. No checks at all is not green."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def accepted(self) -> bool:
        """Green, and not rejected by the judge; with no check to run, the judge alone decides."""
        judged = self.verdict is None or self.verdict.accept
        return judged and (self.green or (not self.checks and self.verdict is not None))


class AssessDecision(Artifact):
    """What to do next when the rules leave a choice."""

    action: Literal["next_step", "fix", "replan", "done", "stuck"]
    reason: str = ""
    advice: str = ""
    """What the coder should try in the next attempt."""


class ReportNarrative(Artifact):
    """The text of the report; its numbers come from the record, not from a model."""

    summary: str
    left_to_do: tuple[str, ...] = ()


class Served(Artifact):
    """Which model served a role at a node, and why that one."""

    role: str
    spec: str
    reason: str = ""


class SpecUsage(Artifact):
    """What one spec used for a role in a thread, calls that failed included. `None` means the server did not say."""

    calls: int = 0
    failed: int = 0
    """How many of them gave no usable answer."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    seconds: float = 0.0
    cost_usd: float | None = None


class RoleUsage(Artifact):
    """What one role used in a thread. `None` means the server did not say."""

    calls: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated_tokens: int = 0
    """Our estimate of what the servers did not report; not included above."""
    seconds: float = 0.0
    cost_usd: float | None = None
    """The known part; `None` when no call had a price."""
    unpriced_calls: int = 0
    """Answered calls whose price is unknown, so that `cost_usd` is not taken for the whole."""
    refused: int = 0
    """Calls that a server refused before it did any work; no budget counts them."""
    specs: tuple[str, ...] = ()
    """Those that gave a usable answer."""
    by_spec: dict[str, SpecUsage] = Field(default_factory=dict)
    """The numbers above, each with the spec that was called."""


class BudgetLeft(Artifact):
    """What is left of the limits of a run; `None` means no limit."""

    tokens: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None
    model_calls: int | None = None


class Guidance(Artifact):
    """A message from the inbox as it was delivered."""

    id: int
    kind: str
    author: str
    text: str
    node: str
    payload: dict[str, Any] = Field(default_factory=dict)
    """What a program can act on: step ids, roles, texts of new steps."""


class Refusal(Artifact):
    """Guidance that was not followed, and why."""

    id: int
    reason: str


class EarlierRequest(Artifact):
    """An earlier request of a thread, and what became of it."""

    task: str
    outcome: str
    """The thread's status at its end; `superseded` when the next request came first."""
    summary: str = ""
    steps: tuple[str, ...] = ()
    """Titles of the steps that were done."""
    planned: int = 0
    """How many steps its plan had; ids of later steps start after them."""


class Report(Artifact):
    """How a thread ended."""

    status: Literal["done", "answered", "not_done", "stuck", "needs_model", "budget"]
    summary: str
    markdown: str
    left_to_do: tuple[str, ...] = ()
