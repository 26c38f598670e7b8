"""Ranking by a service in place of a model of our own: chosen by the manifest, and imported only then.

A model directory for one holds a manifest and nothing else; ``options`` name the provider's model and its prices.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from handler.contract import ModelId, Ranking, RankRequest
    from handler.model import Manifest
    from handler.runtime import Clock

# Architecture, as a manifest has it -> module of this package.
MODULES = {"bedrock-listwise": "bedrock_listwise", "bedrock-rerank": "bedrock_rerank"}


class Reranker(Protocol):
    """Whatever answers a request: a ``Ranker``, a backend, another function, or a cascade of them."""

    @property
    def model_id(self) -> ModelId:
        """Which weights answer."""

    def rank(self, request: RankRequest, clock: Clock) -> Ranking:
        """Answer ``request``. Raises what ``Ranker.rank`` does."""


def open_backend(manifest: Manifest) -> Reranker:
    """The backend that ``manifest`` names, which is one of ``MODULES``."""
    backend: Reranker = import_module(f"handler.backends.{MODULES[manifest.architecture]}").open_backend(manifest)
    return backend
