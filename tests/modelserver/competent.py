"""A competent model for the whole graph: it knows the files it will write, and goes about it well.

Owns the answers to the graph's stage calls and the moves of the coding loop. It keeps no state: each
answer follows from the conversation alone, so a server that was killed goes on where it was.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodes.text.quoting import unquote
from tests.modelserver.reply import Call, Reply, give, say
from tests.modelserver.request import Message, ModelRequest, pair
from tests.modelserver.script import ScriptExhaustedError, describe

STEP_MARK = re.compile(r"(?:Do step |<step>\n)\S+: (?P<title>.+)")
"""How the message that begins a visit of the coding loop names its step."""
SHORTEN_MARK = re.compile(r"Shorten the text to at most (?P<limit>\d+) characters")
COMPACT_MARK = "Summarize this work log"
FENCED = re.compile(r"<(?P<tag>\w+)>\n(?P<text>.*)\n</(?P=tag)>", re.DOTALL)
INTERRUPTED = "Interrupted before this call returned"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the plan and the changes that do it."""

    title: str
    files: Mapping[str, str] = field(default_factory=dict)
    """Path to whole content."""
    edits: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    """Path to (old, new) replacements."""
    first_try: Mapping[str, str] = field(default_factory=dict)
    """Path to a content that is written, and checked, before the right one."""
    commands: Sequence[str] = ()
    """Shell commands run before the checks."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path the step touches."""
        return tuple(dict.fromkeys([*self.files, *self.edits]))


