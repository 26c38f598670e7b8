"""What the service answers to GET: health, what it serves, its contract and its pages."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handler.contract import MAX_PASSAGES
from handler.exchange import Reply
from handler.model import Manifest
from handler.runtime import SETTINGS, ranker

if TYPE_CHECKING:
    from collections.abc import Callable

# A page may run its own script and style and talk to its own origin, and nothing else.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def static(name: str) -> Reply:
    """An HTML page of this package, by its path in it."""
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": _POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    return Reply(200, _file(name), headers)


@cache
def _file(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()


def health() -> Reply:
    """Whether the model is loaded, and which one."""
    model = ranker().model_id
    return Reply(200, {"status": "ok", "model": {"name": model.name, "revision": model.revision}})


def models() -> Reply:
    """The model served, as OpenAI lists models, and the names that stand for it."""
    from handler.aliases import ALIASES

    served = ranker().model_id.name
    entry: dict[str, Any] = {"object": "model", "created": 0, "owned_by": "lambda-rerank"}
    aliases = [
        {"id": name, **entry, "owned_by": owner, "root": served} for owner, names in ALIASES.items() for name in names
    ]
    return Reply(200, {"object": "list", "data": [{"id": served, **entry}, *aliases]})


def info() -> Reply:
    """``GET /info`` of text-embeddings-inference, which Dify reads before it sends anything."""
    manifest = Manifest.read(SETTINGS.model_dir)
    labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    return Reply(
        200,
        {
            "model_id": manifest.name,
            "model_sha": manifest.revision,
            "model_dtype": "int8",
            "served_model_name": manifest.name,
            "model_type": {"reranker": labels},
            "max_concurrent_requests": 1,
            "max_input_length": manifest.window,
            "max_batch_tokens": manifest.window * MAX_PASSAGES,
            "max_client_batch_size": MAX_PASSAGES,
            "auto_truncate": True,
            "tokenization_workers": 1,
            "version": manifest.revision,
        },
    )


def contract() -> Reply:
    """``GET /openapi.json``."""
    from handler.openapi import document

    return Reply(200, document())


PAGES: dict[str, Callable[[], Reply]] = {
    "/health": health,
    "/ping": health,
    "/v1/health/live": health,
    "/v1/health/ready": health,
    "/info": info,
    "/models": models,
    "/v1/models": models,
    "/openapi.json": contract,
    "/docs": partial(static, "docs.html"),
}
