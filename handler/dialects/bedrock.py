"""Amazon Bedrock's ``Rerank`` (bedrock-agent-runtime):
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Rerank.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.dialects.protocol import Body, Dialect
from handler.errors import InvalidRequest

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest

_CONFIGURATION = "rerankingConfiguration.bedrockRerankingConfiguration"


def one_query(body: Body) -> Body:
    """Bedrock takes a list of queries and serves exactly one."""
    if isinstance(queries := body.get("queries"), list) and len(queries) != 1:
        raise InvalidRequest("queries must hold exactly one query", "queries")
    return body


def inline(source: object, _: object) -> object:
    """The passage of an inline source: its text, or a JSON document's fields a line each."""
    document = source.get("inlineDocumentSource") if isinstance(source, dict) else None
    if not isinstance(document, dict):
        return {}
    if isinstance(fields := document.get("jsonDocument"), dict):
        return {"text": "\n".join(f"{name}: {value}" for name, value in fields.items()), "meta": document}
    text = document.get("textDocument")
    return {"text": text["text"], "meta": document} if isinstance(text, dict) and "text" in text else {}


def render(ranking: Ranking, request: RankRequest) -> dict[str, Any]:
    """``results``; the API has no way to ask for documents, so they come with the model's own ``return_documents``."""
    return {
        "results": [
            {"index": result.index, "relevanceScore": result.score}
            | ({"document": result.passage.meta} if request.return_passages else {})
            for result in ranking.results
        ]
    }


DIALECT = Dialect(
    name="bedrock",
    names={
        "query": "queries[0].textQuery.text",
        "passages": "sources",
        "top_n": f"{_CONFIGURATION}.numberOfResults",
        "model": f"{_CONFIGURATION}.modelConfiguration.modelArn",
        "return_passages": f"{_CONFIGURATION}.modelConfiguration.additionalModelRequestFields.return_documents",
    },
    reshape=one_query,
    passage=inline,
    allow_empty_passages=False,
    render=render,
    document={
        "type": "object",
        "required": ["inlineDocumentSource"],
        "properties": {
            "inlineDocumentSource": {
                "type": "object",
                "anyOf": [{"required": ["textDocument"]}, {"required": ["jsonDocument"]}],
                "properties": {
                    "textDocument": {
                        "type": "object",
                        "required": ["text"],
                        "properties": {"text": {"type": "string"}},
                    },
                    "jsonDocument": {"type": "object", "minProperties": 1},
                },
            }
        },
    },
    example={
        "queries": [{"type": "TEXT", "textQuery": {"text": "What is the capital of France?"}}],
        "sources": [
            {
                "type": "INLINE",
                "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": "Paris is the capital of France."}},
            },
            {"type": "INLINE", "inlineDocumentSource": {"type": "JSON", "jsonDocument": {"title": "Cheese"}}},
        ],
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {
                "numberOfResults": 2,
                "modelConfiguration": {
                    "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/cohere.rerank-v3-5:0",
                    "additionalModelRequestFields": {"return_documents": True},
                },
            },
        },
    },
)
