"""One request, end to end: `python -m tests.integration.demo [EXAMPLE.json]` (make run).

The built function is started in Lambda's own emulator and client, gets an API Gateway event with a query and its
passages, and its ranking is printed.
"""

from __future__ import annotations

import json
import secrets
import sys
import textwrap
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.integration.emulator import Emulator
from tests.integration.events import http_event
from tests.integration.sandbox import ROOT, Sandbox

EXAMPLE = ROOT / "tests" / "examples" / "cold-start.json"


def rank(request: dict[str, Any]) -> tuple[dict[str, Any], float | None]:
    """Send the request as API Gateway would, and return the response body and the init time in milliseconds."""
    key = secrets.token_urlsafe(32)
    headers = {"authorization": f"Bearer {key}"}
    event = http_event(path="/rank", body=json.dumps(request), headers=headers)
    variables = {"RERANK_KEY_DIGESTS": sha256(key.encode()).hexdigest(), "RERANK_PRELOAD": "http"}
    with Emulator(Sandbox.of(), **variables) as emulator:
        answer = emulator.invoke(event)
        if not isinstance(answer, dict) or "statusCode" not in answer:
            sys.exit(f"The function did not answer: {answer}\n{emulator.log()}")
        body: dict[str, Any] = json.loads(answer["body"])
        if answer["statusCode"] != 200:
            sys.exit(f"HTTP {answer['statusCode']}: {body.get('message')}")
        return body, emulator.init_ms()


def main(arguments: list[str]) -> None:
    """Rank the example and print what came out."""
    path = Path(arguments[0]) if arguments else EXAMPLE
    try:
        request = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{path} is not a JSON file that can be read: {error}")
    if not isinstance(request, dict):
        sys.exit(f"{path} must hold a JSON object with `query` and `passages`")
    body, init_ms = rank({**request, "return_passages": True})
    print(f"\nQuery: {request['query']}\n")
    print("rank   score  passage")
    for place, result in enumerate(body["results"], 1):
        score = "     –" if result["score"] is None else f"{result['score']:6.4f}"
        text = textwrap.shorten(result["text"], 92, placeholder=" …")
        print(f"{place:4}  {score}  {text}")
    timings, usage = body["timings_ms"], body["usage"]
    print(f"\nmodel {body['model']['name']} {body['model']['revision']}: {usage['passages']} passages, ", end="")
    print(f"{usage['tokens']} tokens in {timings['total']:.1f} ms (scoring {timings['score']:.1f} ms)")
    print(f"init {init_ms:.0f} ms, in Lambda's own emulator on this machine" if init_ms else "")


if __name__ == "__main__":
    main(sys.argv[1:])
