from collections.abc import Mapping
from pathlib import Path

import pytest

from nodes.text.rendering import render
from tests.integration.jobs import SLUGIFY, SLUGS, do, openai, settings_with
from tests.modelserver.competent import CompetentScript
from tests.modelserver.server import ModelServer
from tests.repositories import make_repository

OTHER = {
    "shop/__init__.py": "",
    "shop/price.py": "def net(price):\n    return price\n",
    "tests/test_price.py": "from shop.price import net\n\n\ndef test_net():\n    assert net(1) == 1\n",
}
GROSS = {
    "shop/gross.py": "def gross(price):\n    return price * 1.2\n",
    "tests/test_gross.py": "from shop.gross import gross\n\n\ndef test_gross():\n    assert gross(10) == 12\n",
}
STAGES = {"RoutingDecision", "Scope", "Plan", "QAVerdict", "ReportNarrative", "StepSummary"}
CODER = render("implement/system")


async def system_prompts(repo: Path, task: str, files: Mapping[str, str]) -> dict[str, set[str]]:
    """What each stage was told first, over the wire; the coding loop is told apart by its tools."""
    told: dict[str, set[str]] = {}
    with ModelServer(CompetentScript(files=files)) as server:
        outcome = await do(repo, task, settings_with(openai(server.v1)))
        assert outcome.exit_code == 0
        for request in server.requests:
            if request.messages:
                system = "".join(message.text for message in request.messages if message.role == "system")
                told.setdefault(request.title or ("loop" if request.tools else "words"), set()).add(system)
    return told


@pytest.mark.slow
async def test_what_a_server_may_keep_in_its_cache_is_the_same_in_every_run(tmp_path: Path) -> None:
    """A prompt cache works on equal beginnings: nothing of a run may stand before the part that never changes."""
    slugs, shop = make_repository(tmp_path / "slugs", SLUGS), make_repository(tmp_path / "shop", OTHER)
    first = await system_prompts(slugs, "Add a function slugify with tests", SLUGIFY)
    second = await system_prompts(shop, "Add a function gross with tests", GROSS)
    assert set(first) == set(second) >= {*STAGES, "loop"}
    assert {title: first[title] for title in STAGES} == {title: second[title] for title in STAGES}
    assert all(len(first[title]) == 1 for title in STAGES)
    assert first["loop"] != second["loop"]
    assert all(prompt.startswith(CODER) for prompt in first["loop"] | second["loop"])
