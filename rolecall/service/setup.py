"""The verbs `models`, `doctor` and `config`: who serves which role, what works, and what the settings say."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from core.errors import ConfigError
from rolecall.service.lookup import OnWarning, SetupRequest, database_in, settings_for, top_if_any, unheard
from rolecall.service.plain import blocking

if TYPE_CHECKING:
    from core.config.loader import LoadedSettings
    from core.config.settings import SandboxSettings, Settings
    from llm_registry.diagnosis.bench import Comparison
    from llm_registry.diagnosis.doctor import Diagnosis
    from llm_registry.records.call_log import SpecStatistics

_SECRET_KEYS = ("key", "authorization", "password", "passphrase", "secret", "token", "credentials", "cookie",
                "auth", "extra_body")  # fmt: skip
_PLAIN_HEADERS = frozenset({"accept", "content-type", "user-agent", "http-referer", "x-title"})


class DoctorRequest(SetupRequest):
    """A check of every role."""

    live: bool = False
    """Also probe each model: tools, JSON, tokens per second."""


@dataclass(frozen=True, slots=True)
class Health:
    """What works, and what does not."""

    diagnosis: "Diagnosis"
    sandbox: str
    """The policy commands run under, in one sentence."""
    sandbox_holds: bool
    """Whether a run may start under it."""

    @property
    def healthy(self) -> bool:
        """Whether a run can start, with a model for each role it needs."""
        return self.diagnosis.healthy and self.sandbox_holds


@dataclass(frozen=True, slots=True)
class RoleModels:
    """What serves each role, and what was measured in the repository."""

    diagnosis: "Diagnosis"
    figures: "tuple[SpecStatistics, ...]" = ()


class BenchRequest(SetupRequest):
    """Several models to compare for one role."""

    role: str = "summarizer"
    models: tuple[str, ...] = ()
    """Each is a role, a named model, or `provider:model[@url]`."""
    limit: int = Field(default=10, gt=0)
    """Maximum number of questions."""


class ConfigRequest(SetupRequest):
    """The settings."""

    validated: bool = False
    """Also check that a run could use them."""


class ConfigResult(BaseModel):
    """Where the settings come from, and what they are."""

    model_config = ConfigDict(frozen=True)

    path: Path | None
    """The file; `None` when there is none."""
    user: Path
    """The user's own, whether or not it exists."""
    sample: bool
    """The file came with rolecall."""
    sources: dict[str, str]
    """Where each section comes from."""
    settings: dict[str, Any]
    """Without their secrets."""


@blocking
async def models(request: SetupRequest, *, on_warning: OnWarning = unheard) -> RoleModels:
    """What serves each role, and what each spec did in this repository.

    Raises:
        ConfigError: The settings are not valid.
    """
    from llm_registry.records.call_log import CallLog

    top = await top_if_any(request.repo)
    loaded = await settings_for(request.options, top, on_warning)
    diagnosis = await _examined(loaded, live=False)
    database = await database_in(top) if top else None
    return RoleModels(diagnosis, await CallLog(database).figures() if database else ())


@blocking
async def compare_models(request: BenchRequest, *, on_warning: OnWarning = unheard) -> "Comparison":
    """Ask several models the same questions.

    Raises:
        ConfigError: The settings are not valid.
        UsageError: A named model does not exist.
    """
    from llm_registry.diagnosis.bench import bench as compare

    top = await top_if_any(request.repo)
    loaded = await settings_for(request.options, top, on_warning)
    database = await database_in(top) if top else None
    return await compare(loaded.settings, request.role, request.models, database=database, limit=request.limit)


@blocking
async def doctor(request: DoctorRequest, *, on_warning: OnWarning = unheard) -> Health:
    """Check every role and the sandbox.

    Raises:
        ConfigError: The settings are not valid.
    """
    top = await top_if_any(request.repo)
    loaded = await settings_for(request.options, top, on_warning)
    _warn_of_unknown_tools(loaded.settings, on_warning)
    diagnosis = await _examined(loaded, live=request.live)
    policy, holds = await sandbox_policy(loaded.settings.sandbox, top)
    return Health(diagnosis=diagnosis, sandbox=policy, sandbox_holds=holds)


