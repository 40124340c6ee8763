"""The agent loop over workspace tools: which middleware it uses and what its state contains. Decides no outcome.

All middleware wraps the model call. Hooks before and after it would be nodes, each with a checkpoint of its own: six a
step instead of two.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, NotRequired, Required

from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    SummarizationMiddleware,
)
from langchain.agents.middleware.types import PrivateStateAttr
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    get_buffer_string,
)
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatResult
from langgraph.channels import DeltaChannel
from langgraph.graph.message import _messages_delta_reducer
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from core.artifacts import Served
from core.context import Context
from core.errors import ModelError
from core.replies import CallSite
from core.text import CHARS_PER_TOKEN
from nodes.guidance.delivery import GuidedState, InboxMiddleware, standing_guidance
from nodes.guidance.plan_changes import role_for
from nodes.model_calls.tool_calls import INTERRUPTED, ToolCallsMiddleware
from nodes.text.quoting import fence
from nodes.text.rendering import render
from nodes.text.shorten import clip

SNAPSHOT_EVERY = 200
"""Updates between two full copies of the transcript; keeps the file linear in the number of steps."""
_count_tokens = partial(count_tokens_approximately, chars_per_token=CHARS_PER_TOKEN)
UNKNOWN_WINDOW = 16_384
"""Tokens assumed when a server does not report its context size."""
COMPACT_AT, KEEP = 0.6, 0.3
"""Shares of the message budget: when older messages are summarized, and how much of the newest is left as is."""
FORMER_NODES = (
    "ModelCallLimitMiddleware.before_model", "Compaction.before_model", "CompactionMiddleware.before_model",
    "InboxMiddleware.after_model", "ModelCallLimitMiddleware.after_model",
)  # fmt: skip
"""What hooks of earlier versions were; checkpoints of unfinished threads name them."""
UNLIMITED = 1_000_000_000
"""Super-steps of a graph: LangGraph's own limit would end a long run as an internal error. Runs end at our limits."""
FRAME_TOKENS = 1500
"""Share of the window that tool descriptions and the static prompt take up."""


class LoopState(GuidedState):
    """State of an agent loop."""

    messages: Required[
        Annotated[list[AnyMessage], DeltaChannel(_messages_delta_reducer, snapshot_frequency=SNAPSHOT_EVERY)]
    ]
    brief: NotRequired[str]
    """Task, criteria, plan and checks: shown on each call, never summarized."""
    step: NotRequired[str]
    """The current step; guidance may name another model for it."""
    thread_model_call_count: NotRequired[Annotated[int, PrivateStateAttr]]
    """Model calls of this visit."""
    compacted: NotRequired[Annotated[int, PrivateStateAttr]]
    """How many of them had been made when older messages were last summarized."""


class PlaceholderModel(BaseChatModel):
    """Placeholder for the model `create_agent` requires; the actual one is chosen on each call."""

    @property
    def _llm_type(self) -> str:
        return "unassigned"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise ModelError("the loop was run without a model for its role")