@dataclass(frozen=True, slots=True)
class CompetentScript:
    """Does a task whose result is known.

    Give `files` for a plan of one step, or `steps` for more.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    steps: Sequence[Step] = ()
    goal: str = "The task is done and the checks pass."
    criteria: Sequence[str] = ("The change is there.", "The checks pass.")
    routing: str = "DELEGATE"
    target: str = "CODING"
    answer: str = "That is how it works."
    """What it says to a question."""
    assessment: str = "stuck"
    summary: str = "The change was made and checked."
    parallel: bool = False
    """All writes of a step in one message."""
    pace: float = 0.0
    """Seconds between two pieces of a stream, so that there is time to kill something."""

    def __call__(self, request: ModelRequest) -> Reply:
        """Answer a request of the graph.

        Raises:
            ScriptExhaustedError: an object is asked for that the graph has no use for.
        """
        return self._reply(request).but(pace=self.pace)

    def _reply(self, request: ModelRequest) -> Reply:
        asked = request.title
        if asked in _STAGES:
            return give(_STAGES[asked](self, request))
        if asked and not _in_tool_loop(request):
            raise ScriptExhaustedError(f"the competent model does not know {describe(request)}")
        if request.tools:
            return self._work(request)
        return say(self._words(request))

    @property
    def plan(self) -> tuple[Step, ...]:
        """The steps, made of `files` when none are given."""
        return tuple(self.steps) or (Step(f"Write {', '.join(self.files)}", self.files),)

    def _work(self, request: ModelRequest) -> Reply:
        step, since = self._current(request)
        if step is None:
            return say(self.answer)
        moves = list(_moves(step, request))
        left = moves[_position(moves, _done(since)) :]
        if not left:
            return say(f"{step.title}: done in {', '.join(step.paths)}, and the checks were run.")
        return Reply(tool_calls=self._together(left))

    def _together(self, left: Sequence[Call]) -> tuple[Call, ...]:
        """The next call, or all the writes that stand together; edits of one file never do."""
        chosen = [left[0]]
        for call in left[1:] if self.parallel and left[0].name in _WRITES else ():
            paths = {str(earlier.arguments["path"]) for earlier in chosen}
            if call.name not in _WRITES or str(call.arguments["path"]) in paths:
                break
            chosen.append(call)
        return tuple(chosen)

    def _current(self, request: ModelRequest) -> tuple[Step | None, Sequence[Message]]:
        """The step being worked on, and the messages since its visit began."""
        for place in range(len(request.messages) - 1, -1, -1):
            message = request.messages[place]
            if message.role == "user" and (found := STEP_MARK.search(message.text)):
                return self._named(unquote(found["title"])), request.messages[place:]
        can_write = _WRITES & set(request.tool_names)
        return (self.plan[0] if can_write else None), request.messages

    def _named(self, title: str) -> Step:
        for step in self.plan:
            if step.title.strip() == title.strip():
                return step
        raise ScriptExhaustedError(f"no step of the competent model is titled {title.strip()!r}")

    def _words(self, request: ModelRequest) -> str:
        if found := SHORTEN_MARK.search(request.prompt):
            fenced = FENCED.search(request.prompt)
            return (fenced["text"] if fenced else request.prompt).strip()[: int(found["limit"])]
        if COMPACT_MARK in request.prompt:
            marks = STEP_MARK.findall(request.prompt)
            return f"Do step x: {marks[-1]}\nThe work goes on as it was." if marks else "Nothing yet."
        return self.answer

    def route(self, _: ModelRequest) -> dict[str, Any]:
        """`RoutingDecision`."""
        return {
            "routing_decision": self.routing,
            "target_model": self.target,
            "confidence": 0.95,
            "reason": "The task says so.",
        }

    def scope(self, _: ModelRequest) -> dict[str, Any]:
        """`Scope`."""
        return {
            "goal": self.goal,
            "acceptance_criteria": list(self.criteria),
            "relevant_files": [path for step in self.plan for path in step.paths],
            "constraints": ["Nothing else changes."],
            "out_of_scope": [],
            "how_to_check": "Run the checks.",
            "questions": [],
        }

    def make_plan(self, _: ModelRequest) -> dict[str, Any]:
        """`Plan`: one milestone."""
        steps = [
            {
                "id": f"s{number}",
                "title": step.title,
                "details": f"Touch {', '.join(step.paths)}.",
                "priority": number,
                "expected_files": list(step.paths),
                "check": "The checks pass.",
            }
            for number, step in enumerate(self.plan, 1)
        ]
        return {"milestones": [{"title": "The change", "steps": steps}]}

    def judge(self, request: ModelRequest) -> dict[str, Any]:
        """`QAVerdict`: accepted when the diff shown touches a path of the script."""
        paths = [path for step in self.plan for path in step.paths]
        seen = [path for path in paths if f"b/{path}" in request.prompt]
        evidence = f"The diff touches {', '.join(seen) or 'none of the files'}."
        return {
            "criteria": [{"criterion": text, "met": bool(seen), "evidence": evidence} for text in self.criteria],
            "concerns": [] if seen else [evidence],
            "accept": bool(seen),
        }

    def assess(self, _: ModelRequest) -> dict[str, Any]:
        """`AssessDecision`, asked for when the attempts are used up."""
        advice = "Write the files as planned."
        return {"action": self.assessment, "reason": "The step failed again.", "advice": advice}

    def summarize(self, request: ModelRequest) -> dict[str, Any]:
        """`StepSummary`, naming the step it is shown."""
        title = next((s.title for s in self.plan if s.title in request.prompt), "A step")
        return {"status_line": f"{title}: done"[:100]}

    def suggest(self, _: ModelRequest) -> dict[str, Any]:
        """`Suggestion` of the supervisor: the work is on its way."""
        return {"action": "nothing", "reason": "The work is on its way."}

    def narrate(self, _: ModelRequest) -> dict[str, Any]:
        """`ReportNarrative`."""
        return {"summary": self.summary, "left_to_do": []}


_STAGES: dict[str, Callable[[CompetentScript, ModelRequest], dict[str, Any]]] = {
    "RoutingDecision": CompetentScript.route,
    "Scope": CompetentScript.scope,
    "Plan": CompetentScript.make_plan,
    "QAVerdict": CompetentScript.judge,
    "AssessDecision": CompetentScript.assess,
    "StepSummary": CompetentScript.summarize,
    "ReportNarrative": CompetentScript.narrate,
    "Suggestion": CompetentScript.suggest,
}


def _in_tool_loop(request: ModelRequest) -> bool:
    # A lonely tool of Ollama looks like a wish for structure; the loop's tools are known by name.
    return any(tool.name in _ARGUMENTS for tool in request.tools)


_WRITES = {"write_file", "edit_file"}
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "list_files": (),
    "read_file": ("path",),
    "write_file": ("path", "content"),
    "edit_file": ("path", "old", "new"),
    "run_command": ("command",),
    "run_checks": (),
}
"""The coding tools in use, with the arguments given to them."""


def _moves(step: Step, request: ModelRequest) -> Iterator[Call]:
    """Everything the step takes, in order, with the tools that are offered."""
    for name, *values in _wanted(step):
        if name in request.tool_names:
            yield Call(name, dict(zip(_ARGUMENTS[name], values, strict=True)))


def _wanted(step: Step) -> Iterator[tuple[str, ...]]:
    yield ("list_files",)
    for path in step.edits:
        yield "read_file", path
    if step.first_try:
        for path, content in step.first_try.items():
            yield "write_file", path, content
        yield ("run_checks",)
    for path, content in step.files.items():
        yield "write_file", path, content
    for path, pairs in step.edits.items():
        for old, new in pairs:
            yield "edit_file", path, old, new
    for command in step.commands:
        yield "run_command", command
    yield ("run_checks",)


def _done(since: Sequence[Message]) -> list[Call]:
    """The calls that have a result, oldest first, repetitions folded."""
    done: list[Call] = []
    for call, result in pair(since):
        if result is None or INTERRUPTED in result:
            continue
        if not done or not _same(done[-1], call):
            done.append(call)
    return done


def _position(moves: Sequence[Call], done: Sequence[Call]) -> int:
    """How many moves are behind: found by the latest calls, since older ones may be forgotten."""
    best, behind = 0, 0
    for end in range(1, len(moves) + 1):
        length = 0
        while length < min(end, len(done)) and _same(moves[end - 1 - length], done[-1 - length]):
            length += 1
        if length > best:
            best, behind = length, end
    return behind


def _same(one: Call, other: Call) -> bool:
    return one.name == other.name and dict(one.arguments) == dict(other.arguments)


def competent_from(raw: Mapping[str, Any]) -> CompetentScript:
    """Build the script from a file: the fields of `CompetentScript`, steps as objects."""
    fields = dict(raw)
    if "steps" in fields:
        fields["steps"] = tuple(Step(**step) for step in fields["steps"])
    return CompetentScript(**fields)
