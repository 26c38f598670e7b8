"""Write down what each client sends, for the quick suite to replay: `python -m tests.clients.record`."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

import uvicorn

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "tests" / "contract" / f"recorded-{Path(sys.prefix).name}.json"
KEY = "a key"
os.environ.setdefault("RERANK_MODEL_DIR", str(ROOT / "layer" / "nano"))
os.environ |= {"RERANK_AUTH_MODE": "Key", "RERANK_KEY_DIGESTS": sha256(KEY.encode()).hexdigest()}
os.environ |= {"HAYSTACK_TELEMETRY_ENABLED": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}

from handler.asgi import app  # noqa: E402 - the handler reads the environment when it is imported
from tests.clients.environment import CLIENTS, name_and_version  # noqa: E402

# What the service reads of a request besides its body. Of a signature the scheme is enough.
HEADERS = (
    "accept-encoding", "api-key", "authorization", "content-encoding", "content-type", "user-agent",
    "x-amz-security-token", "x-api-key", "x-pinecone-api-version",
)  # fmt: skip

requests: list[dict[str, Any]] = []


async def recorder(scope: Any, receive: Any, send: Any) -> None:
    """The application, with an ear to what it receives."""
    body = bytearray()

    async def listening() -> Any:
        message = await receive()
        body.extend(message.get("body", b""))
        if body and not message.get("more_body"):
            requests.append({"path": scope["raw_path"].decode(), "headers": headers(scope), "body": json.loads(body)})
        return message

    await app(scope, listening, send)


def headers(scope: Any) -> dict[str, str]:
    """The headers that matter; of a signature the scheme and who signed."""
    kept = {name.decode(): value.decode() for name, value in scope["headers"] if name.decode() in HEADERS}
    if kept.get("authorization", "").startswith("AWS4"):
        kept["authorization"] = kept["authorization"].partition("/")[0]
    return kept


def main() -> None:
    """Start the server in a thread, let every client rank once, and write what came."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(recorder, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    recorded = []
    for client in CLIENTS:
        requests.clear()
        client.connect(url, KEY)("Where is Paris?", ["In Texas.", "In France.", "Cheese."], 2, True)
        recorded.append({"client": name_and_version(client), **requests[-1]})
    server.should_exit = True
    thread.join(10)
    RECORDED.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stderr.write(f"{RECORDED.relative_to(ROOT)}: {len(recorded)} requests\n")


if __name__ == "__main__":
    main()
