"""What a wire format is: where it answers, how its fields are called, and how its answers and errors look.

A dialect is data. Its body is read by renaming: every field of the native request is looked up where the dialect has
it, validated there and then by the one native schema, and an error names the field as the caller wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from handler.contract import MAX_PASSAGE_CHARS, RANK_REQUEST_SCHEMA, check_json
from handler.dialects import native
from handler.dialects.fields import document_passage, find, put, truth
from handler.errors import InvalidRequest, RerankError, http_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from handler.contract import Ranking, RankRequest

Body = dict[str, Any]

_TEXT = {"type": "string", "maxLength": MAX_PASSAGE_CHARS}
DOCUMENT: Body = {"anyOf": [_TEXT, {"type": "object", "required": ["text"], "properties": {"text": _TEXT}}]}

_NATIVE_NAMES = {name: name for name in RANK_REQUEST_SCHEMA["properties"]}
_BOOLEANS = {name for name, schema in RANK_REQUEST_SCHEMA["properties"].items() if schema.get("type") == "boolean"}


def superset_error(error: RerankError, request_id: str) -> dict[str, object]:
    """One error body that every client reads: Cohere ``message``, Jina and Voyage ``detail``, TEI ``error``."""
    return {
        "message": error.message,
        "detail": error.message,
        "error": error.message,
        "error_type": http_answer(error).error_type,
        "id": request_id,
    }


def openai_error(error: RerankError, _request_id: str) -> dict[str, object]:
    """The error object of vLLM, Infinity and llama.cpp, whose clients read ``error.message``."""
    answer = http_answer(error)
    return {
        "error": {"message": error.message, "type": answer.error_type, "param": error.field, "code": answer.status},
    }


def unchanged(body: Body) -> Body:
    """The body as it came."""
    return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A wire format.

    ``name`` is the path prefix that forces it, and ``paths`` are the routes that are its alone; ``{name}`` in one
    stands for any text, and becomes the body's field of that name unless the body has it.

    ``names`` maps a native field to where this dialect has it, as a dotted path; fields that are not listed go by
    their native name. ``defaults`` are native fields that hold unless the caller says otherwise. ``reshape`` turns a
    body into one that names can describe, ``passage`` one document into a native passage.

    ``render`` gives the JSON body of the answer. ``example`` is a request body and ``document`` the JSON Schema of one
    document, for the contract and its tests.
    """

    name: str
    render: Callable[[Ranking, RankRequest], object]
    example: Body
    document: Body = field(default_factory=lambda: DOCUMENT)
    paths: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    reshape: Callable[[Body], Body] = unchanged
    passage: Callable[[Any, list[str] | None], object] = document_passage
    allow_empty_passages: bool = True
    render_error: Callable[[RerankError, str], object] = superset_error

    def parse(self, body: object) -> RankRequest:
        """The request that a decoded JSON body stands for. Unknown fields are ignored, null means absent and
        ``"true"`` is true.

        Raises ``InvalidRequest`` naming the field as the caller does, and its limit, never its value.
        """
        if not isinstance(body, dict):
            raise InvalidRequest("the request must be a JSON object")
        check_json(body)
        body = self.reshape(body)
        fields = dict(self.defaults)
        for name, path in (_NATIVE_NAMES | dict(self.names)).items():
            value = find(body, path)
            if value is not None:
                put(fields, name, truth(value) if name in _BOOLEANS else value)
        if fields.get("model") == "":
            del fields["model"]
        if isinstance(documents := fields.get("passages"), list):
            rank_fields = _rank_fields(body)
            fields["passages"] = [self.passage(document, rank_fields) for document in documents]
        try:
            request = native.read(fields)
            if not self.allow_empty_passages:
                _refuse_empty(request)
        except InvalidRequest as error:
            raise self.in_its_words(error) from None
        return request

    def in_its_words(self, error: RerankError) -> RerankError:
        """``error`` about a native field, about this dialect's. A message begins with the field that it is about."""
        if error.field is None:
            return error
        for name, path in sorted(self.names.items(), reverse=True):
            rest = error.field.removeprefix(name)
            if rest != error.field and (not rest or rest[0] in ".["):
                message = path + rest + error.message.removeprefix(error.field)
                return type(error)(message, path + rest)
        return error


def _rank_fields(body: Body) -> list[str] | None:
    names = body.get("rank_fields")
    if names is None:
        return None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InvalidRequest("rank_fields must be a list of at least one field name, or be omitted", "rank_fields")
    return names


def _refuse_empty(request: RankRequest) -> None:
    for index, passage in enumerate(request.passages):
        if not passage.text or passage.text.isspace():
            raise InvalidRequest(f"passages[{index}] must not be empty", f"passages[{index}]")
