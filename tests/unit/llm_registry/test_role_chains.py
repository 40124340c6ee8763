"""Chains out of settings."""

from typing import Any

import pytest

from core.config.settings import Cost, LLMSettings, ModelSpec, Settings
from core.errors import ConfigError
from llm_registry.specs.role_chains import ChainLink, endpoint_of, resolve_chain, role_names


def spec(**more: object) -> dict[str, object]:
    return {"provider": "openai_compatible", "base_url": "http://h:1/v1", "model": "m", **more}


def names(llm: dict[str, object], role: str) -> list[str]:
    return [link.name for link in resolve_chain(LLMSettings.model_validate(llm), role).links]


@pytest.mark.parametrize(
    ("llm", "role", "chain"),
    [
        ({}, "primary", ["embedded"]),
        ({}, "summarizer", ["embedded"]),
        ({"primary": spec()}, "primary", ["primary:m"]),
        ({"primary": spec()}, "coder", ["primary:m"]),
        ({"primary": spec(), "coder": "primary"}, "coder", ["primary:m"]),
        ({"summarizer": spec()}, "coder", ["embedded"]),
        ({"primary": spec(fallback=["embedded", "coder"]), "coder": spec(model="c")}, "primary",
         ["primary:m", "coder:c", "embedded"]),
        ({"primary": spec(fallback=["coder"]), "coder": spec(model="c", fallback=["primary"])}, "coder",
         ["coder:c", "primary:m"]),
        ({"primary": spec(fallback=["research", "embedded"]), "research": spec(model="r", enabled=False)}, "primary",
         ["primary:m", "embedded"]),
        ({"models": {"big": spec()}, "primary": "big"}, "primary", ["big"]),
        ({"primary": spec(), "summarizer": spec(model="s")}, "summarizer", ["summarizer:s", "primary:m"]),
        ({"primary": spec(), "router": spec(model="s")}, "router", ["router:s", "primary:m"]),
        ({"primary": spec(), "supervisor": spec(model="s")}, "supervisor", ["supervisor:s", "primary:m"]),
        ({"primary": spec(), "supervisor": "tiny", "models": {"tiny": spec()}}, "supervisor", ["tiny", "primary:m"]),
        ({"primary": spec(fallback=["embedded"]), "summarizer": spec(model="s")}, "summarizer",
         ["summarizer:s", "primary:m", "embedded"]),
        ({"primary": spec(), "summarizer": spec(model="s", fallback=[])}, "summarizer", ["summarizer:s"]),
        ({"primary": spec(), "summarizer": "embedded"}, "summarizer", ["embedded"]),
        ({"primary": spec(), "coder": spec(model="c")}, "coder", ["coder:c"]),
        ({"primary": spec(), "coder": spec(model="c")}, "coding", ["coder:c"]),
        ({"models": {"big": spec(fallback=["small"]), "small": spec(fallback=["big", "embedded"])}, "coder": "big"},
         "coder", ["big", "small", "embedded"]),
    ],
)  # fmt: skip
def test_chains(llm: dict[str, object], role: str, chain: list[str]) -> None:
    assert names(llm, role) == chain


def test_a_disabled_spec_is_named() -> None:
    chain = resolve_chain(LLMSettings.model_validate({"research": spec(enabled=False)}), "research")
    assert (chain.links, chain.notes) == ((), ("research:m is disabled",))


def test_an_unknown_role_names_the_near_ones() -> None:
    with pytest.raises(ConfigError, match="unknown role 'sumarizer'; did you mean `summarizer`"):
        resolve_chain(LLMSettings(), "sumarizer")


def test_roles_of_tools_are_roles() -> None:
    settings = Settings.model_validate({"llm": {"poet": spec()}, "tools": {"ask": {"role": "poet"}}})
    assert role_names(settings)[-1] == "poet"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ModelSpec(provider="ollama", model="a"), ModelSpec(provider="openai_compatible",
                                                           base_url="http://localhost:11434/v1")),
        (ModelSpec(provider="openrouter", model="a"), ModelSpec(provider="openrouter", model="b")),
        (ModelSpec(provider="openai_compatible", base_url="https://h/v1"),
         ModelSpec(provider="openai_compatible", base_url="https://h:443/other")),
    ],
)  # fmt: skip
def test_specs_on_one_server_share_its_endpoint(one: ModelSpec, other: ModelSpec) -> None:
    assert endpoint_of(one) == endpoint_of(other)


def test_different_servers_are_different_endpoints() -> None:
    urls = ["http://h:1/v1", "http://h:2/v1", "http://i:1/v1", "https://h/v1"]
    assert len({endpoint_of(ModelSpec(provider="openai_compatible", base_url=url)) for url in urls}) == 4


@pytest.mark.parametrize(
    ("spec", "paid"),
    [
        ({"base_url": "https://api.example.com/v1", "api_key": "sk-abcdef123456"}, True),
        (
            {"base_url": "https://api.example.com/v1", "api_key": "sk-abcdef123456", "cost": Cost(input=0, output=0)},
            False,
        ),
        ({"base_url": "https://api.example.com/v1", "api_key": "not-needed"}, False),
        ({"base_url": "http://192.168.1.9:8000/v1", "api_key": "sk-abcdef123456"}, False),
        ({"base_url": "http://nas.lan/v1", "api_key": "sk-abcdef123456"}, False),
    ],
)
def test_a_key_for_a_server_on_the_internet_is_a_bill(spec: dict[str, Any], paid: object) -> None:
    assert ChainLink("x", "x", ModelSpec(provider="openai_compatible", model="m", **spec)).paid is paid
