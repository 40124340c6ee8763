"""Models that answer structured questions from a script and count what they are asked."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import BaseMessage
from pydantic import BaseModel

from core.artifacts import RoleUsage, Served
from core.context import Models
from core.replies import CallSite, ModelReply


class Opinions:
    """Answers `ask` with the next script entry of the artifact's name; raises entries that are exceptions."""

    def __init__(self, script: Mapping[str, Sequence[Any]], specs: Mapping[str, str] | None = None) -> None:
        self._script = {title: list(answers) for title, answers in script.items()}
        self._specs = {"supervisor": "small", "summarizer": "tiny", "primary": "big", "coder": "big"} | dict(
            specs or {}
        )
        self.asked: list[tuple[str, str, str]] = []
        """Role, purpose and text of every question."""
        self.latency = 0.0

    async def ask(
        self, role: str, messages: Sequence[BaseMessage], artifact: type[BaseModel], *, site: CallSite
    ) -> tuple[Any, ModelReply]:
        text = "\n".join(str(message.content) for message in messages)
        self.asked.append((role, site.purpose, text))
        await asyncio.sleep(self.latency)
        answer = self._script[artifact.__name__].pop(0)
        if isinstance(answer, Exception):
            raise answer
        spec = self._specs.get(role, "")
        return artifact.model_validate(answer), ModelReply(spec=spec, role=role)

    def served(self, role: str) -> Served:
        return Served(role=role, spec=self._specs.get(role, ""), reason="")

    def usage(self) -> Mapping[str, RoleUsage]:
        return {}

    def seconds(self) -> float:
        return 0.0

    def window(self, role: str) -> int | None:
        return None

    def as_models(self) -> Models:
        return cast("Models", self)


def nobody() -> Models:
    """No model serves any role."""
    return Opinions({}, dict.fromkeys(("supervisor", "summarizer", "primary", "coder"), "")).as_models()
