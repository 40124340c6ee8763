"""Runs that come to an end of their own: done, red, refused, answered, steered, out of budget, without a model."""

from dataclasses import replace
from typing import Any

from benchmarks.truth.case import MADE, PYTEST, Case, Drive
from tests.integration.jobs import EXAMPLE, SLUGIFY, SLUGS
from tests.modelserver.competent import CompetentScript, Step
from tests.modelserver.faults import Fault
from tests.modelserver.reply import call, fail, give, http_error, say
from tests.modelserver.script import Rule, Rules, When

JSON, SCREEN = "json", "screen"
ONCE = {"budget": {"max_attempts": 1, "max_replans": 0}}
WRONG = {**SLUGIFY, "slugs/slugify.py": "def slugify(text):\n    return text\n"}
RED = {name.relative_to(EXAMPLE).as_posix(): name.read_bytes() for name in sorted(EXAMPLE.rglob("*"))
       if name.is_file() and "__pycache__" not in name.parts}  # fmt: skip
TWO = CompetentScript(
    steps=[Step("Write slugify", files=SLUGIFY),
           Step("Write its words", files={"WORDS.md": "slugify makes slugs.\n"})]
)  # fmt: skip
IDLE = CompetentScript(steps=[Step("Look around"), Step("Write slugify", files=SLUGIFY)])
ACCEPTING = {"criteria": [{"criterion": "It is there.", "met": True, "evidence": "Seen."}], "concerns": [],
             "accept": True}  # fmt: skip
BINARY = "python -c \"open('logo.bin', 'wb').write(bytes(range(256)))\""


def _commands(*lines: str, **more: Any) -> CompetentScript:
    return CompetentScript(steps=[Step("Write slugify", files=SLUGIFY, commands=lines)], **more)


def _wrong(text: str = "") -> CompetentScript | Rules:
    script = CompetentScript(files=WRONG)
    return script if not text else Rules([Rule(say(text), When(tool="write_file", tool_results=4))], script)


def _removing() -> CompetentScript:
    files = {"tests/test_text.py": "def test_nothing():\n    assert True\n"}
    return CompetentScript(steps=[Step("Remove shout", files=files, commands=("rm slugs/text.py",))])


def _editing_tests() -> CompetentScript:
    test = "from slugs.text import shout\n\n\ndef test_shout():\n    assert shout('A') == 'A'\n"
    return CompetentScript(files={"slugs/text.py": "def shout(text):\n    return text\n", "tests/test_text.py": test})


def _breaking() -> CompetentScript:
    return CompetentScript(files={"slugs/text.py": "def shout(text):\n    return text.lower()\n"})


def _at_a_loss() -> Rules:
    """Reads the same file over and over until it is given a new plan."""
    stuck = Rule(call("read_file", path="slugs/text.py"), When(tool="read_file"), times=8)
    return Rules([stuck], MADE)


def _two_attempts() -> Rules:
    """Writes nonsense in its first visit and the right thing in the second."""
    wrong = CompetentScript(files=WRONG)
    return Rules([Rule(wrong, When(tool="write_file"), times=5)], MADE)


def _roles(**more: Any) -> dict[str, Any]:
    return {name: {"provider": "openai_compatible", **spec} for name, spec in more.items()}


