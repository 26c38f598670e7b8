"""The environment, read once into a value."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Settings(NamedTuple):
    """How this deployment behaves. Every field is an environment variable that ``template.yaml`` sets.

    ``auth_mode``: ``Key`` (closed unless a known key comes along), ``None`` (open) or ``Front`` (IAM or JWT at the
    front has already decided). ``key_digests`` are SHA-256 digests of the keys, in hex.
    """

    model_dir: Path
    auth_mode: str
    key_digests: tuple[str, ...]
    preload_http: bool
    strict_models: bool
    playground: bool
    buckets: tuple[str, ...]
    cors_origins: tuple[str, ...]
    base_path: str
    models_dir: Path
    remote_models: Mapping[str, str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Settings from ``os.environ`` or a mapping like it; unset or empty means the default."""

        def words(name: str) -> tuple[str, ...]:
            return tuple(word.strip() for word in environment.get(name, "").split(",") if word.strip())

        auth_mode = environment.get("RERANK_AUTH_MODE") or "Key"
        if auth_mode not in {"Key", "None", "Front"}:
            raise ValueError("RERANK_AUTH_MODE must be Key, None or Front")
        return cls(
            model_dir=Path(environment.get("RERANK_MODEL_DIR") or "/opt/model"),
            auth_mode=auth_mode,
            key_digests=tuple(word.lower() for word in words("RERANK_KEY_DIGESTS")),
            preload_http=environment.get("RERANK_PRELOAD") == "http",
            strict_models=environment.get("RERANK_MODEL_STRICT", "").lower() in {"1", "true", "on"},
            playground=environment.get("RERANK_PLAYGROUND", "on").lower() not in {"0", "false", "off"},
            buckets=words("RERANK_BUCKETS"),
            cors_origins=words("RERANK_CORS_ORIGINS"),
            base_path="/" + environment.get("RERANK_BASE_PATH", "").strip("/"),
            models_dir=Path(environment.get("RERANK_MODELS_DIR") or "/opt/models"),
            remote_models=dict(_named(word) for word in words("RERANK_REMOTE_MODELS")),
        )


def _named(word: str) -> tuple[str, str]:
    name, equals, function = word.partition("=")
    if not (name and equals and function):
        raise ValueError("RERANK_REMOTE_MODELS must be a list of name=function")
    return name, function