@blocking
async def config(request: ConfigRequest, *, on_warning: OnWarning = unheard) -> ConfigResult:
    """The settings as a run would have them.

    Raises:
        ConfigError: They are not valid or, if that is checked, a run could not use them.
    """
    from core.config.files import is_sample, user_config

    # The settings may be looked at anywhere.
    loaded = await settings_for(request.options, await top_if_any(request.repo), on_warning)
    _warn_of_unknown_tools(loaded.settings, on_warning)
    if request.validated:
        _require_usable(loaded.settings)
    return ConfigResult(
        path=loaded.path,
        user=user_config(),
        sample=is_sample(loaded.path),
        sources=dict(loaded.sources),
        settings=_shown(loaded.settings),
    )


async def _examined(loaded: "LoadedSettings", *, live: bool) -> "Diagnosis":
    from core.config.files import is_sample, new_config
    from llm_registry.diagnosis.config_edits import ConfigOrigin
    from llm_registry.diagnosis.doctor import diagnose_roles

    origin = ConfigOrigin(loaded.path, loaded.sources, new_config(), sample=is_sample(loaded.path))
    return await diagnose_roles(loaded.settings, origin=origin, live=live)


async def sandbox_policy(settings: "SandboxSettings", top: Path | None) -> tuple[str, bool]:
    """The policy in one sentence, and whether a run may start under it.

    Args:
        settings: What is wanted.
        top: The user's checkout; `None` outside a repository.
    """
    from tools.sandbox.sandbox import SandboxPaths, open_sandbox

    with tempfile.TemporaryDirectory(prefix="rolecall-") as folder:
        root = Path(folder) / "worktree"
        root.mkdir()
        try:
            sandbox = await open_sandbox(settings, SandboxPaths(root, top or Path(folder)))
        except ConfigError as error:
            return f"no run can start: {error.message}; {error.hint}", False
    return sandbox.policy, True


def _warn_of_unknown_tools(settings: "Settings", on_warning: OnWarning) -> None:
    """Warn about tools in the configuration that rolecall does not have."""
    if not settings.tools:
        return
    from nodes.model_calls.consult_tools import CONSULTING
    from nodes.model_calls.toolset import unknown_tools
    from tools.agent.toolbox import coding_tools

    known = [tool.name for tool in (*coding_tools(), *CONSULTING)]
    for said in unknown_tools(settings, known):
        on_warning(said)


def _require_usable(settings: "Settings") -> None:
    from llm_registry.providers.catalog import check_spec
    from llm_registry.records.telemetry import require_exporter
    from llm_registry.specs.role_chains import resolve_chain, role_names

    for name in (*role_names(settings), *settings.llm.models):
        for link in resolve_chain(settings.llm, name).links:
            check_spec(link.spec, link.origin)
    require_exporter(settings.telemetry)


def _shown(settings: "Settings") -> dict[str, Any]:
    """The settings as anyone may see them: secrets are hidden by name, by format, and if known to be secret."""
    from core.known_secrets import redactor_of

    shown: dict[str, Any] = redactor_of(settings).clean_tree(masked(settings.model_dump(mode="json", by_alias=True)))
    return shown


def masked(value: Any, key: str = "") -> Any:
    """The settings without their secrets: keys, headers that carry one, passwords and query strings in URLs."""
    from core.redaction import MASK, NOT_SECRET, redact, without_query

    if isinstance(value, dict) and key.lower().endswith("headers"):
        # Any of them may be a key, whatever it is called.
        return {name: inner if name.lower() in _PLAIN_HEADERS else MASK for name, inner in value.items()}
    plain_key = key.lower().replace("-", "_")
    if isinstance(value, dict):
        # What lies below such a key is as secret as it, and a body may hold a key under any name.
        below = key if plain_key.endswith(_SECRET_KEYS) else ""
        return {name: masked(inner, below or name) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, key) for inner in value]
    if not isinstance(value, str) or not value or value in NOT_SECRET:
        return value
    return MASK if plain_key.endswith(_SECRET_KEYS) else without_query(redact(value))
