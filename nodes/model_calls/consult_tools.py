"""Tools with which a loop asks other models: a question, an explanation of code, research in the repository.

Each is served by the role that `tools` in the configuration assigns, and offered only there and while a model serves
that role: an unused tool takes up space in small windows. What the other model says is data to the one that
asked. Owns no file and changes none.
"""

from collections.abc import Collection, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ClearToolUsesEdit,
    ContextEditingMiddleware,
)
from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from langchain_core.tools import BaseTool

from core.config.settings import EMBEDDED, ModelRole, Settings
from core.context import Context, Models
from core.replies import CallSite
from core.text import CHARS_PER_TOKEN
from core.tool_effects import ToolEffects
from nodes.model_calls.agent_loop import UNKNOWN_WINDOW, CallLimitMiddleware, LoopState
from nodes.model_calls.tool_calls import ToolCallsMiddleware
from nodes.text.rendering import render
from nodes.text.shorten import clip
from tools.agent.agent_tool import AnyToolRuntime, agent_tool
from tools.agent.file_tools import page_of

_ASKS = ToolEffects(reads=True, asks_model=True, idempotent=True, confined=True)
RESEARCH_CALLS = 20
"""Model calls per research; then it reports what it has found so far."""
CLEAR_AT = 0.5
"""Share of the window at which research drops the results of its older calls."""
ANSWER_CHARS = 6000
"""How much of another model's answer goes into the asking model's transcript."""


@agent_tool(_ASKS)
async def ask(runtime: AnyToolRuntime, question: str, files: list[str] | None = None) -> str:
    """Ask another model a question. It sees only what you write here and the files you list.

    Args:
        question: Everything it needs to know, in full sentences.
        files: Paths of files to show to it, relative to the repository.
    """
    context: Context = runtime.context
    shown = [(path, await page_of(context, path)) for path in files or ()]
    room = _room(context, "ask") // max(len(shown), 1)
    return await _answer(context, "ask", question=question, files=[(path, clip(text, room)) for path, text in shown])


@agent_tool(_ASKS)
async def explain_code(
    runtime: AnyToolRuntime, path: str, question: str = "", start: int = 1, end: int | None = None
) -> str:
    """Have another model read a file and explain it, instead of reading all of it yourself.

    Args:
        path: The file, relative to the repository.
        question: What you want to know about it; default: what it does.
        start: First line, counted from 1.
        end: Last line; default: as many lines as fit.
    """
    context: Context = runtime.context
    code = clip(await page_of(context, path, start, end), _room(context, "explain_code"))
    return await _answer(context, "explain_code", path=path, code=code, question=question)


@agent_tool(_ASKS)
async def deep_research(runtime: AnyToolRuntime, question: str) -> str:
    """Have another model search the repository for an answer, across many files. For a few files, read them yourself.

    Args:
        question: What you want to know, and what you already know.
    """
    context: Context = runtime.context
    role, site = _role_and_site(context, "deep_research")
    window = context.models.window(role) or UNKNOWN_WINDOW
    middleware: list[AgentMiddleware[Any, Context, Any]] = [
        CallLimitMiddleware(RESEARCH_CALLS),
        ToolCallsMiddleware(ModelRole.RESEARCH),
        ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=int(window * CLEAR_AT), keep=3)]),
    ]
    agent = create_agent(
        context.models.chat_model(role, site=site),
        system_prompt=render("deep_research/system"),
        middleware=middleware,
        state_schema=LoopState,
        context_schema=Context,
        name="deep_research",
    )
    opening = HumanMessage(render("deep_research/user", question=question))
    final = await agent.ainvoke({"messages": [opening]}, context=context)
    messages: list[AnyMessage] = final["messages"]
    if "rolecall" in messages[-1].response_metadata:
        return _fit(messages[-1].text)
    # What stands last was said by no model: the notice that the calls are used up.
    notes = "\n\n".join(message.text for message in messages[1:-1] if message.text)
    notes = clip(notes, _room(context, "deep_research"))
    return await _answer(context, "deep_research", question=question, notes=notes)


class ConsultingTools:
    """The source of these tools, for every working role except the researcher.

    Args:
        settings: Say which are turned on, and who answers.
        models: Say which roles are served.
    """

    name = "consulting"

    def __init__(self, settings: Settings, models: Models) -> None:
        self._settings, self._models = settings, models

    async def tools(self, role: str) -> Sequence[BaseTool]:
        """Those that are configured and served."""
        return [] if role == ModelRole.RESEARCH else [one for one in CONSULTING if self._is_served(one.name)]

    async def names(self) -> Collection[str]:
        """Including those that are turned off."""
        return [one.name for one in CONSULTING]

    async def close(self) -> None:
        """Nothing to close."""

    def _is_served(self, name: str) -> bool:
        settings = self._settings
        return name in settings.tools and self._models.served(role_of(settings, name)).spec not in {"", EMBEDDED}


CONSULTING = (ask, explain_code, deep_research)


def role_of(settings: Settings, tool: str) -> str:
    """Which role answers: as configured, else research for research and primary for the rest."""
    usual = ModelRole.RESEARCH if tool == deep_research.name else ModelRole.PRIMARY
    return settings.tool(tool).role or usual.value


def _role_and_site(context: Context, tool: str) -> tuple[str, CallSite]:
    return role_of(context.settings, tool), CallSite(thread=context.thread_id, node=tool)


def _room(context: Context, tool: str) -> int:
    """Characters of foreign text sure to fit the window of a tool's role, besides question and answer."""
    return (context.models.window(role_of(context.settings, tool)) or UNKNOWN_WINDOW) * CHARS_PER_TOKEN // 2


async def _answer(context: Context, tool: str, **values: Any) -> str:
    role, site = _role_and_site(context, tool)
    messages = [SystemMessage(render(f"{tool}/system")), HumanMessage(render(f"{tool}/user", **values))]
    return _fit((await context.models.chat(role, messages, site=site)).text)


def _fit(text: str) -> str:
    return clip(text.strip(), ANSWER_CHARS) or "(the other model returned no text)"
