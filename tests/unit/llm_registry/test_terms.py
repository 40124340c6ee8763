"""What a person is told of a model before it is asked: that it costs money, or is on the internet."""

from pathlib import Path
from typing import Any

from core.config.settings import ModelSpec
from llm_registry.specs.role_chains import ChainLink
from tests.modelserver.reply import say
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.rig import HELLO, SITE, Ear, chat_spec, registry


async def test_a_first_choice_that_costs_money_is_announced_before_it_is_asked(tmp_path: Path) -> None:
    ear = Ear()
    with ModelServer(lambda _: say("hello")) as good:
        llm = {"primary": chat_spec(good, cost={"input": 3, "output": 15}), "coder": chat_spec(good)}
        async with registry(llm, tmp_path, ear=ear) as models:
            await models.assign()
            for role in ("primary", "primary", "coder"):
                await models.chat(role, HELLO, site=SITE)
    (roles,) = ear.of("roles")
    assert (roles["roles"]["primary"]["terms"], roles["roles"]["coder"]["terms"]) == ("calls cost money", "")
    (told,) = ear.of("model_warning")
    assert (told["spec"], told["message"]) == ("primary:scripted", "serves primary: calls cost money")
    names = [name for name, _ in ear.heard]
    assert names.index("model_warning") < names.index("model_started")


def test_a_server_on_the_internet_is_named_in_the_terms() -> None:
    def terms(**spec: Any) -> str:
        return ChainLink("x", "x", ModelSpec(model="m", **spec)).terms

    away = "prompts are sent to openrouter.ai on the internet"
    assert terms(provider="openrouter") == f"calls cost money, {away}"
    assert terms(provider="openai_compatible", base_url="https://openrouter.ai/api/v1") == away
    assert terms(provider="ollama") == ""
    assert terms(provider="embedded") == ""
