"""The server as a process: started by its command, killed, and brought back on its port."""

import threading
import time

import httpx
import pytest

from tests.modelserver.info import Shape
from tests.modelserver.process import ModelServerProcess

HELLO = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}


def test_a_script_file_is_served_and_the_calls_are_remembered(tmp_path) -> None:
    script = [
        {"when": {"last_contains": "bye"}, "reply": {"text": "Farewell."}, "times": 1},
        {"when": {"model": "other"}, "reply": {"json": {"a": 1}}},
        {"reply": {"tool_calls": [{"name": "look", "arguments": {"at": "it"}}]}},
    ]
    bye = {"messages": [{"role": "user", "content": "good bye"}]}
    with ModelServerProcess(script, tmp_path) as server:
        url = f"{server.v1}/chat/completions"
        first = httpx.post(url, json=bye).json()["choices"][0]["message"]
        second = httpx.post(url, json=bye).json()["choices"][0]["message"]
        third = httpx.post(url, json={**HELLO, "model": "other"}).json()
        state = server.state()
        assert server.stop() == 0
    assert first["content"] == "Farewell."
    assert second["tool_calls"][0]["function"]["name"] == "look"
    assert third["choices"][0]["message"]["content"] == '{"a": 1}'
    assert state["hits"]["/v1/chat/completions"] == 3
    assert state["max_in_flight"]["/v1/chat/completions"] == 1


def test_a_killed_server_breaks_the_stream_and_comes_back_on_its_port(tmp_path) -> None:
    script = [{"reply": {"text": "abcdefghij" * 20, "piece": 5, "pace": 0.2}}]
    with ModelServerProcess(script, tmp_path, shape=Shape.OLLAMA) as server:
        port = server.port
        with pytest.raises(httpx.RemoteProtocolError):
            read_and_kill(server)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/api/version")
        server.start()
        assert server.port == port
        assert httpx.get(f"{server.url}/api/version").status_code == 200


def read_and_kill(server: ModelServerProcess) -> None:
    with httpx.stream("POST", f"{server.url}/api/chat", json=HELLO) as stream:
        for number, _ in enumerate(stream.iter_lines()):
            if number == 1:
                server.kill()


def test_a_script_file_with_an_unknown_key_is_refused(tmp_path) -> None:
    with pytest.raises(RuntimeError, match="ended with 1"):
        ModelServerProcess([{"reply": {"txt": "typo"}}], tmp_path).start()


def test_calls_in_flight_are_counted_by_the_process(tmp_path) -> None:
    script = [{"reply": {"text": "slow", "delay": 0.4}}]
    with ModelServerProcess(script, tmp_path) as server:
        url = f"{server.v1}/chat/completions"
        threads = [threading.Thread(target=httpx.post, args=(url,), kwargs={"json": HELLO}) for _ in range(3)]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        assert server.state()["max_calls_in_flight"] == 3
