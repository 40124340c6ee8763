"""`--model ROLE=SPEC` given wrongly: near matches, what the configured servers offer, and circles."""

from typing import Any

import pytest

from core.config.settings import ModelSpec
from core.errors import UsageError
from llm_registry.gguf.server import options_of
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
    with pytest.raises(UsageError, match="only refer to each other"):
        with_overrides(settings, given)


def test_a_named_model_called_like_a_role_ends_a_circle() -> None:
    settings = settings_of({
        "primary": chat_spec("http://127.0.0.1:1/v1"), "models": {"coder": chat_spec("http://127.0.0.1:2/v1")},
    })  # fmt: skip
    assert with_overrides(settings, {"primary": "coder"}).llm.__pydantic_extra__ == {"primary": "coder"}


def spec_for(llm: dict[str, Any], wanted: str, role: str = "coder") -> ModelSpec:
    given = (with_overrides(settings_of(llm), {role: wanted}).llm.__pydantic_extra__ or {})[role]
    assert isinstance(given, ModelSpec)
    return given


def test_another_model_takes_the_server_and_not_what_was_said_of_the_old_model() -> None:
    old = chat_spec(
        "http://nas:8000/v1", api_key="sk-nas", cost={"input": 1, "output": 2}, context_length=4096, quantization="q4",
        timeouts={"connect": 9}, max_concurrency=3, max_output_tokens=50, thinking=False,
        options={"headers": {"X": "1"}, "extra_body": {"top_k": 1}, "num_ctx": 4096},
    )  # fmt: skip
    new = spec_for({"primary": old}, "openai_compatible:larger")
    assert (new.base_url, new.api_key, new.max_concurrency) == ("http://nas:8000/v1", "sk-nas", 3)
    assert (new.timeouts.connect, new.options) == (9, {"headers": {"X": "1"}})
    assert (new.model, new.cost, new.context_length, new.quantization) == ("larger", None, "auto", "")
    assert (new.max_output_tokens, new.thinking) == (None, "auto")
    assert spec_for({"primary": old}, "openai_compatible:larger@http://nas:8000/v1").api_key == "sk-nas"
    assert spec_for({"primary": old}, "openai_compatible:larger@http://elsewhere:8000/v1").api_key == ""
    assert spec_for({"primary": old}, f"openai_compatible:{old['model']}").cost is not None


def test_a_model_asked_for_is_enabled_and_comes_from_the_role_s_own_server() -> None:
    llm = {
        "primary": {"provider": "ollama", "model": "a", "base_url": "http://one:11434"},
        "coder": {"provider": "ollama", "model": "b", "base_url": "http://two:11434"},
        "research": {"provider": "openrouter", "model": "x/y", "api_key": "sk-or", "enabled": False},
    }
    assert spec_for(llm, "ollama:c").base_url == "http://two:11434"
    assert spec_for(llm, "ollama:a").base_url == "http://one:11434"
    for wanted in ("openrouter:x/y", "openrouter:v/w"):
        assert (spec_for(llm, wanted).enabled, spec_for(llm, wanted).api_key) == (True, "sk-or")


def test_another_file_is_another_model() -> None:
    llm = {"summarizer": {"provider": "gguf", "model": "small", "options": {"path": "/m/a.gguf", "threads": 3}}}
    given = spec_for(llm, "gguf:/m/b@q4.gguf")
    options = options_of(given)
    assert (options.path.name, options.threads) == ("b@q4.gguf", 3)
