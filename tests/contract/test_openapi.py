"""The contract file: whole, up to date, true of its own examples, and kept."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from openapi_spec_validator import validate

from handler.dialects.registry import DIALECTS
from handler.openapi import VERSION, document
from handler.pages import PAGES
from infra.openapi import CONTRACT, RELEASED, breaking_changes, to_yaml
from tests.contract.conftest import Send

ROOT = Path(__file__).resolve().parents[2]


def test_it_is_openapi() -> None:
    validate(document())


def test_the_file_is_what_the_code_speaks_and_breaks_no_promise() -> None:
    assert CONTRACT.read_text(encoding="utf-8") == to_yaml(document())
    released = yaml.safe_load(RELEASED.read_text(encoding="utf-8"))
    assert list(breaking_changes(released, document())) == []


def test_it_has_the_version_of_the_project() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_it_is_served(send: Send) -> None:
    assert send("/openapi.json", method="GET").body == document()


def test_it_has_every_route() -> None:
    posts = {path for path, operations in document()["paths"].items() if "post" in operations}
    assert {path for dialect in DIALECTS for path in dialect.paths} < posts
    assert {f"/{dialect.name}/rerank" for dialect in DIALECTS} < posts
    assert PAGES.keys() - {"/"} == {path for path, ops in document()["paths"].items() if "get" in ops} - {"/"}


@pytest.mark.parametrize("kind", ["Request", "Response"])
def test_its_examples_keep_to_its_schemas(kind: str) -> None:
    contract = document()
    examples = {name: value for name, value in contract["components"]["examples"].items() if name.endswith(kind)}
    assert len(examples) == len(DIALECTS)
    for name, example in examples.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": contract["components"]}
        jsonschema.Draft202012Validator(schema).validate(example["value"])


def test_the_docs_need_no_network(send: Send) -> None:
    answer = send("/docs", method="GET", key=None)
    page = answer.body.decode()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"https?://|src=|@import", page)
    assert re.findall(r'href="([^"]*)"|fetch\("([^"]*)"\)', page) == [("openapi.json", ""), ("", "openapi.json")]


# A change to the contract, and what is said of it; nothing where no client would notice.
CHANGES: dict[str, tuple[str, Any, str | None]] = {
    "a route is gone": ("paths./rank", None, "POST /rank is gone"),
    "a field is required": (
        "components.schemas.CohereRequest.allOf.1.required",
        ["query", "documents", "model"],
        "POST /v2/rerank: model is required",
    ),
    "a field is no longer read": (
        "components.schemas.VoyageRequest.allOf.1.properties.top_k",
        None,
        "POST /voyage/rerank: top_k is no longer read",
    ),
    "a limit is lower": (
        "components.schemas.TeiRequest.allOf.1.properties.texts.maxItems",
        10,
        "POST /tei/rerank: texts: maxItems is lower",
    ),
    "a limit is higher": ("components.schemas.TeiRequest.allOf.1.properties.texts.maxItems", 10_000, None),
    "null is refused": (
        "components.schemas.CohereRequest.allOf.1.properties.top_n.type",
        "integer",
        "POST /v2/rerank: top_n: no longer takes null",
    ),
    "a choice is gone": (
        "components.schemas.Options.properties.on_deadline.enum",
        ["partial", None],
        "POST /rank: on_deadline: no longer takes error",
    ),
    "an answer lacks a field": (
        "components.schemas.JinaResponse.properties.usage",
        None,
        "POST /jina/rerank: the answer has no usage",
    ),
    "an answer may lack a field": (
        "components.schemas.JinaResponse.required",
        ["results"],
        "POST /jina/rerank: the answer may lack model",
    ),
    "an answer changes type": (
        "components.schemas.TeiResponse.items.properties.score.type",
        "string",
        "POST /tei/rerank[]: score: the answer may be string",
    ),
    "an answer has more": (
        "components.schemas.JinaResponse.properties.more",
        {"type": "string"},
        None,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_breaking_change_is_named_and_no_other(change: str) -> None:
    path, value, sentence = CHANGES[change]
    changed = copy.deepcopy(document())
    at: Any = changed
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        at = at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    found = list(breaking_changes(document(), changed))
    assert (sentence in found) if sentence else (found == [])
