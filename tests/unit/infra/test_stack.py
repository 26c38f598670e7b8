"""`make url`, `make tail` and `make power` against moto, and the figures that they read from Lambda's log lines."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra import stack

OUTPUTS = {"ApiUrl": "https://api.example", "FunctionName": "rerank", "LogGroupName": "/aws/lambda/rerank"}
METRICS = {"durationMs": 21.5, "billedDurationMs": 22.0}


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        template = {
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
            "Outputs": {name: {"Value": value} for name, value in OUTPUTS.items()},
        }
        boto3.client("cloudformation").create_stack(StackName="rerank", TemplateBody=json.dumps(template))
        yield


def test_the_outputs_and_the_address_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert stack.outputs("rerank") == OUTPUTS
    stack.print_url("rerank")
    assert capsys.readouterr().out == "https://api.example\n"


def test_a_stack_that_is_not_there_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["stack", "url", "nowhere"])
    with pytest.raises(SystemExit, match=r"nowhere: .*does not exist"):
        stack.main()
    with pytest.raises(ClientError):
        stack.outputs("nowhere")


def test_log_lines_are_followed_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=OUTPUTS["LogGroupName"])
    logs.create_log_stream(logGroupName=OUTPUTS["LogGroupName"], logStreamName="one")
    rounds: list[int] = []

    def next_round(_seconds: float) -> None:
        rounds.append(len(rounds))
        if len(rounds) > 2:
            raise KeyboardInterrupt
        line = {"timestamp": int(time.time() * 1000), "message": f"line {len(rounds)}"}
        logs.put_log_events(logGroupName=OUTPUTS["LogGroupName"], logStreamName="one", logEvents=[line])

    with patch("infra.stack.time.sleep", next_round), pytest.raises(KeyboardInterrupt):
        stack.follow_logs("rerank")
    assert capsys.readouterr().out == "line 1\nline 2\n"


class Lambda:
    """What `make power` asks of Lambda; cold at the first invocation of each size."""

    def __init__(self) -> None:
        self.memory, self.invoked = 1769, 0
        self.sizes: list[int] = []

    def get_function_configuration(self, **_named: str) -> dict[str, Any]:
        return {"MemorySize": self.memory, "Architectures": ["arm64"]}

    def update_function_configuration(self, *, MemorySize: int, **_named: str) -> None:  # noqa: N803 - boto3's own
        self.memory, self.invoked = MemorySize, 0
        self.sizes.append(MemorySize)

    def get_waiter(self, _name: str) -> Any:
        return type("Waiter", (), {"wait": staticmethod(lambda **_named: None)})

    def invoke(self, **_named: Any) -> dict[str, Any]:
        self.invoked += 1
        metrics = dict(METRICS)
        if self.invoked == 1:
            metrics["initDurationMs"] = 300.0
        line = json.dumps({"type": "platform.report", "record": {"metrics": metrics}}).replace(": ", ":", 1)
        return {"LogResult": base64.b64encode(line.encode()).decode(), "Payload": io.BytesIO(b"{}")}


def test_the_memory_sweep_prints_a_line_a_size_and_puts_the_old_size_back(capsys: pytest.CaptureFixture[str]) -> None:
    fake = Lambda()
    real = boto3.client
    with patch("infra.stack.boto3.client", lambda name: fake if name == "lambda" else real(name)):
        stack.sweep_memory("rerank")
    assert fake.sizes == [*stack.MEMORY_MB, 1769]
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [int(line.split()[0]) for line in lines] == list(stack.MEMORY_MB)
    assert all(line.split()[1:4] == ["300", "21.5", "22"] for line in lines)
