"""The vendors' own clients."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import mixedbread
import pinecone
import pinecone.errors
import voyageai
from botocore.config import Config

from tests.clients import cohere_python
from tests.clients.client import Client, Hit, Rank

NODE = Path(__file__).with_name("clients.mjs")


def voyage(url: str, key: str) -> Rank:
    client = voyageai.Client(api_key=key, base_url=f"{url}/v1/")

    def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
        answer = client.rerank(query, documents, model="rerank-2.5", top_k=top_n)
        assert answer.total_tokens > 0
        return [Hit(r.index, r.relevance_score, r.document if return_documents else None) for r in answer.results]

    return rank


MODEL_ARN = "arn:aws:bedrock:us-east-1::foundation-model/cohere.rerank-v3-5:0"


def _bedrock(service: str, url: str, key: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        aws_session_token=key,  # the one credential that a signed request carries as it is
        config=Config(retries={"total_max_attempts": 1}),
    )


def bedrock_rerank(url: str, key: str) -> Rank:
    client = _bedrock("bedrock-agent-runtime", url, key)

    def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
        fields = {"return_documents": True} if return_documents else {}
        answer = client.rerank(
            queries=[{"type": "TEXT", "textQuery": {"text": query}}],
            sources=[
                {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}}}
                for text in documents
            ],
            rerankingConfiguration={
                "type": "BEDROCK_RERANKING_MODEL",
                "bedrockRerankingConfiguration": {
                    **({} if top_n is None else {"numberOfResults": top_n}),
                    "modelConfiguration": {"modelArn": MODEL_ARN, "additionalModelRequestFields": fields},
                },
            },
        )
        return [
            Hit(r["index"], r["relevanceScore"], r["document"]["textDocument"]["text"] if "document" in r else None)
            for r in answer["results"]
        ]

    return rank


def bedrock_invoke(url: str, key: str) -> Rank:
    client = _bedrock("bedrock-runtime", url, key)

    def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
        body = {"api_version": 2, "query": query, "documents": documents, "return_documents": return_documents}
        if top_n is not None:
            body["top_n"] = top_n
        answer = client.invoke_model(modelId=MODEL_ARN, body=json.dumps(body))
        results = json.loads(answer["body"].read())["results"]
        return [Hit(r["index"], r["relevance_score"], r.get("document", {}).get("text")) for r in results]

    return rank


def pinecone_inference(url: str, key: str) -> Rank:
    client = pinecone.Pinecone(api_key=key, host=url)

    def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
        answer = client.inference.rerank(
            model="bge-reranker-v2-m3",
            query=query,
            documents=documents,
            top_n=top_n,
            return_documents=return_documents,
        )
        return [Hit(r.index, r.score, r.document["text"] if r.document else None) for r in answer.data]

    return rank


def mixedbread_client(url: str, key: str) -> Rank:
    client = mixedbread.Mixedbread(api_key=key, base_url=url)

    def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
        limit = {} if top_n is None else {"top_k": top_n}
        answer = client.rerank(
            model="mixedbread-ai/mxbai-rerank-large-v2",
            query=query,
            input=documents,
            return_input=return_documents,
            **limit,
        )
        assert answer.top_k == (top_n or len(documents))
        return [Hit(r.index, r.score, r.input) for r in answer.data]

    return rank


class JavaScriptError(Exception):
    """What a JavaScript client threw: its class, HTTP status and message."""


def _javascript(name: str) -> Callable[[str, str], Rank]:
    def connect(url: str, key: str) -> Rank:
        def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
            call: dict[str, Any] = {"client": name, "url": url, "key": key, "query": query, "documents": documents}
            call |= {"topN": top_n, "returnDocuments": return_documents}
            run = subprocess.run(["node", NODE], input=json.dumps(call), capture_output=True, text=True, check=True)
            answer = json.loads(run.stdout)
            if "error" in answer:
                raise JavaScriptError(answer["error"])
            return [Hit(*hit) for hit in answer["hits"]]

        return rank

    return connect


_AGENT = boto3.client("bedrock-agent-runtime", region_name="us-east-1").exceptions
_RUNTIME = boto3.client("bedrock-runtime", region_name="us-east-1").exceptions

CLIENTS = (
    Client("cohere v1", "cohere", cohere_python.v1, *cohere_python.ERRORS),
    Client("cohere v2", "cohere", cohere_python.v2, *cohere_python.ERRORS, documents="never"),
    Client("cohere-ai (JS) v1", "npm:cohere-ai", _javascript("cohere-v1"), JavaScriptError, JavaScriptError),
    Client("cohere-ai (JS) v2", "npm:cohere-ai", _javascript("cohere-v2"), JavaScriptError, JavaScriptError, "never"),
    Client("@ai-sdk/cohere", "npm:@ai-sdk/cohere", _javascript("ai-sdk"), JavaScriptError, JavaScriptError, "own"),
    Client("voyageai", "voyageai", voyage, voyageai.error.InvalidRequestError, voyageai.error.AuthenticationError),
    Client("boto3 Rerank", "boto3", bedrock_rerank, _AGENT.ValidationException, _AGENT.AccessDeniedException),
    Client("boto3 InvokeModel", "boto3", bedrock_invoke, _RUNTIME.ValidationException, _RUNTIME.AccessDeniedException),
    Client("pinecone", "pinecone", pinecone_inference, pinecone.errors.ApiError, pinecone.errors.UnauthorizedError),
    Client("mixedbread", "mixedbread", mixedbread_client, mixedbread.BadRequestError, mixedbread.AuthenticationError),
)
