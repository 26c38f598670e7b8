"""Each client as its users hold it: the one line that names the service, and a call that ranks.

An adapter takes the service's URL and a key and gives a function from a query, documents, a limit and whether
documents shall come back, to hits. What a client raises for a bad request and for a wrong key stands beside it, so
that a client's users can go on catching what they catch.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import boto3
import cohere
import litellm
import mixedbread
import pinecone
import pinecone.errors
import voyageai
from botocore.config import Config
from haystack import Document as HaystackDocument
from haystack.utils import Secret
from haystack_integrations.components.rankers.cohere import CohereRanker
from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker
from haystack_integrations.components.rankers.jina import JinaRanker
from infinity_client.client import Client as InfinityClient
from infinity_client.errors import UnexpectedStatus
from langchain_cohere import CohereRerank as LangchainCohere
from langchain_community.document_compressors import InfinityRerank, JinaRerank
from langchain_core.documents import Document as LangchainDocument
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.cohere_rerank import CohereRerank as LlamaCohere
from llama_index.postprocessor.jinaai_rerank import JinaRerank as LlamaJina
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

NODE = Path(__file__).with_name("clients.mjs")


class Hit(NamedTuple):
    """One result as the client gives it; ``text`` is None where it gives no document."""

    index: int
    score: float
    text: str | None = None


Rank = Callable[[str, list[str], "int | None", bool], list[Hit]]


@dataclass(frozen=True)
class Client:
    """A client and how it behaves: what it raises, and how it gives documents back.

    ``documents`` is ``asked`` where the service returns them on request, ``own`` where the client returns the
    caller's own objects, ``never`` where its API has none.
    """

    name: str
    package: str
    connect: Callable[[str, str], Rank]
    bad_request: type[Exception] | tuple[type[Exception], ...]
    unauthorized: type[Exception] | tuple[type[Exception], ...]
    documents: str = "asked"
    says_why: bool = True


def cohere_v1(url: str, key: str) -> Rank:
    client = cohere.Client(key, base_url=url)

    def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
        answer = client.rerank(
            model="rerank-english-v3.0",
            query=query,
            documents=documents,
            top_n=top_n,
            return_documents=return_documents,
        )
        return [Hit(r.index, r.relevance_score, r.document.text if r.document else None) for r in answer.results]

    return rank


def cohere_v2(url: str, key: str) -> Rank:
    client = cohere.ClientV2(key, base_url=url)

    def rank(query: str, documents: list[str], top_n: int | None, _: bool) -> list[Hit]:
        answer = client.rerank(model="rerank-v3.5", query=query, documents=documents, top_n=top_n)
        assert answer.meta is not None
        return [Hit(r.index, r.relevance_score) for r in answer.results]

    return rank


def voyage(url: str, key: str) -> Rank:
    client = voyageai.Client(api_key=key, base_url=f"{url}/v1/")

    def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
        answer = client.rerank(query, documents, model="rerank-2.5", top_k=top_n)
        assert answer.total_tokens > 0
        return [Hit(r.index, r.relevance_score, r.document if return_documents else None) for r in answer.results]

    return rank


def _langchain(compressor: Callable[[int | None], Any]) -> Rank:
    def rank(query: str, documents: list[str], top_n: int | None, _: bool) -> list[Hit]:
        given = [LangchainDocument(text, metadata={"at": at}) for at, text in enumerate(documents)]
        kept = compressor(top_n).compress_documents(given, query)
        return [Hit(d.metadata["at"], d.metadata["relevance_score"], d.page_content) for d in kept]

    return rank


def langchain_cohere(url: str, key: str) -> Rank:
    return _langchain(
        lambda top_n: LangchainCohere(base_url=url, cohere_api_key=key, model="rerank-v3.5", top_n=top_n)
    )


def langchain_jina(url: str, key: str) -> Rank:
    inner = _langchain(lambda top_n: JinaRerank(jina_api_key=key, top_n=top_n))

    def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
        # The address is a constant of the module, and there is no other way to it.
        with patch("langchain_community.document_compressors.jina_rerank.JINA_API_URL", f"{url}/v1/rerank"):
            return inner(query, documents, top_n, return_documents)

    return rank


def langchain_infinity(url: str, key: str) -> Rank:
    headers = {"authorization": f"Bearer {key}"}
    client = InfinityClient(base_url=url, headers=headers, raise_on_unexpected_status=True)
    return _langchain(lambda top_n: InfinityRerank(client=client, model="default", top_n=top_n))


def _llama_index(processor: Callable[[int], Any]) -> Rank:
    def rank(query: str, documents: list[str], top_n: int | None, _: bool) -> list[Hit]:
        nodes = [NodeWithScore(node=TextNode(text=text, id_=str(at))) for at, text in enumerate(documents)]
        kept = processor(top_n or len(documents)).postprocess_nodes(nodes, query_bundle=QueryBundle(query))
        return [Hit(int(n.node.node_id), n.score, n.node.get_content()) for n in kept]

    return rank


def llama_index_cohere(url: str, key: str) -> Rank:
    return _llama_index(lambda top_n: LlamaCohere(api_key=key, base_url=url, top_n=top_n))


def llama_index_jina(url: str, key: str) -> Rank:
    return _llama_index(lambda top_n: LlamaJina(api_key=key, base_url=f"{url}/v1", top_n=top_n))


def llama_index_tei(url: str, key: str) -> Rank:
    return _llama_index(lambda top_n: TextEmbeddingInference(base_url=url, auth_token=key, top_n=top_n))


def _litellm(model: str, path: str = "") -> Callable[[str, str], Rank]:
    def connect(url: str, key: str) -> Rank:
        def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
            answer = litellm.rerank(
                model=model,
                query=query,
                documents=documents,
                top_n=top_n,
                return_documents=return_documents,
                api_base=url + path,
                api_key=key,
            )
            return [
                Hit(r["index"], r["relevance_score"], (r.get("document") or {}).get("text")) for r in answer.results
            ]

        return rank

    return connect


def _haystack(ranker: Callable[[int | None], Any]) -> Rank:
    def rank(query: str, documents: list[str], top_n: int | None, _: bool) -> list[Hit]:
        given = [HaystackDocument(content=text, meta={"at": at}) for at, text in enumerate(documents)]
        kept = ranker(top_n).run(query=query, documents=given)["documents"]
        return [Hit(d.meta["at"], d.score, d.content) for d in kept]

    return rank


def haystack_cohere(url: str, key: str) -> Rank:
    token = Secret.from_token(key)
    return _haystack(lambda top_n: CohereRanker(api_key=token, api_base_url=url, top_k=top_n or 10))


def haystack_jina(url: str, key: str) -> Rank:
    token = Secret.from_token(key)
    return _haystack(lambda top_n: JinaRanker(api_key=token, base_url=f"{url}/v1/rerank", top_k=top_n))


def haystack_tei(url: str, key: str) -> Rank:
    token = Secret.from_token(key)
    return _haystack(lambda top_n: HuggingFaceTEIRanker(url=url, token=token, top_k=top_n or 10, max_retries=0))


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
            call = {"client": name, "url": url, "key": key, "query": query, "documents": documents}
            call |= {"topN": top_n, "returnDocuments": return_documents}
            run = subprocess.run(["node", NODE], input=json.dumps(call), capture_output=True, text=True, check=True)
            answer = json.loads(run.stdout)
            if "error" in answer:
                raise JavaScriptError(answer["error"])
            return [Hit(*hit) for hit in answer["hits"]]

        return rank

    return connect


# For reranking LiteLLM turns every error of every provider into this one, with the answer's body as its message.
_LITELLM_ERRORS = (litellm.APIConnectionError, litellm.APIConnectionError)
_COHERE_ERRORS = (cohere.errors.BadRequestError, cohere.errors.UnauthorizedError)
_AGENT = boto3.client("bedrock-agent-runtime", region_name="us-east-1").exceptions
_RUNTIME = boto3.client("bedrock-runtime", region_name="us-east-1").exceptions

CLIENTS = (
    Client("cohere v1", "cohere", cohere_v1, *_COHERE_ERRORS),
    Client("cohere v2", "cohere", cohere_v2, *_COHERE_ERRORS, documents="never"),
    Client("cohere-ai (JS) v1", "npm:cohere-ai", _javascript("cohere-v1"), JavaScriptError, JavaScriptError),
    Client(
        "cohere-ai (JS) v2", "npm:cohere-ai", _javascript("cohere-v2"), JavaScriptError, JavaScriptError, "never"
    ),
    Client("@ai-sdk/cohere", "npm:@ai-sdk/cohere", _javascript("ai-sdk"), JavaScriptError, JavaScriptError, "own"),
    Client("voyageai", "voyageai", voyage, voyageai.error.InvalidRequestError, voyageai.error.AuthenticationError),
    Client("langchain-cohere", "langchain-cohere", langchain_cohere, *_COHERE_ERRORS, documents="own"),
    Client("langchain Jina", "langchain-community", langchain_jina, RuntimeError, RuntimeError, "own"),
    Client("langchain Infinity", "langchain-community", langchain_infinity, UnexpectedStatus, UnexpectedStatus, "own"),
    Client(
        "llama-index Cohere",
        "llama-index-postprocessor-cohere-rerank",
        llama_index_cohere,
        *_COHERE_ERRORS,
        documents="own",
    ),
    Client(
        "llama-index Jina",
        "llama-index-postprocessor-jinaai-rerank",
        llama_index_jina,
        RuntimeError,
        RuntimeError,
        "own",
    ),
    # It never looks at the status: whatever is not a list of the right length fails its assertion.
    Client(
        "llama-index TEI",
        "llama-index-postprocessor-tei-rerank",
        llama_index_tei,
        (AssertionError, TypeError),
        (AssertionError, TypeError),
        "own",
        says_why=False,
    ),
    Client("LiteLLM cohere/", "litellm", _litellm("cohere/rerank-v3.5"), *_LITELLM_ERRORS),
    Client("LiteLLM jina_ai/", "litellm", _litellm("jina_ai/jina-reranker-v2-base-multilingual"), *_LITELLM_ERRORS),
    Client("LiteLLM infinity/", "litellm", _litellm("infinity/rerank", "/infinity"), *_LITELLM_ERRORS),
    Client("LiteLLM hosted_vllm/", "litellm", _litellm("hosted_vllm/bge-reranker-base"), *_LITELLM_ERRORS),
    Client("LiteLLM huggingface/", "litellm", _litellm("huggingface/bge-reranker-base"), *_LITELLM_ERRORS),
    Client("LiteLLM voyage/", "litellm", _litellm("voyage/rerank-2.5"), *_LITELLM_ERRORS),
    Client("haystack Cohere", "cohere-haystack", haystack_cohere, *_COHERE_ERRORS, documents="own"),
    Client("haystack Jina", "jina-haystack", haystack_jina, RuntimeError, RuntimeError, "own"),
    Client(
        "haystack TEI", "huggingface-api-haystack", haystack_tei, RuntimeError, RuntimeError, "own"
    ),
    Client("boto3 Rerank", "boto3", bedrock_rerank, _AGENT.ValidationException, _AGENT.AccessDeniedException),
    Client("boto3 InvokeModel", "boto3", bedrock_invoke, _RUNTIME.ValidationException, _RUNTIME.AccessDeniedException),
    Client(
        "pinecone", "pinecone", pinecone_inference, pinecone.errors.ApiError, pinecone.errors.UnauthorizedError
    ),
    Client(
        "mixedbread", "mixedbread", mixedbread_client, mixedbread.BadRequestError, mixedbread.AuthenticationError
    ),
)
