"""The words of the service as values, the limits, and the one JSON Schema of a native request.

``RankRequest`` is what every dialect parses into and ``Ranking`` what every dialect renders from; nothing else
crosses the line between the wire and the ranker. The schema is compiled when it changes (``make openapi``), since that
takes a tenth of init; Powertools' ``validate()`` compiles at every call and quotes the caller's data in its message.
Values are named tuples: to make a frozen dataclass takes seven times as long, and a dozen of them a tenth of init.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import fastjsonschema

from handler import request_validator
from handler.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_BODY_BYTES = 6 * 1024 * 1024  # Lambda's own limit for a synchronous request
MAX_PASSAGES = 1_000
MAX_PASSAGE_CHARS = 100_000
MAX_REQUEST_CHARS = 5_000_000
MAX_QUERY_CHARS = 100_000
MAX_NESTING = 32
MAX_INTEGER_BITS = 1023  # more than that, and it is no double any more

# White space is not the same to every reader of the contract: Python, ECMAScript and Rust each count others in.
NOT_BLANK = r"[^\s\u001c-\u001f\u0085\ufeff]"

MIN_CHUNK_TOKENS = 16
# Chunks that fill the window, and the best of them: against chunks of 256, 128 and 64 tokens and against means, nDCG@10
# on scifact and nfcorpus was the best or within 0.01 of it. Documents of ten texts each went from 0.35, cut at the
# window, to 0.33, and with ``chunk_tokens`` 128 to 0.44: small chunks serve long documents on many topics, for a third
# more tokens (``make eval-answers``).
DEFAULT_OVERLAP_TOKENS = 32
DEFAULT_MAX_CHUNKS = 10
DEFAULT_CUT = 20

Aggregation = Literal["max", "mean", "first", "top_k_mean"]


class Passage(NamedTuple):
    """A candidate text. ``id`` and ``meta`` come back as the caller gave them.

    ``score`` (higher is better) or ``rank`` (from 1) is what the first stage said of it.
    """

    text: str
    id: str | int | None = None
    meta: Mapping[str, Any] | None = None
    score: float | None = None
    rank: int | None = None


class Chunking(NamedTuple):
    """How a passage longer than ``chunk_tokens`` is scored; None stands for all that the model's window holds.

    It is split into chunks that overlap by ``overlap_tokens``, at most ``max_chunks_per_doc`` of them over at most
    ``max_tokens_per_doc`` tokens; their logits become one by ``mode`` (``top_k`` serves ``top_k_mean`` alone).
    """

    mode: Aggregation = "max"
    max_chunks_per_doc: int = DEFAULT_MAX_CHUNKS
    max_tokens_per_doc: int | None = None
    chunk_tokens: int | None = None
    overlap_tokens: int = DEFAULT_OVERLAP_TOKENS
    top_k: int = 3


class Fusion(NamedTuple):
    """How first-stage evidence joins the model's score, ``weight`` of the one and ``1 - weight`` of the other.

    ``weighted`` adds z-scores over the request's passages; ``rrf`` is reciprocal rank fusion with constant ``k``
    (Cormack, Clarke and Buettcher, SIGIR 2009), of which ``weight`` 0.5 is the original. BM25's z-scores at 0.1
    gained on three of four dev sets and lost .0002 on the other; ``make eval-answers WHAT=fusion`` compares them.
    """

    method: Literal["rrf", "weighted"] = "weighted"
    weight: float = 0.1
    k: int = 60


class Highlighting(NamedTuple):
    """Asks for the sentences that carry a passage's score: at most ``max_spans``, of ``threshold`` or more."""

    threshold: float = 0.1
    max_spans: int = 3


class RankRequest(NamedTuple):
    """One query with its candidate passages, and what the caller wants back. Passages keep the caller's order.

    With two ``models`` the second reorders the first ``cut`` passages of the first one's order.
    """

    query: str
    passages: tuple[Passage, ...]
    top_n: int | None = None
    return_passages: bool = False
    raw_scores: bool = False
    score_threshold: float | None = None
    min_results: int = 0
    model: str | None = None
    models: tuple[str, ...] = ()
    cut: int = DEFAULT_CUT
    deadline_ms: int | None = None
    on_deadline: Literal["partial", "error"] = "partial"
    truncation: Literal["auto", "error"] = "auto"
    chunking: Chunking = Chunking()
    fusion: Fusion | None = None
    highlighting: Highlighting | None = None
    dry_run: bool = False


class Span(NamedTuple):
    """A stretch of a passage in Unicode code points, ``[start, end)``, with its relevance score."""

    start: int
    end: int
    score: float


class BestChunk(NamedTuple):
    """The chunk of a passage that scored highest, as a :class:`Span`; ``index`` is its place among the chunks."""

    start: int
    end: int
    score: float
    index: int  # type: ignore[assignment] # nobody needs tuple.index here


