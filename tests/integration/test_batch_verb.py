"""``make batch`` as a user calls it, here and against a deployed stack, and the example workflow of one request."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from handler.runtime import SETTINGS
from infra import ministack
from infra.ministack import INPUT_BUCKET, OUTPUT_BUCKET, ROLE, ROOT, Stand
from tests.integration.emulator import Emulator
from tests.integration.sandbox import BUILT, Sandbox

pytestmark = pytest.mark.skipif(not ministack.PYTHON.exists(), reason="make .venvs/batch/.ready installs MiniStack")

LINES = "".join(
    json.dumps(
        {"id": f"q{i}", "query": "tea", "passages": [{"id": "a", "text": "tea leaves"}, {"id": "b", "text": "rivers"}]}
    )
    + "\n"
    for i in range(7)
)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with ministack.stand() as running:
        yield running


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ministack.PYTHON), "-m", "infra.batch", *arguments],
        cwd=ROOT,
        env={**os.environ, "RERANK_MODEL_DIR": str(SETTINGS.model_dir), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_becomes_a_folder_of_results(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(LINES + "oops\n")
    out = tmp_path / "out"
    done = call(str(tmp_path / "in.jsonl"), str(out), "--trec", "nano", "--concurrency", "1", "--top-n", "1")
    assert done.returncode == 0, done.stderr
    assert "7 queries, 14 pairs" in done.stdout
    assert "1 bad lines, 0 ranges missing" in done.stdout
    results = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [(said["id"], len(said["results"])) for said in results] == [(f"q{i}", 1) for i in range(7)]
    assert len((out / "run.trec").read_text().splitlines()) == 7
    assert json.loads((out / "errors.jsonl").read_text())["line"] == 8
    assert json.loads((out / "summary.json").read_text())["complete"] is True


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no .jsonl, .ndjson"),
        ({"notes.txt": "x"}, "no .jsonl, .ndjson"),
        ({"corpus.jsonl": "", "queries.jsonl": "", "a.run": "", "b.run": ""}, "which first-stage run to rerank"),
    ],
)
def test_a_folder_without_data_is_refused_in_one_sentence(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    done = call(str(folder), str(tmp_path / "out"))
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_a_path_that_does_not_exist_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = call(str(tmp_path / "nowhere.jsonl"), str(tmp_path / "out"))
    assert (done.returncode, "no such file or folder" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


@pytest.fixture(scope="module")
def deployed(stand: Stand) -> dict[str, str]:
    """A stack whose outputs are those of template.yaml, as a deployment would have them."""
    function = stand.deploy_worker("deployed", RERANK_MODEL_DIR=str(SETTINGS.model_dir))
    machine = stand.deploy_machine("deployed", function, {"concurrency": 1})
    values = {"BatchStateMachineArn": machine, "BatchInputBucket": INPUT_BUCKET, "BatchOutputBucket": OUTPUT_BUCKET}
    template = {
        "Resources": {"Any": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {name: {"Value": value} for name, value in values.items()},
    }
    cloudformation = boto3.client("cloudformation", endpoint_url=stand.url, **ministack.CREDENTIALS)
    cloudformation.create_stack(StackName="lambda-rerank", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="lambda-rerank", WaiterConfig={"Delay": 1})
    return {
        "AWS_ENDPOINT_URL": stand.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": ministack.REGION,
    }


def test_against_a_stack_a_local_file_is_uploaded_and_its_results_come_back(
    deployed: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text(LINES)
    done = call(str(tmp_path / "in.jsonl"), str(tmp_path / "out"), "--stack", "lambda-rerank", **deployed)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == 7


def test_against_a_stack_data_may_stay_in_s3(deployed: dict[str, str], stand: Stand) -> None:
    stand.s3.put_object(Bucket=INPUT_BUCKET, Key="nightly/in.jsonl", Body=LINES.encode())
    done = call(
        f"s3://{INPUT_BUCKET}/nightly/", f"s3://{OUTPUT_BUCKET}/reranked", "--stack", "lambda-rerank", "--name", "n1",
        **deployed,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ranked"] == 7
    kept = stand.s3.list_objects_v2(Bucket=OUTPUT_BUCKET, Prefix="reranked/n1/")["Contents"]
    assert "reranked/n1/summary.json" in {found["Key"] for found in kept}


def test_a_stack_without_a_batch_machine_is_named(deployed: dict[str, str], stand: Stand, tmp_path: Path) -> None:
    cloudformation = boto3.client("cloudformation", endpoint_url=stand.url, **ministack.CREDENTIALS)
    cloudformation.create_stack(StackName="other", TemplateBody='{"Resources": {"Any": {"Type": "AWS::SQS::Queue"}}}')
    cloudformation.get_waiter("stack_create_complete").wait(StackName="other", WaiterConfig={"Delay": 1})
    done = call("s3://a/b/", str(tmp_path), "--stack", "other", **deployed)
    assert done.returncode == 1
    assert "other has no batch state machine" in done.stderr


@pytest.fixture(scope="module")
def workflow(stand: Stand) -> Any:
    function = stand.deploy_worker("rank", RERANK_MODEL_DIR=str(SETTINGS.model_dir), timeout=30)
    definition = ministack.localised(ROOT / "infra" / "rank.asl.yaml", {"RerankFunctionArn": function}, {})
    made = stand.workflows.create_state_machine(name="rank", roleArn=ROLE, definition=json.dumps(definition))

    def run(request: dict[str, Any]) -> dict[str, Any]:
        started = stand.workflows.start_execution(stateMachineArn=made["stateMachineArn"], input=json.dumps(request))
        while True:
            said: dict[str, Any] = stand.workflows.describe_execution(executionArn=started["executionArn"])
            if said["status"] != "RUNNING":
                return said

    return run


def test_the_example_workflow_ranks_a_request(workflow: Any) -> None:
    said = workflow({"query": "tea", "passages": ["river bank", "green tea"], "top_n": 1})
    assert said["status"] == "SUCCEEDED"
    assert len(json.loads(said["output"])["results"]) == 1


def test_the_example_workflow_takes_passages_that_its_state_would_not_hold(workflow: Any, stand: Stand) -> None:
    passages = [f"green tea {i} " + "x " * 600 for i in range(400)]
    body = json.dumps(passages).encode()
    assert len(body) > 256 * 1024
    stand.s3.put_object(Bucket=INPUT_BUCKET, Key="passages.json", Body=body)
    said = workflow({"query": "tea", "passages": {"s3": {"bucket": INPUT_BUCKET, "key": "passages.json"}}, "top_n": 3})
    assert said["status"] == "SUCCEEDED", said
    assert json.loads(said["output"])["usage"]["passages"] == 400


@pytest.mark.parametrize(
    ("request_body", "error"),
    [
        ({"query": "", "passages": ["p"]}, "InvalidRequest"),
        ({"query": "q", "passages": {"s3": {"bucket": "elsewhere", "key": "k"}}}, "Forbidden"),
        ({"query": "q", "passages": {"s3": {"bucket": INPUT_BUCKET, "key": "nowhere"}}}, "ObjectNotFound"),
    ],
)
def test_the_example_workflow_names_what_was_refused(workflow: Any, request_body: dict[str, Any], error: str) -> None:
    said = workflow(request_body)
    assert (said["status"], said["error"]) == ("FAILED", error)


@pytest.mark.skipif(
    not (BUILT / "function").is_dir(), reason="make .build/local/.ready-layer-nano builds the artefacts"
)
def test_the_built_artefacts_rank_a_range_in_lambdas_own_emulator(stand: Stand) -> None:
    body = LINES.encode()
    etag = stand.s3.put_object(Bucket=INPUT_BUCKET, Key="built/in.jsonl", Body=body)["ETag"]
    items = [{"key": "built/in.jsonl", "etag": etag, "start": 0, "end": len(body)}]
    shared = {"input": {"bucket": INPUT_BUCKET}, "output": {"bucket": OUTPUT_BUCKET, "key": "built/run/"}}
    buckets = f"{INPUT_BUCKET},{OUTPUT_BUCKET}"
    with Emulator(Sandbox.of(), AWS_ENDPOINT_URL_S3=stand.url, RERANK_BUCKETS=buckets) as emulator:
        first = emulator.invoke({"Items": items, "BatchInput": shared})
        again = emulator.invoke({"Items": items, "BatchInput": shared})
        refused = emulator.invoke({"Items": [{**items[0], "bucket": "elsewhere"}], "BatchInput": shared})
    assert (first["done"], first["totals"]["ranked"]) == (True, 7)
    assert again == first
    assert refused["errorType"] == "Forbidden"
