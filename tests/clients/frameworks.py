"""The rerankers of the frameworks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import litellm
from haystack import Document as HaystackDocument
from haystack.utils import Secret
from haystack_integrations.components.rankers.cohere import CohereRanker
from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker
from haystack_integrations.components.rankers.jina import JinaRanker
from langchain_cohere import CohereRerank as LangchainCohere
from langchain_community.document_compressors import JinaRerank
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.cohere_rerank import CohereRerank as LlamaCohere
from llama_index.postprocessor.jinaai_rerank import JinaRerank as LlamaJina
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

from tests.clients.client import Client, Hit, Rank
from tests.clients.cohere_python import ERRORS as COHERE_ERRORS
from tests.clients.langchain import langchain


def langchain_cohere(url: str, key: str) -> Rank:
    return langchain(lambda top_n: LangchainCohere(base_url=url, cohere_api_key=key, model="rerank-v3.5", top_n=top_n))


def langchain_jina(url: str, key: str) -> Rank:
    inner = langchain(lambda top_n: JinaRerank(jina_api_key=key, top_n=top_n))

    def rank(query: str, documents: list[str], top_n: int | None, return_documents: bool) -> list[Hit]:
        # The address is a constant of the module, and there is no other way to it.
        with patch("langchain_community.document_compressors.jina_rerank.JINA_API_URL", f"{url}/v1/rerank"):
            return inner(query, documents, top_n, return_documents)

    return rank


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


_LITELLM_ERRORS = (litellm.BadRequestError, litellm.AuthenticationError)
# It never looks at the status: whatever is not a list of the right length fails its assertion.
_NOT_A_LIST = (AssertionError, TypeError)

CLIENTS = (
    Client("langchain-cohere", "langchain-cohere", langchain_cohere, *COHERE_ERRORS, documents="own"),
    Client("langchain Jina", "langchain-community", langchain_jina, RuntimeError, RuntimeError, "own"),
    Client(
        "llama-index Cohere",
        "llama-index-postprocessor-cohere-rerank",
        llama_index_cohere,
        *COHERE_ERRORS,
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
    Client(
        "llama-index TEI",
        "llama-index-postprocessor-tei-rerank",
        llama_index_tei,
        _NOT_A_LIST,
        _NOT_A_LIST,
        "own",
        says_why=False,
    ),
    Client("LiteLLM cohere/", "litellm", _litellm("cohere/rerank-v3.5"), *_LITELLM_ERRORS),
    Client("LiteLLM jina_ai/", "litellm", _litellm("jina_ai/jina-reranker-v2-base-multilingual"), *_LITELLM_ERRORS),
    Client("LiteLLM infinity/", "litellm", _litellm("infinity/rerank", "/infinity"), *_LITELLM_ERRORS),
    Client("LiteLLM hosted_vllm/", "litellm", _litellm("hosted_vllm/bge-reranker-base"), *_LITELLM_ERRORS),
    Client("LiteLLM huggingface/", "litellm", _litellm("huggingface/bge-reranker-base"), *_LITELLM_ERRORS),
    Client("LiteLLM voyage/", "litellm", _litellm("voyage/rerank-2.5"), *_LITELLM_ERRORS),
    Client("haystack Cohere", "cohere-haystack", haystack_cohere, *COHERE_ERRORS, documents="own"),
    Client("haystack Jina", "jina-haystack", haystack_jina, RuntimeError, RuntimeError, "own"),
    Client("haystack TEI", "huggingface-api-haystack", haystack_tei, RuntimeError, RuntimeError, "own"),
)
