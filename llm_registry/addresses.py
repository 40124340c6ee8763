"""Where a spec is served. Asks nobody."""

from core.settings import ModelSpec, base_url_of

DEFAULT_URLS = {"ollama": "http://127.0.0.1:11434", "openrouter": "https://openrouter.ai/api/v1"}


def endpoint_url(spec: ModelSpec) -> str:
    """The base URL of a spec, with the provider's own address where the spec names none; empty when there is none."""
    return base_url_of(spec.base_url) or DEFAULT_URLS.get(spec.provider, "")
