"""Detects that no model can do a task before anything is created or run for it. Chooses no model."""

from collections.abc import Iterable

from langchain_core.messages import HumanMessage

from core.artifacts import Scope
from core.config.settings import EMBEDDED
from core.context import Models
from core.replies import CallSite
from llm_registry.embedded.reading import is_question, wants_repair
from nodes.text.quoting import fence

DOERS = ("router", "primary", "coder", "reasoning")
"""Roles of which one served by a model may be enough to do a task."""


async def require_model(task: str, models: Models, thread: str, roles: Iterable[str] = DOERS) -> None:
    """Let a task pass that a model, or the embedded engine, may do.

    For a task that no model can do, the failing call is made now; no server receives it, since none serves.

    Args:
        task: What is asked for.
        models: As they were assigned.
        thread: Whose calls they are.
        roles: Those that would have to do it.

    Raises:
        ModelError: No model can do it.
    """
    serving = {role: models.served(role).spec for role in roles}
    if any(spec not in ("", EMBEDDED) for spec in serving.values()):
        return
    words = HumanMessage(fence(task, "task"))
    site = CallSite(thread=thread, node="scope")
    for role in ("primary", "coder"):
        if models.served(role).spec == "":
            await models.chat(role, [words], site=site)
    if is_question(task):
        await models.chat("reasoning", [words], site=site)
    elif not wants_repair(task):
        await models.ask("primary", [words], Scope, site=site)
