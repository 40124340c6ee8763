"""The settings of a run: one frozen tree of sections. Where they come from is not decided here."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
)
from pydantic_core import PydanticCustomError

from core.redaction import redact, without_query


class ModelRole(StrEnum):
    """The jobs a model does. A user may add custom roles for tools."""

    PRIMARY = "primary"
    CODER = "coder"
    REASONING = "reasoning"
    ROUTER = "router"
    SUMMARIZER = "summarizer"
    SUPERVISOR = "supervisor"
    RESEARCH = "research"


ROLES = tuple(role.value for role in ModelRole)
USUAL_FALLBACK: dict[str, tuple[str, ...]] = dict.fromkeys(
    (ModelRole.ROUTER.value, ModelRole.SUMMARIZER.value, ModelRole.SUPERVISOR.value), (ModelRole.PRIMARY.value,)
)
"""The default fallback of a role whose spec has no `fallback`."""
EMBEDDED = "embedded"
"""The name of the engine that is always available: no LLM, no network."""

_CALL_PATHS = re.compile(r"/(chat/completions|responses)/?$")


def role_name(name: str) -> str:
    """The canonical name of a role: `coding` is `coder`."""
    return ModelRole.CODER.value if name == "coding" else name


class Section(BaseModel):
    """Base of all sections: immutable; unknown keys and non-finite numbers are rejected."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Values as they may appear in a message or a traceback: URLs without keys, headers by name."""
        for name, value in super().__repr_args__():
            yield name, _presentable(value)


def _presentable(value: Any) -> Any:
    if isinstance(value, str):
        return without_query(redact(value))
    if not isinstance(value, Mapping):
        return value
    return {key: sorted(inner) if key == "headers" and isinstance(inner, Mapping) else _presentable(inner)
            for key, inner in value.items()}  # fmt: skip


class Timeouts(Section):
    """Deadlines of one model call, in seconds. A hang raises no error, so each phase has its own."""

    connect: PositiveFloat = 3.0
    first_token: PositiveFloat = 300.0
    """A CPU model may process a long prompt for minutes before its first token."""
    idle: PositiveFloat = 120.0
    """Longest silence between two chunks of an answer."""
    total: PositiveFloat = 1800.0
    """A whole answer: a model that repeats itself forever is never silent."""


class Cost(Section):
    """Price in US dollars per million tokens. Absent means unknown, which is not the same as free."""

    input: NonNegativeFloat
    output: NonNegativeFloat


class ModelSpec(Section):
    """One configured endpoint and model."""

    provider: str = "openai_compatible"
    model: str = ""
    base_url: str = ""
    api_key: str = Field(default="", repr=False)
    context_length: PositiveInt | Literal["auto"] = "auto"
    """Tokens; "auto" asks the server what it loaded."""
    quantization: str = ""
    """Informational: `models` and `doctor` show it."""
    max_concurrency: PositiveInt | None = None
    """Calls in flight on this endpoint, over all roles and processes."""
    timeouts: Timeouts = Timeouts()
    api: Literal["auto", "responses", "chat"] = "auto"
    thinking: Literal["auto"] | bool = "auto"
    temperature: NonNegativeFloat | None = None
    max_output_tokens: PositiveInt | None = None
    cost: Cost | None = None
    enabled: bool = True
    fallback: tuple[str, ...] | None = None
    """Names of roles, of named models, or "embedded", tried in this order. Absent: `primary` for router, summarizer and
    supervisor, none for the others; `[]` means none."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Provider-specific: `num_ctx`, `threads`, `path`, headers. Unknown options are passed to the server."""

    @field_validator("base_url")
    @classmethod
    def _cut_call_path(cls, url: str) -> str:
        if url.strip() and not url.lower().startswith(("http://", "https://")):
            # Not quoted: an address may hold a password.
            raise PydanticCustomError(
                "scheme", "an address must start with http:// or https://, as in http://localhost:5000/v1"
            )
        return base_url_of(url)

    @field_validator("quantization", mode="before")
    @classmethod
    def _read_quantization(cls, given: Any) -> Any:
        return str(given) if isinstance(given, int) and not isinstance(given, bool) else given or ""

    @field_validator("options")
    @classmethod
    def _know_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        read = {name: _number_of(name, value) for name, value in options.items()}
        for name, value in read.items():
            if value is not None and (wanted := _wrong_option(name, value)) is not None:
                raise PydanticCustomError("option", "{name} must be {wanted}", {"name": name, "wanted": wanted})
        return read


ToolApproval = Literal["auto", "ask", "allow", "deny"]


