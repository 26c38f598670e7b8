"""Ask a deployed stack what a caller would ask first: `python -m infra.smoke URL KEY` (make smoke).

Health, a ranking that must come out in the right order, and, where a key is asked for, the refusal of a wrong one.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any

QUESTION = {
    "query": "how do I keep sourdough starter alive",
    "passages": [
        "The stadium was sold out an hour after the tickets went on sale.",
        "Feed the sourdough starter with flour and water once a week and keep it in the refrigerator.",
    ],
}


def call(url: str, key: str, body: object = None) -> tuple[int, Any, float]:
    """Return the status, the decoded body and the milliseconds of one request."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}", "x-api-key": key}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            status, raw = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, raw = error.code, error.read()
    except OSError as error:
        sys.exit(f"{url} cannot be reached: {error}")
    milliseconds = (time.perf_counter() - began) * 1000
    try:
        return status, json.loads(raw), milliseconds
    except ValueError:
        return status, raw.decode(errors="replace"), milliseconds


def failures(url: str, key: str) -> list[str]:
    """Ask the questions, print each answer's time, and return what was wrong."""
    wrong = []
    status, _, milliseconds = call(f"{url}/health", key)
    print(f"GET /health: {status} in {milliseconds:.0f} ms")
    if status != 200:
        wrong.append(f"/health answered {status}")
    status, body, milliseconds = call(f"{url}/rank", key, QUESTION)
    print(f"POST /rank: {status} in {milliseconds:.0f} ms")
    if status != 200:
        wrong.append(f"/rank answered {status}: {body.get('message') if isinstance(body, dict) else 'no JSON'}")
    elif body["results"][0]["index"] != 1:
        wrong.append("/rank put the wrong passage first")
    status, _, milliseconds = call(f"{url}/rank", "no such key", QUESTION)
    print(f"POST /rank with a wrong key: {status} in {milliseconds:.0f} ms")
    if status not in {401, 403}:
        wrong.append(f"/rank answered {status} to a wrong key: this stack is open to the world")
    return wrong


def main() -> None:
    """Exit with status 1 where something is wrong."""
    if len(sys.argv) != 3 or not sys.argv[1].startswith(("https://", "http://")) or not sys.argv[2]:
        sys.exit("usage: make smoke URL=https://… KEY=…")
    wrong = failures(sys.argv[1].rstrip("/"), sys.argv[2])
    for line in wrong:
        print(f"WRONG: {line}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
