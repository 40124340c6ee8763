"""Who may come in through the door of an HTTP server."""

from typing import Any

import httpx
import pytest

from rolecall.web.http_guard import AsgiScope, HttpGuard, Receive, Send, client_url

TOKEN = "t0ken-of-this-server"
HOME = "http://127.0.0.1:2024"
ALLOWED = "https://studio.example"


async def inside(scope: AsgiScope, receive: Receive, send: Send) -> None:
    """Answers with what reached it."""
    names = {name.decode() for name, _ in scope["headers"]}
    body = f"{scope['method']} {scope['path']} {scope['raw_path'].decode()} {'x-api-key' in names}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def asked(method: str = "GET", path: str = "/threads", **request: Any) -> httpx.Response:
    door = HttpGuard(inside, token=TOKEN, origins=[ALLOWED])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url=HOME) as client:
        return await client.request(method, path, **request)


@pytest.mark.parametrize("headers", [{"x-api-key": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}])
async def test_a_client_with_the_token_comes_in_and_the_token_stays_outside(headers: dict[str, str]) -> None:
    answer = await asked("POST", "/runs", headers=headers, json={})
    assert (answer.status_code, answer.text) == (200, "POST /runs /runs False")


async def test_the_address_can_carry_the_token() -> None:
    answer = await asked(path=client_url("", TOKEN) + "/threads/a%20b")
    assert answer.text == "GET /threads/a b /threads/a%20b False"
    assert (await asked(path="/t/wrong/threads")).status_code == 401


@pytest.mark.parametrize(("status", "request_"), [
    (401, {}),
    (401, {"headers": {"x-api-key": ""}}),
    (401, {"headers": {"Authorization": "Bearer wrong"}}),
    (421, {"headers": {"x-api-key": TOKEN, "Host": "evil.example:2024"}}),
    (421, {"headers": {"x-api-key": TOKEN, "Host": ""}}),
    (403, {"headers": {"x-api-key": TOKEN, "Origin": "https://evil.example"}}),
    (403, {"headers": {"x-api-key": TOKEN, "Origin": "http://127.0.0.1:9999"}}),
    (403, {"headers": {"x-api-key": TOKEN, "Origin": "null"}}),
    (403, {"headers": [("x-api-key", TOKEN), ("Origin", ALLOWED), ("Origin", "https://evil.example")]}),
    (403, {"headers": {"x-api-key": TOKEN, "Sec-Fetch-Site": "cross-site"}}),
    (415, {"method": "POST", "headers": {"x-api-key": TOKEN, "Content-Type": "text/plain"}, "content": "{}"}),
    (415, {"method": "POST", "headers": {"x-api-key": TOKEN}, "content": "{}"}),
    (415, {"method": "POST", "headers": {"x-api-key": TOKEN}, "data": {"a": "b"}}),
])  # fmt: skip
async def test_nobody_else_comes_in(status: int, request_: dict[str, Any]) -> None:
    assert (await asked(**request_)).status_code == status


@pytest.mark.parametrize("origin", [HOME, ALLOWED])
async def test_the_servers_own_pages_and_those_allowed_come_in(origin: str) -> None:
    assert (await asked(headers={"x-api-key": TOKEN, "Origin": origin})).status_code == 200


async def test_health_needs_no_token_and_a_browser_may_ask_beforehand() -> None:
    before = {"Origin": ALLOWED, "Access-Control-Request-Method": "POST"}
    assert (await asked(path="/ok")).status_code == 200
    assert (await asked("OPTIONS", headers=before)).status_code == 200
    assert (await asked("OPTIONS", headers={**before, "Origin": "https://evil.example"})).status_code == 403
    assert (await asked("OPTIONS")).status_code == 401
