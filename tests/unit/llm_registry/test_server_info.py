"""Reading what servers say of themselves, from the bodies they document."""

import pytest

from core.config.settings import ModelSpec
from llm_registry.discovery import server_info
from llm_registry.discovery.server_info import EndpointFacts
from tests.probing import probe_endpoint
from tests.unit.llm_registry.raw import paths

SHOW = {
    "capabilities": ["completion", "tools", "thinking"],
    "parameters": 'stop "<|end|>"\nnum_ctx                        8192',
    "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960, "qwen3.block_count": 36},
}
LM_STUDIO = {"models": [
    {"key": "qwen3-8b", "max_context_length": 40960, "loaded_instances": [
        {"id": "qwen3-8b:2", "config": {"context_length": 12288}},
    ]},
    {"key": "gemma", "max_context_length": 8192, "loaded_instances": []},
]}  # fmt: skip


async def test_ollama_says_what_a_model_was_made_for_and_can_do() -> None:
    answers = {"/api/tags": {"models": [{"name": "qwen3:8b"}]}, "/api/ps": {"models": []}, "/api/show": SHOW}
    async with paths(answers) as url:
        found = await probe_endpoint(ModelSpec(provider="ollama", model="qwen3:8b", base_url=url))
    assert (found.window("qwen3:8b"), found.limit("qwen3:8b")) == (8192, 40960)
    assert found.calls_tools("qwen3:8b") is True


async def test_what_ollama_loaded_beats_what_the_model_file_says() -> None:
    running = {"models": [{"name": "qwen3:8b", "model": "qwen3:8b", "context_length": 4096}]}
    answers = {"/api/tags": {"models": [{"name": "qwen3:8b"}]}, "/api/ps": running, "/api/show": SHOW}
    async with paths(answers) as url:
        found = await probe_endpoint(ModelSpec(provider="ollama", model="qwen3:8b", base_url=url))
    assert found.window("qwen3:8b") == 4096


async def test_the_newer_lm_studio_is_read_too() -> None:
    answers = {"/v1/models": {"data": [{"id": "qwen3-8b"}, {"id": "gemma"}]}, "/api/v1/models": LM_STUDIO}
    async with paths(answers) as url:
        found = await probe_endpoint(ModelSpec(provider="openai_compatible", model="qwen3-8b", base_url=f"{url}/v1"))
    assert found.server == "lmstudio"
    assert (found.window("qwen3-8b"), found.window("qwen3-8b:2"), found.window("gemma")) == (12288, 12288, None)
    assert found.limit("gemma") == 8192


@pytest.mark.parametrize(
    ("status", "left", "error"),
    [(200, 4.5, ""), (200, None, ""), (200, 0, "no credit left"), (401, None, "key was refused")],
)
async def test_an_openrouter_key_is_checked(status: int, left: float | None, error: str) -> None:
    row = {"id": "a/b", "context_length": 200000, "supported_parameters": ["tools", "temperature"]}
    answers = {"/v1/models": {"data": [row]}, "/v1/key": {"data": {"limit_remaining": left}}}
    async with paths(answers, {"/v1/key": status}) as url:
        found = await probe_endpoint(
            ModelSpec(provider="openrouter", model="a/b", base_url=f"{url}/v1", api_key="k" * 20)
        )
    assert found.reachable
    assert found.error == "" if not error else error in found.error
    assert (found.window("a/b"), found.calls_tools("a/b")) == (200000, True)
    assert found.responses_api is None


async def test_a_refusal_is_shown_in_the_servers_words() -> None:
    answers = {"/v1/models": {"error": {"message": "The moon is in the wrong phase.", "code": "400"}}}
    async with paths(answers, {"/v1/models": 400}) as url:
        found = await probe_endpoint(ModelSpec(provider="openai_compatible", model="m", base_url=f"{url}/v1"))
    assert "HTTP 400: The moon is in the wrong phase." in found.error


