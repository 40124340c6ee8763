"""Gets one answer from one spec in whichever protocol and way its server supports. Owns no record and no retry."""

import asyncio
from traceback import clear_frames
from typing import Any

from llm_registry.calls.model_cache import ModelCache
from llm_registry.calls.output_limits import output_token_limit
from llm_registry.calls.requests import RoleRequest
from llm_registry.calls.streaming import EmptyStream, RawAnswer, invoke_unstreamed, stream_answer
from llm_registry.failures.error_mapping import classify_error
from llm_registry.failures.errors import CallFailure, ErrorKind
from llm_registry.providers.catalog import BuiltModel
from llm_registry.specs.role_chains import ChainLink


async def invoke_spec(shelf: ModelCache, link: ChainLink, ask: RoleRequest) -> RawAnswer:
    """Send the request and read the whole answer.

    Raises:
        CallFailure: The server gave no answer, or none that can be read.
    """
    built = await shelf.get(link, await shelf.api(link, structured=ask.structured))
    options = dict(ask.options)
    if (bound := output_token_limit(link, ask, shelf.window(link))) is not None:
        options["at_most"] = bound
    model: Any = built.model
    if ask.tools:
        choice = options.pop("tool_choice", None)
        model = model.bind_tools(list(ask.tools), **({"tool_choice": choice} if choice else {}))
    try:
        if not built.streams:
            return await invoke_unstreamed(model, ask.messages, options)
        if built.answers_whole and not await shelf.streams(link):
            return await _whole(link, ask, model, options)
        return await _stream(shelf, link, ask, built, model, options)
    except built.errors as error:
        failure = classify_error(error)
        _let_go(error)
        if failure.kind is ErrorKind.REFUSED and built.current is not None:
            # A server we start ourselves ended after it was found: the next try starts another.
            failure = CallFailure(ErrorKind.RESET, failure.message)
        raise failure from error


def _let_go(error: BaseException | None) -> None:
    """Release what an exception's frames hold: half-read library streams, which otherwise close much later."""
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


async def _stream(
    shelf: ModelCache, link: ChainLink, ask: RoleRequest, built: BuiltModel, model: Any, options: dict[str, Any]
) -> RawAnswer:
    try:
        heard = await stream_answer(model, ask.messages, link.spec.timeouts, options)
        shelf.streamed(link)
        return heard
    except EmptyStream as nothing:
        if not (built.answers_whole and shelf.silent_again(link)):
            raise CallFailure(ErrorKind.BAD_OUTPUT, "the server sent no answer at all") from nothing
    # A server, or a proxy before it, that takes no heed of `stream`: the answer in one piece is better than none.
    heard = await _whole(link, ask, model, options)
    await shelf.give_up_streams(link)
    return heard


async def _whole(link: ChainLink, ask: RoleRequest, model: Any, options: dict[str, Any]) -> RawAnswer:
    limit = min(link.spec.timeouts.first_token, link.spec.timeouts.total)
    try:
        async with asyncio.timeout(limit):
            return await invoke_unstreamed(model, ask.messages, options)
    except TimeoutError as error:
        raise CallFailure(ErrorKind.FIRST_TOKEN_TIMEOUT, f"no answer within {limit:g} s") from error