class Result(NamedTuple):
    """One passage's place in a ranking.

    ``index`` is its position in the request; ``score`` is what the caller asked for (sigmoid by default, the logit
    with ``raw_scores``, a fused score with ``fusion``), always finite. ``model_score`` is the model's alone, on the
    same scale, and what a threshold is held against. ``scored`` is false where the deadline came first:
    ``model_score`` and ``logit`` are None, and ``score`` is a stand-in below every real one. ``tokens_in`` and
    ``tokens_used`` differ where the passage was cut; ``chunks`` counts the pieces scored, and ``best_chunk`` is there
    where they are several or do not hold the whole.
    """

    index: int  # type: ignore[assignment] # nobody needs tuple.index here
    passage: Passage
    score: float
    logit: float | None
    model_score: float | None = None
    scored: bool = True
    tokens_in: int = 0
    tokens_used: int = 0
    chunks: int = 1
    best_chunk: BestChunk | None = None
    spans: tuple[Span, ...] | None = None


class Usage(NamedTuple):
    """What a request cost: passages given, tokens put through the model (padding excluded), chunks scored, passages
    of which tokens were left out, and whether the query was cut.

    Of a model that is a service, ``usd`` is its price and ``repaired`` counts its answers that had to be mended.
    """

    passages: int
    tokens: int
    chunks: int
    truncated: int
    query_truncated: bool = False
    usd: float | None = None
    repaired: int = 0


class Timings(NamedTuple):
    """Milliseconds spent tokenising, in the model, in all, and (part of the whole) on highlights."""

    encode: float
    score: float
    total: float
    highlight: float = 0.0


class ModelId(NamedTuple):
    """Which weights answered."""

    name: str
    revision: str


class Estimate(NamedTuple):
    """What a dry run foretells: milliseconds to rank, and Lambda's price in US dollars at ``memory_mb`` of memory."""

    milliseconds: float
    usd: float
    memory_mb: int


class Ranking(NamedTuple):
    """The answer: results by descending score (ties keep input order), and how it came about."""

    results: tuple[Result, ...]
    model: ModelId
    usage: Usage
    timings: Timings
    unscored: int = 0
    estimate: Estimate | None = None

    @property
    def partial(self) -> bool:
        """Whether the deadline left passages unscored."""
        return self.unscored > 0


_POSITIVE = {"type": "integer", "minimum": 1}

RANK_REQUEST_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "RankRequest",
    "type": "object",
    "required": ["query", "passages"],
    "properties": {
        "query": {
            "type": "string",
            "pattern": NOT_BLANK,
            "maxLength": MAX_QUERY_CHARS,
            "description": f"a string of 1 to {MAX_QUERY_CHARS:,} characters, not only white space",
        },
        "passages": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_PASSAGES,
            "description": f"a list of 1 to {MAX_PASSAGES:,} passages",
            "items": {
                "type": ["string", "object"],
                "maxLength": MAX_PASSAGE_CHARS,
                "required": ["text"],
                "description": f"a string of at most {MAX_PASSAGE_CHARS:,} characters or an object with such a `text`",
                "properties": {
                    "text": {
                        "type": "string",
                        "maxLength": MAX_PASSAGE_CHARS,
                        "description": f"a string of at most {MAX_PASSAGE_CHARS:,} characters",
                    },
                    "id": {"type": ["string", "integer", "null"], "description": "a string or an integer"},
                    "meta": {"type": ["object", "null"], "description": "an object"},
                    "score": {"type": ["number", "null"], "description": "a number, the first stage's score"},
                    "rank": {
                        "type": ["integer", "null"],
                        "minimum": 1,
                        "description": "an integer of at least 1, the first stage's rank",
                    },
                },
            },
        },
        "top_n": {**_POSITIVE, "description": "an integer of at least 1"},
        "top_k": {**_POSITIVE, "description": "an integer of at least 1"},  # another name of top_n
        "return_passages": {"type": "boolean", "description": "true or false"},
        "raw_scores": {"type": "boolean", "description": "true or false"},
        "score_threshold": {"type": "number", "description": "a number"},
        "min_results": {"type": "integer", "minimum": 0, "description": "an integer of at least 0"},
        "model": {"type": "string", "minLength": 1, "maxLength": 256, "description": "a model name"},
        "models": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {"type": "string", "minLength": 1, "maxLength": 256, "description": "a model name"},
            "description": "a list of one or two model names",
        },
        "cut": {**_POSITIVE, "description": "an integer of at least 1"},
        "deadline_ms": {**_POSITIVE, "description": "an integer of at least 1, in milliseconds"},
        "on_deadline": {"enum": ["partial", "error"], "description": '"partial" or "error"'},
        "truncation": {"enum": [True, False, "auto", "error"], "description": 'true, false, "auto" or "error"'},
        "chunking": {
            "type": "object",
            "description": "an object",
            "properties": {
                "mode": {
                    "enum": ["max", "mean", "first", "top_k_mean"],
                    "description": '"max", "mean", "first" or "top_k_mean"',
                },
                "max_chunks_per_doc": {**_POSITIVE, "description": "an integer of at least 1"},
                "max_tokens_per_doc": {**_POSITIVE, "description": "an integer of at least 1"},
                "chunk_tokens": {
                    "type": "integer",
                    "minimum": MIN_CHUNK_TOKENS,
                    "description": f"an integer of at least {MIN_CHUNK_TOKENS}",
                },
                "overlap_tokens": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 128,
                    "description": "an integer from 0 to 128",
                },
                "top_k": {**_POSITIVE, "description": "an integer of at least 1"},
            },
        },
        "fusion": {
            "type": "object",
            "description": "an object",
            "properties": {
                "method": {"enum": ["rrf", "weighted"], "description": '"rrf" or "weighted"'},
                "weight": {"type": "number", "minimum": 0, "maximum": 1, "description": "a number from 0 to 1"},
                "k": {**_POSITIVE, "description": "an integer of at least 1"},
            },
        },
        "relevant_spans": {
            "type": "object",
            "description": "an object",
            "properties": {
                "mode": {"enum": ["enabled", "disabled"], "description": '"enabled" or "disabled"'},
                "threshold": {"type": "number", "minimum": 0, "maximum": 1, "description": "a number from 0 to 1"},
                "max_spans": {**_POSITIVE, "description": "an integer of at least 1"},
            },
        },
        "dry_run": {"type": "boolean", "description": "true or false"},
    },
}


