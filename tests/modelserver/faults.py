"""The misbehaviours of model servers, by name, and the bodies of the refusals among them.

Owns the list a fault matrix runs over. What a fault does to a reply's words is in `spoil`, what it
does to the connection is in `wire`.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """One way a model server misbehaves. The value is the name used in script files.

    Outside a stream the ways that need one do the nearest thing: a hang after the first token hangs
    in the body, a broken event is a broken body, a proxy error is a 500.
    """

    # Connection
    REFUSED = "refused"
    RESET = "reset"
    HANG_BEFORE_HEADERS = "hang_before_headers"
    HANG_AFTER_FIRST_TOKEN = "hang_after_first_token"
    SLOW_FIRST_TOKEN = "slow_first_token"
    CUT = "cut"
    NO_FINISH_REASON = "no_finish_reason"
    PROXY_ERROR = "proxy_error"
    ERROR_IN_STREAM = "error_in_stream"
    INVALID_SSE = "invalid_sse"
    # Bodies
    MALFORMED_BODY = "malformed_body"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    EMPTY_BODY = "empty_body"
    EMPTY_CHOICES = "empty_choices"
    EMPTY_CONTENT = "empty_content"
    REASONING_ONLY = "reasoning_only"
    # Structured answers
    PROSE = "prose"
    FENCED_JSON = "fenced_json"
    THINK_BEFORE_JSON = "think_before_json"
    WRONG_TYPES = "wrong_types"
    WRONG_SHAPE = "wrong_shape"
    TRUNCATED = "truncated"
    # Tools
    INVENTED_TOOL = "invented_tool"
    ARGUMENTS_42 = "arguments_42"
    ARGUMENTS_BROKEN = "arguments_broken"
    ARGUMENTS_WRONG_KIND = "arguments_wrong_kind"
    ARGUMENTS_MISSING = "arguments_missing"
    TOOL_CALL_AS_TEXT = "tool_call_as_text"
    # Refusals
    NO_RESPONSE_FORMAT = "no_response_format"
    NO_TOOLS = "no_tools"
    CONTEXT_LLAMA_CPP = "context_llama_cpp"
    CONTEXT_VLLM = "context_vllm"
    CONTEXT_OLLAMA = "context_ollama"
    CONTEXT_LM_STUDIO = "context_lm_studio"
    CONTEXT_LITELLM = "context_litellm"
    SILENT_TRUNCATION = "silent_truncation"
    AUTH = "auth"
    AUTH_STRING_BODY = "auth_string_body"
    FORBIDDEN = "forbidden"
    QUOTA = "quota"
    UNKNOWN_MODEL = "unknown_model"
    NO_ENDPOINT = "no_endpoint"
    RATE_LIMITED = "rate_limited"
    RATE_LIMITED_NO_HINT = "rate_limited_no_hint"
    OVERLOADED = "overloaded"
    LOADING = "loading"
    SERVER_ERROR_HTML = "server_error_html"
    BAD_GATEWAY = "bad_gateway"
    OUT_OF_MEMORY = "out_of_memory"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP error as real servers word it."""

    status: int
    body: object
    """A string is sent as it is, anything else as JSON."""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    ollama: str | None = None
    """The message in Ollama's own error form; None sends `body` there too."""

    def text(self, *, ollama: bool) -> str:
        """The body in the words of the protocol asked."""
        if ollama and self.ollama is not None:
            return json.dumps({"error": self.ollama})
        return self.body if isinstance(self.body, str) else json.dumps(self.body)


def _openai(message: str, kind: str, code: int | str | None, **more: object) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "code": code, **more}}


def overflow(fault: Fault, prompt: int, window: int) -> object:
    """The body with which a server refuses a prompt of too many tokens."""
    exceeds = f"request ({prompt} tokens) exceeds the available context size ({window} tokens), try increasing it"
    maximum = (
        f"This model's maximum context length is {window} tokens. However, you requested {prompt} "
        "tokens in the messages. Please reduce the length of the messages."
    )
    keep = (
        f"Trying to keep the first {prompt} tokens when context the overflows. However, the model "
        f"is loaded with context length of only {window} tokens, which is not enough."
    )
    counts = {"n_prompt_tokens": prompt, "n_ctx": window}
    bodies: dict[Fault, object] = {
        Fault.CONTEXT_LLAMA_CPP: _openai(exceeds, "exceed_context_size_error", 400, **counts),
        Fault.CONTEXT_VLLM: _openai(maximum, "BadRequestError", 400),
        Fault.CONTEXT_OLLAMA: _openai(_OLLAMA_OVERFLOW, "api_error", None),
        Fault.CONTEXT_LM_STUDIO: {"error": keep},
        Fault.CONTEXT_LITELLM: _openai(
            f"litellm.ContextWindowExceededError: {exceeds}", "invalid_request_error", "400"
        ),
    }
    return bodies[fault]


