"""The worker: items in, parts committed, and the event to go on with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handler import app, batch, runs, runtime
from handler.errors import DeadlineExceeded, InternalError, InvalidRequest, ModelError, StorageError
from handler.objects import Pointer
from handler.runs import Part, Run
from tests.unit.s3 import s3

__all__ = ["s3"]

OUTPUT = {"bucket": "results", "key": "runs/one/"}
INPUT = {"bucket": "data"}


def minutes() -> int:
    return 600_000


def line(number: int, passages: int = 2) -> dict[str, Any]:
    return {"id": f"q{number}", "query": "tea", "passages": [f"river {number} {i}" for i in range(passages)]}


def put(s3: Any, lines: list[Any], key: str = "a.jsonl") -> dict[str, Any]:
    body = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines).encode()
    etag = s3.put_object(Bucket="data", Key=key, Body=body)["ETag"]
    return {"key": key, "etag": etag, "start": 0, "end": len(body)}


def event(*items: Any, **batch_input: Any) -> dict[str, Any]:
    return {"Items": list(items), "BatchInput": {"input": INPUT, "output": OUTPUT, **batch_input}}


def files(s3: Any, kind: str) -> dict[str, list[Any]]:
    found = s3.list_objects_v2(Bucket="results", Prefix=f"runs/one/{kind}/").get("Contents", [])
    bodies = {f["Key"]: s3.get_object(Bucket="results", Key=f["Key"])["Body"].read() for f in found}
    return {key: [json.loads(said) for said in body.splitlines()] for key, body in bodies.items()}


def ids(s3: Any) -> list[str]:
    return [said["id"] for lines in files(s3, "results").values() for said in lines]


@pytest.mark.parametrize(
    ("given", "is_batch"),
    [
        ({"Items": [], "BatchInput": {}}, True),
        ({"Items": [], "BatchInput": {}, "query": "q", "passages": ["p"]}, False),
        ({"Items": [1]}, False),
        ({"Items": {}, "BatchInput": {}}, False),
        ({"step": "plan", "settings": {}}, True),
        ({"step": "finish"}, True),
        ({"step": "join"}, True),
        ({"step": "rank"}, False),
        ({"step": "plan", "query": "q"}, False),
        ({"query": "q", "passages": ["p"]}, False),
    ],
)
def test_a_batch_is_known_by_its_whole_fingerprint(given: dict[str, Any], is_batch: bool) -> None:
    assert app.is_batch(given) is is_batch


def test_the_handler_routes_a_batch_to_the_worker(s3: Any, context: Any) -> None:
    answer = app.lambda_handler(event(put(s3, [line(1), line(2)])), context)
    assert (answer["done"], answer["totals"]["ranked"], answer["Items"]) == (True, 2, [])
    assert ids(s3) == ["q1", "q2"]


def test_a_batch_of_requests_as_item_batcher_makes_it_is_ranked(s3: Any) -> None:
    answer = batch.rank_items(event(line(1), {"id": 2}, "no object", line(3), options={"top_n": 1}), minutes)
    assert (answer["done"], answer["totals"]["ranked"], answer["totals"]["errors"]) == (True, 2, 2)
    (errors,) = files(s3, "errors").values()
    assert [(said["line"], said["reason"]) for said in errors] == [
        (2, "query is required"),
        (3, "the line must be a JSON object"),
    ]
    assert [len(said["results"]) for lines in files(s3, "results").values() for said in lines] == [1, 1]


def test_a_line_overrides_the_options_of_the_run(s3: Any) -> None:
    batch.rank_items(event(put(s3, [line(1), {**line(2), "top_n": 2}]), options={"top_n": 1}), minutes)
    assert [len(said["results"]) for lines in files(s3, "results").values() for said in lines] == [1, 2]


def test_a_second_delivery_finds_the_receipts_and_ranks_nothing(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    item = put(s3, [line(number) for number in range(5)])
    first = batch.rank_items(event(item, part_seconds=0), minutes)
    monkeypatch.setattr(batch, "rank", lambda *_: pytest.fail("a line was ranked again"))
    assert batch.rank_items(event(item, part_seconds=0), minutes) == first
    assert ids(s3) == [f"q{number}" for number in range(5)]


def test_when_time_is_up_the_event_goes_on_where_it_stopped(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    item = put(s3, [line(number) for number in range(6)])
    other = put(s3, [line(number) for number in range(6, 8)], "b.jsonl")
    clock = iter(range(1_000_000))
    monkeypatch.setattr(batch, "perf_counter", lambda: next(clock))
    answer = event(item, other)
    rounds = 0
    while not answer.get("done"):
        answer = batch.rank_items(answer, lambda: 15_000)
        rounds += 1
    assert rounds >= 2
    assert answer["totals"]["ranked"] == 8
    assert sorted(ids(s3)) == [f"q{number}" for number in range(8)]


def test_an_inline_batch_goes_on_too(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_000_000))
    monkeypatch.setattr(batch, "perf_counter", lambda: next(clock))
    answer = event(*(line(number) for number in range(6)))
    starts = []
    while not answer.get("done"):
        answer = batch.rank_items(answer, lambda: 15_000)
        starts.append(answer["start"])
    assert len(starts) >= 2
    assert sorted(ids(s3)) == [f"q{number}" for number in range(6)]


def test_a_line_that_outlasts_an_invocation_is_reported_and_the_rest_goes_on(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked = runtime.rank

    def slow(request: Any, remaining_ms: Any) -> Any:
        if request.query == "endless":
            raise DeadlineExceeded("the time allowed ran out with 2 passages unscored")
        return ranked(request, remaining_ms)

    monkeypatch.setattr(batch, "rank", slow)
    item = put(s3, [line(1), {**line(2), "query": "endless"}, line(3)])
    first = batch.rank_items(event(item), minutes)
    assert (first["done"], first["totals"]["ranked"]) == (False, 1)  # it may have had too little time
    second = batch.rank_items(first, minutes)  # now it had all of an invocation
    assert (second["done"], second["totals"]["ranked"], second["totals"]["errors"]) == (True, 2, 1)
    (errors,) = files(s3, "errors").values()
    assert errors[0]["error"] == "DeadlineExceeded"


def test_an_invocation_with_no_time_at_all_says_so(s3: Any) -> None:
    with pytest.raises(DeadlineExceeded, match="allow it more time"):
        batch.rank_items(event(put(s3, [line(1)])), lambda: 0)


class PanicError(BaseException):
    """As the tokenizer's panics: no Exception."""


