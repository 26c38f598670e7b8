"""Look at a deployed stack: `python -m infra.stack outputs|url|logs|power STACK` (make url, tail, power).

Credentials and region are the caller's own, as the AWS SDK finds them.
"""

from __future__ import annotations

import base64
import json
import re
import statistics
import sys
import time
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.cost import PRICES

MEMORY_MB = (512, 885, 1024, 1769, 2048, 3008)
REPEATS = 20
PASSAGE = "A passage of some forty words, as they come out of a search index. " * 3


def outputs(stack: str) -> dict[str, str]:
    """The stack's outputs by name."""
    (description,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}


def print_outputs(stack: str) -> None:
    """Print all outputs."""
    for name, value in sorted(outputs(stack).items()):
        print(f"{name:<20} {value}")


def print_url(stack: str) -> None:
    """Print the address of the HTTP API."""
    print(outputs(stack).get("ApiUrl") or sys.exit(f"{stack} has no HTTP API"))


def follow_logs(stack: str) -> None:
    """Print the function's log lines as they come, until interrupted."""
    logs, group = boto3.client("logs"), outputs(stack)["LogGroupName"]
    since, seen = int(time.time() * 1000) - 60_000, set[str]()
    while True:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
        for event in (event for page in pages for event in page["events"] if event["eventId"] not in seen):
            seen.add(event["eventId"])
            since = max(since, event["timestamp"])
            print(event["message"].rstrip(), flush=True)
        time.sleep(2)


def sweep_memory(stack: str) -> None:
    """Invoke the function at several memory sizes and print what each is worth; the size of before is put back.

    Works on $LATEST, so the live alias goes on answering with the version that it has.
    """
    client, name = boto3.client("lambda"), outputs(stack)["FunctionName"]
    configuration = client.get_function_configuration(FunctionName=name)
    before, (architecture,) = configuration["MemorySize"], configuration["Architectures"]
    print(f"{'MB':>6}{'init ms':>10}{'first ms':>10}{'median ms':>11}{'USD per million':>17}")
    try:
        for memory in MEMORY_MB:
            _set_memory(client, name, memory)
            reports = [_report(client, name) for _ in range(REPEATS)]
            init = reports[0].get("Init Duration", 0.0)
            median = statistics.median(report["Billed Duration"] for report in reports[1:])
            dollars = median / 1000 * memory / 1024 * PRICES["lambda"]["per_gb_second"][architecture] * 1e6
            print(f"{memory:>6}{init:>10.0f}{reports[0]['Duration']:>10.1f}{median:>11.0f}{dollars:>17.2f}", flush=True)
    finally:
        _set_memory(client, name, before)


def _set_memory(client: Any, name: str, memory: int) -> None:
    client.update_function_configuration(FunctionName=name, MemorySize=memory)
    client.get_waiter("function_updated_v2").wait(FunctionName=name)


def _report(client: Any, name: str) -> dict[str, float]:
    """Invoke with a hundred passages and return the figures of the REPORT line."""
    payload = json.dumps({"query": "words of a passage", "passages": [PASSAGE] * 100})
    answer = client.invoke(FunctionName=name, Payload=payload, LogType="Tail")
    if "FunctionError" in answer:
        sys.exit(f"The function failed: {answer['Payload'].read(500).decode()}")
    log = base64.b64decode(answer["LogResult"]).decode()
    for line in log.splitlines():
        if '"platform.report"' in line:
            metrics = json.loads(line)["record"]["metrics"]
            found = {"Duration": metrics["durationMs"], "Billed Duration": metrics["billedDurationMs"]}
            return found | ({"Init Duration": metrics["initDurationMs"]} if "initDurationMs" in metrics else {})
    return {key: float(value) for key, value in re.findall(r"([A-Z][A-Za-z ]+): ([\d.]+) ms", log)}


COMMANDS = {"outputs": print_outputs, "url": print_url, "logs": follow_logs, "power": sweep_memory}


def main() -> None:
    """Run the command for the stack."""
    if len(sys.argv) != 3 or sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: python -m infra.stack {'|'.join(COMMANDS)} STACK")
    try:
        COMMANDS[sys.argv[1]](sys.argv[2])
    except (BotoCoreError, ClientError) as error:  # no credentials, no region, no such stack
        sys.exit(f"{sys.argv[2]}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
