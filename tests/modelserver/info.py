"""What servers tell about themselves: models, context windows, slots, health, token counts.

Owns the informative endpoints of llama.cpp, vLLM, Ollama and LM Studio. No model is asked here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from tests.modelserver.request import count_tokens


class Shape(StrEnum):
    """Which server this one looks like."""

    OPENAI = "openai"
    """llama.cpp's server: `/v1/*`, `/props`, `/slots`, `/health`, `/tokenize`."""
    VLLM = "vllm"
    """`/v1/*` with `max_model_len`, `/health`, `/version`, `/tokenize`."""
    OLLAMA = "ollama"
    """`/api/*` and `/v1/*`."""
    LM_STUDIO = "lmstudio"
    """`/v1/*` and `/api/v0/models`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server is, apart from what its model says."""

    shape: Shape = Shape.OPENAI
    models: tuple[str, ...] = ("scripted",)
    context: int = 32768
    """Tokens of the window the server loaded."""
    trained_context: int = 131072
    """Tokens of the window the model was made for."""
    api_key: str = ""
    """Asked of every request when set."""
    responses: bool = True
    """Without it `/v1/responses` is a 404."""
    strict_models: bool = False
    """An unknown model is a 404, not ignored."""
    keep_alive: bool = False
    """Without it each connection ends with its answer, so that clients no one closes leak none."""
    enforce_context: bool = False
    """A prompt longer than the window is refused; Ollama cuts it, silently, always."""


_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "scripted",
    "families": ["scripted"],
    "parameter_size": "8.0B",
    "quantization_level": "Q4_K_M",
}
_BYTES = 4_700_000_000
_OWNERS = {Shape.OPENAI: "llamacpp", Shape.OLLAMA: "library"}


def openai_models(settings: Settings) -> dict[str, Any]:
    """`GET /v1/models`."""
    rows = []
    for name in settings.models:
        row: dict[str, Any] = {"id": name, "object": "model", "created": 1_760_000_000}
        row["owned_by"] = _OWNERS.get(settings.shape, settings.shape.value)
        if settings.shape is Shape.OPENAI:
            row["meta"] = {"n_ctx_train": settings.trained_context, "n_params": 8_000_000_000}
        if settings.shape is Shape.VLLM:
            row["max_model_len"] = settings.context
        rows.append(row)
    return {"object": "list", "data": rows}


def props(settings: Settings) -> dict[str, Any]:
    """`GET /props` of llama.cpp."""
    return {
        "default_generation_settings": {"n_ctx": settings.context, "params": {"temperature": 0.8}},
        "total_slots": 1,
        "model_path": f"/models/{settings.models[0]}.gguf",
        "chat_template": "{{ messages }}",
        "build_info": "b9999-scripted",
    }


def slots(settings: Settings, busy: int) -> list[dict[str, Any]]:
    """`GET /slots` of llama.cpp; `busy` is the number of calls being answered."""
    return [{"id": 0, "n_ctx": settings.context, "is_processing": busy > 0, "id_task": busy - 1}]


def tokenize(body: Mapping[str, Any]) -> dict[str, Any]:
    """`POST /tokenize`: llama.cpp sends `content`, vLLM `prompt`."""
    count = count_tokens(str(body.get("content", body.get("prompt", ""))))
    return {"tokens": list(range(count)), "count": count}


def ollama_tags(settings: Settings) -> dict[str, Any]:
    """`GET /api/tags`."""
    return {"models": [_row(name) for name in settings.models]}


def ollama_ps(settings: Settings) -> dict[str, Any]:
    """`GET /api/ps`: every model counts as loaded."""
    expires = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    extra = {"expires_at": expires, "size_vram": _BYTES, "context_length": settings.context}
    rows = [{**_row(name), **extra} for name in settings.models]
    for row in rows:
        del row["modified_at"]
    return {"models": rows}


def ollama_show(settings: Settings) -> dict[str, Any]:
    """`POST /api/show`."""
    return {
        "modelfile": f"FROM scripted\nPARAMETER num_ctx {settings.context}",
        "parameters": f"num_ctx                        {settings.context}",
        "template": "{{ .Prompt }}",
        "details": _DETAILS,
        "model_info": {
            "general.architecture": "scripted",
            "general.parameter_count": 8_000_000_000,
            "scripted.context_length": settings.trained_context,
        },
        "capabilities": ["completion", "tools", "thinking"],
        "modified_at": "2026-01-01T00:00:00Z",
    }


def lm_studio_models(settings: Settings) -> dict[str, Any]:
    """`GET /api/v0/models` of LM Studio."""
    rows = [
        {
            "id": name,
            "object": "model",
            "type": "llm",
            "publisher": "scripted",
            "arch": "scripted",
            "compatibility_type": "gguf",
            "quantization": "Q4_K_M",
            "state": "loaded",
            "max_context_length": settings.trained_context,
            "loaded_context_length": settings.context,
        }
        for name in settings.models
    ]
    return {"object": "list", "data": rows}


def _row(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-01-01T00:00:00Z",
        "size": _BYTES,
        "digest": "0" * 64,
        "details": _DETAILS,
    }
