"""What the wire formats have in common: how a field is found in a body, and how a document becomes a passage."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from handler.errors import InvalidRequest

if TYPE_CHECKING:
    from handler.contract import Passage, Result

# Cohere's names for how a long document is cut, which Jina, vLLM, Xinference, SiliconFlow and others took over.
LONG_DOCUMENTS = {f"chunking.{name}": name for name in ("max_tokens_per_doc", "max_chunks_per_doc", "overlap_tokens")}
DOCUMENTS = {"passages": "documents", "return_passages": "return_documents"}


def find(body: dict[str, Any], path: str) -> Any:
    """The value at a dotted path such as ``queries[0].textQuery.text``; None where there is none.

    Raises ``InvalidRequest`` where something on the way is there and is no object or list.
    """
    value: Any = body
    steps = _steps(path)
    for depth, step in enumerate(steps):
        if value is None:
            return None
        wanted, article = (list, "a list") if isinstance(step, int) else (dict, "an object")
        if not isinstance(value, wanted):
            name = _written(steps[:depth])
            raise InvalidRequest(f"{name} must be {article}", name)
        try:
            value = value[step]  # type: ignore[index]
        except LookupError:
            return None
    return value


@cache
def _steps(path: str) -> tuple[str | int, ...]:
    return tuple(int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path))


def _written(steps: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def put(fields: dict[str, Any], name: str, value: object) -> None:
    """Set the native field ``name``, or ``field.part`` of one that is an object."""
    head, _, part = name.partition(".")
    if not part:
        fields[head] = value
    elif isinstance(whole := fields.get(head, {}), dict):
        fields[head] = {**whole, part: value}


def truth(value: object) -> object:
    """``value``, with the text "true" or "false" that some clients send as the boolean that it means."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def document_passage(document: object, rank_fields: list[str] | None) -> object:
    """The native passage of a document, a string or an object whose ``text`` or ``rank_fields`` are ranked.

    The whole object is kept as the passage's ``meta``, to be returned as it came. What is neither a string nor an
    object is left for the native schema to refuse.
    """
    if not isinstance(document, dict):
        return document
    passage: dict[str, Any] = {"meta": document}
    if rank_fields is not None:
        passage["text"] = " ".join(str(document[name]) for name in rank_fields if document.get(name) is not None)
    elif "text" in document:
        passage["text"] = document["text"]
    # These may mean anything in a document; they are taken for ours where they could be.
    if isinstance(identity := document.get("id"), str | int) and not isinstance(identity, bool):
        passage["id"] = identity
    if isinstance(score := document.get("score"), int | float) and not isinstance(score, bool):
        passage["score"] = score
    return passage


def as_object(passage: Passage) -> dict[str, Any]:
    """The document of a passage as an object: the caller's own, or one around the caller's string."""
    return {"text": passage.text} if passage.meta is None else dict(passage.meta)


def as_given(passage: Passage) -> object:
    """The document of a passage as the caller gave it, a string or an object."""
    return passage.text if passage.meta is None else dict(passage.meta)


def in_input_order(results: tuple[Result, ...]) -> list[Result]:
    """``results`` in the order of the request."""
    return sorted(results, key=lambda result: result.index)
