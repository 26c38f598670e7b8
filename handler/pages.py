"""What the service answers to GET: health, what it serves, its contract and its pages."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handler.contract import MAX_PASSAGES
from handler.errors import RouteNotFound
from handler.exchange import Reply
from handler.model import Manifest
from handler.runtime import SETTINGS, SEVERAL, ranker

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def static(name: str) -> Reply:
    """A self-contained HTML page of this package, by its path in it.

    Its policy names the page's own script and style by their digests, so that nothing else ever runs in it, and lets
    it talk to its own origin alone: text that holds markup stays text, and none of it leaves for anywhere else.
    """
    body = (Path(__file__).parent / name).read_bytes()
    policy = (
        f"default-src 'none'; script-src {_digests(body, 'script')}; style-src {_digests(body, 'style')}; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    return Reply(200, body, headers)


def _digests(page: bytes, tag: str) -> str:
    blocks = re.findall(f"<{tag}>(.*?)</{tag}>".encode(), page, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(block).digest()).decode()}'" for block in blocks) or "'none'"


def playground() -> Reply:
    """``GET /``: the page on which a person tries queries. Raises ``RouteNotFound`` where it is off."""
    if not SETTINGS.playground:
        raise RouteNotFound("the playground is off in this deployment")
    return static("playground/index.html")


def health() -> Reply:
    """Whether the model is loaded, and which one."""
    model = ranker().model_id
    return Reply(200, {"status": "ok", "model": {"name": model.name, "revision": model.revision}})


def models() -> Reply:
    """The models served, as OpenAI lists models, with what they are good for and cost, and the names for the first."""
    from handler.aliases import ALIASES

    manifest = Manifest.read(SETTINGS.model_dir)
    entry: dict[str, Any] = {"object": "model", "created": 0, "owned_by": "lambda-rerank"}
    aliases = [
        {"id": name, **entry, "owned_by": owner, "root": manifest.name}
        for owner, names in ALIASES.items()
        for name in names
    ]
    more: list[dict[str, Any]] = []
    if SEVERAL:
        from handler.cascade import directories, names

        there = directories()
        more = [
            {"id": name, **entry, **(_facts(Manifest.read(there[name])) if name in there else {})}
            for name in names()[1:]
        ]
    return Reply(200, {"object": "list", "data": [{"id": manifest.name, **entry, **_facts(manifest)}, *more, *aliases]})


def _facts(manifest: Manifest) -> dict[str, Any]:
    """What a person chooses a model by; its time costs what this function's memory costs."""
    from handler.estimate import USD_PER_REQUEST, memory, usd

    memory_mb = memory()
    return {
        "description": manifest.description,
        "bytes": sum(said["bytes"] for said in manifest.files.values()),
        "window": manifest.window,
        "memory_mb": memory_mb,
        "usd_per_request": USD_PER_REQUEST,
        "usd_per_second": round(usd(1000, memory_mb) - USD_PER_REQUEST, 12),
    }


def info() -> Reply:
    """``GET /info`` of text-embeddings-inference, which Dify reads before it sends anything."""
    manifest = Manifest.read(SETTINGS.model_dir)
    labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    return Reply(
        200,
        {
            "model_id": manifest.name,
            "model_sha": manifest.revision,
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
    "/": playground,
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
