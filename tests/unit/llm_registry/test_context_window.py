"""Windows: what fits, what is done about what does not, and cuts nobody mentions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage

from core.config.settings import ModelSpec
from llm_registry.discovery.context_window import (
    OLLAMA_DEFAULT,
    OLLAMA_WISH,
    ContextWindow,
    context_window,
    count_characters,
    estimate_tokens,
    num_ctx_for,
    prompt_fit,
    shorten_messages,
    was_truncated,
)
from llm_registry.discovery.server_info import EndpointFacts


def facts(loaded: int | None = None, limit: int | None = None) -> EndpointFacts:
    return EndpointFacts(reachable=True, windows={"m": loaded} if loaded else {}, limits={"m": limit} if limit else {})


def spec(provider: str = "openai_compatible", **more: object) -> ModelSpec:
    return ModelSpec(**{"provider": provider, "model": "m", "base_url": "http://h:1", **more})  # type: ignore[arg-type]


def test_auto_is_what_the_server_loaded() -> None:
    assert context_window(spec(), facts(6144)) == ContextWindow(6144, "loaded")
    assert context_window(spec(), facts()) == ContextWindow(None, "unknown")
    assert context_window(spec(), None).tokens is None


def test_a_number_is_believed_only_as_far_as_the_server_loaded() -> None:
    assert context_window(spec(context_length=4096), facts(8192)).tokens == 4096
    less = context_window(spec(context_length=32768), facts(8192))
    assert (less.tokens, less.source) == (8192, "loaded")
    assert "32768" in less.warning
    assert "8192" in less.warning


@pytest.mark.parametrize(
    ("given_spec", "loaded", "limit", "expected"),
    [
        ({}, 4096, 32768, OLLAMA_WISH),
        ({}, 4096, 8192, 8192),
        ({}, 12288, 32768, 12288),
        ({}, None, None, None),
        ({"context_length": 20000}, 4096, 32768, 20000),
        ({"options": {"num_ctx": 2048}}, 4096, 32768, 2048),
    ],
)
def test_ollama_is_asked_for_a_window_in_each_call(
    given_spec: dict[str, object], loaded: int | None, limit: int | None, expected: int | None
) -> None:
    assert num_ctx_for(spec("ollama", **given_spec), facts(loaded, limit)) == expected


def test_only_ollamas_own_protocol_sets_the_window() -> None:
    assert num_ctx_for(spec("ollama", base_url="http://h:1/v1", context_length=9000), facts()) is None
    assert num_ctx_for(spec(context_length=9000), facts()) is None


def test_the_default_of_ollama_is_reckoned_with_where_nothing_is_known() -> None:
    assert context_window(spec("ollama"), None) == ContextWindow(OLLAMA_DEFAULT, "default")


def test_a_window_beyond_the_model_is_named() -> None:
    assert "model supports 8192" in context_window(spec("ollama", context_length=20000), facts(None, 8192)).warning


@pytest.mark.parametrize(
    ("role", "chars", "source", "verdict"),
    [
        ("coder", 6_000, "loaded", "fits"),
        ("coder", 12_000, "loaded", "tight"),
        ("coder", 16_000, "loaded", "tight"),
        ("coder", 16_000, "set per call", "refuse"),
        ("coder", 60_000, "loaded", "refuse"),
        ("summarizer", 60_000, "loaded", "shorten"),
        ("router", 60_000, "set per call", "shorten"),
    ],
)
def test_each_role_has_its_way_with_a_long_prompt(role: str, chars: int, source: str, verdict: str) -> None:
    assert prompt_fit(role, estimate_tokens(chars), ContextWindow(4096, source)) == verdict  # type: ignore[arg-type]


def test_an_unknown_window_refuses_nothing() -> None:
    assert prompt_fit("coder", estimate_tokens(10**7), ContextWindow(None, "unknown")) == "tight"


@pytest.mark.parametrize(
    ("sent", "reported", "window", "cut"),
    [
        (159_062, 16_386, 32_768, True),  # as measured on a real server
        (8_000, 2_050, 4_096, False),  # half of the window, but that is what 8000 characters are
        (28_000, 2_050, 4_096, True),
        (28_000, 4_090, 4_096, True),
        (28_000, 3_500, None, False),
        (28_000, 1_000, None, True),
        (28_000, None, 4_096, False),
        (10_000, 2_900, 4_096, False),
    ],
)
def test_a_silent_cut_is_told_by_what_the_server_read(
    sent: int, reported: int | None, window: int | None, cut: bool
) -> None:
    assert was_truncated(sent, reported, window) is cut


def test_shortening_keeps_rules_beginning_and_end() -> None:
    system = SystemMessage("Rules. " * 20)
    log = ToolMessage("START" + "x" * 50_000 + "END", tool_call_id="1")
    short = shorten_messages([system, HumanMessage("Summarize this."), log], 2048)
    assert short[0] == system
    assert short[1].text == "Summarize this."
    assert short[2].text.startswith("START")
    assert short[2].text.endswith("END")
    assert "characters left out" in short[2].text
    assert prompt_fit("coder", estimate_tokens(count_characters(short)), ContextWindow(2048, "set per call")) == "fits"


def test_what_fits_is_not_touched() -> None:
    messages = [SystemMessage("a"), HumanMessage("b" * 1000)]
    assert shorten_messages(messages, 4096) == messages


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=5), st.integers(600, 8192))
def test_shortening_ends_and_never_lengthens(sizes: list[int], window: int) -> None:
    messages = [HumanMessage("y" * size) for size in sizes]
    assert count_characters(shorten_messages(messages, window)) <= count_characters(messages)