class RoleModelMiddleware(AgentMiddleware[LoopState, Context, Any]):
    """Give each call the role's model, and the brief as the last part of the system prompt.

    Args:
        role: The role that speaks.
        node: The node that runs the loop; records of calls name it.
        values: What `<node>/system`, the static part of the system prompt, is rendered with.
    """

    state_schema = LoopState

    def __init__(self, role: str, node: str, **values: Any) -> None:
        super().__init__()
        self._role, self._node = role, node
        self._prompt = render(f"{node}/system", **values)

    async def awrap_model_call(
        self,
        request: ModelRequest[Context],
        handler: Callable[[ModelRequest[Context]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Call the chain of the role."""
        context = request.runtime.context
        site = CallSite(thread=context.thread_id, node=self._node)
        state: Any = request.state  # a LoopState under a wider static type
        role = role_for(self._role, state.get("guidance", ()), state.get("step"))
        brief = f"{state.get('brief', '')}\n\n{standing_guidance(state.get('guidance', ()), request.messages)}".strip()
        return await handler(
            request.override(
                model=context.models.chat_model(role, site=site),
                system_message=SystemMessage(f"{self._prompt}\n\n{brief}".strip()),
                messages=answer_open_calls(request.messages),
            )
        )


def answer_open_calls(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Give every tool call without a result one that says so: servers reject a history with orphans."""
    results = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    mended: list[AnyMessage] = []
    for message in messages:
        mended.append(message)
        calls = message.tool_calls if isinstance(message, AIMessage) else ()
        mended += [
            ToolMessage(INTERRUPTED, tool_call_id=call["id"] or "", name=call["name"], status="error")
            for call in calls
            if call["id"] not in results
        ]
    return mended


class CallLimitMiddleware(AgentMiddleware[LoopState, Context, Any]):
    """Count the model calls of a visit, and end it when they are used up; outermost, so that nothing is done in vain.

    Args:
        most: How many calls.
    """

    state_schema = LoopState

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    async def awrap_model_call(
        self,
        request: ModelRequest[Context],
        handler: Callable[[ModelRequest[Context]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """Count the call in the same checkpoint as its answer."""
        made = calls_made(request.state)
        if made >= self._most:
            return ModelResponse(result=[AIMessage(f"Stopped after {made} model calls, the limit of one visit.")])
        response = await handler(request)
        if not response.result:
            return response
        return ExtendedModelResponse(response, Command(update={"thread_model_call_count": made + 1}))


def calls_made(state: Any) -> int:
    """Model calls of this visit."""
    # Any: the middleware is handed the loop's state under several static types.
    return int(state.get("thread_model_call_count") or 0)


class CompactionMiddleware(AgentMiddleware[LoopState, Context, Any]):
    """Have the summarizer summarize older messages before the window of the speaking role is full."""

    state_schema = LoopState

    def __init__(self, role: str, node: str) -> None:
        super().__init__()
        self._role, self._node = role, node

    async def awrap_model_call(
        self,
        request: ModelRequest[Context],
        handler: Callable[[ModelRequest[Context]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """Summarize instead of calling the model, once per call: a kill during the call does not undo the summary."""
        changes = await self._changes(request)
        if not changes:
            return await handler(request)
        update = {"messages": changes, "compacted": calls_made(request.state), "jump_to": "model"}
        return ExtendedModelResponse(ModelResponse(result=[]), Command(update=update))

    async def _changes(self, request: ModelRequest[Context]) -> list[BaseMessage]:
        """What LangChain's summarization with the limits of this run changes; mostly nothing."""
        state: Any = request.state  # a LoopState under a wider static type
        context = request.runtime.context
        window = context.models.window(self._role) or UNKNOWN_WINDOW
        taken = FRAME_TOKENS + len(state.get("brief", "")) // CHARS_PER_TOKEN
        room = max(window - taken, window // 4)
        if state.get("compacted") == calls_made(state) or _count_tokens(state["messages"]) < int(room * COMPACT_AT):
            return []

        async def shorten(messages: Sequence[BaseMessage]) -> str:
            return await _compact(messages, context, self._node)

        middleware: SummarizationMiddleware[Any, Any] = SummarizationMiddleware(
            PlaceholderModel(),
            trigger=("tokens", int(room * COMPACT_AT)),
            keep=("tokens", int(room * KEEP)),
            token_counter=_count_tokens,
            trim_tokens_to_summarize=None,
            summarizer=shorten,
        )
        compacted = await middleware.abefore_model(state, request.runtime)
        return [] if compacted is None else as_message_changes(state["messages"], compacted["messages"])


def as_message_changes(before: Sequence[AnyMessage], after: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Express a compacted history as changes by id, which is all that the reducer of a `DeltaChannel` understands.

    The opening message stays, because it describes the step; the summary replaces the one after it.

    Args:
        before: The history; all messages have ids.
        after: A "remove all", the summary, and the messages that stay as they are.
    """
    known = {message.id for message in before}
    stays = {message.id for message in after if message.id in known} | {before[0].id}
    summary = [message for message in after if message.id not in known and not isinstance(message, RemoveMessage)]
    gone = [message.id for message in before if message.id not in stays and message.id]
    if not gone:
        return []
    text = fence("\n\n".join(message.text for message in summary), "summary")
    return [HumanMessage(text, id=gone[0], name="summary"), *(RemoveMessage(id=ident) for ident in gone[1:])]


async def _compact(messages: Sequence[BaseMessage], context: Context, node: str) -> str:
    window = context.models.window("summarizer") or UNKNOWN_WINDOW
    log = clip(get_buffer_string(list(messages)), window * 2)
    site = CallSite(thread=context.thread_id, node=node, purpose="compact")
    prompt = [SystemMessage(render("implement/compact")), HumanMessage(fence(log, "text"))]
    try:
        reply = await context.models.chat("summarizer", prompt, site=site)
    except ModelError as error:
        context.events.emit("warning", message=f"older messages were truncated instead of summarized: {error.message}")
        return clip(log, 4000)
    return reply.text or clip(log, 4000)


def build_loop(name: str, role: str, *, max_calls: int, **values: Any) -> CompiledStateGraph[Any, Context, Any, Any]:
    """Build the loop; without its own checkpointer it uses that of the surrounding graph.

    Args:
        name: The node that runs it.
        role: Whose model and tools it is given, and whose window bounds the transcript.
        max_calls: Model calls in one visit.
        values: What the template of its system prompt, `<name>/system`, is rendered with.
    """
    middleware: list[AgentMiddleware[Any, Context, Any]] = [
        CallLimitMiddleware(max_calls),
        InboxMiddleware(name),
        CompactionMiddleware(role, name),
        ToolCallsMiddleware(role),
        RoleModelMiddleware(role, name, **values),
    ]
    agent = create_agent(
        PlaceholderModel(),
        name=f"{name}_loop",
        middleware=middleware,
        state_schema=LoopState,
        context_schema=Context,
    )
    return _lasting(agent)


def _lasting(agent: CompiledStateGraph[Any, Context, Any, Any]) -> CompiledStateGraph[Any, Context, Any, Any]:
    """The loop without LangGraph's limit of 9,999 super-steps, and with the nodes in which threads of earlier versions
    may have been interrupted; they do nothing.
    """
    builder = agent.builder
    builder.compiled = False
    for name in FORMER_NODES:
        builder.add_node(name, _nothing)
        if name.endswith("before_model"):
            builder.add_edge(name, "model")
        else:
            builder.branches[name] = builder.branches["model"]
    return builder.compile(name=agent.name).with_config(agent.config, recursion_limit=UNLIMITED)


async def _nothing(state: LoopState) -> dict[str, Any]:
    return {}


def final_text(state: Mapping[str, Any]) -> str:
    """The text of the model's last message; empty when it sent none."""
    spoken = (message for message in reversed(state["messages"]) if isinstance(message, AIMessage))
    return str(next((message.text for message in spoken if message.text), ""))


def served_by(state: Mapping[str, Any]) -> Served | None:
    """Which model gave the last answer of a loop; `None` when none did."""
    for message in reversed(state["messages"]):
        mark = message.response_metadata.get("rolecall") if isinstance(message, AIMessage) else None
        if mark:
            return Served.model_validate(mark)
    return None
