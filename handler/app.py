"""The Lambda entry point: recognises the event by its full fingerprint, routes it, returns the answer.

What the common request needs is loaded when this module is imported, in Lambda's init phase. What is rare (the HTTP
adapter, S3) is imported by the first event that needs it.
"""

# ruff: noqa: E402 - the garbage collector is off before anything is imported
from __future__ import annotations

import gc
import os
from functools import cache
from typing import TYPE_CHECKING, Any

gc.disable()  # nothing that init makes is garbage, and looking for it takes a twentieth of init

from handler import observability
from handler.dialects import native
from handler.errors import InternalError, InvalidRequest, RerankError
from handler.runtime import SETTINGS, rank, ranker

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext


def lambda_handler(event: Any, context: LambdaContext) -> Any:
    """Answer any event that this function may receive.

    HTTP events always get a response with a status. Everything else returns the native response body, or raises an
    exception of ``handler.errors``, whose class name is what Step Functions matches.
    """
    observability.logger.append_keys(request_id=context.aws_request_id)
    return _route(event)(event, context)


def _route(event: Any) -> Callable[[Any, LambdaContext], Any]:
    if not isinstance(event, dict):
        return _direct
    if event.get("source") == "aws.events" or event.get("warmup") is True:
        return _warm
    if is_http(event):
        return _http
    if is_batch(event):
        return _batch
    return _direct


def is_http(event: dict[str, Any]) -> bool:
    """Whether ``event`` is an HTTP request from API Gateway (payload 1.0 or 2.0), a Function URL or an ALB.

    A caller's own payload may hold one of the names by chance, so the whole fingerprint must fit.
    """
    context = event.get("requestContext")
    if not isinstance(context, dict) or not isinstance(event.get("headers", {}), dict | None):
        return False
    if event.get("version") == "2.0":
        http = context.get("http")
        return isinstance(http, dict) and isinstance(http.get("method"), str) and isinstance(event.get("rawPath"), str)
    has_method = isinstance(event.get("httpMethod"), str) and isinstance(event.get("path"), str)
    return has_method and (isinstance(event.get("resource"), str) or isinstance(context.get("elb"), dict))


def is_batch(event: dict[str, Any]) -> bool:
    """Whether ``event`` is a step of the batch state machine, or what any Distributed Map's ItemBatcher makes."""
    if "query" in event:
        return False
    if isinstance(event.get("Items"), list) and isinstance(event.get("BatchInput"), dict):
        return True
    return event.get("step") in {"join", "plan", "finish"}


def _direct(event: Any, context: LambdaContext) -> dict[str, Any]:
    def answer() -> dict[str, Any]:
        request = native.parse(event)
        ranking = rank(request, context.get_remaining_time_in_millis)
        observability.record_ranking(ranking, "direct")
        return native.render(ranking, request)

    return _guarded(answer, "direct", context)


def _batch(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    def answer() -> dict[str, Any]:
        from handler.steps import take

        return take(event, context.get_remaining_time_in_millis)

    return _guarded(answer, "batch", context)


def _guarded(answer: Callable[[], dict[str, Any]], dialect: str, context: LambdaContext) -> dict[str, Any]:
    """``answer()``, raising nothing but the errors that this service names."""
    try:
        return answer()
    except RerankError as error:
        observability.record_rejection(error, dialect)
        raise
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic in the tokenizer; it may quote text
        observability.record_failure(error)
        raise InternalError(f"internal error, request {context.aws_request_id}") from None


def _http(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    from handler.dialects.protocol import superset_error
    from handler.exchange import to_json

    try:
        return _adapter()(event, context)
    except Exception as error:  # noqa: BLE001 - mangum trusts the gateway; a hand-made event need not deserve it
        observability.record_failure(error)
        body = to_json(superset_error(InvalidRequest("malformed HTTP event"), context.aws_request_id))
        return {"statusCode": 400, "headers": {"content-type": "application/json"}, "body": body.decode()}


@cache
def _adapter() -> Callable[[Any, Any], dict[str, Any]]:
    import asyncio

    from mangum import Mangum

    from handler.asgi import app

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    adapter = Mangum(app, lifespan="off")  # lifespan events would run at every invocation

    def answer(event: Any, context: Any) -> dict[str, Any]:
        asyncio.set_event_loop(loop)  # mangum takes the current one, which something else may have put away
        return adapter(event, context)

    return answer


def _warm(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """A scheduled event that keeps an environment warm has done its work by arriving."""
    return {"warm": True}


ranker()  # a missing or corrupt model fails init, not the first request
if SETTINGS.preload_http:
    _adapter()
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    import handler.snapstart  # noqa: F401 - importing it registers its hooks
gc.freeze()  # what init made stays for good: no later collection looks through it
gc.enable()
