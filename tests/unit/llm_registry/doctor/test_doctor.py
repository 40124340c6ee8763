"""The doctor, examining scripted servers over HTTP."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from core.config.loader import load_settings
from core.config.settings import ModelSpec, Settings, Timeouts
from llm_registry.diagnosis import doctor, live_checks
from llm_registry.diagnosis.config_edits import ConfigOrigin
from llm_registry.diagnosis.doctor import diagnose_roles
from tests.modelserver.faults import Fault
from tests.modelserver.info import Shape
from tests.modelserver.reply import say
from tests.modelserver.server import ModelServer, closed_port, faulty
from tests.unit.llm_registry.doctor.rig import able, applied, diagnose, spec
from tests.unit.llm_registry.raw import paths, raw_server


async def test_a_good_setup_is_healthy(tmp_path: Path, server: ModelServer) -> None:
    found = await diagnose(tmp_path, {"primary": spec(server.v1, fallback=["embedded"])})
    (primary, *_) = found.roles
    assert found.healthy
    assert found.remedies == ()
    assert (primary.role, primary.serves, primary.falls_to) == ("primary", "primary:scripted", ("embedded",))
    (first, _) = found.specs
    assert (first.server, first.model_present, first.window, first.window_source) == (
        "llama.cpp",
        True,
        32768,
        "loaded",
    )
    assert server.requests == []


async def test_a_disabled_spec_is_a_reason_only_for_what_stands_behind_it(tmp_path: Path, server: ModelServer) -> None:
    off = spec(server.v1, model="off", enabled=False)
    for first, second, reason in ((off, "on", "off is disabled"), (spec(server.v1), "off", "first choice")):
        llm = {"models": {"off": off, "on": spec(server.v1)}, "primary": {**first, "fallback": [second]}}
        found = await diagnose(tmp_path, llm)
        (primary,) = [role for role in found.roles if role.role == "primary"]
        assert reason in primary.reason


async def test_without_any_model_the_line_to_add_is_given() -> None:
    found = await diagnose_roles(Settings())
    assert not found.healthy
    (remedy,) = found.remedies
    assert remedy.place == "llm.primary"
    written = json.loads("{" + remedy.line + "}")
    assert ModelSpec.model_validate(written["primary"]).provider == "ollama"


async def test_a_server_that_is_found_is_proposed(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "USUAL_PLACES", (("openai_compatible", server.v1),))
    found = await diagnose(tmp_path, {"primary": spec(f"http://127.0.0.1:{closed_port()}/v1")})
    (remedy,) = found.remedies
    assert remedy.line == f'"base_url": "{server.v1}"'
    assert remedy.urgent
    assert "nothing is listening there" in remedy.problem
    config = (tmp_path / "config.json").read_text(encoding="utf-8").splitlines()
    line = int(remedy.place.split(":")[1].split()[0])
    assert '"base_url"' in config[line - 1]
    assert found.roles[0].serves == ""


async def test_a_wrong_model_names_what_is_near(tmp_path: Path, server: ModelServer) -> None:
    llm = {"primary": spec(server.v1, model="script"), "summarizer": spec(server.v1)}
    with ModelServer(able, shape=Shape.VLLM, models=("scripted", "other")) as strict:
        llm["primary"] = spec(strict.v1, model="scriptd")
        found = await diagnose(tmp_path, llm)
    (remedy,) = [one for one in found.remedies if one.urgent]
    assert remedy.line == '"model": "scripted",'
    assert "scripted, other" in remedy.otherwise
    assert not found.healthy


async def test_a_refused_key_says_which_line(tmp_path: Path) -> None:
    with ModelServer(able, api_key="right-key-1234") as server:
        found = await diagnose(tmp_path, {"primary": spec(server.v1, api_key="wrong-key-1234")})
    (remedy,) = found.remedies
    assert remedy.line.startswith('"api_key": "${')
    assert "wrong-key-1234" not in found.model_dump_json()


async def test_a_refused_key_of_a_variable_is_changed_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWER_KEY", "wrong-key-1234")
    with ModelServer(able, api_key="right-key-1234") as server:
        found = await diagnose(tmp_path, {"primary": spec(server.v1, api_key="${TOWER_KEY}")})
        monkeypatch.setenv("TOWER_KEY", "right-key-1234")
        mended = await diagnose(tmp_path, {"primary": spec(server.v1, api_key="${TOWER_KEY}")})
    (remedy,) = found.remedies
    assert (remedy.place, remedy.line) == ("the environment", "export TOWER_KEY=A-VALID-KEY")
    assert mended.remedies == ()


async def test_a_cloud_out_of_reach_is_not_replaced_by_what_runs_here(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "USUAL_PLACES", (("openai_compatible", server.v1),))
    cloud = {"provider": "openai_compatible", "model": "m", "base_url": "https://models.nowhere.invalid/v1"}
    (remedy,) = (await diagnose(tmp_path, {"primary": cloud})).remedies
    assert (remedy.line, remedy.urgent) == ("", True)
    assert "network" in remedy.otherwise
    keyless = {"provider": "openrouter", "model": "v/m", "base_url": "https://models.nowhere.invalid/v1"}
    (remedy,) = (await diagnose(tmp_path, {"primary": keyless})).remedies
    assert '"api_key": "${OPENROUTER_API_KEY}"' in remedy.line


async def test_two_windows_of_one_ollama_model_are_named(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    with ModelServer(able, shape=Shape.OLLAMA, context=16384) as server:
        one = {"provider": "ollama", "model": "scripted", "base_url": server.url}
        llm = {"primary": {**one, "context_length": 16384}, "summarizer": {**one, "context_length": 8192}}
        ill = await diagnose(tmp_path, llm)
        applied(config, ill)
        well = await diagnose_roles(load_settings(config).settings, origin=ConfigOrigin(config))
    (remedy,) = ill.remedies
    assert (remedy.line, remedy.urgent) == ('"context_length": 16384', False)
    assert "primary:scripted for 16384" in remedy.problem
    assert well.remedies == ()


async def test_a_small_window_is_named_for_the_roles_that_need_more(tmp_path: Path) -> None:
    with ModelServer(able, context=2048) as server:
        found = await diagnose(tmp_path, {"primary": spec(server.v1), "summarizer": spec(server.v1)})
    (remedy,) = found.remedies
    assert "2048" in remedy.problem
    assert "summarizer" not in remedy.problem.partition("small for")[2]
    assert not remedy.urgent


async def test_a_model_that_calls_no_tools_is_no_coder(tmp_path: Path) -> None:
    props = {"default_generation_settings": {"n_ctx": 16384}, "chat_template_caps": {"supports_tools": False}}
    answers = {"/v1/models": {"data": [{"id": "scripted", "owned_by": "llamacpp"}]}, "/props": props}
    async with paths(answers) as url:
        found = await diagnose(tmp_path, {"primary": spec(f"{url}/v1"), "coder": spec(f"{url}/v1")})
    (remedy,) = [one for one in found.remedies if one.urgent]
    assert remedy.problem.startswith("coder:scripted: the model cannot call tools")
    assert not found.healthy


async def test_live_tasks_show_what_a_model_can_do(tmp_path: Path, server: ModelServer) -> None:
    found = await diagnose(tmp_path, {"primary": spec(server.v1)}, live=True)
    first = found.specs[0]
    assert first.tool_call is not None
    assert first.tool_call.ok
    assert first.json_object is not None
    assert first.json_object.ok
    assert "Oslo" in first.json_object.detail
    assert first.tokens_per_s
    assert found.healthy


async def test_live_tasks_show_what_a_model_can_not_do(tmp_path: Path) -> None:
    with ModelServer(lambda _: say("I am only a parrot.")) as server:
        found = await diagnose(tmp_path, {"primary": spec(server.v1)}, live=True)
    first = found.specs[0]
    assert first.tool_call is not None
    assert not first.tool_call.ok
    assert "parrot" in first.tool_call.detail
    assert first.json_object is not None
    assert not first.json_object.ok
    tools, objects = found.remedies
    # No other model is known to call tools, so there is no name to write.
    assert ("cannot call tools" in tools.problem, tools.line, tools.urgent) == (True, "", True)
    # The engine without weights writes no objects for it either.
    assert ("does not return a valid JSON" in objects.problem, objects.line, objects.urgent) == (True, "", False)


async def test_another_role_whose_model_calls_tools_is_proposed(tmp_path: Path, server: ModelServer) -> None:
    with ModelServer(lambda _: say("I am only a parrot.")) as parrot:
        llm = {"primary": spec(parrot.v1), "router": spec(server.v1), "coder": "primary"}
        found = await diagnose(tmp_path, llm, live=True)
    lines = {remedy.line for remedy in found.remedies}
    assert '"coder": "router"' in lines
    assert json.loads("{" + next(line for line in lines if line.startswith('"coder"')) + "}") == {"coder": "router"}


async def test_another_model_that_gives_objects_is_proposed_once(tmp_path: Path, server: ModelServer) -> None:
    with ModelServer(lambda _: say("I am only a parrot.")) as parrot:
        llm = {"primary": spec(server.v1), "summarizer": spec(parrot.v1, fallback=["embedded"])}
        ill = await diagnose(tmp_path, llm, live=True)
        (remedy,) = ill.remedies
        assert remedy.line.rstrip(",") == '"fallback": ["primary", "embedded"]'
        applied(tmp_path / "config.json", ill)
        config = tmp_path / "config.json"
        (remedy,) = (
            await diagnose_roles(load_settings(config).settings, origin=ConfigOrigin(config), live=True)
        ).remedies
    assert remedy.line == ""
    assert "primary, which does, is used instead" in remedy.otherwise


async def test_a_server_that_may_want_a_key_is_given_one(tmp_path: Path) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"error": {"message": "Internal server error"}}).encode()
        writer.write(b"HTTP/1.1 500 x\r\nConnection: close\r\n\r\n" + body)

    async with raw_server(handle) as url:
        bare = await diagnose(tmp_path, {"primary": spec(f"{url}/v1")})
        keyed = await diagnose(tmp_path, {"primary": spec(f"{url}/v1", api_key="some-key-1")})
    (remedy,) = bare.remedies
    assert (remedy.line, remedy.urgent) == ('"api_key": "${MY_API_KEY}",', False)
    assert "or it needs an api_key" in remedy.problem
    assert [one.line for one in keyed.remedies] == [""]
    assert bare.roles[0].serves == "primary:scripted"


async def test_a_role_that_only_serves_a_tool_is_no_fault_while_it_is_turned_off(
    tmp_path: Path, server: ModelServer
) -> None:
    off = spec(server.v1, enabled=False)
    config = tmp_path / "config.json"
    for tools, enabled, healthy in (({"deep_research": {"role": "research"}}, False, True), ({}, True, True),
                                    ({"deep_research": {"role": "research"}}, True, False)):  # fmt: skip
        dead = spec(f"http://127.0.0.1:{closed_port()}/v1")
        llm = {"primary": spec(server.v1), "research": dead if enabled else off}
        config.write_text(json.dumps({"llm": llm, "tools": tools}), encoding="utf-8")
        found = await diagnose_roles(load_settings(config).settings, origin=ConfigOrigin(config))
        assert found.healthy is healthy
        assert found.unserved == (() if healthy else ("research",))
        assert {role.role for role in found.roles if not role.serves} == {"research"}


async def test_a_model_that_hangs_is_no_model_without_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_checks, "_PATIENCE", Timeouts(connect=1, first_token=0.5, idle=0.5))
    with faulty(Fault.HANG_BEFORE_HEADERS) as server:
        asleep = {"primary": spec(server.v1, fallback=["rest"]), "models": {"rest": {"provider": "embedded"}}}
        found = await diagnose(tmp_path, asleep, live=True)
        asked = len(server.requests)
    (remedy,) = found.remedies
    assert "no first token within 0.5 s" in remedy.problem
    assert "tools" not in remedy.problem
    assert asked == 1
    assert not found.specs[0].ok
    assert found.roles[0].serves == "embedded"
    assert not found.healthy


async def test_a_busy_server_is_left_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PATIENCE_S", 0.3)
    release = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()

    async with raw_server(hang) as url:
        found = await diagnose(tmp_path, {"primary": spec(url)})
        release.set()
    (remedy,) = found.remedies
    assert (remedy.line, remedy.urgent) == ("", False)
    assert "busy" in remedy.problem


async def test_a_file_that_is_no_model_names_the_ones_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "my models"
    folder.mkdir()
    for name, content in (("qwen-0.5b.gguf", b"GGUF"), ("notes.gguf", b"dear diary")):
        (folder / name).write_bytes(content)
    llm = {"primary": {"provider": "gguf", "options": {"path": str(folder / "notes.gguf"), "threads": 2}}}
    ill = await diagnose(tmp_path, llm)
    assert "is not a GGUF file" in ill.remedies[0].problem
    assert (ill.specs[0].window, ill.specs[0].window_source) == (None, "unknown")
    applied(tmp_path / "config.json", ill)
    config = tmp_path / "config.json"
    settings = load_settings(config).settings
    assert settings.llm.__pydantic_extra__["primary"].options == {"path": str(folder / "qwen-0.5b.gguf"), "threads": 2}
    assert (await diagnose_roles(settings, origin=ConfigOrigin(config))).roles[0].serves == "primary:qwen-0.5b"


async def test_headers_a_server_repeats_are_not_shown(tmp_path: Path) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        # Other addresses of the machine are tried, too, and without what belongs to this one.
        said = next(iter(re.findall(r"(?i)x-gate: (.*)\r", head)), "you")
        body = json.dumps({"error": {"message": f"the gate does not know {said}"}}).encode()
        writer.write(b"HTTP/1.1 404 x\r\nConnection: close\r\n\r\n" + body)

    async with raw_server(handle) as url:
        found = await diagnose(tmp_path, {"primary": spec(url, options={"headers": {"X-Gate": "opensesame"}})})
    text = found.model_dump_json()
    assert "the gate does not know ***" in text
    assert "opensesame" not in text


async def test_spans_that_cannot_be_sent_are_told_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.model_validate({"telemetry": {"otel": True}})
    assert (await diagnose_roles(settings)).invalid == ()
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    (said,) = (await diagnose_roles(settings)).invalid
    assert "telemetry.otel is on" in said
    assert "rolecall[otel]" in said


async def test_nothing_private_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "ada"))
    port = closed_port()
    found = await diagnose(tmp_path / "", {
        "primary": spec(f"http://ada:passw0rd@127.0.0.1:{port}/v1?k=q9w8e7", api_key="sk-abcdef123456"),
        "router": spec(f"http://t0ken@127.0.0.1:{port}/v1"),
        "coder": {"provider": "gguf", "options": {"path": "~/models/secret.gguf"}},
    })  # fmt: skip
    text = found.model_dump_json()
    for private in ("passw0rd", "sk-abcdef123456", "home/ada", "q9w8e7", "t0ken"):
        assert private not in text
    assert "~/models/secret.gguf" in text
