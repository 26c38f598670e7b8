"""Rank a data set with the batch state machine: ``python -m infra.batch INPUT OUTPUT`` (make batch).

INPUT is a file or folder of JSON Lines (one query with its passages a line, plain or .gz), a folder in BEIR layout
with a TREC run, or ``s3://bucket/key-or-prefix/`` with ``--stack``. OUTPUT is a folder, which gets ``results.jsonl``
(in input order), ``errors.jsonl``, ``summary.json`` and with ``--trec`` ``run.trec``; or, with ``--stack``, an S3
address, where everything then stays.

Without ``--stack`` everything runs on this machine (``infra.ministack``), from the same definition and handler.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3

from infra import ministack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
FILES = {"results": "results.jsonl", "trec": "run.trec"}
ROLES = {"corpus", "queries", "run"}
LOCAL_SHARDS = 64  # at least, so that every core has work and the bar moves
LOCAL_LEAST_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a run happens: clients, the state machine, and the buckets that it may read and write."""

    s3: Any
    workflows: Any
    machine: str
    input_bucket: str
    output_bucket: str


def find(source: Path, run_file: str | None = None) -> dict[str, Path]:
    """The files of ``source`` by what they are called below its prefix; of a BEIR folder, by their role."""
    if not source.exists():
        sys.exit(f"{source}: no such file or folder")
    if beir := _beir(source, run_file):
        return beir
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.name.endswith(SUFFIXES))
    if not files or not files[0].name.endswith(SUFFIXES):
        sys.exit(f"{source}: no {', '.join(SUFFIXES)} file, and no corpus, queries and run in BEIR layout")
    home = source.parent if source.is_file() else source
    return {path.relative_to(home).as_posix(): path for path in files}


def place(s3: Any, bucket: str, files: Mapping[str, Path], prefix: str) -> dict[str, Any]:
    """Upload ``files`` below ``prefix`` and return the ``input`` setting that names them."""
    for name, path in files.items():
        s3.upload_file(str(path), bucket, prefix + (path.name if name in ROLES else name))
    if files.keys() == ROLES:
        return {"bucket": bucket, **{role: prefix + path.name for role, path in files.items()}}
    return {"bucket": bucket, "prefix": prefix}


def _beir(folder: Path, run_file: str | None) -> dict[str, Path]:
    """The files of a BEIR folder with a TREC run; none where it is something else."""
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for name in ("corpus", "queries"):
        for path in (folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz"):
            if path.is_file():
                found.setdefault(name, path)
    runs = [Path(run_file)] if run_file else sorted(folder.glob("*.run"))
    if len(found) < 2:
        return {}
    if len(runs) != 1 or not runs[0].is_file():
        sys.exit(f"{folder}: say which first-stage run to rerank (RUN=file), for there is not exactly one *.run in it")
    return {**found, "run": runs[0]}


def execute(deployment: Deployment, settings: dict[str, Any], name: str, tell: Callable[[int, int], None]) -> Any:
    """Start an execution, follow its map run with ``tell(done, of)``, and return what DescribeExecution says last."""
    started = deployment.workflows.start_execution(
        stateMachineArn=deployment.machine, name=name, input=json.dumps(settings)
    )
    execution = started["executionArn"]
    pause = 0.2
    while True:
        said = deployment.workflows.describe_execution(executionArn=execution)
        for run in deployment.workflows.list_map_runs(executionArn=execution)["mapRuns"]:
            counts = deployment.workflows.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
            tell(counts["succeeded"] + counts["failed"], counts["total"])
        if said["status"] != "RUNNING":
            return said
        time.sleep(pause)
        pause = min(pause * 1.2, 5.0)


def fetch(deployment: Deployment, prefix: str, folder: Path, *, trec: bool) -> dict[str, Any]:
    """Bring a run's output together in ``folder``, in the order of its input; return its summary."""
    folder.mkdir(parents=True, exist_ok=True)

    def body(key: str) -> Any:
        return deployment.s3.get_object(Bucket=deployment.output_bucket, Key=prefix + key)["Body"]

    for name in ("errors.jsonl", "summary.json"):
        (folder / name).write_bytes(body(name).read())
    wanted = {kind: name for kind, name in FILES.items() if kind == "results" or trec}
    files = {kind: (folder / name).open("wb") for kind, name in wanted.items()}
    for line in body("parts.jsonl").iter_lines():
        for kind, key in json.loads(line)["files"].items():
            if kind in files:
                files[kind].writelines(body(key).iter_chunks(1024 * 1024))
    for file in files.values():
        file.close()
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def deployed(stack: str) -> Deployment:
    """The deployment of a CloudFormation stack, by its outputs."""
    found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found}
    if "BatchStateMachineArn" not in outputs:
        sys.exit(f"{stack} has no batch state machine: deploy it with BatchInputBucket and BatchOutputBucket")
    return Deployment(
        boto3.client("s3"),
        boto3.client("stepfunctions"),
        outputs["BatchStateMachineArn"],
        outputs["BatchInputBucket"],
        outputs["BatchOutputBucket"],
    )


