"""Detects, before anything is created or run for a task, that no model can do it. Chooses no model."""

from collections.abc import Iterable

from langchain_core.messages import HumanMessage

from core.artifacts import Scope
from core.config.settings import EMBEDDED
from core.context import Models
from core.replies import CallSite
from llm_registry.embedded.reading import is_question, wants_repair
from nodes.text.quoting import fence

DOERS = ("router", "primary", "coder", "reasoning")
"""Roles of which one may be enough to do a task, if a model serves it."""


async def require_model(task: str, models: Models, thread: str, roles: Iterable[str] = DOERS) -> None:
    """Let a task pass if a model or the embedded engine may be able to do it.

    For a task that no model can do, the failing call is made now; no server receives it, because none serves a role.

    Args:
        task: The task.
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
