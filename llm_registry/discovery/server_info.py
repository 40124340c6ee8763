"""What a model server says about itself, read from the bodies that real servers send.

Owns the reading only: no request is made here, and a body of an unexpected shape yields fewer facts, never an error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, Literal, TypeVar

T = TypeVar("T")

ServerKind = Literal[
    "llama.cpp",
    "ollama",
    "vllm",
    "lmstudio",
    "litellm",
    "text-generation-webui",
    "openrouter",
    "embedded",
    "scripted",
    "generic",
    "",
]
"""Empty: nothing answered, so it is not known."""

Bodies = Mapping[str, Any]
"""Parsed JSON by question: `models`, `props`, `slots`, `tags`, `ps`, `lmstudio`, `lmstudio1`, `webui`, `litellm`,
`key`, and `show:<model>`."""


class EndpointProblem(StrEnum):
    """Why an endpoint cannot be used as configured, where that decides what is to be changed."""

    KEY_REFUSED = "key_refused"
    NO_CREDIT = "no_credit"
    NOTHING_LISTENS = "nothing_listens"
    UNTRUSTED_CERTIFICATE = "untrusted_certificate"
    EXTRA_MISSING = "extra_missing"


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """What one quick probe of an endpoint found."""

    reachable: bool
    """It answered with HTTP, whatever the status."""
    error: str = ""
    """Why it can't be used as configured, worded for the user; empty when all is well."""
    problem: EndpointProblem | None = None
    """The kind of the error; `None` for those that need not be told apart."""
    suggested_url: str = ""
    """The `base_url` named in the error, because it was probably meant."""
    server: ServerKind = ""
    models: tuple[str, ...] = ()
    windows: Mapping[str, int] = field(default_factory=dict)
    """Tokens a request may contain now, by model; only where the server says so."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Tokens the model supports, by model; loading it with more breaks it."""
    tools: Mapping[str, bool] = field(default_factory=dict)
    """Whether a model can call tools, by model; only where the server says so."""
    responses_api: bool | None = None
    """Whether `/v1/responses` exists; `None` when it was not asked or the answer was inconclusive."""
    uncertain: bool = False
    """Only a call can tell whether the error matters: `transformers serve` fails to list its models, and serves."""
    connected: bool = False
    """The port accepted the connection, even if no answer came in time: busy or hanging rather than absent."""
    misplaced: bool = False
    """Something answered, but no model server, or not at this path."""
    any_model: bool = False
    """The server runs one model whatever name is requested."""
    seconds: float = 0.0

    def offers(self, model: str) -> bool | None:
        """Whether the server has the model; `None` when it lists none."""
        if not self.models:
            return None
        return self.any_model or _listed(model, self.models) is not None

    def window(self, model: str) -> int | None:
        """Tokens a request to the model may contain now; `None` when the server does not say."""
        return self._of(self.windows, model)

    def limit(self, model: str) -> int | None:
        """Tokens the model was made for; `None` when the server does not say."""
        return self._of(self.limits, model)

    def calls_tools(self, model: str) -> bool | None:
        """Whether the model can call tools; `None` when the server does not say."""
        return self._of(self.tools, model)

    def _of(self, table: Mapping[str, T], model: str) -> T | None:
        name = _listed(model, tuple(table))
        if name is not None:
            return table[name]
        return next(iter(table.values())) if self.any_model and len(table) == 1 else None


def server_kind(bodies: Bodies) -> ServerKind:
    """Recognise the server by the answers only it gives."""
    owners = model_owners(bodies)
    llama_cpp = "llamacpp" in owners or "default_generation_settings" in _object(bodies.get("props"))
    signs: Mapping[ServerKind, bool] = {
        "ollama": "tags" in bodies or "ps" in bodies,
        "text-generation-webui": "model_name" in _object(bodies.get("webui")),
        "lmstudio": any("max_context_length" in row or "state" in row for row in _rows(bodies.get("lmstudio"), "data"))
        or any("loaded_instances" in row for row in _rows(bodies.get("lmstudio1"), "models")),
        "litellm": any("litellm_params" in row for row in _rows(bodies.get("litellm"), "data")),
        "llama.cpp": llama_cpp,
        "vllm": "vllm" in owners,
    }
    return next((kind for kind, shown in signs.items() if shown), "generic")


def model_owners(bodies: Bodies) -> set[str]:
    """Who the server says its models are of."""
    return {str(row.get("owned_by", "")) for row in _rows(bodies.get("models"), "data")}


def model_names(bodies: Bodies) -> tuple[str, ...]:
    """All models on offer, in the server's order."""
    names = [str(row["id"]) for row in _rows(bodies.get("models"), "data") if row.get("id")]
    names += [str(row.get("model") or row["name"]) for row in _rows(bodies.get("tags"), "models") if row.get("name")]
    names += [str(row["id"]) for row in _rows(bodies.get("lmstudio"), "data") if row.get("id")]
    loaded = _object(bodies.get("webui")).get("model_name")
    if isinstance(loaded, str) and loaded not in {"", "None"}:
        names.insert(0, loaded)
    return tuple(dict.fromkeys(names))


