"""Clients whose requirements contradict those of the others; they have an environment of their own."""

from __future__ import annotations

from infinity_client.client import Client as InfinityClient
from infinity_client.errors import UnexpectedStatus
from langchain_community.document_compressors import InfinityRerank

from tests.clients import cohere_python
from tests.clients.client import Client, Rank
from tests.clients.langchain import langchain


def langchain_infinity(url: str, key: str) -> Rank:
    headers = {"authorization": f"Bearer {key}"}
    client = InfinityClient(base_url=url, headers=headers, raise_on_unexpected_status=True)
    return langchain(lambda top_n: InfinityRerank(client=client, model="default", top_n=top_n))


CLIENTS = (
    Client("cohere v1", "cohere", cohere_python.v1, *cohere_python.ERRORS),
    Client("cohere v2", "cohere", cohere_python.v2, *cohere_python.ERRORS, documents="never"),
    Client("langchain Infinity", "langchain-community", langchain_infinity, UnexpectedStatus, UnexpectedStatus, "own"),
)