_validate_request: Callable[[Any], Any] = request_validator.validate


def validate_request(body: Mapping[str, Any]) -> None:
    """Hold ``body`` against ``RANK_REQUEST_SCHEMA``.

    Raises ``InvalidRequest`` naming the field and what it must be; the value at fault is left out.
    """
    try:
        _validate_request(body)
    except fastjsonschema.JsonSchemaValueException as error:
        field_name = error.name.removeprefix("data").removeprefix(".") or "body"
        if error.rule == "required":
            missing = next(name for name in error.rule_definition if name not in _at(body, error.path[1:]))
            path = missing if field_name == "body" else f"{field_name}.{missing}"
            raise InvalidRequest(f"{path} is required", path) from None
        expected = error.definition.get("description", "valid")
        raise InvalidRequest(f"{field_name} must be {expected}", field_name) from None


def _at(value: Any, path: list[Any]) -> Any:
    for key in path:
        value = value[int(key) if isinstance(value, list) else key]
    return value


def check_json(value: object) -> None:
    """Refuse what JSON text can carry but an answer cannot: every string, key and number of ``value`` is looked at.

    Raises ``InvalidRequest`` for nesting deeper than ``MAX_NESTING``, a string with a lone surrogate (echoing one
    kills Lambda's runtime client) and a number that is not finite or too long to be a double. One pass over
    everything, so that no field, known or unknown, is left out.
    """
    stack: list[tuple[dict[str, object] | list[object], int, _Path]] = []
    if isinstance(value, dict | list):
        stack.append((value, 1, None))
    else:
        _check_leaf(value, None)
    while stack:
        node, depth, path = stack.pop()
        if depth > MAX_NESTING:
            name = _dotted(path, limit=3)
            raise InvalidRequest(f"{name} is nested deeper than {MAX_NESTING} levels", name)
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(key, str):
                _check_leaf(key, path)
            if isinstance(child, dict | list):
                stack.append((child, depth + 1, (path, key)))
            elif not isinstance(child, str) or not child.isascii():  # most texts are, and cost no path
                _check_leaf(child, (path, key))


_Path = tuple[Any, "str | int"] | None


def _check_leaf(leaf: object, path: _Path) -> None:
    too_long = isinstance(leaf, int) and leaf.bit_length() > MAX_INTEGER_BITS
    if too_long or (isinstance(leaf, float) and not isfinite(leaf)):
        raise InvalidRequest(f"{_dotted(path)} must be a finite number", _dotted(path))
    if isinstance(leaf, str) and not leaf.isascii():
        try:
            leaf.encode()
        except UnicodeEncodeError:
            raise InvalidRequest(f"{_dotted(path)} holds a lone surrogate", _dotted(path)) from None


# Only names of the contract are ever repeated to the caller: a key of their own may hold anything.
_KNOWN_NAMES = frozenset(RANK_REQUEST_SCHEMA["properties"]) | {
    "documents", "id", "input", "inputs", "meta", "queries", "rank", "score", "sources", "text", "texts",
}  # fmt: skip


def _dotted(path: _Path, limit: int = MAX_NESTING) -> str:
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step if step in _KNOWN_NAMES else '*'}")
    return "".join(steps[::-1][:limit]).removeprefix(".") or "body"
