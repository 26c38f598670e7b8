"""The HTTP application: mangum adapts it on Lambda, uvicorn serves it locally.

It is a bare ASGI callable: a framework would cost more to import than the model takes to load. Everything but the
reading of the body is one synchronous function, ``respond``, from a ``Call`` to a ``Reply``.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from json import dumps, loads
from typing import Any

from handler import observability
from handler.auth import authorise
from handler.contract import MAX_BODY_BYTES, MAX_NESTING
from handler.dialects.protocol import Dialect, superset_error
from handler.dialects.registry import DIALECTS
from handler.errors import (
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    PayloadTooLarge,
    RerankError,
    RouteNotFound,
    UnsupportedEncoding,
    http_answer,
)
from handler.runtime import SETTINGS, Clock, ranker

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, read whole. ``headers`` has lower-case names; ``remaining_ms`` is None off Lambda."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    request_id: str
    remaining_ms: Callable[[], int] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response. ``body`` is rendered as JSON unless it is bytes already."""

    status: int
    body: object
    headers: dict[str, str] = field(default_factory=dict)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI entry point."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    call = await _read(scope, receive)
    reply = respond(call)
    body = reply.body if isinstance(reply.body, bytes) else to_json(reply.body)
    headers = {"content-type": "application/json", "x-request-id": call.request_id, **reply.headers}
    headers["content-length"] = str(len(body))
    headers |= _cors(call)
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if call.method == "HEAD" else body})


def respond(call: Call) -> Reply:
    """The answer to ``call``, whatever happens: no exception leaves this function."""
    dialect: Dialect | None = None
    try:
        if call.method == "OPTIONS":
            return Reply(204, b"")
        path = normalise(call.path)
        page = _PAGES.get(path)
        if page is not None and call.method in {"GET", "HEAD"}:
            return page(call)
        dialect = _BY_PATH.get(path)
        if dialect is None and page is None:
            raise RouteNotFound("no such route")
        if dialect is None or call.method != "POST":
            raise MethodNotAllowed(f"this route takes {'GET' if dialect is None else 'POST'}")
        authorise(call.headers, SETTINGS)
        return _rerank(call, dialect)
    except RerankError as error:
        return _refuse(error, dialect, call)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic inside the tokenizer is no Exception, and must not end the process
        observability.record_failure(error)
        return _refuse(InternalError(f"internal error, request {call.request_id}"), dialect, call)


def _rerank(call: Call, dialect: Dialect) -> Reply:
    request = dialect.parse(decode(call))
    ranking = ranker().rank(request, Clock.start(request.deadline_ms, call.remaining_ms))
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
    headers = {"retry-after": "1"} if answer.status in {429, 503} else {}
    if answer.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Reply(answer.status, render(error, call.request_id), headers)


def normalise(path: str) -> str:
    """``path`` without doubled or trailing slashes: clients append to base URLs carelessly, and none follows a
    redirect.
    """
    return "/" + "/".join(part for part in path.split("/") if part)


def decode(call: Call) -> object:
    """The JSON body, whatever the content type says.

    Raises ``PayloadTooLarge``, ``UnsupportedEncoding``, or ``InvalidRequest`` where it is not JSON.
    """
    body = _inflate(call)
    try:
        return loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidRequest(f"body is nested deeper than {MAX_NESTING} levels") from None
    except ValueError:  # also bytes that are not UTF-8 and integers of thousands of digits
        raise InvalidRequest("body is not JSON") from None


def to_json(body: object) -> bytes:
    """JSON bytes of an answer. Raises ``ValueError`` for a number that is not finite: none may leave."""
    return dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _refuse_constant(_: str) -> None:
    raise InvalidRequest("body holds a number that is not finite")


def _inflate(call: Call) -> bytes:
    too_large = PayloadTooLarge(f"the body must hold at most {MAX_BODY_BYTES:,} bytes")
    if len(call.body) > MAX_BODY_BYTES:
        raise too_large
    encoding = call.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"identity", ""}:
        return call.body
    if encoding != "gzip":
        raise UnsupportedEncoding("content-encoding must be gzip or identity")
    inflater = zlib.decompressobj(wbits=31)
    try:
        body = inflater.decompress(call.body, MAX_BODY_BYTES)
    except zlib.error:
        raise InvalidRequest("body is not valid gzip") from None
    if inflater.unconsumed_tail:
        raise too_large
    if not inflater.eof:
        raise InvalidRequest("body is not valid gzip")
    return body


async def _read(scope: Scope, receive: Receive) -> Call:
    """The request with its body, of which no more than the limit and one chunk is kept."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if len(body) <= MAX_BODY_BYTES:
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
        "access-control-allow-headers": "authorization,content-type,x-api-key,api-key",
        "access-control-max-age": "600",
        "vary": "origin",
    }


def _health(_: Call) -> Reply:
    model = ranker().model_id
    return Reply(200, {"status": "ok", "model": {"name": model.name, "revision": model.revision}})


_PAGES: dict[str, Callable[[Call], Reply]] = {"/health": _health}
_BY_PATH = {path: dialect for dialect in DIALECTS for path in dialect.paths}