_OLLAMA_OVERFLOW = "the input length exceeds the context length"

REFUSALS: dict[Fault, Refusal] = {
    Fault.NO_RESPONSE_FORMAT: Refusal(
        400,
        _openai("'response_format' is not supported by this model", "invalid_request_error", 400),
        ollama="invalid format: structured output is not supported",
    ),
    Fault.NO_TOOLS: Refusal(
        400,
        _openai("tools param requires --jinja flag", "invalid_request_error", 400),
        ollama="registry.ollama.ai/library/scripted:latest does not support tools",
    ),
    **{
        fault: Refusal(400, overflow(fault, 5123, 4096))
        for fault in (
            Fault.CONTEXT_LLAMA_CPP,
            Fault.CONTEXT_VLLM,
            Fault.CONTEXT_LM_STUDIO,
            Fault.CONTEXT_LITELLM,
        )
    },
    Fault.CONTEXT_OLLAMA: Refusal(400, overflow(Fault.CONTEXT_OLLAMA, 5123, 4096), ollama=_OLLAMA_OVERFLOW),
    Fault.AUTH: Refusal(
        401,
        _openai("Invalid API Key", "authentication_error", 401),
        ollama="unauthorized",
    ),
    Fault.AUTH_STRING_BODY: Refusal(401, {"error": "Unauthorized"}),
    Fault.FORBIDDEN: Refusal(403, _openai("Key limit exceeded", "permission_error", 403)),
    Fault.QUOTA: Refusal(
        402,
        _openai("Insufficient credits. Add more to continue.", "insufficient_quota", 402),
    ),
    Fault.UNKNOWN_MODEL: Refusal(
        404,
        _openai("The model `scripted` does not exist.", "NotFoundError", 404),
        ollama="model 'scripted' not found",
    ),
    Fault.NO_ENDPOINT: Refusal(404, "404 page not found", content_type="text/plain"),
    Fault.RATE_LIMITED: Refusal(
        429,
        _openai("Rate limit reached, try again later.", "rate_limit_error", 429),
        headers={"Retry-After": "1"},
        ollama="too many requests",
    ),
    Fault.RATE_LIMITED_NO_HINT: Refusal(
        429, _openai("Rate limit reached.", "throttling_error", "429"), ollama="too many requests"
    ),
    Fault.OVERLOADED: Refusal(
        503,
        _openai("The server is overloaded.", "overloaded_error", 503),
        ollama="server busy, please try again.  maximum pending requests exceeded",
    ),
    Fault.LOADING: Refusal(
        503,
        _openai("Loading model", "unavailable_error", 503),
        ollama="timed out waiting for llama runner to start - progress 0.50 - ",
    ),
    Fault.SERVER_ERROR_HTML: Refusal(
        500,
        "<html><head><title>500</title></head><body><h1>Internal Server Error</h1></body></html>",
        content_type="text/html",
    ),
    Fault.BAD_GATEWAY: Refusal(
        502,
        "<html><body><center><h1>502 Bad Gateway</h1></center><hr>nginx</body></html>",
        content_type="text/html",
    ),
    Fault.OUT_OF_MEMORY: Refusal(
        500,
        _openai("CUDA out of memory. Tried to allocate 2.00 GiB.", "server_error", 500),
        ollama="model requires more system memory (9.1 GiB) than is available (4.0 GiB)",
    ),
}

STRUCTURE = {
    Fault.PROSE, Fault.FENCED_JSON, Fault.THINK_BEFORE_JSON, Fault.WRONG_TYPES,
    Fault.WRONG_SHAPE, Fault.TRUNCATED, Fault.EMPTY_CONTENT, Fault.REASONING_ONLY,
}  # fmt: skip
"""What a weak model does when asked for an object."""

TOOLS = {
    Fault.INVENTED_TOOL, Fault.ARGUMENTS_42, Fault.ARGUMENTS_BROKEN,
    Fault.ARGUMENTS_WRONG_KIND, Fault.ARGUMENTS_MISSING, Fault.TOOL_CALL_AS_TEXT,
}  # fmt: skip
"""What a weak model does when given tools."""
