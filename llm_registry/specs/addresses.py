"""Where a spec is served, whether its protocol sets the window, and what its model is called. Contacts no server."""

from pathlib import Path

from core.config.settings import ModelSpec, base_url_of

DEFAULT_URLS = {"ollama": "http://127.0.0.1:11434", "openrouter": "https://openrouter.ai/api/v1"}


def endpoint_url(spec: ModelSpec) -> str:
    """The base URL of a spec, or the provider's default address if the spec has none; empty when there is none."""
    return base_url_of(spec.base_url) or DEFAULT_URLS.get(spec.provider, "")


def model_name(spec: ModelSpec) -> str:
    """The model as reports show it: for a GGUF file without its own name, the file name."""
    if spec.provider != "gguf" or (spec.model and spec.options.get("path")):
        return spec.model
    return Path(str(spec.options.get("path") or spec.model)).stem


def sets_window(spec: ModelSpec) -> bool:
    """Whether the window is chosen by the caller, call by call: only Ollama's own protocol does that."""
    return spec.provider == "ollama" and not spec.base_url.rstrip("/").endswith("/v1")
