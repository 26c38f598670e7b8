"""The batch state machine, run by MiniStack with real workers, and every fault that it is meant to survive.

Each time, what the parts hold together is compared byte for byte with the ranking of one process over the same lines.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from handler import runs
from handler.dialects import native
from handler.runtime import SETTINGS, rank
from infra import batch, ministack
from infra.ministack import INPUT_BUCKET, OUTPUT_BUCKET, Stand
from tests.integration.faults import Fault, proxy

pytestmark = pytest.mark.skipif(not ministack.PYTHON.exists(), reason="make .venvs/batch/.ready installs MiniStack")

DL19 = ministack.ROOT.parent / "shared" / "data" / "dev" / "msmarco-dl19"
WORDS = (
    "lambda",
    "cold",
    "start",
    "passage",
    "query",
    "river",
    "bank",
    "engine",
    "tea",
    "tax",
    "winter",
    "café",
    "北京",
)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with ministack.stand() as running:
        yield running


@dataclass
class Outcome:
    """What an execution came to, brought together in a folder."""

    said: dict[str, Any]
    folder: Path
    prefix: str
    children: dict[str, int]

    @property
    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return summary

    @property
    def results(self) -> bytes:
        return (self.folder / "results.jsonl").read_bytes()

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "errors.jsonl").read_bytes().splitlines()]


class Bench:
    """Runs executions on a stand, each with a worker function and a folder of its own."""

    def __init__(self, stand: Stand, folder: Path, name: str) -> None:
        self.stand = stand
        self.folder = folder
        self.name = "".join(letter if letter.isalnum() else "-" for letter in name)[:60].strip("-")

    def put(self, name: str, body: bytes) -> str:
        key = f"{self.name}/in/{name}"
        self.stand.s3.put_object(Bucket=INPUT_BUCKET, Key=key, Body=body)
        return key

    def worker(self, **environment: Any) -> str:
        return self.stand.deploy_worker(self.name, RERANK_MODEL_DIR=str(SETTINGS.model_dir), **environment)

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "input": {"bucket": INPUT_BUCKET, "prefix": f"{self.name}/in/"},
            "output": {"bucket": OUTPUT_BUCKET, "prefix": self.name},
            "concurrency": 2,
            "tolerated_failure_percentage": 0,
            **more,
        }

    def run(self, *, worker: str | None = None, timeout: int = 60, **more: Any) -> Outcome:
        settings = self.settings(**more)
        function = worker or self.worker(timeout=timeout)
        machine = self.stand.deploy_machine(f"{self.name}-{time.monotonic_ns()}", function, settings)
        s3, workflows = self.stand.s3, self.stand.workflows
        deployment = batch.Deployment(s3, workflows, machine, INPUT_BUCKET, OUTPUT_BUCKET)
        said = batch.execute(deployment, settings, "run", lambda *_: None)
        print(said["status"], said.get("error"), said.get("cause"))
        children = ministack.write_results(self.stand, said["executionArn"], f"{self.name}/run/map/")
        outcome = Outcome(said, self.folder, f"{self.name}/run/", children)
        if said["status"] == "SUCCEEDED":
            batch.fetch(deployment, outcome.prefix, self.folder, trec=bool(more.get("trec")))
        if "FAILED" in children:
            print({(child["Error"], child["Cause"][:300]) for child in _failed(self, outcome)})
        return outcome


@pytest.fixture
def bench(stand: Stand, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return Bench(stand, tmp_path, request.node.name.removeprefix("test_"))


def data_set(queries: int, passages: int = 6, seed: int = 1) -> bytes:
    """Lines of unlike lengths, ASCII and not."""
    chance = random.Random(seed)

    def text() -> str:
        return " ".join(chance.choices(WORDS, k=chance.randint(3, 40)))

    lines = []
    for number in range(queries):
        found = [{"id": f"d{number}-{i}", "text": text()} for i in range(chance.randint(1, passages))]
        lines.append(json.dumps({"id": f"q{number}", "query": text()[:60], "passages": found}, ensure_ascii=False))
    return "\n".join(lines).encode() + b"\n"


def alone(body: bytes, bad: Collection[bytes] = (), **options: Any) -> bytes:
    """What one process makes of the same lines, the ``bad`` ones left out."""
    ranked, offset = b"", 0
    for line in body.splitlines(keepends=True):
        if line not in bad:
            given = json.loads(line)
            asked = native.parse({**options, **given})
            answer = native.render(rank(asked, lambda: 60_000), asked)
            said = {"id": given.get("id"), "offset": offset, "results": answer["results"], "usage": answer["usage"]}
            ranked += runs.to_line(said)
        offset += len(line)
    return ranked


def test_many_ranges_come_to_what_one_process_ranks(bench: Bench) -> None:
    first, second = data_set(30), data_set(11, seed=2)
    bench.put("a.jsonl", first)
    bench.put("b.jsonl", second)
    outcome = bench.run(range_bytes=3000, top_n=3, trec="nano")
    assert outcome.results == alone(first, top_n=3) + alone(second, top_n=3)
    summary = outcome.summary
    assert (summary["complete"], summary["ranked"], summary["errors"]) == (True, 41, 0)
    rows = (outcome.folder / "run.trec").read_text().splitlines()
    ranked = [json.loads(line) for line in outcome.results.splitlines()]
    assert [row.split() for row in rows] == [
        [answer["id"], "Q0", result["id"], str(place), repr(result["score"]), "nano"]
        for answer in ranked
        for place, result in enumerate(answer["results"], 1)
    ]
    assert outcome.children == {"SUCCEEDED": len(_shards(bench, outcome))}


def _shards(bench: Bench, outcome: Outcome) -> list[bytes]:
    body: bytes = bench.stand.s3.get_object(Bucket=OUTPUT_BUCKET, Key=f"{outcome.prefix}shards.jsonl")["Body"].read()
    return body.splitlines()


def test_a_bad_line_is_reported_with_its_number_and_costs_no_other(bench: Bench) -> None:
    good = data_set(24).splitlines(keepends=True)
    bad = {
        3: (b"this is no JSON\n", "the line is not JSON"),
        9: (b"[1, 2]\n", "the line must be a JSON object"),
        10: (b'{"id": "x", "passages": ["p"]}\n', "query is required"),
        15: (b'{"query": "q", "passages": ["\\ud800"]}\n', "passages[0] holds a lone surrogate"),
        19: (
            b'{"query": "' + b"x" * 6_300_000 + b'", "passages": ["p"]}\n',
            "the line must hold at most 6,291,456 bytes",
        ),
        21: (b'{"id": true, "query": "q", "passages": ["p"]}\n', "id must be a string or an integer"),
    }
    lines = list(good)
    for number, (line, _) in bad.items():
        lines.insert(number - 1, line)
    lines.insert(12, b"\n")  # a blank line is none
    body = b"".join(lines)
    bench.put("a.jsonl", body)
    outcome = bench.run(range_bytes=1_000_000)
    assert outcome.results == alone(body, {b"\n", *(line for line, _ in bad.values())})
    shifted = {number + (number > 12): reason for number, (_, reason) in bad.items()}
    assert {error["line"]: error["reason"] for error in outcome.errors} == shifted
    starts = [error["offset"] for error in outcome.errors]
    assert [body[:start].count(b"\n") + 1 for start in starts] == sorted(shifted)
    assert {error["error"] for error in outcome.errors} == {"InvalidRequest"}
    assert (outcome.summary["ranked"], outcome.summary["errors"], outcome.summary["lines"]) == (24, 6, 31)


def _workers(stand: Stand) -> list[int]:
    """The processes of the runtime client that the stand has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == stand.process.pid:
                found.append(int(stat.parent.name))
        except (OSError, ValueError):
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the worker through /proc")
def test_a_worker_killed_half_way_is_retried_and_goes_on_from_what_it_committed(bench: Bench) -> None:
    body = data_set(40)
    bench.put("a.jsonl", body)
    idle = set(_workers(bench.stand))

    def kill() -> None:
        while sum(("/receipts/" in path) for method, path in counted.passed if method == "PUT") < 15:
            time.sleep(0.002)
        for pid in set(_workers(bench.stand)) - idle:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    killed: list[int] = []
    with proxy(bench.stand.url, lambda *_: None) as counted:
        function = bench.worker(AWS_ENDPOINT_URL_S3=counted.url)
        killer = threading.Thread(target=kill)
        killer.start()
        outcome = bench.run(worker=function, part_seconds=0, concurrency=1)
        killer.join()
    assert killed
    assert outcome.results == alone(body)
    assert outcome.summary["parts"] == 40
    # What was committed is not ranked again: no file is written twice, save the one that the signal may have cut short.
    written = [count for (method, path), count in counted.passed.items() if method == "PUT" and "/results/" in path]
    assert sum(written) - len(written) <= 1


