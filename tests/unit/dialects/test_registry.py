"""Where paths lead."""

from __future__ import annotations

import pytest

from handler.dialects.registry import DIALECTS, SHARED_PATHS, find_route, split_prefix


def test_names_and_paths_are_had_by_one_dialect_alone() -> None:
    names = [dialect.name for dialect in DIALECTS]
    paths = [*SHARED_PATHS, *(path for dialect in DIALECTS for path in dialect.paths)]
    assert len(set(names)) == len(names)
    assert len(set(paths)) == len(paths)
    assert not {path.split("/")[1] for path in paths} & set(names)


@pytest.mark.parametrize(
    ("path", "name", "fields"),
    [
        ("/rank", "native", {}),
        ("/v2/rerank", "cohere", {}),
        ("/jina/v2/rerank", "jina", {}),
        ("/infinity/rerank", "infinity", {}),
        ("/vllm/v1/score", "vllm-score", {}),
        ("/model/cohere.rerank-v3-5:0/invoke", "bedrock-runtime", {"model": "cohere.rerank-v3-5:0"}),
        ("/model/cohere.rerank-v3-5%3A0/invoke", "bedrock-runtime", {"model": "cohere.rerank-v3-5:0"}),
        ("/model/arn:aws:bedrock:x::model/a/invoke", "bedrock-runtime", {"model": "arn:aws:bedrock:x::model/a"}),
        ("/v1/retrieval/nvidia/reranking", "nvidia", {"model": "nvidia"}),
        ("/v1/retrieval/nvidia/some-model/reranking", "nvidia", {"model": "nvidia/some-model"}),
    ],
)
def test_a_path_leads_to_its_dialect(path: str, name: str, fields: dict[str, str]) -> None:
    route = find_route(path)
    assert route is not None
    assert route.dialect is not None
    assert (route.dialect.name, route.fields) == (name, fields)


@pytest.mark.parametrize("path", SHARED_PATHS)
def test_a_shared_path_leads_to_detection_unless_a_name_stands_before_it(path: str) -> None:
    shared, forced = find_route(path), find_route(f"/voyage{path.rstrip('/') or '/'}")
    assert shared is not None
    assert shared.dialect is None
    assert forced is not None
    assert forced.dialect is not None
    assert forced.dialect.name == "voyage"


@pytest.mark.parametrize("path", ["/rerank/more", "/v3/rerank", "/cohere/nothing", "/model//invoke"])
def test_other_paths_lead_nowhere(path: str) -> None:
    assert find_route(path) is None


def test_a_prefix_is_a_dialects_name_as_a_whole() -> None:
    assert split_prefix("/coherent/rerank") == (None, "/coherent/rerank")
    assert split_prefix("/cohere")[1] == "/"
