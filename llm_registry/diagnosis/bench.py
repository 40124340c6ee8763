"""Compares models on the work of one role: the calls it recorded, or a small built-in set. Data only; shows nothing.

Every model gets the same questions, one after another, so that models on one machine do not slow each other down.
"""

import asyncio
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from core import artifacts
from core.config.settings import LLMSettings, ModelSpec, Settings
from core.errors import ModelError, UsageError
from core.replies import CallSite, ModelReply
from core.storage.database import Database
from llm_registry.diagnosis.bench_tasks import BenchTask, accept_any, tasks_for
from llm_registry.diagnosis.ephemeral import ephemeral_registry
from llm_registry.diagnosis.live_checks import tokens_per_s
from llm_registry.overrides import with_overrides
from llm_registry.records.call_log import known_median, known_sum
from llm_registry.records.prompt_log import LoggedPrompt, PromptLog
from llm_registry.registry import Registry
from llm_registry.specs.address_keys import redact_spec
from llm_registry.specs.role_chains import resolve_chain

_SITE = CallSite(thread="bench", node="bench")


class ModelScore(BaseModel):
    """How one model did."""

    model_config = ConfigDict(frozen=True)

    model: str
    asked: int
    good: int
    """Answers that were complete and valid, and passed the check of the built-in set."""
    errors: tuple[str, ...]
    seconds: float | None
    """Median per question, fallbacks and corrections included."""
    first_token_s: float | None
    tokens_per_s: float | None
    output_tokens: int | None
    cost_usd: float | None
    answers: tuple[str, ...]
    """The answers, shortened, in the order of the questions."""


class Comparison(BaseModel):
    """All models on the same questions."""

    model_config = ConfigDict(frozen=True)

    role: str
    recorded: bool
    """The questions are recorded calls of this repository; otherwise the built-in set."""
    questions: tuple[str, ...]
    models: tuple[ModelScore, ...]


async def bench(
    settings: Settings, role: str, models: Sequence[str], *, database: Database | None = None, limit: int = 10
) -> Comparison:
    """Ask every model the same questions.

    Args:
        settings: Where named models are configured.
        role: Whose work it is.
        models: Roles, named models, or `provider:model[@url]`; empty means what serves the role now.
        database: The repository's database with recorded prompts, if there is one.
        limit: Maximum number of questions.

    Raises:
        UsageError: A model is unknown.
    """
    recorded = await _recorded(settings, role, database, limit)
    tasks = recorded or list(tasks_for(role))[:limit]
    figures = [await _figures(name, _alone(settings, role, name), tasks) for name in models or [role]]
    return Comparison(
        role=role, recorded=bool(recorded), questions=tuple(_title(task) for task in tasks),
        models=tuple(figures),
    )  # fmt: skip


async def _recorded(settings: Settings, role: str, database: Database | None, limit: int) -> list[BenchTask]:
    if database is None or not await asyncio.to_thread(database.path.is_file):
        return []
    kept = await PromptLog(database, settings.telemetry).recent(role, limit=limit)
    return [
        BenchTask(prompt, accept_any)
        for prompt in kept
        if not prompt.artifact or _artifact(prompt.artifact) is not None
    ]


def _alone(settings: Settings, role: str, model: str) -> Settings:
    """Settings in which one model serves the role, without a fallback."""
    effective = settings if model == role else with_overrides(settings, {role: model})
    links = resolve_chain(effective.llm, role).links
    if not links:
        raise UsageError(f"{model} is disabled", hint="enable it in the configuration to compare it")
    spec: ModelSpec = links[0].spec.model_copy(update={"fallback": ()})
    return settings.model_copy(update={"llm": LLMSettings(**{role: spec})})


async def _figures(model: str, settings: Settings, tasks: Sequence[BenchTask]) -> ModelScore:
    replies: list[ModelReply] = []
    errors: list[str] = []
    answers: list[str] = []
    good = 0
    async with ephemeral_registry(settings, "bench") as registry:
        for task in tasks:
            try:
                reply = await _ask(registry, task.prompt)
            except ModelError as error:
                errors.append(error.message)
                answers.append("")
                continue
            replies.append(reply)
            answers.append(_shown(reply))
            good += task.check(reply)
    return ModelScore(
        model=redact_spec(model), asked=len(tasks), good=good, errors=tuple(errors), answers=tuple(answers),
        seconds=known_median([reply.seconds for reply in replies]),
        first_token_s=known_median([reply.first_token_s for reply in replies]),
        tokens_per_s=known_median([tokens_per_s(reply) for reply in replies]),
        output_tokens=known_sum([reply.usage.output_tokens for reply in replies]),
        cost_usd=known_sum([reply.cost_usd for reply in replies]),
    )  # fmt: skip


async def _ask(registry: Registry, prompt: LoggedPrompt) -> ModelReply:
    wanted = _artifact(prompt.artifact)
    if wanted is not None:
        return (await registry.ask(prompt.role, prompt.messages, wanted, site=_SITE))[1]
    return await registry.chat(prompt.role, prompt.messages, tools=prompt.tools, site=_SITE)


def _artifact(name: str) -> type[BaseModel] | None:
    found = getattr(artifacts, name, None) if name else None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _title(task: BenchTask) -> str:
    prompt = task.prompt
    text = task.title or (" ".join(prompt.messages[-1].text.split()) if prompt.messages else "")
    return f"{prompt.artifact or ('tools' if prompt.tools else 'words')}: {text[:60]}"


def _shown(reply: ModelReply) -> str:
    if reply.parsed is not None:
        return str(reply.parsed.model_dump_json())[:200]
    calls = "; ".join(f"{call.name}({call.args})" for call in reply.tool_calls)
    return (reply.text or calls)[:200]
