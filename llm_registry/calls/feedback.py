"""Explains to the model what is wrong with an answer, so that it tries again; and asks for plain answers this way.

Without it an agent loop would end at the first malformed tool call, which looks like a final answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from llm_registry.calls.client import SpecClient
from llm_registry.calls.requests import Attempt, CallResult, RoleRequest
from llm_registry.failures.errors import CallFailure, ErrorKind
from llm_registry.specs.role_chains import ChainLink

SHOWN_CHARS = 1500
"""Of a wrong answer and of what is wrong with it."""
CORRECTIONS = 2
"""How often a model may correct an answer."""


async def call_with_feedback(
    client: SpecClient, link: ChainLink, request: RoleRequest, attempt: Attempt,
    feedback: Callable[[CallResult], Sequence[BaseMessage]],
) -> CallResult:  # fmt: skip
    """Call until the answer passes the request's judge; the last result may still have a `problem`.

    Args:
        client: Makes the calls.
        link: The spec that is asked.
        request: With the judge in it.
        attempt: Which try of the chain this is.
        feedback: Message to the model about a result with a problem; none when trying again is useless.
    """
    done = await client.call(link, request, attempt)
    for _ in range(CORRECTIONS):
        if not done.problem or not (added := feedback(done)):
            break
        request = replace(request, messages=(*request.messages, *added))
        done = await client.call(link, request, attempt)
    return done


async def ask_plain(client: SpecClient, link: ChainLink, request: RoleRequest, attempt: Attempt) -> CallResult:
    """Ask one spec for text or tool calls until every tool call in the answer is valid.

    Raises:
        CallFailure: `BAD_OUTPUT` when the model cannot correct its calls; anything else as it came.
    """
    done = await call_with_feedback(client, link, request, attempt, _correction)
    if done.problem:
        raise CallFailure(ErrorKind.BAD_OUTPUT, done.problem, final=True)
    return done


def _correction(done: CallResult) -> list[BaseMessage]:
    if not done.answer.broken:
        called = ", ".join(f"{call.name}({call.args})" for call in done.answer.calls)
        return [AIMessage(called[:SHOWN_CHARS]), HumanMessage(f"This call was not run: {done.problem}.")]
    problems = "\n".join(f"- {broken.error}" for broken in done.answer.broken)
    said = [done.answer.text, *(f"{broken.name}({broken.arguments})" for broken in done.answer.broken)]
    return [
        AIMessage("\n".join(part for part in said if part)[:SHOWN_CHARS]),
        HumanMessage(
            f"None of these tool calls were run:\n{problems}\n"
            "Make the calls again through the tool interface, each with one valid JSON object as arguments."
        ),
    ]