class ToolSettings(Section):
    """One tool: who may use it, whether it asks first, and who answers if it asks a model."""

    enabled: bool = True
    role: str = ""
    """The role, or a named model, that answers when the tool asks one; empty: the tool's usual one."""
    offered_to: tuple[str, ...] | None = None
    """Roles that may use it, of those it is made for; absent: all of them."""
    approval: ToolApproval = "auto"
    """Whether each call needs approval. "auto": as its effects and `approvals` say; "deny": it is not offered."""
    timeout_s: PositiveFloat | None = None
    """Seconds a call may take; absent: what the tool sets itself, else 300."""


class LLMSettings(BaseModel):
    """Roles: each a spec, or the name of another role or named model."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True, hide_input_in_errors=True)
    __pydantic_extra__: dict[str, ModelSpec | str]

    models: dict[str, ModelSpec] = Field(default_factory=dict)
    """Named specs that roles and fallbacks refer to."""


class CheckSettings(Section):
    """How a repository is checked."""

    commands: tuple[str, ...] = ()
    """Empty: detected from the repository's files."""
    timeout_s: PositiveFloat = 900.0
    test_timeout_s: NonNegativeFloat = 0.0
    """Seconds one test may take. 0: rolecall decides, based on how long tests take now and took before."""
    python: str = ""
    """The interpreter of the repository; empty: its own venv, else the first on the PATH."""


class BudgetSettings(Section):
    """Limits of a whole thread, over all its runs."""

    max_tokens: PositiveInt | None = None
    max_cost_usd: PositiveFloat | None = None
    max_minutes: PositiveFloat | None = None
    max_model_calls: PositiveInt | None = 400
    max_attempts: PositiveInt = 3
    """Visits of the coding loop per step."""
    max_replans: int = Field(default=1, ge=0)
    max_loop_calls: PositiveInt = 60
    """Model calls in one visit of the coding loop."""


class SandboxSettings(Section):
    """Where commands run."""

    mode: Literal["auto", "bubblewrap", "host"] = "auto"
    require: bool = False
    """Refuse to run anything where bubblewrap does not work, instead of using the host."""
    network: bool = False
    show: tuple[str, ...] = ()
    """Patterns of secret-looking files (`.env`, keys, …) that tools and commands may see anyway."""
    env: tuple[str, ...] = ()
    """Names of additional environment variables that commands get; most are withheld."""
    git_history: Literal["auto", "show", "hide"] = "auto"
    """Whether commands see the repository's history; "auto" hides it where it contains secret-looking files."""
    command_timeout_s: PositiveFloat = 300.0
    max_output_bytes: PositiveInt = 12_000
    """Bytes of an output that the model sees; the full output is saved in the run directory."""
    memory_mb: PositiveInt = 8192
    """Total for all processes of a command."""
    max_processes: PositiveInt = 512
    """Per command, not counting threads."""
    disk_mb: PositiveInt = 8192
    """How much one command may add to the worktree and its private directories."""


class ApprovalSettings(Section):
    """Which commands run without asking."""

    mode: Literal["ask", "walls", "anywhere"] = "walls"
    """Where programs that run the repository's code (interpreters, build tools) run without asking: nowhere, inside
    bubblewrap, or on the host too. Read-only programs are not affected."""
    allow: tuple[str, ...] = (
        "python", "python3", "pytest", "tox", "nox", "ruff", "mypy", "npm test", "npm run", "node", "cargo", "go",
        "make", "git diff", "git status", "git log", "git show", "git blame", "git ls-files", "git rev-parse", "ls",
        "cat", "head", "tail", "wc", "nl", "sort", "uniq", "cut", "tr", "grep", "rg", "find", "sed -n", "diff", "echo",
        "printf", "pwd", "true", "false", "test", "basename", "dirname", "stat", "which",
    )  # fmt: skip
    """Command prefixes, compared word by word. The rest of a command must be known to be harmless."""


class RoutingSettings(Section):
    """How the router's answer is read."""

    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.6
    """A HANDLE below this confidence is delegated anyway."""


