"""SnapStart as the Runtime API drives it: hooks before the snapshot, /restore/next, hooks after, then events."""

from __future__ import annotations

from tests.integration.runtime_api import RuntimeApi
from tests.integration.sandbox import Sandbox
from tests.integration.test_fronts import REQUEST

SNAP = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


def test_a_restored_environment_answers_as_any_other(sandbox: Sandbox) -> None:
    with RuntimeApi(sandbox, **SNAP, RERANK_PRELOAD="http") as api:
        api.wait_for_snapshot()
        assert api.calls == ["/restore/next"]
        api.restore()
        kind, body = api.invoke(REQUEST)
        assert kind == "response"
        assert [result["id"] for result in body["results"]] == ["bread", "sports"]
        assert api.calls[:2] == ["/restore/next", "/invocation/next"]


def test_without_snapstart_nobody_asks_to_be_restored(sandbox: Sandbox) -> None:
    with RuntimeApi(sandbox) as api:
        assert api.invoke(REQUEST)[0] == "response"
        assert "/restore/next" not in api.calls


def test_the_hooks_draw_nothing_random_that_restored_environments_would_share(sandbox: Sandbox) -> None:
    watched = """
import os, random, uuid
import handler.runtime
def drawn(*_a, **_k):
    raise SystemExit("something random was drawn")
uuid.uuid4 = random.random = random.randint = random.choice = os.urandom = drawn
import handler.snapstart
handler.snapstart.warm()
print("quiet")
"""
    assert sandbox.python(watched) == "quiet\n"


def test_after_the_hooks_a_request_loads_nothing_more(sandbox: Sandbox) -> None:
    watched = """
import json, sys
from types import SimpleNamespace
import handler.app, handler.snapstart
handler.snapstart.warm()
before = set(sys.modules)
request = {"query": "a query", "passages": ["some passage", "another " * 300]}
context = SimpleNamespace(aws_request_id="1", get_remaining_time_in_millis=lambda: 9000)
assert handler.app.lambda_handler(request, context)["results"]
event = {"version": "2.0", "rawPath": "/rank", "rawQueryString": "", "headers": {}, "body": json.dumps(request),
    "requestContext": {"http": {"method": "POST", "path": "/rank", "sourceIp": "192.0.2.1"}}, "isBase64Encoded": False}
assert handler.app.lambda_handler(event, context)["statusCode"] == 200
print(sorted(set(sys.modules) - before), file=sys.stderr)
sys.exit(len(set(sys.modules) - before))
"""
    sandbox.python(watched, RERANK_PRELOAD="http", RERANK_AUTH_MODE="None")
