"""What the tests of steering share: a model that answers from its prompt alone, its tools, and the graph around it.

The model holds no state: the same history brings the same answer, so it survives a crash of its process.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict, cast

import aiosqlite
from langchain.agents import create_agent
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from core.artifacts import Guidance, Plan
from core.config.settings import Settings
from core.context import Context, Inbox
from core.events import EventName, EventSink
from core.state import deliver, latest
from graph.store.checkpoints import serializer
from nodes.guidance.delivery import InboxMiddleware, deliver_waiting
from nodes.model_calls.agent_loop import LoopState

Speak = Callable[[list[BaseMessage]], AIMessage]


class Heard:
    """An event sink that keeps what it was sent."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def emit(self, event: EventName, /, **data: Any) -> None:
        self.events.append((event, data))

    def named(self, name: str) -> list[dict[str, Any]]:
        return [data for event, data in self.events if event == name]


class Speaker(BaseChatModel):
    """Answers with `speak(messages)` after `latency` seconds, and reports its calls as the registry does."""

    speak: Any
    latency: float = 0.0
    events: Any = None
    prompts: list[Any] = []  # noqa: RUF012 - a pydantic field, copied per instance
    began: list[float] = []  # noqa: RUF012 - as above; when each call began, seconds since the epoch

    @property
    def _llm_type(self) -> str:
        return "speaker"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "Speaker":
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("async only")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.prompts.append(list(messages))
        self.began.append(time.time())
        if self.events is not None:
            self.events.emit("model_started", node="implement", role="coder", spec="speaker")
        try:
            await asyncio.sleep(self.latency)
            answer = self.speak(messages)
        finally:
            if self.events is not None:
                self.events.emit("model_finished", node="implement", role="coder", spec="speaker", outcome="ok")
        return ChatResult(generations=[ChatGeneration(message=answer)])


def call(name: str, number: int, /, **args: Any) -> AIMessage:
    """A message that calls one tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"call-{number}"}])


def results(messages: Sequence[BaseMessage]) -> list[ToolMessage]:
    return [message for message in messages if isinstance(message, ToolMessage)]


def works(steps: int, name: str = "step") -> Speak:
    """Call a tool `steps` times, then stop."""

    def speak(messages: list[BaseMessage]) -> AIMessage:
        done = len(results(messages))
        return call(name, done, number=done) if done < steps else AIMessage("finished")

    return speak


@tool
async def step(number: int, seconds: float = 0.0) -> str:
    """Do one piece of work."""
    await asyncio.sleep(seconds)
    return f"step {number} done"


class State(TypedDict):
    task: str
    plan: NotRequired[Plan]
    current_step: NotRequired[str]
    messages: NotRequired[list[BaseMessage]]
    heard: NotRequired[list[str]]
    guidance_cursor: NotRequired[Annotated[int, latest]]
    guidance: NotRequired[Annotated[tuple[Guidance, ...], deliver]]


def build(speaker: BaseChatModel, tools: Sequence[BaseTool] = (step,)) -> StateGraph[Any, Context, Any, Any]:
    """`implement` runs an agent loop from its closure, `assess` drains at its entry."""
    loop = create_agent(
        speaker,
        list(tools),
        name="implement_loop",
        middleware=cast("Any", [InboxMiddleware("implement")]),
        state_schema=LoopState,
        context_schema=Context,
    )

    async def implement(state: dict[str, Any], runtime: Runtime[Context]) -> dict[str, Any]:
        entry = {"messages": [HumanMessage(state["task"])], "guidance_cursor": state.get("guidance_cursor", 0)}
        final = await loop.ainvoke(cast("Any", entry), context=runtime.context)
        kept = {key: final[key] for key in ("guidance_cursor", "guidance") if final.get(key)}
        return {"messages": final["messages"], **kept}

    async def assess(state: dict[str, Any], runtime: Runtime[Context]) -> dict[str, Any]:
        drained = await deliver_waiting(state.get("guidance_cursor", 0), runtime.context, "assess")
        return {"heard": [str(message.content) for message in drained.messages], **drained.update}

    builder: StateGraph[Any, Context, Any, Any] = StateGraph(State, context_schema=Context)
    builder.add_node("implement", cast("Any", implement))
    builder.add_node("assess", cast("Any", assess))
    builder.add_edge(START, "implement")
    builder.add_edge("implement", "assess")
    builder.add_edge("assess", END)
    return builder


def context_of(thread: str, inbox: Inbox, events: EventSink, settings: Settings | None = None) -> Context:
    """A context with inbox and events; the rest is not touched by these graphs."""
    unused = cast("Any", None)
    return Context(
        thread_id=thread,
        settings=settings or Settings(),
        models=unused,
        workspace=unused,
        commands=unused,
        checks=unused,
        repair=unused,
        inbox=inbox,
        events=events,
        tools=unused,
    )


@asynccontextmanager
async def opened(
    builder: StateGraph[Any, Context, Any, Any], database: Path
) -> AsyncIterator[CompiledStateGraph[Any, Context, Any, Any]]:
    """The graph on the real saver."""
    async with aiosqlite.connect(database, timeout=30) as connection:
        saver = AsyncSqliteSaver(connection, serde=serializer())
        await saver.setup()
        yield builder.compile(checkpointer=saver)
