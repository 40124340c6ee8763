"""The competent model: its stage answers are valid artifacts, its coding loop does the step."""

import json
from pathlib import Path

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI

from core.artifacts import (
    AssessDecision,
    Plan,
    QAVerdict,
    ReportNarrative,
    RoutingDecision,
    Scope,
    StepSummary,
)
from graph.supervisor.judge import Suggestion
from tests.modelserver.competent import INTERRUPTED, CompetentScript, Step, competent_from
from tests.modelserver.info import Shape
from tests.modelserver.process import ModelServerProcess
from tests.modelserver.server import ModelServer

ARTIFACTS = [
    RoutingDecision, Scope, Plan, QAVerdict, AssessDecision, ReportNarrative, StepSummary, Suggestion,
]  # fmt: skip
FILES = {"slugify.py": "def slugify(text):\n    return text\n", "test_slugify.py": "pass\n"}


def openai_model(server, **options):
    return ChatOpenAI(model="m", base_url=server.v1, api_key="x", max_retries=0, **options)


def ollama_model(server, **options):
    return ChatOllama(model="m", base_url=server.url, **options)


CLIENTS = [
    pytest.param(openai_model, {}, Shape.OPENAI, id="chat"),
    pytest.param(openai_model, {"use_responses_api": True}, Shape.OPENAI, id="responses"),
    pytest.param(ollama_model, {}, Shape.OLLAMA, id="ollama"),
]
clients = pytest.mark.parametrize(("make", "options", "shape"), CLIENTS)


@clients
@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
@pytest.mark.parametrize("artifact", ARTIFACTS, ids=lambda a: a.__name__)
async def test_every_stage_gets_a_valid_artifact(artifact, method, make, options, shape) -> None:
    with ModelServer(CompetentScript(FILES), shape=shape) as server:
        schema = artifact.model_json_schema()
        model = make(server, **options).with_structured_output(schema, method=method)
        answer = await model.ainvoke(f"Answer in JSON by this schema:\n{json.dumps(schema)}")
    assert server.errors == []
    assert artifact.model_validate(answer)


def workshop(folder: Path, log: list[str]):
    @tool
    async def list_files(path: str = ".") -> str:
        """List files."""
        log.append("list")
        return "\n".join(sorted(p.name for p in folder.iterdir()))

    @tool
    async def read_file(path: str) -> str:
        """Read a file."""
        log.append(f"read {path}")
        return (folder / path).read_text(encoding="utf-8")

    @tool
    async def write_file(path: str, content: str) -> str:
        """Write a file."""
        log.append(f"write {path}")
        (folder / path).write_text(content, encoding="utf-8")
        return "written"

    @tool
    async def edit_file(path: str, old: str, new: str) -> str:
        """Edit a file."""
        log.append(f"edit {path}")
        text = (folder / path).read_text(encoding="utf-8")
        (folder / path).write_text(text.replace(old, new), encoding="utf-8")
        return "changed"

    @tool
    async def run_checks() -> str:
        """Run the checks."""
        log.append("checks")
        return "green"

    return [list_files, read_file, write_file, edit_file, run_checks]


@clients
async def test_the_loop_writes_checks_and_ends_in_words(tmp_path, make, options, shape) -> None:
    log: list[str] = []
    with ModelServer(CompetentScript(FILES), shape=shape) as server:
        agent = create_agent(make(server, **options), workshop(tmp_path, log))
        opening = "Do step s1: Write slugify.py, test_slugify.py\nTouch them."
        final = await agent.ainvoke({"messages": [HumanMessage(opening)]})
    assert server.errors == []
    assert log == ["list", "write slugify.py", "write test_slugify.py", "checks"]
    assert {p.name: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()} == FILES
    assert "done in slugify.py, test_slugify.py" in final["messages"][-1].text