def _every_third(number: int, _method: str, _path: str) -> Fault | None:
    return "slow_down" if number % 3 == 0 else None


def _cut_data(number: int, method: str, path: str) -> Fault | None:
    return "cut" if method == "GET" and path.endswith(".jsonl") and number % 2 else None


@pytest.mark.parametrize(("decide", "fault"), [(_every_third, "slow_down"), (_cut_data, "cut")])
def test_a_throttled_or_broken_s3_is_asked_again(bench: Bench, decide: Any, fault: str) -> None:
    body = data_set(12)
    bench.put("a.jsonl", body)
    with proxy(bench.stand.url, decide) as faulty:
        outcome = bench.run(worker=bench.worker(AWS_ENDPOINT_URL_S3=faulty.url), range_bytes=3000)
    assert faulty.faults[fault] >= 3
    print(f"{fault}: {faulty.faults[fault]} of {faulty.requests} requests")
    assert outcome.results == alone(body)


def test_a_throttled_lambda_is_retried(bench: Bench) -> None:
    body = data_set(8)
    bench.put("a.jsonl", body)
    function = bench.worker()
    bench.stand.functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
    outcome = bench.run(worker=function, range_bytes=2000, concurrency=2)
    assert outcome.results == alone(body)


def test_an_empty_file_and_an_empty_folder_are_complete_at_once(bench: Bench) -> None:
    bench.put("a.jsonl", b"")
    outcome = bench.run()
    assert outcome.said["status"] == "SUCCEEDED"
    assert (outcome.results, outcome.errors, outcome.children) == (b"", [], {})
    assert (outcome.summary["complete"], outcome.summary["lines"], outcome.summary["parts"]) == (True, 0, 0)