SPARE = {"model": "m-spare", "base_url": "{spare}"}
CASES: tuple[Case, ...] = (
    Case("done, on a screen", "done", [Drive(manner=SCREEN)]),
    Case("done, as JSON", "done", [Drive(manner=JSON)]),
    Case("done, two steps", "done", script=lambda: TWO),
    Case("done by the embedded engine", "done", script=None, repo=RED, task="Make the failing tests pass"),
    Case("the engine, where nothing is red", "done", script=None, task="Make the failing tests pass"),
    Case("the engine needs a model", "needs_model", [Drive(manner=JSON)], script=None),
    Case("a question answered", "answered", task="What does shout do?",
         script=lambda: CompetentScript(routing="HANDLE", target="REASONING", answer="It shouts.")),
    Case("a question read up on", "answered", [Drive(manner=JSON)], task="What does shout do?",
         script=lambda: CompetentScript(target="REASONING", answer="It shouts.")),
    Case("red and stuck", "stuck", script=_wrong, config=ONCE),
    Case("red and stuck, claims success", "stuck", [Drive(manner=SCREEN)], config=ONCE,
         script=lambda: _wrong("All tests pass: 12 passed. Everything is green.")),
    Case("red at first, then mended", "done", script=_two_attempts),
    Case("green before, red after", "stuck", [Drive(manner=JSON)], script=_breaking, config=ONCE),
    Case("the model edits the tests", "done", script=_editing_tests),
    Case("a file deleted", "done", script=_removing, traces={"rm slugs/text.py": "!slugs/text.py"}),
    Case("a binary file", "done", script=lambda: _commands(BINARY), traces={BINARY: "logo.bin"}),
    Case("a step that changes nothing", "done",
         script=lambda: Rules([Rule(give(ACCEPTING), When(schema="QAVerdict"))], IDLE)),
    Case("no checks at all", "done", [Drive(manner=SCREEN)], checks=(), repo={"README.md": "Words.\n"},
         script=lambda: CompetentScript(files={"NOTES.md": "Notes.\n"})),
    Case("checks by --checks", "done", [Drive(words=("--checks", PYTEST, "--checks", "test -f slugs/text.py"))],
         checks=(PYTEST, "test -f slugs/text.py")),
    Case("one of two checks is red", "stuck", [Drive(("--checks", PYTEST, "--checks", "test -f absent"), manner=JSON)],
         checks=(PYTEST, "test -f absent"), config=ONCE),
    Case("a check that does not end", "stuck", [Drive(words=("--checks", "sleep 30"))], checks=("sleep 30",),
         config={**ONCE, "checks": {"timeout_s": 1}}),
    Case("a command refused by the user", "done",
         [Drive(manner=SCREEN, acts=[("see", "answer y, n"), ("type", "n\n")])], yes=False,
         script=lambda: _commands("touch made-by-command"), traces={"touch made-by-command": "made-by-command"}),
    Case("a command waits, then is approved", "done", [Drive(), Drive(("--yes",))], yes=False,
         script=lambda: _commands("touch made-by-command"), traces={"touch made-by-command": "made-by-command"}),
    Case("a command waits", "waiting", [Drive(manner=JSON)], yes=False,
         script=lambda: _commands("touch made-by-command"), traces={"touch made-by-command": "made-by-command"}),
    Case("a budget of calls", "budget", config={"budget": {"max_model_calls": 5}}),
    Case("a budget of tokens", "budget", [Drive(("--max-tokens", "2500"), manner=JSON)]),
    Case("a budget of minutes", "budget", [Drive(("--max-minutes", "0.05"), manner=SCREEN)],
         script=lambda: replace(MADE, pace=0.05)),
    Case("uncommitted changes of the user", "done", dirty={"slugs/text.py": SLUGS["slugs/text.py"] + "\n\nX = 1\n",
                                                           "mine.txt": "mine\n"}),
    Case("two threads", "done", also=Case("two threads, the second", "done", [Drive(manner=JSON)],
                                          task="Add slugify again")),
    Case("another model by --model", "done",
         [Drive(("--model", "coder=openai_compatible:m-given@{spare}"), manner=JSON)]),
    Case("a fallback", "done", roles=_roles(
        summarizer={"model": "m-summarizer", "base_url": "{closed}", "fallback": ["primary"]})),
    Case("a paid fallback", "done", [Drive(manner=SCREEN)], roles={
        **_roles(coder={"model": "m-coder", "base_url": "{spare}", "fallback": ["dear"]}),
        "models": _roles(dear={"model": "m-spare", "base_url": "{main}", "cost": {"input": 3, "output": 15}})},
        script=lambda: MADE, spare=lambda: Rules([Rule(http_error(500), When(model="m-coder"))], MADE)),
    Case("a key refused", "needs_model", [Drive(manner=JSON)], script=lambda: fail(Fault.AUTH)),
    Case("an answer that is no object", "done",
         script=lambda: Rules([Rule(fail(Fault.PROSE), When(schema="Plan"), times=1)], MADE)),
    Case("the supervisor has it planned anew", "done", script=_at_a_loss, unasked=True,
         config={"supervisor": {"poll_s": 0.1, "max_load": 1, "cool_down_s": 0, "cool_down_calls": 1, "judge": False}}),
    Case("applied", "done", [Drive(), Drive(("apply",))]),
    Case("finished, then resumed", "done", [Drive(), Drive()]),
)  # fmt: skip
