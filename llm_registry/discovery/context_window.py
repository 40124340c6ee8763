"""Context windows: how much fits, how much to request, and whether the server read all of it.

Owns the arithmetic and the rule per role; asks no server and calls no model. Counts are estimates from characters:
tokenizers of today's models use 2 to 8 characters of ordinary text per token, so an estimate can be off by a factor
of two either way, and decisions are made with that margin in mind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage

from core.config.settings import ModelSpec
from core.text import CHARS_PER_TOKEN
from llm_registry.discovery.server_info import EndpointFacts
from llm_registry.specs.addresses import sets_window

FEWEST_CHARS = 2.0
MOST_CHARS = 8.0
"""No known tokenizer packs more than this into the average token of prose or code."""
ANSWER_ROOM = 256
"""Tokens of a window that must be left for the answer."""
OLLAMA_DEFAULT = 4096
"""What Ollama loads by default when GPU memory is small."""
OLLAMA_WISH = 16384
"""Requested when Ollama's window is smaller: its default silently drops most of an agent's prompt."""
_OLLAMA_ENOUGH = 8192
_SHORTENING_ROLES = frozenset({"summarizer", "router"})
"""Their work survives a cut in the middle of the longest message; that of the others does not."""

WindowSource = Literal["configured", "loaded", "set per call", "default", "unknown"]
PromptFit = Literal["fits", "tight", "shorten", "refuse"]


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """How many tokens one request to a spec may contain."""

    tokens: int | None
    source: WindowSource
    limit: int | None = None
    """What the model supports."""
    warning: str = ""
    """What is unusual about it, worded for the user."""


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """Size of a prompt in tokens."""

    tokens: int
    least: int
    most: int


def cannot_set_window(spec: ModelSpec, facts: EndpointFacts | None) -> bool:
    """Whether Ollama is used through its `/v1`, which cannot set the window."""
    return not sets_window(spec) and (spec.provider == "ollama" or (facts is not None and facts.server == "ollama"))


def context_window(spec: ModelSpec, facts: EndpointFacts | None) -> ContextWindow:
    """The true window of a spec.

    Args:
        spec: Its `context_length` is a number or "auto".
        facts: What its server said; `None` when it was not asked.
    """
    loaded = facts.window(spec.model) if facts else None
    limit = facts.limit(spec.model) if facts else None
    if sets_window(spec):
        return _ollama_window(spec, loaded, limit)
    warning = ""
    if cannot_set_window(spec, facts):
        known = f"the {loaded} tokens it loaded" if loaded else "its loaded window (4096 tokens on small GPUs)"
        warning = f"Ollama's /v1 cannot set the window; a prompt longer than {known} is silently truncated"
    wanted = spec.context_length
    if wanted == "auto" or (warning and loaded):
        return ContextWindow(loaded, "loaded" if loaded else "unknown", limit, warning)
    if loaded is not None and loaded < wanted:
        text = f"context_length says {wanted} tokens, but the server loaded {loaded}"
        return ContextWindow(loaded, "loaded", limit, text)
    return ContextWindow(wanted, "configured", limit, warning or _beyond(wanted, limit))


def num_ctx_for(spec: ModelSpec, facts: EndpointFacts | None) -> int | None:
    """The window to ask for in each call, in tokens.

    `None` for servers that fix it when loading, and when nothing is known: then the server's own choice is better.
    """
    window = context_window(spec, facts)
    return window.tokens if sets_window(spec) and window.source != "default" else None


def estimate_tokens(characters: int) -> TokenEstimate:
    """Estimate tokens from characters, with the bounds of real tokenizers."""
    return TokenEstimate(
        int(characters / CHARS_PER_TOKEN), int(characters / MOST_CHARS), -(-characters // int(FEWEST_CHARS))
    )


def count_characters(messages: Sequence[BaseMessage]) -> int:
    """Characters of a conversation, tool calls included."""
    return sum(len(message.text) + len(str(getattr(message, "tool_calls", "") or "")) for message in messages)


def prompt_fit(role: str, prompt: TokenEstimate, window: ContextWindow) -> PromptFit:
    """Decide what to do with a prompt.

    Returns:
        `fits`: even the pessimistic count does. `tight`: probably, so call and compare what the server read.
        `shorten_messages`: too long, but the role's work survives a cut. `refuse`: too long; the next spec is asked.
    """
    if window.tokens is None:
        return "tight"
    room = window.tokens - min(ANSWER_ROOM, window.tokens // 4)
    if prompt.most <= room:
        return "fits"
    # A server that says when a prompt is too long may judge for itself within the error of the estimate.
    silent = window.source in {"set per call", "default"}
    if prompt.tokens <= room or (not silent and prompt.tokens <= room * 1.5):
        return "tight"
    return "shorten" if may_shorten(role) else "refuse"


def may_shorten(role: str) -> bool:
    """Whether a role can work with a prompt whose middle is missing."""
    return role in _SHORTENING_ROLES


def was_truncated(sent: int, reported: int | None, window: int | None) -> bool:
    """Whether a server dropped part of a prompt without saying so.

    Args:
        sent: Characters of the prompt.
        reported: Prompt tokens the server says it read.
        window: Its window in tokens, when known.
    """
    if not reported:
        return False
    if reported < estimate_tokens(sent).least:
        return True
    if window is None or estimate_tokens(sent).tokens <= window:
        return False
    # Ollama keeps half of the window and reports that as the whole prompt.
    at_half = abs(reported - window // 2) <= max(8, window // 100)
    return at_half or reported >= window - 8


def shorten_messages(messages: Sequence[BaseMessage], window: int) -> list[BaseMessage]:
    """Cut the middle out of the longest user and tool messages until the prompt fits the window for certain.

    Args:
        messages: The conversation; its system messages stay whole.
        window: Tokens.
    """
    kept = list(messages)
    target = int((window - min(ANSWER_ROOM, window // 4)) * FEWEST_CHARS)
    cuttable = [at for at, message in enumerate(kept) if isinstance(message, HumanMessage | ToolMessage)]
    while (excess := count_characters(kept) - target) > 0 and cuttable:
        longest = max(cuttable, key=lambda at: len(kept[at].text))
        text = _cut_middle(kept[longest].text, excess)
        if len(text) >= len(kept[longest].text):
            break
        kept[longest] = kept[longest].model_copy(update={"content": text})
    return kept


def _cut_middle(text: str, excess: int) -> str:
    mark = "\n[… {} characters left out …]\n"
    keep = max(len(text) - excess - len(mark) - 8, 200)
    head, tail = keep // 3, keep - keep // 3
    return text[:head] + mark.format(len(text) - keep) + text[-tail:]


def _ollama_window(spec: ModelSpec, loaded: int | None, limit: int | None) -> ContextWindow:
    wanted = spec.options.get("num_ctx") or (spec.context_length if spec.context_length != "auto" else None)
    if wanted is not None:
        return ContextWindow(int(wanted), "set per call", limit, _beyond(int(wanted), limit))
    if loaded is not None and loaded >= _OLLAMA_ENOUGH:
        # Asking for what is loaded keeps it loaded; any other number makes Ollama load the model anew.
        return ContextWindow(loaded, "set per call", limit)
    if limit is None:
        return ContextWindow(loaded or OLLAMA_DEFAULT, "loaded" if loaded else "default", None)
    return ContextWindow(min(OLLAMA_WISH, limit), "set per call", limit)


def _beyond(wanted: int, limit: int | None) -> str:
    if limit is not None and wanted > limit:
        return f"context_length says {wanted} tokens, but the model supports {limit}"
    return ""