def test_a_file_shaped_like_a_gigabyte_is_ranked_range_by_range(bench: Bench) -> None:
    body = data_set(160, passages=2)
    bench.put("a.jsonl", body)
    outcome = bench.run(range_bytes=len(body) // 64)  # as 16 MiB are to 1 GiB: ranges cut lines anywhere
    assert len(_shards(bench, outcome)) >= 64
    assert outcome.results == alone(body)


def _slowly(_number: int, method: str, path: str) -> Fault | None:
    if method == "GET" and "/in/" in path:
        time.sleep(0.7)
    return None


@pytest.mark.slow
def test_a_deadline_hands_back_the_offset_from_which_the_child_goes_on(bench: Bench) -> None:
    bodies = [data_set(3, passages=2, seed=seed) for seed in range(30)]
    for number, body in enumerate(bodies):
        bench.put(f"{number:02}.jsonl", body)
    with proxy(bench.stand.url, _slowly) as slow:  # so that no machine is fast enough for all of it in 20 s
        outcome = bench.run(worker=bench.worker(timeout=20, AWS_ENDPOINT_URL_S3=slow.url), concurrency=1)
    assert outcome.results == b"".join(map(alone, bodies))
    assert outcome.children == {"SUCCEEDED": 1}  # all of it is one shard
    invocations = _invocations(bench.stand, outcome)
    assert invocations >= 2
    print(f"{invocations} invocations of 20 s")


def _invocations(stand: Stand, outcome: Outcome) -> int:
    """How often the children's Rank state answered."""
    (run,) = stand.workflows.list_map_runs(executionArn=outcome.said["executionArn"])["mapRuns"]
    children = stand.workflows.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    histories = (stand.workflows.get_execution_history(executionArn=c["executionArn"])["events"] for c in children)
    return sum(event["type"] == "TaskSucceeded" for events in histories for event in events)


def test_events_delivered_twice_and_at_once_count_once(bench: Bench) -> None:
    body = data_set(30)
    bench.put("a.jsonl", body)
    function = bench.worker()

    def invoke(event: dict[str, Any]) -> Any:
        answer = bench.stand.functions.invoke(FunctionName=function, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read())

    settings = bench.settings(range_bytes=2500, part_seconds=0)
    planned = invoke({"step": "plan", "run": "run", "settings": settings})
    outcome = Outcome({}, bench.folder, f"{bench.name}/run/", {})
    shards = [json.loads(line)["ranges"] for line in _shards(bench, outcome)]
    events = [{"Items": ranges, "BatchInput": planned["batch"]} for ranges in shards for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(invoke, events))
    assert all(answer["done"] for answer in answers)
    assert invoke(events[0])["totals"] == answers[0]["totals"]  # and once more, when all is done
    summary = invoke({"step": "finish", "batch": planned["batch"]})
    assert (summary["ranked"], summary["complete"], summary["removed"]) == (30, True, 0)
    deployment = batch.Deployment(bench.stand.s3, None, "", INPUT_BUCKET, OUTPUT_BUCKET)
    batch.fetch(deployment, outcome.prefix, bench.folder, trec=False)
    assert outcome.results == alone(body)


def test_a_corrupt_object_fails_its_item_by_name_and_no_other(bench: Bench) -> None:
    good = data_set(10)
    bench.put("a.jsonl", good)
    bench.put("b.jsonl.gz", gzip.compress(data_set(5, seed=3))[:-20])
    bench.put("c.jsonl.gz", gzip.compress(data_set(5, seed=4)))
    outcome = bench.run(tolerated_failure_percentage=40)
    assert outcome.children == {"SUCCEEDED": 2, "FAILED": 1}
    failed = _failed(bench, outcome)
    assert [child["Error"] for child in failed] == ["CorruptObject"]
    summary = outcome.summary
    assert (summary["complete"], summary["missing_ranges"]) == (False, 1)
    assert summary["missing"][0]["key"].endswith("b.jsonl.gz")
    kept = [json.loads(line)["id"] for line in outcome.results.splitlines()]
    assert len(kept) >= 15  # and of the broken one, what came before the break


def _failed(bench: Bench, outcome: Outcome) -> list[dict[str, Any]]:
    listed = bench.stand.s3.list_objects_v2(Bucket=OUTPUT_BUCKET, Prefix=f"{outcome.prefix}map/")["Contents"]
    (key,) = (found["Key"] for found in listed if found["Key"].endswith("FAILED_0.json"))
    children: list[dict[str, Any]] = json.loads(bench.stand.s3.get_object(Bucket=OUTPUT_BUCKET, Key=key)["Body"].read())
    return children


def test_more_failures_than_tolerated_fail_the_execution(bench: Bench) -> None:
    bench.put("a.jsonl", data_set(3))
    bench.put("b.jsonl.gz", b"no gzip at all")
    outcome = bench.run(tolerated_failure_percentage=10)
    assert (outcome.said["status"], outcome.said["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")


def test_a_setting_that_is_wrong_fails_before_anything_is_ranked(bench: Bench) -> None:
    bench.put("a.jsonl", data_set(3))
    outcome = bench.run(options={"top_n": 0})
    assert outcome.said["error"] == "InvalidRequest"
    assert "top_n must be an integer of at least 1" in outcome.said["cause"]


def test_a_trec_run_is_joined_with_its_corpus(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    folder.mkdir()
    corpus = [{"_id": f"d{i}", "title": "T" if i % 2 else "", "text": f"river bank {i} tea"} for i in range(30)]
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(c) + "\n" for c in corpus).encode()))
    queries = [{"_id": f"q{i}", "text": f"tea {i}"} for i in range(4)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    rows = [f"q{q} Q0 d{d} {d + 1} {30 - d} bm25" for q in (2, 0, 1) for d in range(q, 30, 3)]
    (folder / "bm25.run").write_text("\n".join([*rows, "q9 Q0 d1 1 3 bm25", "q2 Q0 nowhere 9 1 bm25"]))
    source = batch.place(bench.stand.s3, INPUT_BUCKET, batch.find(folder), f"{bench.name}/beir/")
    outcome = bench.run(input={**source, "depth": 5}, trec="nano")
    expected = b""
    for q in (2, 0, 1):
        found = [{"id": f"d{d}", "text": ("T " if d % 2 else "") + f"river bank {d} tea", "score": 30.0 - d}
                 for d in range(q, 30, 3)][:5]  # fmt: skip
        expected += runs.to_line({"id": f"q{q}", "query": f"tea {q}", "passages": found})
    assert outcome.results == alone(expected)
    missing = bench.stand.s3.get_object(Bucket=OUTPUT_BUCKET, Key=f"{outcome.prefix}joined-missing.jsonl")[
        "Body"
    ].read()
    assert missing == b'{"query":"q9"}\n{"passage":"nowhere"}\n'


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ir_measures, which builds syntax trees the old way
@pytest.mark.skipif(not DL19.exists(), reason="../shared/data is not here")
def test_the_measures_of_a_batch_over_dl19_are_those_of_the_direct_ranking(bench: Bench) -> None:
    ir_measures = pytest.importorskip("ir_measures")
    source = batch.place(bench.stand.s3, INPUT_BUCKET, batch.find(DL19), f"{bench.name}/beir/")
    outcome = bench.run(input=source, trec="nano", range_bytes=500_000)
    joined = bench.stand.s3.get_object(Bucket=OUTPUT_BUCKET, Key=f"{outcome.prefix}joined.jsonl")["Body"].read()
    direct = [json.loads(line) for line in alone(joined).splitlines()]
    ours = [ir_measures.ScoredDoc(a["id"], r["id"], r["score"]) for a in direct for r in a["results"]]
    qrels = list(ir_measures.read_trec_qrels(_qrels()))
    wanted = [ir_measures.parse_measure(name) for name in ("nDCG@10", "RR@10", "R@100")]
    theirs = ir_measures.read_trec_run(str(outcome.folder / "run.trec"))
    batched, expected = (ir_measures.calc_aggregate(wanted, qrels, run) for run in (theirs, ours))
    print({str(measure): round(value, 4) for measure, value in batched.items()})
    assert batched == expected
    assert outcome.summary["passages"] == 4300


def _qrels() -> str:
    rows = next((DL19 / "qrels").glob("*.tsv")).read_text().splitlines()[1:]
    return "\n".join("{} 0 {} {}".format(*row.split("\t")) for row in rows)
