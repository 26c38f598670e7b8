"""The HTTP application: mangum adapts it on Lambda, uvicorn serves it locally.

It is a bare ASGI callable: a framework would cost more to import than the model takes to load. Everything but the
reading of the body is one synchronous function, ``respond``, from a ``Call`` to a ``Reply``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any

from handler import observability
from handler.auth import KEY_HEADERS, authorise
from handler.contract import MAX_BODY_BYTES
from handler.dialects.protocol import Dialect, superset_error
from handler.dialects.registry import Route, detect, find_route, split_prefix
from handler.errors import (
    InternalError,
    MethodNotAllowed,
    Overloaded,
    RerankError,
    RouteNotFound,
    aws_error_name,
    http_answer,
)
from handler.exchange import Call, Reply, decode, to_json
from handler.pages import PAGES
from handler.runtime import SETTINGS, rank

if TYPE_CHECKING:
    from concurrent.futures import Executor

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Off Lambda requests wait their turn for the one core. A client gives up or retries long before a longer queue ends.
MAX_IN_FLIGHT = 16
_in_flight = 0


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI entry point."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    call, reply = await _answer(scope, receive)
    body = reply.body if isinstance(reply.body, bytes) else to_json(reply.body)
    headers = {"content-type": "application/json", "x-request-id": call.request_id, **reply.headers}
    headers["content-length"] = str(len(body))
    headers |= _cors(call)
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if call.method == "HEAD" else body})


async def _answer(scope: Scope, receive: Receive) -> tuple[Call, Reply]:
    """On Lambda an environment gets one event at a time; elsewhere many may come at once, and wait in a short line."""
    global _in_flight  # noqa: PLW0603 - the event loop's own count, changed by it alone
    if "aws.context" in scope or scope["method"] != "POST":
        call = await _read(scope, receive)
        return call, respond(call)
    if _in_flight >= MAX_IN_FLIGHT:
        call = await _read(scope, receive, limit=0)
        return call, _refuse(Overloaded("too many requests at once, please try again later"), None, call)
    _in_flight += 1
    try:
        import asyncio

        call = await _read(scope, receive)
        return call, await asyncio.get_running_loop().run_in_executor(_worker(), respond, call)
    finally:
        _in_flight -= 1


@cache
def _worker() -> Executor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="rank")


def respond(call: Call) -> Reply:
    """The answer to ``call``, whatever happens: no exception leaves this function."""
    dialect: Dialect | None = None
    try:
        if call.method == "OPTIONS":
            return Reply(204, b"")
        path = normalise(call.path)
        page = PAGES.get(path) or PAGES.get(split_prefix(path)[1])
        if page is not None and call.method in {"GET", "HEAD"}:
            return page()
        route = find_route(path)
        if route is None and page is None:
            raise RouteNotFound("no such route")
        if route is None or call.method != "POST":
            raise MethodNotAllowed(f"this route takes {_allowed(route is not None, page is not None)}")
        dialect = route.dialect
        authorise(call.headers, SETTINGS)
        body = decode(call)
        dialect = dialect or detect(call.headers, body)
        return _rerank(call, dialect, body, route)
    except RerankError as error:
        return _refuse(error, dialect, call)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic in the tokenizer is no Exception, and must not end the process
        observability.record_failure(error)
        return _refuse(InternalError(f"internal error, request {call.request_id}"), dialect, call)


def _rerank(call: Call, dialect: Dialect, body: object, route: Route) -> Reply:
    request = dialect.parse({**route.fields, **body} if isinstance(body, dict) else body)
    try:
        ranking = rank(request, call.remaining_ms)
    except RerankError as error:
        raise dialect.in_its_words(error) from error
    observability.record_ranking(ranking, dialect.name)
    timings = ranking.timings
    # The headers of text-embeddings-inference, in its units: whole milliseconds.
    return Reply(
        200,
        dialect.render(ranking, request),
        {
            "x-compute-tokens": str(ranking.usage.tokens),
            "x-total-time": str(round(timings.total)),
            "x-tokenization-time": str(round(timings.encode)),
            "x-inference-time": str(round(timings.score)),
        },
    )


def _refuse(error: RerankError, dialect: Dialect | None, call: Call) -> Reply:
    observability.record_rejection(error, dialect.name if dialect else "http")
    render = dialect.render_error if dialect else superset_error
    answer = http_answer(error)
    headers = {"x-amzn-errortype": aws_error_name(answer.status)}  # boto3 raises its typed exception by this header
    if answer.status in {429, 503}:
        headers["retry-after"] = "1"
    elif answer.status == 401:
        headers["www-authenticate"] = "Bearer"
    elif answer.status == 405:
        headers["allow"] = error.message.removeprefix("this route takes ")
    return Reply(answer.status, render(error, call.request_id), headers)


def _allowed(post: bool, get: bool) -> str:
    return ", ".join([*(["GET", "HEAD"] if get else []), *(["POST"] if post else []), "OPTIONS"])


def normalise(path: str) -> str:
    """``path`` without doubled or trailing slashes (clients append to base URLs carelessly, and none follows a
    redirect) and without the base path that a custom domain or a stage puts before it.
    """
    path = "/" + "/".join(part for part in path.split("/") if part)
    rest = path.removeprefix(SETTINGS.base_path)
    return (rest or "/") if rest != path and rest[:1] in {"", "/"} else path


async def _read(scope: Scope, receive: Receive, limit: int = MAX_BODY_BYTES) -> Call:
    """The request with its body, of which no more than the limit and one chunk is kept."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if len(body) <= limit:
            body += message.get("body", b"")
        more = message.get("more_body", False)
    context = scope.get("aws.context")
    return Call(
        method=scope["method"].upper(),
        path=scope["path"],
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=bytes(body),
        request_id=getattr(context, "aws_request_id", None) or os.urandom(16).hex(),
        remaining_ms=getattr(context, "get_remaining_time_in_millis", None),
    )


async def _lifespan(receive: Receive, send: Send) -> None:
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def _cors(call: Call) -> dict[str, str]:
    origin = call.headers.get("origin", "")
    if origin not in SETTINGS.cors_origins and "*" not in SETTINGS.cors_origins:
        return {}
    if not re.fullmatch(r"[\x21-\x7e]+", origin):
        return {}
    return {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET,POST,OPTIONS",
        "access-control-allow-headers": ",".join((*KEY_HEADERS, "content-type")),
        "access-control-max-age": "600",
        "vary": "origin",
    }