def _bar() -> Callable[[int, int], None]:
    from tqdm import tqdm

    bar = tqdm(unit=" shards", desc="ranking", disable=None)

    def tell(done: int, of: int) -> None:
        bar.total = of
        bar.n = done
        bar.refresh()
        if done == of:
            bar.close()

    return tell


def _local(asked: argparse.Namespace, name: str, settings: dict[str, Any]) -> int:
    files = find(Path(asked.input), asked.run)
    model = Path(os.environ.get("RERANK_MODEL_DIR") or ministack.ROOT / "layer" / "nano").resolve()
    size = sum(path.stat().st_size for path in files.values())
    settings.setdefault("range_bytes", min(max(size // LOCAL_SHARDS, LOCAL_LEAST_BYTES), 16 * 1024 * 1024))
    settings.setdefault("concurrency", os.cpu_count() or 1)
    with ministack.stand() as stand:
        print(
            f"S3, Lambda and Step Functions by MiniStack at {stand.url}; {settings['concurrency']} workers", flush=True
        )
        function = stand.deploy_worker("batch", RERANK_MODEL_DIR=str(model))
        machine = stand.deploy_machine("batch", function, settings)
        deployment = Deployment(stand.s3, stand.workflows, machine, ministack.INPUT_BUCKET, ministack.OUTPUT_BUCKET)
        settings["input"] = place(stand.s3, ministack.INPUT_BUCKET, files, "data/")
        settings["output"] = {"bucket": ministack.OUTPUT_BUCKET, "prefix": "runs"}
        said = execute(deployment, settings, name, _bar())
        ministack.write_results(stand, said["executionArn"], f"runs/{name}/map/")
        return _conclude(deployment, said, f"runs/{name}/", Path(asked.output), trec=bool(asked.trec))


def _on_aws(asked: argparse.Namespace, name: str, settings: dict[str, Any]) -> int:
    deployment = deployed(asked.stack)
    if asked.input.startswith("s3://"):
        address = urlsplit(asked.input)
        key = address.path.lstrip("/")
        settings["input"] = {"bucket": address.netloc, "key" if key.endswith(SUFFIXES) else "prefix": key}
    else:
        files = find(Path(asked.input), asked.run)
        settings["input"] = place(deployment.s3, deployment.input_bucket, files, f"batch/{name}/")
    stays = asked.output.startswith("s3://")
    prefix = urlsplit(asked.output).path.strip("/") if stays else "batch-runs"
    settings["output"] = {
        "bucket": urlsplit(asked.output).netloc if stays else deployment.output_bucket,
        "prefix": prefix,
    }
    said = execute(deployment, settings, name, _bar())
    if stays and said["status"] == "SUCCEEDED":
        print(json.dumps(json.loads(said["output"]), indent=2))
        return 0
    return _conclude(deployment, said, f"{prefix}/{name}/", Path(asked.output), trec=bool(asked.trec))


def _conclude(deployment: Deployment, said: dict[str, Any], prefix: str, folder: Path, *, trec: bool) -> int:
    if said["status"] != "SUCCEEDED":
        print(f"{said['status']}: {said.get('error')}: {said.get('cause')}", file=sys.stderr)
        return 1
    summary = fetch(deployment, prefix, folder, trec=trec)
    seconds = (said["stopDate"] - said["startDate"]).total_seconds()
    print(
        f"{summary['ranked']:,} queries, {summary['passages']:,} pairs, {summary['tokens']:,} tokens, {seconds:.1f} s;"
        f" {summary['errors']:,} bad lines, {summary['missing_ranges']:,} ranges missing -> {folder}"
    )
    return 0 if summary["complete"] else 2


def main() -> int:
    """Read the command line and run; 1 where the execution failed, 2 where it left ranges out."""
    parser = argparse.ArgumentParser(prog="make batch", description="Rank a data set with the batch state machine")
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--stack", help="run it on AWS, in this stack")
    parser.add_argument("--run", help="the first-stage run to rerank, for a folder in BEIR layout")
    parser.add_argument("--name", default=datetime.now(UTC).strftime("run-%Y%m%dT%H%M%SZ"))
    parser.add_argument("--trec", help="a tag: write a TREC run, too")
    parser.add_argument("--top-n", type=int)
    parser.add_argument("--concurrency", type=int)
    parser.add_argument("--range-bytes", type=int)
    parser.add_argument("--tolerated", type=int, help="percent of child workflows that may fail")
    asked = parser.parse_args()
    given = {
        "top_n": asked.top_n,
        "trec": asked.trec,
        "concurrency": asked.concurrency,
        "range_bytes": asked.range_bytes,
        "tolerated_failure_percentage": asked.tolerated,
    }
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return _on_aws(asked, asked.name, settings) if asked.stack else _local(asked, asked.name, settings)


if __name__ == "__main__":
    sys.exit(main())
