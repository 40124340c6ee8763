"""Runs that are stopped, killed, steered or left alone by their server, and what becomes of them afterwards."""

from dataclasses import replace

from benchmarks.truth.case import MADE, PYTEST, Case, Drive
from benchmarks.truth.cases import JSON, SCREEN
from tests.integration.jobs import SLUGIFY
from tests.modelserver.competent import CompetentScript, Step
from tests.modelserver.reply import Reply
from tests.modelserver.request import ModelRequest
from tests.modelserver.script import Script

SLEEPY = "python -c \"import time; time.sleep(3); open('slept', 'w')\""
CHECKED_SLOWLY = f"sleep 2; {PYTEST}"
LISTEN = "Keep the name slugify as it is"


def slow(title: str, *, seconds: float = 6.0) -> Script:
    """A competent model that takes its time before one kind of answer, the first time it is asked."""
    waited: list[int] = []

    def answer(request: ModelRequest) -> Reply:
        reply = MADE(request)
        mine = request.title == title if title != "tools" else bool(request.tools) and not request.title
        if not mine or waited:
            return reply
        waited.append(request.index)
        return reply.but(delay=seconds)

    return answer


def _sleepy() -> CompetentScript:
    return CompetentScript(steps=[Step("Write slugify", files=SLUGIFY, commands=(SLEEPY,))])


def _steer(title: str) -> list[tuple[str, ...]]:
    return [("asked", title), ("call", "steer", "{thread}", LISTEN)]


BROKEN_OFF: tuple[Case, ...] = (
    Case("Ctrl-C in a model call", "paused", [Drive(manner=SCREEN, acts=[("asked", "tools 2"), ("type", "\x03")])],
         script=lambda: replace(MADE, pace=0.1)),
    Case("Ctrl-C in a model call, then resumed", "done",
         [Drive(manner=SCREEN, acts=[("asked", "Plan"), ("type", "\x03")]), Drive(manner=SCREEN)],
         script=lambda: slow("Plan")),
    Case("Ctrl-C in a check", "paused", [Drive(("--checks", CHECKED_SLOWLY), manner=SCREEN,
         acts=[("asked", "RoutingDecision"), ("sleep", "2"), ("type", "\x03")])], checks=(CHECKED_SLOWLY,)),
    Case("Ctrl-C in a tool", "paused", [Drive(manner=JSON,
         acts=[("see", "time.sleep(3)"), ("sleep", "1"), ("signal", "INT")])],
         script=_sleepy, traces={SLEEPY: "slept"}),
    Case("Ctrl-C twice", "interrupted", [Drive(manner=SCREEN, acts=[
         ("see", "time.sleep(3)"), ("type", "\x03"), ("see", "stopping at the next"), ("type", "\x03")])],
         script=_sleepy, traces={SLEEPY: "slept"}),
    Case("SIGTERM", "paused", [Drive(manner=JSON, acts=[("asked", "Plan"), ("signal", "TERM")])],
         script=lambda: slow("Plan")),
    Case("killed", "interrupted", [Drive(manner=JSON, acts=[("asked", "tools 3"), ("signal", "KILL")])],
         script=lambda: replace(MADE, pace=0.1)),
    Case("killed, then resumed", "done",
         [Drive(manner=JSON, acts=[("asked", "QAVerdict"), ("signal", "KILL")]), Drive(manner=JSON)],
         script=lambda: slow("QAVerdict")),
    Case("paused from elsewhere", "paused", [Drive(acts=[("asked", "Plan"), ("call", "pause", "{thread}")])],
         script=lambda: slow("Plan")),
    Case("paused from elsewhere, then resumed", "done",
         [Drive(acts=[("asked", "StepSummary"), ("call", "pause", "{thread}")]), Drive()],
         script=lambda: slow("StepSummary")),
    Case("out of budget, resumed, stopped again", "paused", [
         Drive(("--max-tokens", "1200")),
         Drive(("--max-tokens", "200k"), manner=SCREEN, acts=[("asked", "tools 3"), ("type", "\x03")])],
         script=lambda: replace(MADE, pace=0.05)),
    Case("steered in time", "done", [Drive(acts=_steer("tools"))], script=lambda: slow("tools"), sent=(LISTEN,)),
    Case("steered at the last minute", "done", [Drive(manner=JSON, acts=_steer("StepSummary"))],
         script=lambda: slow("StepSummary"), sent=(LISTEN,)),
    Case("steered too late", "done", [Drive(manner=SCREEN, acts=_steer("ReportNarrative"))],
         script=lambda: slow("ReportNarrative"), sent=(LISTEN,)),
    Case("steered, then out of budget", "budget", [Drive(("--max-tokens", "3000"), acts=_steer("tools"))],
         script=lambda: slow("tools"), sent=(LISTEN,)),
    Case("the server dies", "needs_model", [Drive(acts=[("asked", "tools"), ("server", "down")])],
         script=lambda: slow("tools")),
    Case("the server dies and comes back", "done",
         [Drive(acts=[("asked", "Plan"), ("server", "down")]),
          Drive(acts=[("server", "up")], manner=JSON)], script=lambda: slow("Plan")),
)  # fmt: skip
