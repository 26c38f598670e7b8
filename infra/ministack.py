"""S3, Lambda and Step Functions on this machine, for ``make batch`` and its tests: MiniStack, and what it leaves open.

MiniStack interprets the state machine as it stands (reader, item selector, child workflows, choices, retries,
tolerated failures) and speaks S3's API; workers are processes of AWS's own runtime client on its Runtime API. What it
does not know is made up for here, and nowhere else:

- ``MaxConcurrencyPath`` and ``ToleratedFailurePercentagePath`` are resolved before the definition goes in;
- ``ResultWriter`` is done afterwards, from the executions that it lists;
- it retries without jitter.

Its objects live in memory.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
DEFINITION = ROOT / "infra" / "batch.asl.yaml"
PYTHON = ROOT / ".venvs" / "batch" / "bin" / "python"
ROLE = "arn:aws:iam::000000000000:role/batch"
REGION = "us-east-1"
CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
INPUT_BUCKET, OUTPUT_BUCKET = "batch-input", "batch-output"


class Stand:
    """A running MiniStack with the two buckets of a deployment."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url
        self.s3, self.functions, self.workflows = (
            boto3.client(name, endpoint_url=url, **CREDENTIALS) for name in ("s3", "lambda", "stepfunctions")
        )
        for bucket in (INPUT_BUCKET, OUTPUT_BUCKET):
            self.s3.create_bucket(Bucket=bucket)

    def deploy_worker(self, name: str, *, timeout: int = 900, **environment: str) -> str:
        """Make a function of the handler as it lies in this repository; return its ARN."""
        variables = {
            "AWS_ENDPOINT_URL_S3": self.url,
            "RERANK_BUCKETS": f"{INPUT_BUCKET},{OUTPUT_BUCKET}",
            "ORT_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        settings: dict[str, Any] = {
            "Role": ROLE,
            "Runtime": "provided.al2023",  # so that the interpreter is ours; it runs AWS's runtime client all the same
            "Handler": "handler.app.lambda_handler",
            "Timeout": timeout,
            "MemorySize": 1769,
            "Environment": {"Variables": variables},
        }
        made = self.functions.create_function(FunctionName=name, Code={"ZipFile": _bootstrap()}, **settings)
        return str(made["FunctionArn"])

    def deploy_machine(self, name: str, function: str, settings: Mapping[str, Any]) -> str:
        """Make the state machine of ``batch.asl.yaml`` for one execution with ``settings``; return its ARN."""
        definition = localised(DEFINITION, {"BatchFunctionArn": function}, settings)
        made = self.workflows.create_state_machine(name=name, roleArn=ROLE, definition=json.dumps(definition))
        return str(made["stateMachineArn"])


@contextmanager
def stand() -> Iterator[Stand]:
    """Start MiniStack on a free port of this machine, open to it alone, and stop it afterwards."""
    port = _free_port()
    environment = {
        **os.environ,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "LOG_LEVEL": "WARNING",
    }
    with tempfile.TemporaryFile() as log:
        command = [str(PYTHON), "-m", "ministack"]
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
        try:
            _wait(port, process)
            yield Stand(process, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def localised(path: Path, substitutions: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The definition in ``path`` with its substitutions made and its map's paths resolved, as MiniStack reads it."""
    text = path.read_text()
    for name, value in substitutions.items():
        text = text.replace(f"${{{name}}}", value)
    definition: dict[str, Any] = yaml.safe_load(text)
    for state in definition["States"].values():
        for name in ("MaxConcurrency", "ToleratedFailurePercentage"):
            if source := state.pop(f"{name}Path", None):
                setting = source.removeprefix("$.")
                defaults = definition["States"]["Defaults"]["Parameters"]["defaults"]
                state[name] = settings.get(setting, defaults[setting])
    return definition


def write_results(stand: Stand, execution: str, prefix: str) -> dict[str, int]:
    """Do the ResultWriter's work for a finished execution: ``manifest.json`` and one file per outcome, as AWS lays
    them out. Returns how many child workflows had which outcome.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for run in stand.workflows.list_map_runs(executionArn=execution)["mapRuns"]:
        for page in stand.workflows.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"]):
            for child in page["executions"]:
                said = stand.workflows.describe_execution(executionArn=child["executionArn"])
                names = ("executionArn", "name", "status", "input", "output", "error", "cause")
                kept = {name[0].upper() + name[1:]: said[name] for name in names if said.get(name) is not None}
                found.setdefault(said["status"], []).append(kept)
        files: dict[str, list[dict[str, Any]]] = {"SUCCEEDED": [], "FAILED": [], "PENDING": []}
        for status, children in found.items():
            key = f"{prefix}{run['mapRunArn'].rsplit(':', 1)[-1]}/{status}_0.json"
            body = json.dumps(children).encode()
            stand.s3.put_object(Bucket=OUTPUT_BUCKET, Key=key, Body=body)
            files[status].append({"Key": key, "Size": len(body)})
        manifest = {"DestinationBucket": OUTPUT_BUCKET, "MapRunArn": run["mapRunArn"], "ResultFiles": files}
        key = f"{prefix}{run['mapRunArn'].rsplit(':', 1)[-1]}/manifest.json"
        stand.s3.put_object(Bucket=OUTPUT_BUCKET, Key=key, Body=json.dumps(manifest).encode())
    return {status: len(children) for status, children in found.items()}


def _bootstrap() -> bytes:
    """A deployment package whose only file starts AWS's runtime client on the handler."""
    script = f'#!/bin/sh\nexec {shlex.quote(str(PYTHON))} -m awslambdaric "$_HANDLER"\n'
    entry = zipfile.ZipInfo("bootstrap")
    entry.create_system, entry.external_attr = 3, 0o755 << 16
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(entry, script)
    return package.getvalue()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            sys.exit("MiniStack did not start: rm -r .venvs/batch and try again")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("MiniStack did not listen within 30 seconds")
