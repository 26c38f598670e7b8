"""Every client works unchanged: it ranks, limits, returns documents, and raises what its users catch."""

from __future__ import annotations

import httpx
import pytest

from tests.clients.client import Client, Hit
from tests.clients.environment import CLIENTS, name_and_version

QUERY = "What is the capital of France?"
DOCUMENTS = [
    "Cheese is made from milk.",
    "Paris is the capital and most populous city of France.",
    "The capital of Germany is Berlin.",
    "France is a country in Europe.",
    "A very long document. " * 200 + "Its last sentence says that Paris is the capital of France.",
]

every_client = pytest.mark.parametrize("client", CLIENTS, ids=name_and_version)


@pytest.fixture(scope="module")
def expected(url: str, key: str) -> list[Hit]:
    """The ranking as the native route gives it."""
    headers = {"authorization": f"Bearer {key}"}
    answer = httpx.post(f"{url}/rank", json={"query": QUERY, "passages": DOCUMENTS}, headers=headers)
    return [Hit(result["index"], result["score"]) for result in answer.raise_for_status().json()["results"]]


@every_client
def test_it_gets_every_document_ranked(client: Client, url: str, key: str, expected: list[Hit]) -> None:
    hits = client.connect(url, key)(QUERY, DOCUMENTS, None, False)
    assert [hit.index for hit in hits] == [hit.index for hit in expected]
    assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-6)


@every_client
def test_its_limit_is_kept(client: Client, url: str, key: str, expected: list[Hit]) -> None:
    hits = client.connect(url, key)(QUERY, DOCUMENTS, 2, False)
    assert [hit.index for hit in hits] == [hit.index for hit in expected[:2]]


@every_client
def test_its_limit_may_be_more_than_there_is(client: Client, url: str, key: str) -> None:
    assert len(client.connect(url, key)(QUERY, DOCUMENTS, 9, False)) == len(DOCUMENTS)


@every_client
def test_it_gets_documents_back(client: Client, url: str, key: str) -> None:
    hits = client.connect(url, key)(QUERY, DOCUMENTS, None, True)
    returned = [None if client.documents == "never" else DOCUMENTS[hit.index] for hit in hits]
    assert [hit.text for hit in hits] == returned


@every_client
def test_it_raises_its_own_exception_for_a_bad_request(client: Client, url: str, key: str) -> None:
    with pytest.raises(client.bad_request) as raised:
        client.connect(url, key)("too long " * 12_000, DOCUMENTS, None, False)
    if client.says_why:
        assert "must be a string of 1 to 100,000 characters" in said(raised.value)


@every_client
def test_it_raises_its_own_exception_for_a_wrong_key(client: Client, url: str, key: str) -> None:
    with pytest.raises(client.unauthorized) as raised:
        client.connect(url, "a wrong key")(QUERY, DOCUMENTS, None, False)
    if client.says_why:
        assert "invalid API key" in said(raised.value)


def said(error: BaseException) -> str:
    """All that an exception and its cause say."""
    response = getattr(error, "response", None)
    return " ".join(map(str, (error, error.__cause__, getattr(response, "text", ""))))
