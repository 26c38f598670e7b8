"""Every wire format served over HTTP, and which one a request is in.

Most routes belong to one dialect. On those that several vendors share, the body tells: ``DETECTION`` is asked in its
order. Where not even the body can tell (Infinity and vLLM want a document as a string and as an object, and send the
same request), the dialect's name before the path does: ``/infinity/rerank``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from handler.aliases import ALIASES
from handler.contract import RANK_REQUEST_SCHEMA
from handler.dialects import (
    bedrock,
    bedrock_runtime,
    cohere,
    elasticsearch,
    huggingface,
    infinity,
    jina,
    librechat,
    llamacpp,
    mixedbread,
    native,
    nvidia,
    onyx,
    pinecone,
    tei,
    vllm,
    vllm_score,
    voyage,
)
from handler.dialects.protocol import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NATIVE = Dialect(
    name="native",
    paths=("/rank",),
    passage=lambda passage, _: passage,
    document=RANK_REQUEST_SCHEMA["properties"]["passages"]["items"],
    render=native.render,
    example={
        "query": "What is the capital of France?",
        "passages": ["Paris is the capital of France.", {"id": "b", "text": "Cheese.", "meta": {"source": "menu"}}],
        "top_n": 2,
        "return_passages": True,
    },
)

DIALECTS: tuple[Dialect, ...] = (
    NATIVE,
    *(
        module.DIALECT
        for module in (
            cohere, jina, voyage, tei, huggingface, bedrock, bedrock_runtime, vllm, vllm_score, llamacpp, infinity,
            pinecone, nvidia, mixedbread, librechat, elasticsearch, onyx,
        )
    ),
)  # fmt: skip

# `/inference/v1` is Fireworks', `/invocations` and `/` are SageMaker's.
SHARED_PATHS = (
    "/rerank",
    "/v1/rerank",
    "/api/v1/rerank",
    "/inference/v1/rerank",
    "/reranking",
    "/v1/reranking",
    "/invocations",
    "/",
)


def _has(*names: str) -> Callable[[Mapping[str, str], Mapping[str, Any]], bool]:
    return lambda _, body: all(name in body for name in names)


def _from_voyage(_: Mapping[str, str], body: Mapping[str, Any]) -> bool:
    # Voyage's own client always sends both keys, null included; LiteLLM's sends neither, but Voyage's model names.
    return "documents" in body and ("top_k" in body or "truncation" in body or body.get("model") in ALIASES["voyage"])


DETECTION: tuple[tuple[Callable[[Mapping[str, str], Mapping[str, Any]], bool], Dialect], ...] = (
    (lambda headers, _: "x-pinecone-api-version" in headers, pinecone.DIALECT),
    (_has("texts"), tei.DIALECT),
    (_has("inputs"), huggingface.DIALECT),
    (_has("queries", "sources"), bedrock.DIALECT),
    (lambda _, body: "passages" in body and isinstance(body.get("query"), dict), nvidia.DIALECT),
    (_has("passages"), NATIVE),
    (_has("candidates"), librechat.DIALECT),
    (_has("input"), mixedbread.DIALECT),
    (_from_voyage, voyage.DIALECT),
    (lambda _headers, _body: True, cohere.DIALECT),
)


class Route(NamedTuple):
    """Where a path leads: to a dialect, or to detection where there is None; ``fields`` are what the path said."""

    dialect: Dialect | None
    fields: dict[str, str]


def detect(headers: Mapping[str, str], body: object) -> Dialect:
    """The dialect of a request on a shared path. ``headers`` has lower-case names."""
    fields = body if isinstance(body, dict) else {}
    return next(dialect for fits, dialect in DETECTION if fits(headers, fields))


def find_route(path: str) -> Route | None:
    """Where ``path`` leads, which has neither doubled nor trailing slashes; None where there is no such route."""
    forced, rest = split_prefix(path)
    if forced is not None and (rest in SHARED_PATHS or rest in cohere.DIALECT.paths):
        return Route(forced, {})
    if rest in SHARED_PATHS:
        return Route(None, {})
    if rest in _BY_PATH:
        return Route(_BY_PATH[rest], {})
    for pattern, dialect in _BY_PATTERN:
        if found := pattern.fullmatch(rest):
            return Route(dialect, {name: unquote(value) for name, value in found.groupdict().items()})
    return None


def split_prefix(path: str) -> tuple[Dialect | None, str]:
    """The dialect that the first segment of ``path`` names, if any, and the path without it."""
    first, _, rest = path[1:].partition("/")
    dialect = _BY_NAME.get(first)
    return (None, path) if dialect is None else (dialect, f"/{rest}")


def _pattern(path: str) -> re.Pattern[str]:
    # A model may have slashes in its name, as vendors' names and ARNs do.
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(path)))


_BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
_BY_PATH = {path: dialect for dialect in DIALECTS for path in dialect.paths if "{" not in path}
_BY_PATTERN = tuple((_pattern(path), dialect) for dialect in DIALECTS for path in dialect.paths if "{" in path)
