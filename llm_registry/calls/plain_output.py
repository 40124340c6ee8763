"""Plain answers and tool calls of one spec; a call that cannot be made is explained to the model, which tries again.

Owns that correction. Without it an agent loop would end at the first malformed call, which looks like a final answer.
"""

from dataclasses import replace

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from llm_registry.calls.client import SpecClient
from llm_registry.calls.requests import Attempt, CallResult, RoleRequest
from llm_registry.failures.errors import CallFailure, ErrorKind
from llm_registry.specs.role_chains import ChainLink

_SHOWN = 1500
CORRECTIONS = 2
"""How often a model may correct its tool calls."""


class PlainClient:
    """Asks one spec for text or tool calls.

    Args:
        client: Makes the calls.
    """

    def __init__(self, client: SpecClient) -> None:
        self._client = client

    async def ask(self, link: ChainLink, ask: RoleRequest, attempt: Attempt) -> CallResult:
        """Ask until every tool call of the answer can be made.

        Raises:
            CallFailure: `BAD_OUTPUT` when the model cannot correct its calls; anything else as it came.
        """
        done = await self._client.call(link, ask, attempt)
        for _ in range(CORRECTIONS):
            if not done.problem:
                return done
            ask = replace(ask, messages=(*ask.messages, *_correction(done)))
            done = await self._client.call(link, ask, attempt)
        if done.problem:
            raise CallFailure(ErrorKind.BAD_OUTPUT, done.problem, final=True)
        return done


def _correction(done: CallResult) -> list[BaseMessage]:
    if not done.answer.broken:
        called = ", ".join(f"{call.name}({call.args})" for call in done.answer.calls)
        return [AIMessage(called[:_SHOWN]), HumanMessage(f"This call was not run: {done.problem}.")]
    problems = "\n".join(f"- {broken.error}" for broken in done.answer.broken)
    said = [done.answer.text, *(f"{broken.name}({broken.arguments})" for broken in done.answer.broken)]
    return [
        AIMessage("\n".join(part for part in said if part)[:_SHOWN]),
        HumanMessage(
            f"None of these tool calls were run:\n{problems}\n"
            "Make the calls again through the tool interface, each with one valid JSON object as arguments."
        ),
    ]