@pytest.mark.parametrize("panic", [PanicError("the text"), ValueError("the text")])
def test_a_panic_costs_its_line_alone_and_is_not_quoted(
    s3: Any, monkeypatch: pytest.MonkeyPatch, panic: BaseException
) -> None:
    ranked = runtime.rank

    def panics(request: Any, remaining_ms: Any) -> Any:
        if request.query == "panic":
            raise panic
        return ranked(request, remaining_ms)

    monkeypatch.setattr(batch, "rank", panics)
    batch.rank_items(event(put(s3, [line(1), {**line(2), "query": "panic"}, line(3)])), minutes)
    assert ids(s3) == ["q1", "q3"]
    (errors,) = files(s3, "errors").values()
    assert (errors[0]["error"], errors[0]["reason"]) == (InternalError.__name__, "internal error")


@pytest.mark.parametrize("failure", [StorageError("S3 kept failing"), ModelError("a score that is not finite")])
def test_what_fails_beyond_the_line_fails_the_item_but_keeps_what_was_ranked(
    s3: Any, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    ranked = runtime.rank

    def fails(request: Any, remaining_ms: Any) -> Any:
        if request.query == "fail":
            raise failure
        return ranked(request, remaining_ms)

    monkeypatch.setattr(batch, "rank", fails)
    with pytest.raises(type(failure)):
        batch.rank_items(event(put(s3, [line(1), line(2), {**line(3), "query": "fail"}])), minutes)
    assert ids(s3) == ["q1", "q2"]
    (receipt,) = (said for lines in files(s3, "receipts").values() for said in lines)
    assert (receipt["lines"], receipt["ranked"], receipt["errors"]) == (2, 2, 0)


def test_whoever_commits_second_takes_over_the_first_and_leaves_nothing(s3: Any) -> None:
    run = Run.parse({"output": OUTPUT})
    first, second = Part(0, 50), Part(0, 80)
    for part in (first, second):
        part.add("results", {"id": part.end})
        part.add("errors", {"line": 1})
    kept = runs.commit(run, "a-1", first, {"name": "m", "revision": "1"})
    assert runs.commit(run, "a-1", second, {"name": "m", "revision": "1"}) == kept
    assert list(files(s3, "results")) == [f"runs/one/results/a-1/{0:016d}-{50:016d}.jsonl"]
    assert list(files(s3, "errors")) == [f"runs/one/errors/a-1/{0:016d}-{50:016d}.jsonl"]
    again = runs.commit(run, "a-1", first, {"name": "m", "revision": "1"})  # the same range: overwritten by itself
    assert again == kept
    assert list(files(s3, "results")) == [f"runs/one/results/a-1/{0:016d}-{50:016d}.jsonl"]


def test_memory_is_bounded_by_parts_of_output(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PART_BYTES", 300)
    batch.rank_items(event(put(s3, [line(number) for number in range(9)])), minutes)
    assert len(files(s3, "results")) > 3
    assert ids(s3) == [f"q{number}" for number in range(9)]


def test_versions_of_an_object_are_different_sources() -> None:
    first = runs.source_name(Pointer("b", "x/queries one.jsonl", etag='"1"'))
    second = runs.source_name(Pointer("b", "x/queries one.jsonl", etag='"2"'))
    assert first.startswith("queries-one.jsonl-")
    assert first != second


@pytest.mark.parametrize(
    ("items", "batch_input", "field"),
    [
        ([{"key": "a", "etag": "e", "start": 5, "end": 1}], {}, "Items[0]"),
        ([{"key": "a", "etag": "e", "start": True}], {}, "Items[0]"),
        ([{"key": "a", "etag": "e", "end": 2**60}], {}, "Items[0]"),
        ([{"key": 3}], {}, "Items[0].key"),
        ([], {"output": {"bucket": "results", "key": "no-slash"}}, "output.key"),
        ([], {"output": None}, "output"),
        ([], {"options": [1]}, "BatchInput"),
        ([], {"trec": "two words"}, "trec"),
        ([], {"part_seconds": -1}, "part_seconds"),
        ([], {"part_seconds": True}, "part_seconds"),
    ],
)
def test_a_wrong_event_names_the_field(s3: Any, items: list[Any], batch_input: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        batch.rank_items(event(*items, **batch_input), minutes)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"query": "tea", "passages": [{"text": "a", "id": "d"}]}, "id must be given"),
        (
            {"id": "two words", "query": "tea", "passages": [{"text": "a", "id": "d"}]},
            "id must be given, without white",
        ),
        ({"id": "q", "query": "tea", "passages": [{"text": "a", "id": "d 1"}]}, "passages.id must be given, without"),
    ],
)
def test_what_a_trec_run_cannot_say_is_a_bad_line(s3: Any, asked: dict[str, Any], reason: str) -> None:
    batch.rank_items(event(put(s3, [asked]), trec="nano"), minutes)
    (errors,) = files(s3, "errors").values()
    assert reason in errors[0]["reason"]


def test_the_worker_logs_counts_and_no_text(s3: Any, written: Any) -> None:
    batch.rank_items(event(put(s3, [line(1), {"query": "secret words"}])), minutes)
    log = written()
    assert '"ranked":1' in log
    assert "secret" not in log
    assert "river" not in log


def test_an_unforeseen_failure_leaves_as_an_internal_error(monkeypatch: pytest.MonkeyPatch, context: Any) -> None:
    monkeypatch.setattr("handler.steps.take", lambda *_: 1 / 0)
    with pytest.raises(InternalError, match="request-1"):
        app.lambda_handler({"step": "plan"}, context)
