"""The maximum answer length if the configuration does not set one: a limit for answers that are naturally short.

Owns the numbers. A rambling model would otherwise write until its window is full, before the next request method or the
next spec has its turn.
"""

from llm_registry.calls.requests import RoleRequest
from llm_registry.discovery.context_window import ANSWER_ROOM, ContextWindow
from llm_registry.specs.role_chains import ChainLink

SHORT = 4096
"""Tokens for roles that answer in a few words; a small model that thinks aloud needs up to 3000 before these."""
OBJECT = 8192
"""Tokens for an object: a large plan takes 2000, and the rest is for thinking before it."""
_SHORT_ROLES = frozenset({"router", "summarizer", "supervisor"})
_UNBOUNDED = frozenset({"openrouter", "scripted"})
"""OpenRouter leaves out providers that allow less than is asked for."""


def output_token_limit(link: ChainLink, ask: RoleRequest, window: ContextWindow) -> int | None:
    """Tokens after which an answer is to be cut off, thinking included; `None` to send no limit.

    A window that is unknown, or may be too small, limits an answer by itself, and some servers reject a
    limit that does not fit beside the prompt.
    """
    if link.embedded or link.spec.max_output_tokens is not None or link.spec.provider in _UNBOUNDED:
        return None
    wanted = SHORT if ask.role in _SHORT_ROLES else OBJECT if ask.structured else None
    if wanted is None or window.tokens is None or ask.size.most + ANSWER_ROOM + wanted > window.tokens:
        return None
    return wanted