async def test_each_step_has_its_own_changes_and_writes_may_go_together(tmp_path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ny = 1\n", encoding="utf-8")
    steps = [
        Step("Edit a", edits={"a.py": [("x = 1", "x = 2"), ("y = 1", "y = 2")]}),
        Step("Write b and c", files={"b.py": "b\n", "c.py": "c\n"}),
    ]
    log: list[str] = []
    with ModelServer(CompetentScript(steps=steps, parallel=True)) as server:
        agent = create_agent(openai_model(server), workshop(tmp_path, log))
        first = await agent.ainvoke({"messages": [HumanMessage("Do step s1: Edit a")]})
        again = HumanMessage("Do step s2: Write b and c")
        await agent.ainvoke({"messages": [*first["messages"], again]})
    assert (tmp_path / "a.py").read_text(encoding="utf-8") == "x = 2\ny = 2\n"
    assert log[:5] == ["list", "read a.py", "edit a.py", "edit a.py", "checks"]
    assert log[5] == "list"
    assert sorted(log[6:8]) == ["write b.py", "write c.py"]
    assert log[8:] == ["checks"]
    assert [len(r.calls) for r in server.requests][-3:] == [6, 8, 9]


async def test_a_first_try_is_checked_and_mended(tmp_path) -> None:
    step = Step("Write a", files={"a.py": "good\n"}, first_try={"a.py": "bad\n"})
    log: list[str] = []
    with ModelServer(CompetentScript(steps=[step])) as server:
        agent = create_agent(openai_model(server), workshop(tmp_path, log))
        await agent.ainvoke({"messages": [HumanMessage("Do step s1: Write a")]})
    assert log == ["list", "write a.py", "checks", "write a.py", "checks"]
    assert (tmp_path / "a.py").read_text(encoding="utf-8") == "good\n"


@pytest.mark.parametrize("make", [openai_model, ollama_model])
async def test_it_goes_on_where_a_history_was_cut_or_a_call_interrupted(tmp_path, make) -> None:
    def made(name, **args):
        call = {"name": name, "args": args, "id": f"id-{name}", "type": "tool_call"}
        return AIMessage("", tool_calls=[call])

    opening = HumanMessage("Summary of before:\nDo step x: Write slugify.py, test_slugify.py\n")
    write = made("write_file", path="slugify.py", content=FILES["slugify.py"])
    cut = [opening, write, ToolMessage("written", tool_call_id="id-write_file")]
    broken = [opening, write, ToolMessage(f"{INTERRUPTED}.", tool_call_id="id-write_file")]
    shape = Shape.OLLAMA if make is ollama_model else Shape.OPENAI
    with ModelServer(CompetentScript(FILES), shape=shape) as server:
        model = make(server).bind_tools(workshop(tmp_path, []))
        after_cut = await model.ainvoke(cut)
        after_break = await model.ainvoke(broken)
    assert after_cut.tool_calls[0]["args"]["path"] == "test_slugify.py"
    assert after_break.tool_calls[0]["name"] == "list_files"


async def test_it_judges_by_the_diff_it_is_shown() -> None:
    with ModelServer(CompetentScript(FILES)) as server:
        judge = openai_model(server).with_structured_output(QAVerdict)
        good = await judge.ainvoke("+++ b/slugify.py\n+def slugify")
        bad = await judge.ainvoke("nothing was changed")
    assert good.accept
    assert not bad.accept


async def test_it_shortens_compacts_and_answers_in_words() -> None:
    with ModelServer(CompetentScript(FILES, answer="Because.")) as server:
        model = openai_model(server)
        shorten = "Shorten the text to at most 5 characters. Keep.\n\n<text>\nabcdefgh\n</text>"
        short = await model.ainvoke(shorten)
        log = [SystemMessage("Summarize this work log of a coder."), SystemMessage("Do step s2: B")]
        compact = await model.ainvoke(log)
        plain = await model.ainvoke("Why?")
    assert short.text == "abcde"
    assert compact.text.startswith("Do step x: B\n")
    assert plain.text == "Because."


async def test_what_it_was_not_told_about_is_loud() -> None:
    schema = {"title": "Horoscope", "type": "object", "properties": {}}
    with ModelServer(CompetentScript(FILES)) as server:
        model = openai_model(server).with_structured_output(schema, method="json_schema")
        with pytest.raises(Exception, match="script exhausted"):
            await model.ainvoke("x")
    assert "Horoscope by json_schema" in server.errors[0]


def test_the_process_serves_it_from_a_file(tmp_path) -> None:
    raw = {"steps": [{"title": "Write a", "files": {"a.py": "a\n"}}], "pace": 0.01}
    assert competent_from(raw).plan[0].paths == ("a.py",)
    with ModelServerProcess({"competent": raw}, tmp_path) as server:
        answer = openai_model(server).with_structured_output(Plan).invoke("Plan.")
        assert server.state()["requests"][0]["title"] == "Plan"
    assert answer.steps[0].title == "Write a"
