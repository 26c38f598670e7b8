"""How fields are found and documents become passages."""

from __future__ import annotations

from typing import Any

import pytest

from handler.contract import Passage
from handler.dialects.fields import as_given, as_object, document_passage, find, put, truth
from handler.errors import InvalidRequest


@pytest.mark.parametrize(
    ("path", "found"),
    [("a", {"b": [{"c": 1}]}), ("a.b[0].c", 1), ("a.b[1].c", None), ("a.x.y", None), ("x", None), ("n.b", None)],
)
def test_a_path_leads_to_its_value_or_to_none(path: str, found: Any) -> None:
    assert find({"a": {"b": [{"c": 1}]}, "n": None}, path) == found


@pytest.mark.parametrize(("path", "message"), [("a.b", "a must be an object"), ("c[0].d", "c must be a list")])
def test_what_stands_in_the_way_is_named(path: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{message}$"):
        find({"a": "text", "c": {}}, path)


def test_a_part_joins_the_object_that_is_there_and_leaves_the_callers_alone() -> None:
    given = {"mode": "max"}
    fields: dict[str, Any] = {"chunking": given}
    put(fields, "chunking.overlap_tokens", 8)
    put(fields, "top_n", 3)
    assert fields == {"chunking": {"mode": "max", "overlap_tokens": 8}, "top_n": 3}
    assert given == {"mode": "max"}


@pytest.mark.parametrize(
    ("value", "meant"), [("true", True), ("False", False), ("yes", "yes"), (1, 1), (None, None), (True, True)]
)
def test_truth_is_read_from_its_two_words_alone(value: Any, meant: Any) -> None:
    assert truth(value) is meant


@pytest.mark.parametrize(
    ("document", "rank_fields", "passage"),
    [
        ("a", None, "a"),
        (5, None, 5),
        ({"text": "a", "id": 7}, None, {"text": "a", "id": 7}),
        ({"text": "a", "id": True, "score": "high"}, None, {"text": "a"}),
        ({"text": "a", "score": 0.5}, None, {"text": "a", "score": 0.5}),
        ({"b": "x", "a": 1, "c": None}, ["a", "c", "b"], {"text": "1 x"}),
        ({"title": "a"}, None, {}),
    ],
)
def test_a_document_becomes_a_passage(document: Any, rank_fields: list[str] | None, passage: Any) -> None:
    expected = {**passage, "meta": document} if isinstance(document, dict) else passage
    assert document_passage(document, rank_fields) == expected


def test_a_document_goes_back_as_it_came_or_as_an_object() -> None:
    assert as_given(Passage("a")) == "a"
    assert as_object(Passage("a")) == {"text": "a"}
    meta = {"title": "b"}
    assert as_given(Passage("a", meta=meta)) == as_object(Passage("a", meta=meta)) == {"title": "b"}
