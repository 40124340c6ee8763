"""The filter in front of every server: no secret leaves in a prompt or enters a record.

The redactor decides what counts as a secret. The same text is always cleaned the same way, so that a
server finds the beginning of a prompt in its cache.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from core.known_secrets import spec_secrets
from core.redaction import Redactor, map_texts
from llm_registry.calls.normalize import ParsedAnswer
from llm_registry.calls.requests import RoleRequest
from llm_registry.specs.role_chains import ChainLink

_KEPT_TEXTS = 4096
"""Texts whose redaction is cached: a loop sends the same history again and again."""


class PromptRedactor:
    """Cleans prompts and answers.

    Args:
        redactor: Knows the secrets of the run.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._clean: Callable[[str], str] = lru_cache(_KEPT_TEXTS)(redactor.clean)
        self._redactor = redactor
        self._own: dict[str, Redactor] = {}

    def ask(self, ask: RoleRequest) -> RoleRequest:
        """The question without secrets; unchanged when it contains none."""
        messages = self.messages(ask.messages)
        same = all(new is old for new, old in zip(messages, ask.messages, strict=True))
        return ask if same else replace(ask, messages=messages)

    def messages(self, messages: Sequence[BaseMessage]) -> tuple[BaseMessage, ...]:
        """The messages without secrets: their text, the arguments of their calls, what servers added to them."""
        return tuple(self._message(message) for message in messages)

    def answer(self, link: ChainLink, answer: ParsedAnswer) -> ParsedAnswer:
        """An answer without the credentials that its own server was sent, and without tokens of its own.

        No server has seen other secrets; a word that happens to be one is the model's own, and may belong in a file.
        What looks like a token is withheld from the record, and given back to the tool that it is meant for.
        """
        redactor = self._own.get(link.name)
        if redactor is None:
            named = {f"{link.origin}.{number}": value for number, value in enumerate(spec_secrets(link.spec))}
            redactor = self._own[link.name] = Redactor(named, forms=False)

        def clean(value: Any) -> Any:
            return self._redactor.withhold(redactor.clean_tree(value))

        calls = tuple(call.model_copy(update={"args": clean(call.args)}) for call in answer.calls)
        broken = tuple(replace(one, arguments=clean(one.arguments), error=clean(one.error)) for one in answer.broken)
        return replace(
            answer, text=clean(answer.text), reasoning=clean(answer.reasoning), calls=calls, broken=broken,
            response_id=redactor.clean(answer.response_id),
        )  # fmt: skip

    def _message(self, message: BaseMessage) -> BaseMessage:
        update: dict[str, Any] = {"content": map_texts(message.content, self._clean)}
        if message.additional_kwargs:
            update["additional_kwargs"] = map_texts(message.additional_kwargs, self._clean)
        if isinstance(message, AIMessage) and message.tool_calls:
            update["tool_calls"] = [
                {**call, "args": map_texts(call["args"], self._clean)} for call in message.tool_calls
            ]
        changed = {name: value for name, value in update.items() if value != getattr(message, name)}
        return message.model_copy(update=changed) if changed else message
