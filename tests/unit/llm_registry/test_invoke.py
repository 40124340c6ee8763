"""What is left of a call that failed in the middle of its stream."""

import asyncio
import gc
import types
from pathlib import Path

import pytest

from core.errors import ModelError
from tests.modelserver.faults import Fault
from tests.modelserver.reply import fail
from tests.modelserver.server import ModelServer
from tests.unit.llm_registry.rig import HELLO, SITE, chat_spec, registry


@pytest.mark.parametrize("fault", [Fault.INVALID_SSE, Fault.MALFORMED_BODY])
async def test_no_half_read_stream_stays_behind(tmp_path: Path, fault: Fault) -> None:
    with ModelServer(lambda _: fail(fault)) as server:
        async with registry({"primary": chat_spec(server)}, tmp_path) as models:
            gc.collect()
            gc.disable()
            try:
                with pytest.raises(ModelError):
                    await models.chat("primary", HELLO, site=SITE)
                # Streams are closed by the loop, one after another.
                await asyncio.sleep(0.05)
                half_read = [
                    found.__qualname__
                    for found in gc.get_objects()
                    if isinstance(found, types.AsyncGeneratorType) and found.ag_frame and "aiter" in found.__qualname__
                ]
            finally:
                gc.enable()
    assert half_read == []
