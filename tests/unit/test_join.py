"""A TREC run, a corpus and its queries become one line per query."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from handler import join
from handler.errors import DeadlineExceeded, InvalidRequest, PayloadTooLarge
from tests.unit.s3 import s3

__all__ = ["s3"]

RUN = "q2 Q0 d1 1 9.5 bm25\nq2 Q0 d2 2 9.5 bm25\nq1 Q0 d3 1 1 bm25\nq2 Q0 d3 3 12 bm25\n\n"
CORPUS = '{"_id": "d1", "text": "one"}\n{"_id": "d2", "title": "Two", "text": "two"}\n{"_id": "d3", "text": "three"}\n'
QUERIES = '{"_id": "q1", "text": "first"}\n{"_id": "q2", "text": "second"}\n{"_id": "q3", "text": "unused"}\n'


def joined(s3: Any, *, remaining: int = 600_000, depth: Any = None, **files: str) -> dict[str, Any]:
    for name, body in {"run": RUN, "corpus": CORPUS, "queries": QUERIES, **files}.items():
        s3.put_object(Bucket="data", Key=name, Body=body.encode())
    source = {"bucket": "data", "run": "run", "corpus": "corpus", "queries": "queries", "depth": depth}
    settings = {"input": source, "output": {"bucket": "results", "prefix": "runs"}}
    return join.join({"step": "join", "run": "one", "settings": settings}, lambda: remaining)


def lines(s3: Any, name: str = "joined.jsonl") -> list[Any]:
    body = s3.get_object(Bucket="results", Key=f"runs/one/{name}")["Body"].read()
    return [json.loads(line) for line in body.splitlines()]


def test_queries_keep_the_order_of_the_run_and_candidates_that_of_the_scores(s3: Any) -> None:
    answer = joined(s3)
    assert lines(s3) == [
        {"id": "q2", "query": "second", "passages": [
            {"id": "d3", "text": "three", "score": 12.0},
            {"id": "d1", "text": "one", "score": 9.5},
            {"id": "d2", "text": "Two two", "score": 9.5},
        ]},
        {"id": "q1", "query": "first", "passages": [{"id": "d3", "text": "three", "score": 1.0}]},
    ]  # fmt: skip
    assert answer["settings"]["input"] == {"bucket": "results", "key": "runs/one/joined.jsonl"}
    assert answer["joined"] == {"queries": 2, "pairs": 4, "missing_queries": 0, "missing_passages": 0}


def test_depth_keeps_the_best_candidates(s3: Any) -> None:
    assert joined(s3, depth=1)["joined"]["pairs"] == 2
    assert [[found["id"] for found in line["passages"]] for line in lines(s3)] == [["d3"], ["d3"]]


def test_what_the_files_lack_is_counted_and_listed(s3: Any) -> None:
    answer = joined(s3, run=RUN + "q9 Q0 d1 1 1 x\nq1 Q0 d9 1 1 x\n")
    assert answer["joined"] == {"queries": 2, "pairs": 4, "missing_queries": 1, "missing_passages": 1}
    assert lines(s3, "joined-missing.jsonl") == [{"query": "q9"}, {"passage": "d9"}]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"run": "q1 Q0 d1 1\n"}, "input.run: line 1 is not `query Q0 document rank score tag`"),
        ({"run": "\nq1 Q0 d1 1 high bm25\n"}, "input.run: line 2 is not"),
        ({"corpus": '{"_id": "d1"}\n'}, "input.corpus: line 1 is not an object with _id and text"),
        ({"corpus": CORPUS + "[]\n"}, "input.corpus: line 4 is not"),
        ({"corpus": '{"_id": "d1", "text": "\\ud800"}\n'}, "input.corpus: line 1 is not"),
        ({"queries": '{"_id": 1, "text": "q"}\n'}, "input.queries: line 1 is not"),
        ({"corpus": '{"_id": "other", "text": "t"}\n'}, "input.run names no query and passage"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(s3: Any, files: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        joined(s3, **files)  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [0, 1001, True, "10"])
def test_depth_has_limits(s3: Any, depth: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"input\.depth must be an integer from 1 to 1,000"):
        joined(s3, depth=depth)


def test_too_little_storage_says_so(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "SCHEMA", join.SCHEMA + "PRAGMA max_page_count = 12;")
    corpus = "".join(json.dumps({"_id": f"d{i}", "text": "x" * 9000}) + "\n" for i in range(1, 9))
    with pytest.raises(PayloadTooLarge, match="temporary storage"):
        joined(s3, corpus=corpus)


def test_another_failure_of_the_store_is_not_taken_for_that(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "SCHEMA", "CREATE TABLE nothing (x);")
    with pytest.raises(sqlite3.OperationalError):
        joined(s3)


def test_too_little_time_says_so(s3: Any) -> None:
    with pytest.raises(DeadlineExceeded, match="join did not fit"):
        joined(s3, remaining=5_000)


def test_a_stream_is_read_in_the_sizes_that_are_asked_for() -> None:
    stream = join._Stream(iter([b"abc", b"defgh", b"i"]))
    assert [stream.read(2), stream.read(4), stream.read(1), stream.read(), stream.read(5)] == [
        b"ab",
        b"cdef",
        b"g",
        b"hi",
        b"",
    ]
