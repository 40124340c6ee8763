"""What the tests of the doctor share: a model that can do its tasks, and a diagnosis of a written configuration."""

import json
import re
from pathlib import Path

from core.config.loader import load_settings
from llm_registry.diagnosis.config_edits import ConfigOrigin
from llm_registry.diagnosis.doctor import Diagnosis, diagnose_roles
from tests.modelserver.reply import Reply, call, give, say
from tests.modelserver.request import ModelRequest


def able(request: ModelRequest) -> Reply:
    """A model that can do all three tasks."""
    if request.schema is not None:
        return give({"country": "Norway", "capital": "Oslo", "letters_in_capital": 4})
    if request.tools and request.messages[-1].role != "tool":
        return call("get_weather", city="Oslo")
    return say("18 degrees and rain, one, two, three")


def spec(url: str, **more: object) -> dict[str, object]:
    return {"provider": "openai_compatible", "model": "scripted", "base_url": url, **more}


async def diagnose(tmp_path: Path, llm: dict[str, object], *, live: bool = False) -> Diagnosis:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"llm": llm}, indent=1), encoding="utf-8")
    return await diagnose_roles(load_settings(config).settings, origin=ConfigOrigin(config), live=live)


def applied(config: Path, found: Diagnosis) -> None:
    """Do to the file what the remedies say, literally."""
    lines = config.read_text(encoding="utf-8").splitlines()
    added = 0
    for remedy in sorted(found.remedies, key=lambda one: int(re.findall(r":(\d+)", one.place)[0])):
        place = re.search(r":(\d+)(?:-(\d+))?(, below it|, in it)? \(", remedy.place)
        assert place, remedy
        first, last = int(place[1]) - 1 + added, int(place[2] or place[1]) + added
        if place[3] == ", in it":
            lines[first] = lines[first].replace("{}", f"{{{remedy.line}}}")
        elif place[3]:
            lines.insert(last, remedy.line)
            added += 1
        else:
            lines[first:last] = [remedy.line]
            added -= last - first - 1
    config.write_text("\n".join(lines), encoding="utf-8")
