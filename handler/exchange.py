"""One HTTP request and its response as values, and the way from bytes to JSON and back."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from json import dumps, loads
from typing import TYPE_CHECKING

from handler.contract import MAX_BODY_BYTES, MAX_NESTING
from handler.errors import InvalidRequest, PayloadTooLarge, UnsupportedEncoding

if TYPE_CHECKING:
    from collections.abc import Callable


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
