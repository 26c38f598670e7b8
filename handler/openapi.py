"""The contract as an OpenAPI 3.1 document, made from what the code validates and renders with.

A request schema is the native one under the dialect's names; a response schema is read off what the dialect renders,
a field being required where even the shortest answer has it. So neither can say anything but what the code does.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from handler.contract import (
    MAX_BODY_BYTES,
    NOT_BLANK,
    RANK_REQUEST_SCHEMA,
    BestChunk,
    Estimate,
    ModelId,
    Ranking,
    Result,
    Span,
    Timings,
    Usage,
)
from handler.dialects.protocol import openai_error, superset_error
from handler.dialects.registry import DETECTION, DIALECTS, SHARED_PATHS
from handler.errors import HTTP_ANSWERS, InvalidRequest, RerankError

if TYPE_CHECKING:
    from collections.abc import Callable

    from handler.contract import RankRequest
    from handler.dialects.protocol import Body, Dialect

VERSION = "0.1.0"
_NATIVE: dict[str, Any] = RANK_REQUEST_SCHEMA["properties"]
_COMMON = [
    name for name in _NATIVE if not any(name in {*dialect.names, *dialect.names.values()} for dialect in DIALECTS)
]
_ERROR_BODIES: dict[Callable[[RerankError, str], object], str] = {superset_error: "Error", openai_error: "OpenAIError"}
_MODEL = {"name": "nano", "revision": "1"}
_PAGES: dict[str, tuple[str, Body]] = {
    "/health": ("Whether the model is loaded, and which one", {"status": "ok", "model": _MODEL}),
    "/ping": ("The same, as SageMaker asks", {"status": "ok", "model": _MODEL}),
    "/v1/health/live": ("The same, as NVIDIA's clients ask", {"status": "ok", "model": _MODEL}),
    "/v1/health/ready": ("The same, as NVIDIA's clients ask", {"status": "ok", "model": _MODEL}),
    "/info": (
        "What text-embeddings-inference says of itself",
        {"model_id": "nano", "model_type": {"reranker": {"id2label": {"0": "LABEL_0"}}}, "max_input_length": 512},
    ),
    "/v1/models": (
        "The model served, and the names that stand for it",
        {"object": "list", "data": [{"id": "nano", "object": "model", "created": 0, "owned_by": "lambda-rerank"}]},
    ),
    "/openapi.json": ("This document", {"openapi": "3.1.0"}),
}


@cache
def document() -> Body:
    """The whole contract as JSON values. The same object at every call: it is not to be changed."""
    paths: Body = {}
    for dialect in DIALECTS:
        for path in dialect.paths:
            paths[path] = {"post": _operation([dialect], path)}
    for path in SHARED_PATHS:
        paths[path] = {"post": _operation([dialect for _, dialect in DETECTION], path)}
    for dialect in DIALECTS:
        paths[f"/{dialect.name}/rerank"] = {"post": _operation([dialect], f"/{dialect.name}/rerank")}
    for path, (summary, example) in (_PAGES | {"/models": _PAGES["/v1/models"]}).items():
        paths[path] = {"get": _page(summary, example)}
    paths["/docs"] = {"get": {"summary": "This document, to read", "security": [], "responses": {"200": _HTML}}}
    paths.setdefault("/", {})["get"] = {
        "summary": "The playground, where it is switched on",
        "security": [],
        "responses": {"200": _HTML, "405": {"$ref": "#/components/responses/Error405"}},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lambda-rerank",
            "version": VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": (
                "One reranker in every wire format. On the routes that several vendors share, the body tells which "
                "format it is in; the name of a format before the path forces it, as in `/infinity/rerank`. Null "
                f"means absent, unknown fields are ignored, a body holds at most {MAX_BODY_BYTES:,} bytes."
            ),
        },
        "security": [{"bearer": []}, {"apiKey": []}, {"gatewayKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
                "gatewayKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
            "schemas": _schemas(),
            "examples": _examples(),
            "responses": _error_responses(),
        },
    }


_HTML: Body = {"description": "A page", "content": {"text/html": {"schema": {"type": "string"}}}}


def _operation(dialects: list[Dialect], path: str) -> Body:
    requests = [_ref(dialect, "Request") for dialect in dialects]
    responses = [_ref(dialect, "Response") for dialect in dialects]
    name = dialects[0].name if len(dialects) == 1 else "detected"
    family = _ERROR_BODIES[dialects[0].render_error] if len(dialects) == 1 else "Error"
    operation: Body = {
        "summary": f"Rank passages ({name})",
        "tags": [name],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": requests[0] if len(requests) == 1 else {"anyOf": requests},
                    "examples": {dialect.name: _ref(dialect, "Request", "examples") for dialect in dialects},
                }
            },
        },
        "responses": {
            "200": {
                "description": "The ranking",
                "content": {
                    "application/json": {
                        "schema": responses[0] if len(responses) == 1 else {"anyOf": responses},
                        "examples": {dialect.name: _ref(dialect, "Response", "examples") for dialect in dialects},
                    }
                },
            },
            **{code: {"$ref": f"#/components/responses/{family}{code}"} for code in _error_codes()},
        },
    }
    if "{model}" in path:
        operation["parameters"] = [
            {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        ]
    return operation


def _page(summary: str, example: Body) -> Body:
    content = {"application/json": {"schema": _schema_of(example, example), "example": example}}
    return {"summary": summary, "security": [], "responses": {"200": {"description": "OK", "content": content}}}


def _title(dialect: Dialect) -> str:
    return "".join(part.capitalize() for part in dialect.name.split("-"))


def _ref(dialect: Dialect, kind: str, room: str = "schemas") -> Body:
    return {"$ref": f"#/components/{room}/{_title(dialect)}{kind}"}


def _examples() -> Body:
    examples: Body = {}
    for dialect in DIALECTS:
        examples[f"{_title(dialect)}Request"] = {"value": dialect.example}
        examples[f"{_title(dialect)}Response"] = {"value": _answer(dialect)}
    return examples


def _schemas() -> Body:
    schemas: Body = {"Options": {"type": "object", "properties": {name: _or_null(_NATIVE[name]) for name in _COMMON}}}
    error: RerankError = InvalidRequest("query is required", "query")
    for render, name in _ERROR_BODIES.items():
        body: Any = render(error, "5f0c1f4e-6d1b-4a53-9f5e-0d3e5a1f7a11")
        schemas[name] = {**_schema_of(body, body), "example": body}
    schemas["OpenAIError"]["properties"]["error"]["properties"]["param"]["type"] = ["string", "null"]
    for dialect in DIALECTS:
        schemas[f"{_title(dialect)}Request"] = request_schema(dialect)
        schemas[f"{_title(dialect)}Response"] = _response_schema(dialect)
    return schemas


def _error_codes() -> list[str]:
    return sorted({str(answer.status) for answer in HTTP_ANSWERS.values()} - {"403", "405", "409"})


def _error_responses() -> Body:
    meanings = {answer.status: (error.__doc__ or "").split("\n")[0] for error, answer in HTTP_ANSWERS.items()}
    responses: Body = {}
    for name in _ERROR_BODIES.values():
        for code in (*_error_codes(), "405"):
            content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
            responses[f"{name}{code}"] = {"description": meanings[int(code)], "content": content}
            if code in {"429", "503"}:
                seconds = {"schema": {"type": "integer"}, "description": "Seconds to wait"}
                responses[f"{name}{code}"]["headers"] = {"Retry-After": seconds}
    return responses


def request_schema(dialect: Dialect) -> Body:
    """The JSON Schema of a request body in ``dialect``."""
    schema: Body = {"type": "object", "properties": {}, "required": []}
    names = {name: name for name in _NATIVE if name not in _COMMON} | dict(dialect.names)
    for name in ("passages", *(name for name in names if name != "passages")):
        _place(
            schema, names[name].replace("[0]", "[]").split("."), _field(name, dialect), name in {"query", "passages"}
        )
    if "document" in names["passages"] or names["passages"] == "input":
        fields = {"type": ["array", "null"], "minItems": 1, "items": {"type": "string"}}
        schema["properties"]["rank_fields"] = {**fields, "description": "the fields of a document that are ranked"}
    return {"allOf": [{"$ref": "#/components/schemas/Options"}, schema]}


def _field(name: str, dialect: Dialect) -> Body:
    head, _, part = name.partition(".")
    schema = _NATIVE[head]
    if part:
        schema = schema["properties"][part]
    if name == "model":  # some clients send an empty one for none
        schema = {key: value for key, value in schema.items() if key != "minLength"}
    if name == "passages":
        return {**schema, "items": dialect.document if dialect.allow_empty_passages else _not_empty(dialect.document)}
    return schema if name == "query" else _or_null(schema)


def _not_empty(schema: Any) -> Any:
    """``schema`` with every text in it not only white space."""
    if isinstance(schema, list):
        return [_not_empty(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    filled = {name: _not_empty(part) for name, part in schema.items()}
    return filled | {"pattern": NOT_BLANK} if schema.get("type") == "string" else filled


def _or_null(schema: Body) -> Body:
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    nullable = {**schema, "type": [schema["type"], "null"]}
    if "properties" in schema:
        nullable["properties"] = {name: _or_null(part) for name, part in schema["properties"].items()}
    return nullable


def _place(schema: Body, path: list[str], field: Body, required: bool) -> None:
    """Put ``field`` at ``path`` within the object ``schema``, making the objects and lists on the way."""
    name, rest = path[0].removesuffix("[]"), path[1:]
    if required and name not in schema["required"]:
        schema["required"].append(name)
    if not rest:
        schema["properties"].setdefault(name, field)
        return
    inner: Body = {"type": "object", "properties": {}, "required": []}
    if path[0].endswith("[]"):
        # Where it is not the list of passages, it holds the query and no second one.
        listed = schema["properties"].setdefault(name, {"type": "array", "minItems": 1, "maxItems": 1, "items": inner})
        inner = listed["items"]
    else:
        inner = schema["properties"].setdefault(name, inner)
    if rest[-1] not in inner["properties"]:
        _place(inner, rest, field, required)


def _response_schema(dialect: Dialect) -> Body:
    request = dialect.parse(dialect.example)
    bare = tuple(passage._replace(id=None) for passage in request.passages)
    least = request._replace(passages=bare, return_passages=False)
    most = request._replace(return_passages=True)
    return _schema_of(dialect.render(_ranking(most, full=True), most), dialect.render(_ranking(least), least))


def _answer(dialect: Dialect) -> Any:
    """What ``dialect`` answers to its own example; what changes from call to call is made constant."""
    request = dialect.parse(dialect.example)
    body = dialect.render(_ranking(request), request)
    if isinstance(body, dict) and "created" in body:
        return {**body, "id": "0f6c1b2a", "created": 1_790_000_000}
    return body


def _ranking(request: RankRequest, full: bool = False) -> Ranking:
    """A made-up ranking of ``request``; with ``full`` it has everything that a ranking can have."""
    span = Span(0, 5, 0.9)
    results = tuple(
        Result(
            index=index,
            passage=passage._replace(id=passage.id or "a") if full else passage,
            score=0.75 / (index + 1),
            logit=1.5,
            model_score=0.75,
            scored=not full,
            best_chunk=BestChunk(0, 5, 0.75, 0) if full else None,
            spans=(span,) if full else None,
        )
        for index, passage in enumerate(request.passages)
    )
    return Ranking(
        results=results[: request.top_n],
        model=ModelId(**_MODEL),
        usage=Usage(len(results), 24, len(results), int(full), query_truncated=full),
        timings=Timings(0.4, 1.25, 1.75),
        unscored=int(full),
        estimate=Estimate(1.75, 0.0000001, 1769) if full else None,
    )


def _schema_of(most: Any, least: Any) -> Body:
    """The schema of a value, seen at its fullest and at its shortest."""
    if isinstance(most, dict):
        least = least or {}
        properties = {name: _schema_of(value, least.get(name)) for name, value in most.items()}
        if "index" in properties and "id" in properties:
            properties["id"] = _NATIVE["passages"]["items"]["properties"]["id"]
        required = [name for name in most if name in least]
        return {"type": "object", "properties": properties} | ({"required": required} if required else {})
    if isinstance(most, list):
        items = {"items": _schema_of(most[0], least[0] if least else None)} if most else {}
        return {"type": "array", **items}
    if isinstance(most, bool):
        return {"type": "boolean"}
    if isinstance(most, int | float):
        return {"type": "integer" if isinstance(most, int) else "number"}
    return {"type": "string"} if isinstance(most, str) else {}
