"""How a node asks the model of its role: inbox first, then the call, then the bookkeeping for the state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from langchain_core.messages import HumanMessage, SystemMessage
from langgraph.runtime import Runtime
from pydantic import BaseModel

from core.artifacts import BudgetLeft, Served
from core.config.settings import BudgetSettings
from core.context import Context, Models
from core.replies import CallSite, ModelReply
from nodes.guidance.delivery import DeliveredGuidance, deliver_waiting
from nodes.text.rendering import render
from nodes.text.shorten import shorten_texts

A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class NodeQuestion:
    """What a node asks, of which role, in which words."""

    node: str
    role: str
    values: Mapping[str, Any]
    """What the templates `<node>/system` and `<node>/user` are rendered with."""
    cursor: int = 0
    """How far this thread has read its inbox."""


async def ask_role(
    question: NodeQuestion, artifact: type[A], runtime: Runtime[Context], *, drained: DeliveredGuidance | None = None
) -> tuple[A, dict[str, Any]]:
    """Ask for an artifact; guidance waiting in the inbox is part of the question.

    Args:
        question: What, of whom.
        artifact: The schema of the answer.
        runtime: Of the node.
        drained: What the node already took from the inbox; taken here when absent.

    Returns:
        The artifact, and the state update that belongs to the call.

    Raises:
        ModelError: No model of the role gave a valid answer.
        BudgetError: A limit of the thread is used up.
    """
    context = runtime.context
    if drained is None:
        drained = await deliver_waiting(question.cursor, context, question.node)
    messages = [
        SystemMessage(render(f"{question.node}/system", **question.values)),
        HumanMessage(render(f"{question.node}/user", **question.values)),
        *drained.messages,
    ]
    site = CallSite(thread=context.thread_id, node=question.node)
    value, reply = await context.models.ask(question.role, messages, artifact, site=site)
    short = await shorten_texts(value, context, question.node)
    return short, {**drained.update, **bookkeeping(question.node, reply, context)}


def bookkeeping(node: str, reply: ModelReply, context: Context) -> dict[str, Any]:
    """What every model call writes to the state: who served the node, and what is left of the budget."""
    return {
        "served": {node: Served(role=reply.role, spec=reply.spec, reason=reply.reason)},
        "budget_left": budget_left(context.models, context.settings.budget),
    }


def budget_left(models: Models, limits: BudgetSettings) -> BudgetLeft:
    """Limits minus usage; never below zero. Tokens a server did not report count as estimated."""
    used = models.usage().values()
    tokens = sum((row.input_tokens or 0) + (row.output_tokens or 0) + row.estimated_tokens for row in used)
    cost = sum(row.cost_usd or 0.0 for row in used)
    calls = sum(row.calls - row.refused for row in used)
    return BudgetLeft(
        tokens=None if limits.max_tokens is None else max(0, limits.max_tokens - tokens),
        seconds=None if limits.max_minutes is None else max(0.0, limits.max_minutes * 60 - models.seconds()),
        cost_usd=None if limits.max_cost_usd is None else max(0.0, limits.max_cost_usd - cost),
        model_calls=None if limits.max_model_calls is None else max(0, limits.max_model_calls - calls),
    )
