"""Events as a Lambda function gets them: from SAM's own generator for the gateways, and captured shapes beside."""

from __future__ import annotations

import base64
import functools
import json
import os
import subprocess
from typing import Any

from tests.integration.sandbox import ROOT

# What SAM calls the events of each front; a Function URL's have the shape of an HTTP API's.
GENERATED = {
    "HTTP API": ("apigateway", "http-api-proxy"),
    "REST API": ("apigateway", "aws-proxy"),
    "ALB": ("alb", "request"),
}
FRONTS = (*GENERATED, "Function URL")


@functools.cache
def _generated(front: str, method: str, path: str) -> str:
    """The event that ``sam local generate-event`` makes, as JSON. A process of two seconds, so each is made once."""
    sam = ROOT / ".venvs" / "infra" / "bin" / "sam"
    command = [str(sam), "local", "generate-event", *GENERATED[front], "--method", method, "--path", path.lstrip("/")]
    environment = os.environ | {"SAM_CLI_TELEMETRY": "0"}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def http_event(
    front: str = "HTTP API",
    method: str = "POST",
    path: str = "/rank",
    body: str | bytes | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The event with which ``front`` passes this HTTP request on. Bytes arrive in base64, as every front sends them."""
    headers = {"content-type": "application/json", **(headers or {})}
    event = _function_url(method, path) if front == "Function URL" else json.loads(_generated(front, method, path))
    event["headers"] = {**event["headers"], **headers}
    if "multiValueHeaders" in event:
        event["multiValueHeaders"] |= {name: [value] for name, value in headers.items()}
    event["isBase64Encoded"] = isinstance(body, bytes)
    event["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    return event


def _function_url(method: str, path: str) -> dict[str, Any]:
    """The shape of a Function URL's event, as captured from an IAM-authorised call; the names in it are made up."""
    host = "abcdefghijklmnopqrstuvwxyz0123456.lambda-url.eu-central-1.on.aws"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "host": host,
            "user-agent": "curl/8.5.0",
            "x-amzn-trace-id": "Root=1-65f1c0de-0123456789abcdef01234567",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": host.split(".", maxsplit=1)[0],
            "authorizer": {
                "iam": {
                    "accessKey": "AKIDEXAMPLE",
                    "accountId": "123456789012",
                    "callerId": "AIDEXAMPLE",
                    "cognitoIdentity": None,
                    "principalOrgId": "o-example",
                    "userArn": "arn:aws:iam::123456789012:user/caller",
                    "userId": "AIDEXAMPLE",
                }
            },
            "domainName": host,
            "domainPrefix": host.split(".", maxsplit=1)[0],
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "5e8a0b1c-0000-4000-8000-000000000000",
            "routeKey": "$default",
            "stage": "$default",
            "time": "13/Mar/2026:15:04:05 +0000",
            "timeEpoch": 1773414245000,
        },
        "isBase64Encoded": False,
    }
