"""The steps around the map: what is cut into which shards, and what a run came to."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from handler import batch, objects, plan, runs
from handler.errors import Forbidden, InvalidRequest, ObjectNotFound, RunConflict
from tests.unit.s3 import s3

__all__ = ["s3"]

GIB = 2**30


def event(**more: Any) -> dict[str, Any]:
    settings = {"input": {"bucket": "data", "prefix": "in/"}, "output": {"bucket": "results", "prefix": "runs"}}
    return {"step": "plan", "run": "one", "settings": {**settings, **more}}


def shards(s3: Any) -> list[list[dict[str, Any]]]:
    body = s3.get_object(Bucket="results", Key="runs/one/shards.jsonl")["Body"].read()
    return [json.loads(line)["ranges"] for line in body.splitlines()]


def rank_all(s3: Any, planned: dict[str, Any]) -> None:
    for ranges in shards(s3):
        batch.rank_items({"Items": ranges, "BatchInput": planned["batch"]}, lambda: 600_000)


def put(s3: Any, key: str, count: int) -> bytes:
    body = "".join(json.dumps({"id": f"{key}-{i}", "query": "tea", "passages": ["a"]}) + "\n" for i in range(count))
    s3.put_object(Bucket="data", Key=f"in/{key}", Body=body.encode())
    return body.encode()


def test_a_terabyte_is_planned_without_being_read(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [{"Key": f"in/{i:04}.jsonl", "Size": GIB, "ETag": f'"{i}"'} for i in range(1024)]
    monkeypatch.setattr(objects, "keys", lambda _: iter(listed))
    monkeypatch.setattr(objects, "read", lambda *_: pytest.fail("the plan read an object"))
    planned = plan.plan(event())
    assert (planned["shards"], planned["bytes"]) == (65_536, 1024 * GIB)
    (first,) = shards(s3)[0]
    assert first == {"key": "in/0000.jsonl", "etag": '"0"', "start": 0, "end": 16 * 2**20}
    whole = [ranges[0] for ranges in shards(s3)[:64]]
    assert all(left["end"] == right["start"] for left, right in pairwise(whole))
    assert whole[-1]["end"] == GIB


def test_small_objects_share_a_shard_and_compressed_ones_do_not(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {
        "a.jsonl": 40,
        "b.jsonl": 50,
        "c.jsonl": 30,
        "d.jsonl.gz": 5,
        "e.jsonl": 250,
        "skip.txt": 9,
        "empty.jsonl": 0,
    }
    listed = [{"Key": f"in/{name}", "Size": size, "ETag": '"e"'} for name, size in sizes.items()]
    monkeypatch.setattr(objects, "keys", lambda _: iter(listed))
    plan.plan(event(range_bytes=100))
    found = [[(r["key"][3:], r["start"], r["end"]) for r in ranges] for ranges in shards(s3)]
    assert found == [
        [("a.jsonl", 0, 40), ("b.jsonl", 0, 50)],
        [("c.jsonl", 0, 30)],
        [("d.jsonl.gz", 0, 2**53)],
        [("e.jsonl", 0, 100)],
        [("e.jsonl", 100, 200)],
        [("e.jsonl", 200, 250)],
    ]


def test_a_shard_fits_the_input_of_a_child_workflow(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [{"Key": f"in/{i:0200}.jsonl", "Size": 1, "ETag": '"' + "e" * 32 + '"'} for i in range(2000)]
    monkeypatch.setattr(objects, "keys", lambda _: iter(listed))
    plan.plan(event())
    assert [len(ranges) for ranges in shards(s3)] == [500] * 4
    assert max(len(json.dumps(ranges)) for ranges in shards(s3)) < 200_000


def test_one_object_in_one_version_can_be_named(s3: Any) -> None:
    s3.put_bucket_versioning(Bucket="data", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="data", Key="in/a.jsonl", Body=b"{}\n")["VersionId"]
    s3.put_object(Bucket="data", Key="in/a.jsonl", Body=b"{}\n{}\n")
    plan.plan(event(input={"bucket": "data", "key": "in/a.jsonl", "version_id": version}))
    ((found,),) = shards(s3)
    assert (found["version_id"], found["end"]) == (version, 3)


def test_a_plan_retried_is_the_same_and_a_name_taken_by_another_run_is_refused(s3: Any) -> None:
    put(s3, "a.jsonl", 3)
    assert plan.plan(event()) == plan.plan(event())
    assert plan.plan(event(concurrency=7))["concurrency"] == 7  # decides no result
    with pytest.raises(RunConflict):
        plan.plan(event(top_n=3))
    put(s3, "a.jsonl", 4)
    with pytest.raises(RunConflict):
        plan.plan(event())


@pytest.mark.parametrize(
    ("settings", "error", "field"),
    [
        ({"range_bytes": 0}, InvalidRequest, "range_bytes"),
        ({"range_bytes": True}, InvalidRequest, "range_bytes"),
        ({"range_bytes": "16"}, InvalidRequest, "range_bytes"),
        ({"concurrency": 10_001}, InvalidRequest, "concurrency"),
        ({"tolerated_failure_percentage": 101}, InvalidRequest, "tolerated_failure_percentage"),
        ({"part_seconds": -1}, InvalidRequest, "part_seconds"),
        ({"top_n": 0}, InvalidRequest, "top_n"),
        ({"options": {"raw_scores": "yes"}}, InvalidRequest, "raw_scores"),
        ({"options": [1]}, InvalidRequest, "options"),
        ({"trec": "a tag"}, InvalidRequest, "trec"),
        ({"output": None}, InvalidRequest, "output"),
        ({"output": {"bucket": "results", "prefix": 3}}, InvalidRequest, "output.prefix"),
        ({"output": {"bucket": "foreign", "prefix": "runs"}}, Forbidden, "output.bucket"),
        ({"input": {"bucket": "foreign", "prefix": "in/"}}, Forbidden, "input.bucket"),
        ({"input": {"bucket": "results", "prefix": "runs/"}}, InvalidRequest, "output"),
        ({"input": {"bucket": "data", "key": "in/nowhere.jsonl"}}, ObjectNotFound, None),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_ranked(
    s3: Any, settings: dict[str, Any], error: Any, field: str
) -> None:
    put(s3, "a.jsonl", 1)
    with pytest.raises(error) as caught:
        plan.plan(event(**settings))
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["", "../up", "a b", "x" * 81, None, 3])
def test_a_run_has_a_name_that_fits_a_key(s3: Any, name: object) -> None:
    with pytest.raises(InvalidRequest, match="run must be 1 to 80"):
        plan.plan({**event(), "run": name})


def test_the_summary_follows_every_range_and_numbers_lines_from_the_first(s3: Any) -> None:
    body = put(s3, "a.jsonl", 20)
    lines = body.splitlines(keepends=True)
    lines[13] = b"no JSON\n"
    s3.put_object(Bucket="data", Key="in/a.jsonl", Body=b"".join(lines))
    planned = plan.plan(event(range_bytes=200, part_seconds=0))
    rank_all(s3, planned)
    summary = plan.finish({"step": "finish", "batch": planned["batch"]})
    assert (summary["lines"], summary["ranked"], summary["errors"], summary["complete"]) == (20, 19, 1, True)
    errors = s3.get_object(Bucket="results", Key="runs/one/errors.jsonl")["Body"].read()
    assert json.loads(errors) == {
        "key": "in/a.jsonl", "offset": sum(map(len, lines[:13])), "line": 14,
        "error": "InvalidRequest", "reason": "the line is not JSON",
    }  # fmt: skip
    parts = [
        json.loads(p) for p in s3.get_object(Bucket="results", Key="runs/one/parts.jsonl")["Body"].read().splitlines()
    ]
    assert [part["first_line"] for part in parts] == [1 + sum(p["lines"] for p in parts[:i]) for i in range(len(parts))]
    assert json.loads(s3.get_object(Bucket="results", Key="runs/one/summary.json")["Body"].read()) == summary


def test_what_is_missing_is_listed_and_what_no_receipt_names_is_removed(s3: Any) -> None:
    put(s3, "a.jsonl", 4)
    put(s3, "b.jsonl", 4)
    planned = plan.plan(event(range_bytes=100))
    first, *_, last = shards(s3)
    for ranges in (first, last):
        batch.rank_items({"Items": ranges, "BatchInput": planned["batch"]}, lambda: 600_000)
    run = runs.Run.parse(planned["batch"])
    (key,) = {found["Key"].split("/")[3] for found in objects.keys(run.at("results/")) if "a.jsonl" in found["Key"]}
    objects.write(run.at(runs.file_key("results", key, 0, 7)), b"of a worker that died before its receipt\n")
    summary = plan.finish({"step": "finish", "batch": planned["batch"]})
    assert (summary["complete"], summary["removed"]) == (False, 1)
    assert summary["missing_ranges"] == len(summary["missing"]) >= 1
    assert {missing["key"] for missing in summary["missing"]} <= {"in/a.jsonl", "in/b.jsonl"}
    ranked = sum(part["ranked"] for part in map(json.loads, _parts(s3)))
    assert ranked == summary["ranked"] < 8


def _parts(s3: Any) -> list[bytes]:
    body: bytes = s3.get_object(Bucket="results", Key="runs/one/parts.jsonl")["Body"].read()
    return body.splitlines()


def test_nothing_to_rank_is_complete(s3: Any) -> None:
    s3.put_object(Bucket="data", Key="in/a.jsonl", Body=b"")
    planned = plan.plan(event())
    assert planned["shards"] == 0
    summary = plan.finish({"step": "finish", "batch": planned["batch"]})
    assert (summary["complete"], summary["lines"], summary["parts"]) == (True, 0, 0)
