"""Asks the user the open questions of the scope, in a separate node so that no model call is repeated."""

from typing import Any, TypedDict

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from core.artifacts import Scope
from core.context import Context


class ClarifyInput(TypedDict):
    """What clarifying needs."""

    scope: Scope


async def clarify(state: ClarifyInput, runtime: Runtime[Context]) -> dict[str, Any]:
    """Wait for the user's answer and add it as a constraint."""
    scope = state["scope"]
    text = "\n".join(scope.questions)
    answer = interrupt({"kind": "question", "text": text})
    constraint = f"The user was asked: {text} The user answered: {answer}"
    return {"scope": scope.model_copy(update={"questions": (), "constraints": (*scope.constraints, constraint)})}
