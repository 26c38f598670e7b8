"""How LangChain's document compressors are called, whoever they call in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.documents import Document as LangchainDocument

from tests.clients.client import Hit, Rank


def langchain(compressor: Callable[[int | None], Any]) -> Rank:
    def rank(query: str, documents: list[str], top_n: int | None, _: bool) -> list[Hit]:
        given = [LangchainDocument(text, metadata={"at": at}) for at, text in enumerate(documents)]
        kept = compressor(top_n).compress_documents(given, query)
        return [Hit(d.metadata["at"], d.metadata["relevance_score"], d.page_content) for d in kept]

    return rank