def model_windows(bodies: Bodies) -> dict[str, int]:
    """Tokens a request may contain now, by model."""
    found: dict[str, int] = {}
    for row in _rows(bodies.get("models"), "data"):
        meta = _object(row.get("meta"))
        told = (row.get("max_model_len"), row.get("context_length"), meta.get("n_ctx"))
        _put(found, row.get("id"), *told, _planned(row))
    for row in _rows(bodies.get("lmstudio"), "data"):
        _put(found, row.get("id"), row.get("loaded_context_length"))
    for row in _rows(bodies.get("lmstudio1"), "models"):
        for instance in _rows(row, "loaded_instances"):
            size = _object(instance.get("config")).get("context_length")
            _put(found, instance.get("id"), size)
            _put(found, row.get("key"), size)
    for row in _rows(bodies.get("ps"), "models"):
        _put(found, row.get("model") or row.get("name"), row.get("context_length"))
    for name, show in _shows(bodies):
        if _listed(name, tuple(found)) is None:
            _put(found, name, _num_ctx(show))
    _add_slots(found, bodies)
    _add_deployments(found, bodies)
    webui = _object(bodies.get("webui"))
    _put(found, webui.get("model_name"), webui.get("truncation_length"), webui.get("n_ctx"))
    return found


def model_limits(bodies: Bodies) -> dict[str, int]:
    """Tokens the model was made for, by model."""
    found: dict[str, int] = {}
    for row in _rows(bodies.get("models"), "data"):
        _put(found, row.get("id"), _object(row.get("meta")).get("n_ctx_train"))
    for row in _rows(bodies.get("lmstudio"), "data"):
        _put(found, row.get("id"), row.get("max_context_length"))
    for row in _rows(bodies.get("lmstudio1"), "models"):
        _put(found, row.get("key"), row.get("max_context_length"))
    for name, show in _shows(bodies):
        info = _object(show.get("model_info"))
        _put(found, name, *(value for key, value in info.items() if key.endswith(".context_length")))
    return found


def tool_support(bodies: Bodies) -> dict[str, bool]:
    """Which models can call tools."""
    found: dict[str, bool] = {}
    for name, show in _shows(bodies):
        if isinstance(show.get("capabilities"), list):
            found[name] = "tools" in show["capabilities"]
    for row in _rows(bodies.get("lmstudio"), "data"):
        if isinstance(row.get("capabilities"), list):
            found[str(row.get("id"))] = "tool_use" in row["capabilities"]
    caps = _object(_object(bodies.get("props")).get("chat_template_caps"))
    for row in _rows(bodies.get("models"), "data"):
        if isinstance(row.get("supported_parameters"), list):
            found[str(row.get("id"))] = "tools" in row["supported_parameters"]
        if isinstance(caps.get("supports_tools"), bool) and not is_router(bodies):
            found[str(row.get("id"))] = caps["supports_tools"]
    for row in _rows(bodies.get("litellm"), "data"):
        # A null is no answer, and a "no" only means that LiteLLM's list does not know the model.
        if _object(row.get("model_info")).get("supports_function_calling") is True:
            found[str(row.get("model_name"))] = True
    return found


def credit_left(bodies: Bodies) -> float | None:
    """Dollars an OpenRouter key may still spend; `None` when it has no limit or was not queried."""
    left = _object(_object(bodies.get("key")).get("data")).get("limit_remaining")
    return float(left) if isinstance(left, int | float) and not isinstance(left, bool) else None


def is_router(bodies: Bodies) -> bool:
    """Whether a llama.cpp server loads models by name: then a wrong name is refused."""
    return any("status" in row for row in _rows(bodies.get("models"), "data"))


def _add_slots(found: dict[str, int], bodies: Bodies) -> None:
    """llama.cpp divides its context among slots, and a request gets one slot; this overrides `/v1/models`."""
    settings = _object(_object(bodies.get("props")).get("default_generation_settings"))
    slots = [row.get("n_ctx") for row in _rows({"rows": bodies.get("slots")}, "rows")]
    sizes = [size for size in (settings.get("n_ctx"), *slots) if isinstance(size, int) and size > 0]
    if sizes and not is_router(bodies):
        for row in _rows(bodies.get("models"), "data"):
            found.pop(str(row.get("id")), None)
            _put(found, row.get("id"), min(sizes))


def _planned(row: Mapping[str, Any]) -> int | None:
    """The window a llama.cpp router will give a model it has yet to load, from its start arguments."""
    given = _object(row.get("status")).get("args")
    words = [str(word) for word in given] if isinstance(given, list) else []
    values = dict(pairwise(words))
    size, slots = values.get("--ctx-size", ""), values.get("--parallel", "")
    if not size.isdigit() or int(size) == 0:
        return None
    # Slots share one pool when their number is left to the server, or when it is told so.
    shared = "--kv-unified" in words or not slots.isdigit() or int(slots) == 0
    return int(size) if shared else int(size) // int(slots)


def _add_deployments(found: dict[str, int], bodies: Bodies) -> None:
    """LiteLLM picks one of the deployments that share a name, so the smallest of their windows counts."""
    for row in _rows(bodies.get("litellm"), "data"):
        name, size = row.get("model_name"), _object(row.get("model_info")).get("max_input_tokens")
        if isinstance(name, str) and isinstance(size, int) and _is_count(size):
            found[name] = min(size, found.get(name, size))


def _num_ctx(show: Mapping[str, Any]) -> int | None:
    for line in str(show.get("parameters") or "").splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "num_ctx" and words[1].isdigit():
            return int(words[1])
    return None


def _shows(bodies: Bodies) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, body in bodies.items():
        if key.startswith("show:"):
            yield key.removeprefix("show:"), _object(body)


def _listed(model: str, names: tuple[str, ...]) -> str | None:
    """The name under which a model is listed; Ollama may or may not omit `:latest`."""
    wanted = (model, f"{model}:latest", model.removesuffix(":latest"))
    return next((name for name in wanted if name in names), None)


def _put(found: dict[str, int], name: object, *sizes: object) -> None:
    if isinstance(name, str) and name:
        size = next((size for size in sizes if _is_count(size)), None)
        if isinstance(size, int):
            found.setdefault(name, size)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _rows(body: object, key: str) -> list[Mapping[str, Any]]:
    rows = _object(body).get(key)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
