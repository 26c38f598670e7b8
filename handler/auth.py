"""The bearer key: accepted wherever clients put it, held against SHA-256 digests in constant time."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

from handler.errors import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handler.settings import Settings

# llama-index sends the bare token, Azure and Pinecone clients `api-key`, API Gateway's usage plans `x-api-key`, and
# boto3 its session token, the one secret that a signature carries as it is.
KEY_HEADERS = ("authorization", "api-key", "x-api-key", "x-amz-security-token")


def authorise(headers: Mapping[str, str], settings: Settings) -> None:
    """Let the request through or raise ``Unauthorized``. ``headers`` has lower-case names."""
    if settings.auth_mode != "Key":
        return
    keys = [headers[name] for name in KEY_HEADERS if headers.get(name)]
    if not keys:
        raise Unauthorized("no API key supplied")
    # Every key is held against every digest, so that the time taken tells nothing about which one came near.
    matches = [
        hmac.compare_digest(sha256(_bare(key).encode()).hexdigest(), digest)
        for key in keys
        for digest in settings.key_digests
    ]
    if not any(matches):
        raise Unauthorized("invalid API key")


def _bare(value: str) -> str:
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else value.strip()
