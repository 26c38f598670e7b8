"""The cross-encoder endpoint of Onyx's model server: https://github.com/onyx-dot-app/onyx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.dialects.fields import DOCUMENTS, in_input_order
from handler.dialects.protocol import Dialect

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest


def render(ranking: Ranking, _: RankRequest) -> dict[str, Any]:
    """The bare scores, in the order of the request."""
    return {"scores": [result.score for result in in_input_order(ranking.results)]}


DIALECT = Dialect(
    name="onyx",
    paths=("/encoder/cross-encoder-scores",),
    names=DOCUMENTS | {"model": "model_name"},
    render=render,
    example={"query": "capital of France", "documents": ["Paris.", "Cheese."], "model_name": "some-model"},
)
