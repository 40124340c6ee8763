"""Hints of a chain that is used up: what to do fits what happened, on real servers and dead ports."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import ModelError, NeedsModelError
from tests.modelserver.info import Shape
from tests.modelserver.reply import say
from tests.modelserver.server import ModelServer, closed_port
from tests.unit.llm_registry.rig import HELLO, SITE, chat_spec, registry


async def hint_for(llm: dict[str, Any], folder: Path, wanted: type[ModelError]) -> str:
    """The hint of the second question, when breakers and dead specs are known already."""
    hints = []
    async with registry(llm, folder) as models:
        await models.assign()
        for _ in range(2):
            with pytest.raises(wanted) as caught:
                await models.chat("primary", HELLO, site=SITE)
            hints.append(caught.value.hint)
    assert hints[0] == hints[1]
    return hints[0]


@pytest.mark.parametrize(
    ("fallback", "wanted", "spare"), [(["embedded"], NeedsModelError, False), ([], ModelError, True)]
)
async def test_a_server_that_is_down_is_to_be_started(
    tmp_path: Path, fallback: list[str], wanted: type[ModelError], *, spare: bool
) -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    hint = await hint_for({"primary": chat_spec(url, fallback=fallback)}, tmp_path, wanted)
    assert hint.startswith(f"start the server at {url}")
    assert "name a model server" not in hint
    assert ("`fallback`" in hint) is spare


@pytest.mark.parametrize(("key", "said"), [("wrong-key-1", "another one"), ("", "the one it asks for")])
async def test_a_refused_key_is_to_be_replaced(tmp_path: Path, key: str, said: str) -> None:
    with ModelServer(lambda _: say("hello"), api_key="right-key-1") as server:
        llm = {"primary": chat_spec(server, api_key=key, fallback=["embedded"])}
        hint = await hint_for(llm, tmp_path, NeedsModelError)
    assert f"refused the key: give {said} as `api_key` of `primary`" in hint
    assert "start" not in hint


async def test_an_unknown_model_is_told_with_what_the_server_has(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("hello"), shape=Shape.VLLM, models=("tiny", "large"), strict_models=True) as server:
        llm = {"primary": "small", "models": {"small": chat_spec(server, model="gpt")}}
        hint = await hint_for(llm, tmp_path, ModelError)
    assert "set a `model` for `small` other than 'gpt'" in hint
    assert "it has tiny, large" in hint


async def test_a_disabled_model_is_to_be_enabled(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    llm = {"primary": chat_spec(url, enabled=False, fallback=["embedded"])}
    assert '"enabled": true' in await hint_for(llm, tmp_path, NeedsModelError)
