"""A scripted model server as a process of its own: `python -m tests.modelserver --script FILE`."""

import argparse
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.modelserver.app import Endpoint
from tests.modelserver.competent import competent_from
from tests.modelserver.info import Settings, Shape
from tests.modelserver.record import Record
from tests.modelserver.script import load_script
from tests.modelserver.server import listening


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; the first line printed is the URL."""
    options = _parser().parse_args(argv)
    settings = Settings(
        shape=options.shape,
        models=tuple(options.model or ["scripted"]),
        context=options.context,
        api_key=options.api_key,
        responses=not options.no_responses,
        strict_models=options.strict_models,
        enforce_context=options.enforce_context,
    )
    script = load_script(options.script, competent_from)
    asyncio.run(_serve(Endpoint(script, settings, Record()), options.port))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.modelserver", description=__doc__)
    parser.add_argument("--script", type=Path, required=True, help="JSON file; see script.py")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--shape", type=Shape, choices=list(Shape), default=Shape.OPENAI)
    parser.add_argument("--model", action="append", help="a model it lists; may be repeated")
    parser.add_argument("--context", type=int, default=32768, help="window in tokens")
    parser.add_argument("--api-key", default="", help="ask for this key")
    parser.add_argument("--no-responses", action="store_true", help="/v1/responses is a 404")
    parser.add_argument("--strict-models", action="store_true", help="unknown models are a 404")
    parser.add_argument("--enforce-context", action="store_true", help="refuse longer prompts")
    return parser


async def _serve(endpoint: Endpoint, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with listening(endpoint, port) as taken:
        print(f"http://127.0.0.1:{taken}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    main()
