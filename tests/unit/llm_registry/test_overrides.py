"""`--model ROLE=SPEC` given wrongly: near matches, what the configured servers offer, and circles."""

import pytest

from core.errors import UsageError
from llm_registry.overrides import checked_overrides, with_overrides
from tests.modelserver.info import Shape
from tests.modelserver.reply import say
from tests.modelserver.server import ModelServer, closed_port
from tests.unit.llm_registry.rig import chat_spec, settings_of


@pytest.mark.parametrize(
    ("wanted", "near"), [("phi3:medium", "`ollama:phi3:mini`"), ("primry", "`primary`"), ("z", "")]
)
async def test_an_unknown_model_lists_what_the_configured_servers_offer(wanted: str, near: str) -> None:
    with ModelServer(lambda _: say("hi"), shape=Shape.OLLAMA, models=("qwen3:8b", "phi3:mini")) as server:
        llm = {
            "primary": {"provider": "ollama", "model": "qwen3:8b", "base_url": server.url, "fallback": ["dead"]},
            "models": {"dead": chat_spec(f"http://127.0.0.1:{closed_port()}/v1")},
        }
        with pytest.raises(UsageError) as caught:
            await checked_overrides(settings_of(llm), {"coder": wanted})
    assert ("did you mean" in caught.value.message) is bool(near)
    assert near in caught.value.message
    assert "offer ollama:qwen3:8b, ollama:phi3:mini" in caught.value.hint


async def test_without_any_server_an_unknown_model_is_told_as_before() -> None:
    llm = {"primary": chat_spec(f"http://127.0.0.1:{closed_port()}/v1")}
    with pytest.raises(UsageError, match="unknown model; did you mean `primary`"):
        await checked_overrides(settings_of(llm), {"coder": "primry"})


@pytest.mark.parametrize(
    ("llm", "given"), [({}, {"primary": "coder"}), ({"coder": "reasoning"}, {"reasoning": "coder"})]
)
def test_roles_that_would_only_name_one_another_are_refused(llm: dict[str, str], given: dict[str, str]) -> None:
    settings = settings_of({"primary": chat_spec("http://127.0.0.1:1/v1"), **llm})
    with pytest.raises(UsageError, match="only name one another"):
        with_overrides(settings, given)


def test_a_named_model_called_like_a_role_ends_a_circle() -> None:
    settings = settings_of({
        "primary": chat_spec("http://127.0.0.1:1/v1"), "models": {"coder": chat_spec("http://127.0.0.1:2/v1")},
    })  # fmt: skip
    assert with_overrides(settings, {"primary": "coder"}).llm.__pydantic_extra__ == {"primary": "coder"}
