"""What the service answers to GET: its pages and their policy, and what it says of itself."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from handler import pages
from handler.app import lambda_handler
from handler.asgi import respond
from handler.exchange import Call, Reply
from handler.runtime import SETTINGS
from tests.unit.test_app import ALB, HTTP_V2, REST_V1

PAGE_BYTES = 40_000


def get(path: str, method: str = "GET") -> Reply:
    return respond(Call(method, path, {}, b"", "request-1"))


def body(reply: Reply) -> bytes:
    assert isinstance(reply.body, bytes)
    return reply.body


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_runs_its_own_script_and_style_and_nothing_else(path: str) -> None:
    reply = get(path)
    page = body(reply)
    policy = dict(rule.split(" ", 1) for rule in reply.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for tag in ("script", "style"):
        blocks = re.findall(rb"<%b>(.*?)</%b>" % (tag.encode(), tag.encode()), page, re.DOTALL)
        digests = [f"'sha256-{b64encode(sha256(block).digest()).decode()}'" for block in blocks]
        assert policy[f"{tag}-src"].split() == (digests or ["'none'"])
        assert page.count(b"<" + tag.encode()) == len(blocks), (
            "a block with attributes has no digest, and would not run"
        )
    assert not re.search(rb"""<[^>]*\s(style|on\w+)=["']""", page.split(b"<script>")[0]), "the policy forbids it"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_asks_no_other_origin_for_anything(path: str) -> None:
    addresses = re.findall(rb"https?://[^\s'\")]+", body(get(path)))
    assert [address for address in addresses if not address.startswith(b"http://www.w3.org/")] == []  # names, not links


def test_the_playground_is_one_light_page() -> None:
    reply = get("/")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert len(body(reply)) < PAGE_BYTES


@pytest.mark.parametrize("event", [HTTP_V2, REST_V1, ALB], ids=["HTTP API", "REST API", "load balancer"])
def test_the_playground_passes_through_every_front_as_text(event: dict[str, Any], context: Any) -> None:
    asked = json.loads(json.dumps(event).replace("POST", "GET").replace('"/rank"', '"/"'))
    answer = lambda_handler(asked, context)
    assert answer["statusCode"] == 200
    assert not answer["isBase64Encoded"]
    assert answer["body"] == body(get("/")).decode()


def test_the_playground_is_off_by_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SETTINGS", SETTINGS._replace(playground=False))
    reply = get("/")
    assert reply.status == 404
    said: Any = reply.body
    assert said["message"] == "the playground is off in this deployment"


def test_the_model_served_says_what_it_is_good_for_and_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
    answer: Any = get("/v1/models").body
    served, *aliases = answer["data"]
    assert served["memory_mb"] == 1024
    assert served["usd_per_second"] in {0.0000166667, 0.0000133334}
    assert served["usd_per_request"] == 0.20 / 1_000_000
    assert served["bytes"] > 1_000_000
    assert served["window"] == 512
    assert {alias["root"] for alias in aliases} == {served["id"]}
    json.dumps(answer)
