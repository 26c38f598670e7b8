"""Logs and metrics carry counts and names; no text, at any level, whatever the environment asks for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from handler.app import lambda_handler

REQUEST = {"query": "secretly asked", "passages": ["secretly told", {"text": "b", "id": "secret-id"}]}


def metrics_and_log(text: str) -> list[dict[str, Any]]:
    return sorted((json.loads(line) for line in text.splitlines()), key=lambda line: "message" in line)


def test_an_answered_request_writes_one_log_line_and_one_set_of_metrics(
    context: Any, written: Callable[[], str]
) -> None:
    lambda_handler(REQUEST, context)
    metrics, log = metrics_and_log(written())
    names = {metric["Name"] for metric in metrics["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert names >= {"Passages", "Tokens", "ScoringTime", "TotalTime", "ColdStart", "Truncated", "Partial"}
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert metrics["Passages"] == [2.0]
    assert log["message"] == "ranked"
    assert log["request_id"] == "request-1"


def test_a_rejection_names_its_reason(context: Any, written: Callable[[], str]) -> None:
    with pytest.raises(Exception, match="passages is required"):
        lambda_handler({"query": "secret"}, context)
    metrics, log = metrics_and_log(written())
    assert (metrics["Rejected"], metrics["reason"]) == ([1.0], "InvalidRequest")
    assert log["reason"] == "InvalidRequest"


def test_only_the_first_request_of_a_process_counts_as_cold_and_no_text_is_logged_at_debug() -> None:
    script = (
        "import json, sys; from types import SimpleNamespace as N; from handler.app import lambda_handler\n"
        "context = N(aws_request_id='r', get_remaining_time_in_millis=lambda: 9000)\n"
        "for _ in range(2): lambda_handler(json.loads(sys.argv[1]), context)"
    )
    environment = {**os.environ, "POWERTOOLS_LOGGER_LOG_EVENT": "true", "POWERTOOLS_LOG_LEVEL": "DEBUG"}
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(REQUEST)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    output = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["ColdStart"] for line in output if "_aws" in line] == [[1.0], [0.0]]
    assert "secret" not in done.stdout + done.stderr
