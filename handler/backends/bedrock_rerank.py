"""Amazon Rerank and Cohere Rerank on Bedrock, by the ``Rerank`` operation of bedrock-agent-runtime."""

from __future__ import annotations

import os
from time import perf_counter
from typing import TYPE_CHECKING, Any

from handler.backends import bedrock
from handler.contract import ModelId, Usage
from handler.errors import ModelError, UnprocessableRequest

if TYPE_CHECKING:
    from handler.contract import Ranking, RankRequest
    from handler.model import Manifest
    from handler.runtime import Clock

MAX_CHARS = 32_000  # of a query or a source, by the operation's own model


class BedrockRerank:
    """One call a request; equal texts are sent once, and the provider's scores come back as they are."""

    def __init__(self, manifest: Manifest, client: Any) -> None:
        self._manifest = manifest
        self._client = client
        self.model_id = ModelId(manifest.name, manifest.revision)

    def rank(self, request: RankRequest, clock: Clock) -> Ranking:
        """Answer ``request``. Raises what ``Ranker.rank`` does, and ``Overloaded`` where Bedrock keeps throttling."""
        bedrock.check(request, clock)
        sent, same = bedrock.distinct(request)
        cut = [index for index in sent if len(request.passages[index].text) > MAX_CHARS]
        query_cut = len(request.query) > MAX_CHARS
        if request.truncation == "error" and (cut or query_cut):
            name = "query" if query_cut else f"passages[{cut[0]}]"
            raise UnprocessableRequest(f"{name} has more than the {MAX_CHARS:,} characters that Bedrock reads", name)
        began = perf_counter()
        scores = self._ask(request, sent) if sent else {}
        asked = perf_counter() - began
        options = self._manifest.options
        queries = -(-len(sent) // int(options.get("passages_per_query", 100)))
        usage = Usage(
            passages=len(same),
            tokens=0,
            chunks=len(sent),
            truncated=sum(first in cut for first in same),
            query_truncated=query_cut,
            usd=queries * float(options.get("usd_per_1000_queries", 0.0)) / 1000,
        )
        by_passage = [scores.get(first, 0.0) for first in same]
        return bedrock.ranking(request, self._manifest, by_passage, usage, clock, asked=asked)

    def _ask(self, request: RankRequest, sent: list[int]) -> dict[int, float]:
        texts = [request.passages[index].text[:MAX_CHARS] for index in sent]
        configuration = {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {
                "modelConfiguration": {"modelArn": self._arn()},
                "numberOfResults": len(sent),
            },
        }
        question: dict[str, Any] = {
            "queries": [{"type": "TEXT", "textQuery": {"text": request.query[:MAX_CHARS]}}],
            "sources": [
                {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}}}
                for text in texts
            ],
            "rerankingConfiguration": configuration,
        }
        scores: dict[int, float] = {}
        while True:
            with bedrock.in_our_words():
                answer = self._client.rerank(**question)
            for result in answer["results"]:
                if not 0 <= result["index"] < len(sent):
                    raise ModelError("Bedrock ranked a passage that it was not given")
                scores[sent[result["index"]]] = float(result["relevanceScore"])
            token = answer.get("nextToken")
            if not token:
                return scores
            question["nextToken"] = token

    def _arn(self) -> str:
        model = str(self._manifest.options["model"])
        if model.startswith("arn:"):
            return model
        region = self._client.meta.region_name
        return f"arn:{os.environ.get('AWS_PARTITION', 'aws')}:bedrock:{region}::foundation-model/{model}"


def open_backend(manifest: Manifest) -> BedrockRerank:
    """The backend with a real client."""
    return BedrockRerank(manifest, bedrock.client("bedrock-agent-runtime", manifest.options))