async def test_litellm_tells_of_the_deployments_behind_it() -> None:
    def row(name: str, window: int | None, tools: bool | None) -> dict[str, object]:
        info = {"max_input_tokens": window, "supports_function_calling": tools}
        return {"model_name": name, "litellm_params": {"model": f"openai/{name}"}, "model_info": info}

    rows = [row("a", 32768, True), row("a", 8192, None), row("b", None, False)]
    answers = {"/v1/models": {"data": [{"id": "a", "owned_by": "openai"}, {"id": "b"}]}, "/model/info": {"data": rows}}
    async with paths(answers) as url:
        found = await probe_endpoint(ModelSpec(provider="openai_compatible", model="a", base_url=f"{url}/v1"))
    assert (found.server, found.window("a"), found.window("b")) == ("litellm", 8192, None)
    assert (found.calls_tools("a"), found.calls_tools("b")) == (True, None)


async def test_litellm_without_a_database_means_the_key() -> None:
    answers = {"/v1/models": {"error": {"message": "No connected db.", "type": "no_db_connection", "code": "400"}}}
    async with paths(answers, {"/v1/models": 400}) as url:
        spec = ModelSpec(provider="openai_compatible", model="a", base_url=f"{url}/v1", api_key="sk-wrong")
        found = await probe_endpoint(spec)
    assert "key was refused (HTTP 400: No connected db.)" in found.error


@pytest.mark.parametrize("key", ["", "sk-sent"])
async def test_a_server_in_trouble_may_want_the_key_it_was_not_given(key: str) -> None:
    async with paths({"/v1/models": "Internal Server Error"}, {"/v1/models": 500}) as url:
        spec = ModelSpec(provider="openai_compatible", model="a", base_url=f"{url}/v1", api_key=key)
        found = await probe_endpoint(spec)
    assert "reports an error (HTTP 500: Internal Server Error)" in found.error
    assert ("needs an api_key" in found.error) is (key == "")


def test_llama_cpp_says_whether_the_template_knows_tools() -> None:
    bodies = {
        "models": {"data": [{"id": "m", "owned_by": "llamacpp"}]},
        "props": {"default_generation_settings": {"n_ctx": 4096}, "chat_template_caps": {"supports_tools": False}},
        "slots": [{"n_ctx": 2048}, {"n_ctx": 2048}],
    }
    assert server_info.server_kind(bodies) == "llama.cpp"
    assert server_info.tool_support(bodies) == {"m": False}
    assert server_info.model_windows(bodies) == {"m": 2048}


def test_a_router_gives_no_window_for_all_models() -> None:
    bodies = {
        "models": {"data": [{"id": "a", "owned_by": "llamacpp", "status": {"value": "unloaded"}}, {"id": "b"}]},
        "props": {"default_generation_settings": {"n_ctx": 4096}},
    }
    assert server_info.model_windows(bodies) == {}


def test_a_lone_window_is_everyones_only_where_any_name_is_served() -> None:
    assert EndpointFacts(reachable=True, windows={"a": 1}, any_model=True).window("b") == 1
    assert EndpointFacts(reachable=True, windows={"a": 1}).window("b") is None


@pytest.mark.parametrize(
    ("args", "window"),
    [
        (["--ctx-size", "8192", "--parallel", "2"], 4096),
        (["--ctx-size", "8192", "--parallel", "2", "--kv-unified"], 8192),
        (["--ctx-size", "8192"], 8192),
        (["--ctx-size", "0", "--parallel", "2"], None),
        (["--jinja"], None),
    ],
)
def test_a_router_tells_the_window_of_a_model_it_has_not_loaded(args: list[str], window: int | None) -> None:
    row = {"id": "m", "owned_by": "llamacpp", "status": {"value": "unloaded", "args": ["llama-server", *args]}}
    assert server_info.model_windows({"models": {"data": [row]}}).get("m") == window