class RuleThresholds(Section):
    """When the rules of the supervisor fire. Counts are tool calls of one visit of the coding loop unless said."""

    repeated_calls: PositiveInt = 3
    """The same tool with the same arguments and the same result."""
    repeated_errors: PositiveInt = 3
    """The same tool with the same error, whatever the arguments."""
    alternations: PositiveInt = 3
    """Rounds of the same two calls alternating."""
    calls_without_change: PositiveInt = 15
    """Calls since a file last changed."""
    unchanged_outcomes: PositiveInt = 3
    """Runs of the checks with the same outcome though files changed in between."""
    monologue: PositiveInt = 3
    """Answers in a row that call no tool."""
    window_used: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Share of the context window."""
    budget_ahead: Annotated[float, Field(gt=0, le=1)] = 0.35
    """How far the share of the budget used may run ahead of the share of the steps done."""
    usual_calls: PositiveInt = 15
    """Usual length of a step until one is finished; then the median of the finished ones."""
    times_usual: PositiveFloat = 3.0
    """How many times its usual length a step may take."""


class SupervisorSettings(Section):
    """The supervisor of a run."""

    enabled: bool = True
    policy: Literal["observe", "nudge", "replan", "full"] = "replan"
    """What it may do by itself; anything beyond that is recorded as a suggestion."""
    poll_s: PositiveFloat = 2.0
    max_load: Annotated[float, Field(gt=0, le=1)] = 0.005
    """Share of the time spent reading; after an expensive poll the next one waits longer."""
    status_every_s: PositiveFloat = 30.0
    cool_down_calls: PositiveInt = 3
    """Tool calls that must follow an intervention before the next."""
    cool_down_s: float = Field(default=10.0, ge=0)
    """Seconds that must follow an intervention before the next."""
    judge: bool = True
    """Ask the supervisor role when a rule fires; without it the rule's own advice is given."""
    rules: RuleThresholds = RuleThresholds()


class CheckpointSettings(Section):
    """Where checkpoints go."""

    url: str = ""
    """Must be empty for now: `.rolecall/rolecall.db` in the repository."""

    @field_validator("url")
    @classmethod
    def _refuse(cls, url: str) -> str:
        if url:
            said = "other locations are not supported yet: leave it out; checkpoints go to .rolecall/rolecall.db"
            raise PydanticCustomError("unsupported", said)
        return url


class EmbeddedSettings(Section):
    """The embedded engine (no LLM)."""

    repair_budget_s: PositiveFloat = 60.0
    """How long one search for a patch may take."""


class TelemetrySettings(Section):
    """What is stored and sent about model calls. Counts and times are always stored, in the repository's database."""

    otel: bool = False
    """Send a span per model call to an OpenTelemetry collector; needs the extra `otel`. Never prompts or answers."""
    otlp_endpoint: str = "http://127.0.0.1:4318"
    """Base URL of the collector (OTLP over HTTP)."""
    otlp_headers: dict[str, str] = Field(default_factory=dict, repr=False)
    """Sent to the collector: keys of hosted ones, as `${NAME}`."""
    record_prompts: bool = False
    """Store the prompts of calls in the repository's database, so that `models bench` can replay them."""
    prompts_mb: PositiveFloat = 20.0
    """Maximum size in MB; the oldest are removed first."""


class Settings(Section):
    """All settings."""

    schema_: str = Field(default="", alias="$schema")
    llm: LLMSettings = LLMSettings()
    tools: dict[str, ToolSettings] = Field(default_factory=dict)
    """By name. A tool that asks another model is offered only when it is named here."""
    checks: CheckSettings = CheckSettings()
    budget: BudgetSettings = BudgetSettings()
    sandbox: SandboxSettings = SandboxSettings()
    approvals: ApprovalSettings = ApprovalSettings()
    routing: RoutingSettings = RoutingSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    def tool(self, name: str) -> ToolSettings:
        """The settings of a tool, configured or not."""
        return self.tools.get(name) or ToolSettings()


_COUNTS = frozenset({"num_ctx", "threads", "slots"})
_SECONDS = frozenset({"idle_s", "start_s"})


def _number_of(name: str, value: Any) -> Any:
    """Numbers from environment variables arrive as text."""
    if isinstance(value, str) and value.isdecimal() and name in _COUNTS | _SECONDS:
        return int(value)
    return value


def _wrong_option(name: str, value: Any) -> str | None:
    """What an option that we read ourselves should be; `None` when it is valid, or the provider's own."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _COUNTS and not (isinstance(value, int) and number and value > 0):
        return "a positive integer"
    if name in _SECONDS and not (number and 0 < value < float("inf")):
        return "a positive number of seconds"
    if name in {"headers", "extra_body"} and not isinstance(value, dict):
        return "an object"
    if name == "path" and not (isinstance(value, str) and value):
        return "a file path"
    return None


def base_url_of(url: str) -> str:
    """Cut the call path off an OpenAI-style endpoint: `…/v1/chat/completions` becomes `…/v1`."""
    return _CALL_PATHS.sub("", url.rstrip("/"))
