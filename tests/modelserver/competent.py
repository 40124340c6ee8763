"""A competent model for the whole graph: it knows the files it will write, and goes about it well.

Owns the answers to the graph's stage calls and the moves of the coding loop. It keeps no state: each
answer follows from the conversation alone, so a server that was killed goes on where it was.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.modelserver.reply import Call, Reply, give, say
from tests.modelserver.request import Message, ModelRequest, ToolSpec
from tests.modelserver.script import ScriptExhaustedError, describe

STEP_MARK = re.compile(r"Do step \S+: (?P<title>.+)")
"""How the user message that begins a visit of the coding loop names its step."""
SHORTEN_MARK = re.compile(r"at most (?P<limit>\d+) characters\. Keep every name")
FENCED = re.compile(r"```[^\n]*\n(.*?)```|<(\w+)[^>]*>\n?(.*?)</\2>", re.DOTALL)


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
        done = [(call.name, dict(call.arguments)) for m in since for call in m.tool_calls]
        left = []
        for name, arguments in _moves(step, request):
            if (name, arguments) in done:
                done.remove((name, arguments))
            else:
                left.append(Call(name, arguments))
        if not left:
            return say(f"{step.title}: done in {', '.join(step.paths)}, and the checks were run.")
        together = self.parallel and left[0].name in {"write_file", "edit_file"}
        same = [call for call in left if call.name == left[0].name] if together else left[:1]
        return Reply(tool_calls=tuple(_unlike(same)))

    def _current(self, request: ModelRequest) -> tuple[Step | None, Sequence[Message]]:
        """The step being worked on, and the messages since its visit began."""
        for place in range(len(request.messages) - 1, -1, -1):
            message = request.messages[place]
            if message.role == "user" and (found := STEP_MARK.search(message.text)):
                return self._named(found["title"]), request.messages[place:]
        writes = {"write_file", "edit_file"} & set(request.tool_names)
        return (self.plan[0] if writes else None), request.messages

    def _named(self, title: str) -> Step:
        for step in self.plan:
            if step.title.strip() == title.strip():
                return step
        raise ScriptExhaustedError(f"no step of the competent model is titled {title.strip()!r}")

    def _words(self, request: ModelRequest) -> str:
        if found := SHORTEN_MARK.search(request.system):
            fenced = FENCED.search(request.last.text)
            text = (fenced[1] or fenced[3]) if fenced else request.last.text
            return text.strip()[: int(found["limit"])]
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
        return {"status_line": f"{title}: done"[:100], "dashboard": f"{title}. {self.summary}"}

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
}


def _in_tool_loop(request: ModelRequest) -> bool:
    # A lonely tool of Ollama looks like a wish for structure; the loop's tools are known by name.
    return any(tool.name in _ARGUMENTS for tool in request.tools)


_ARGUMENTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "list_files": (),
    "read_file": (("path", "file", "file_path"),),
    "write_file": (("path", "file", "file_path"), ("content", "contents", "text")),
    "edit_file": (
        ("path", "file", "file_path"),
        ("old", "old_text", "old_string"),
        ("new", "new_text", "new_string"),
    ),
    "run_command": (("command", "cmd"),),
    "run_checks": (),
}
"""The coding tools in use, with the names their arguments may have."""

Move = tuple[str, dict[str, Any]]


def _moves(step: Step, request: ModelRequest) -> Iterator[Move]:
    """Everything the step takes, in order, with the tools that are offered."""
    offered = {tool.name: tool for tool in request.tools}
    for name, *values in _wanted(step):
        if name in offered:
            yield name, _arguments(offered[name], values)


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


def _arguments(tool: ToolSpec, values: Sequence[str]) -> dict[str, Any]:
    known = tool.parameters.get("properties", {})
    names = [next((name for name in choice if name in known), choice[0]) for choice in _ARGUMENTS[tool.name]]
    return dict(zip(names, values, strict=True))


def _unlike(calls: Sequence[Call]) -> list[Call]:
    """At most one call a path: edits of one file must not run side by side."""
    by_path: dict[str, Call] = {}
    for call in calls:
        by_path.setdefault(str(call.arguments.get("path", call.arguments)), call)
    return list(by_path.values())


def competent_from(raw: Mapping[str, Any]) -> CompetentScript:
    """Build the script from a file: the fields of `CompetentScript`, steps as objects."""
    fields = dict(raw)
    if "steps" in fields:
        fields["steps"] = tuple(Step(**step) for step in fields["steps"])
    return CompetentScript(**fields)
