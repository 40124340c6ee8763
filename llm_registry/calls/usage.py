"""What a call spent: tokens and price as the server reported them, and our estimate of what it left out.

Owns the arithmetic of one call; sums and limits are in `call_log` and `budget`. An estimate is stored beside what is
known, never instead of it.
"""

import json
from dataclasses import dataclass, field

from core.replies import Usage
from llm_registry.calls.normalize import ParsedAnswer
from llm_registry.calls.requests import RoleRequest
from llm_registry.discovery.context_window import estimate_tokens
from llm_registry.failures.errors import ErrorKind
from llm_registry.records.call_log import cost_of
from llm_registry.specs.role_chains import ChainLink

_READ = frozenset({ErrorKind.CUT, ErrorKind.IDLE_TIMEOUT, ErrorKind.TOTAL_TIMEOUT})
"""The server had started to answer, so it had read the prompt; no server reports that."""


@dataclass(frozen=True, slots=True)
class CallUsage:
    """What a call spent."""

    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    estimated_tokens: int | None = None
    """What the server did not report; `None` when it reported all, or when nothing was spent."""
    estimated_cost_usd: float | None = None
    """Where the price per token is known, but not the tokens."""


def usage_of_answer(link: ChainLink, ask: RoleRequest, answer: ParsedAnswer) -> CallUsage:
    """What an answer cost, whether good or bad."""
    if link.embedded:
        return CallUsage(answer.usage, 0.0)
    usage = answer.usage
    read = ask.size.tokens if usage.input_tokens is None else usage.input_tokens
    written = _written(answer) if usage.output_tokens is None else usage.output_tokens
    unreported = (read if usage.input_tokens is None else 0) + (written if usage.output_tokens is None else 0)
    cost = cost_of(link.spec.cost, usage.input_tokens, usage.output_tokens)
    guessed = cost_of(link.spec.cost, read, written) if cost is None else None
    return CallUsage(usage, cost, unreported or None, guessed)


def usage_of_failure(link: ChainLink, ask: RoleRequest, kind: str) -> CallUsage:
    """What a call without an answer cost."""
    if link.embedded or kind not in _READ:
        return CallUsage()
    read = ask.size.tokens
    return CallUsage(estimated_tokens=read, estimated_cost_usd=cost_of(link.spec.cost, read, 0))


def _written(answer: ParsedAnswer) -> int:
    calls = sum(len(call.name) + len(json.dumps(call.args, default=str)) for call in answer.calls)
    broken = sum(len(call.name) + len(call.arguments) for call in answer.broken)
    return estimate_tokens(len(answer.text) + len(answer.reasoning) + calls + broken).tokens
