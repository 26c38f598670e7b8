"""The ``inputs`` of Hugging Face's text-classification pipeline, as SageMaker endpoints and OpenSearch speak it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.contract import NOT_BLANK
from handler.dialects.fields import in_input_order
from handler.dialects.protocol import Body, Dialect
from handler.errors import InvalidRequest

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest


def reshape(body: Body) -> Body:
    """One query out of the pairs, all of which must ask the same one."""
    given = body.get("inputs")
    pairs: list[Any] = given if isinstance(given, list) else [given]
    for index, pair in enumerate(pairs):
        if not isinstance(pair, dict):
            raise InvalidRequest(f"inputs[{index}] must be an object", f"inputs[{index}]")
        if pair.get("text") != pairs[0].get("text"):
            raise InvalidRequest(f"inputs[{index}].text must be the same query in every pair", f"inputs[{index}].text")
    return {**body, "inputs": pairs}


def text_pair(pair: Body, _: object) -> Body:
    """The passage is the second of the pair."""
    return {"text": pair["text_pair"]} if "text_pair" in pair else {}


def render(ranking: Ranking, _: RankRequest) -> list[dict[str, Any]]:
    """A label and score for each pair, in the order of the request."""
    return [{"label": "LABEL_0", "score": result.score} for result in in_input_order(ranking.results)]


DIALECT = Dialect(
    name="huggingface",
    names={"query": "inputs[0].text", "passages": "inputs"},
    reshape=reshape,
    passage=text_pair,
    render=render,
    document={
        "type": "object",
        "required": ["text", "text_pair"],
        "properties": {"text": {"type": "string", "pattern": NOT_BLANK}, "text_pair": {"type": "string"}},
    },
    example={"inputs": [{"text": "deep learning", "text_pair": "Deep learning is..."}]},
)
