"""What one execution environment holds: its settings, its ranker, and the clock of each request."""

from __future__ import annotations

import os
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING

from handler.model import BERT, Manifest
from handler.ranker import Ranker
from handler.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from handler.backends import Reranker
    from handler.contract import Ranking, RankRequest

SETTINGS = Settings.from_environment(os.environ)

# Kept back from the invocation's remaining time for rendering and sending the answer.
MARGIN_MS = 150

SEVERAL = bool(SETTINGS.remote_models) or SETTINGS.models_dir.is_dir()  # more models than the one


@cache
def ranker() -> Reranker:
    """What ranks with this deployment's model, loaded once. Raises ``ModelError``."""
    return open_reranker(SETTINGS.model_dir)


def open_reranker(directory: Path) -> Reranker:
    """What ranks with the model in ``directory``: our engine, or the service that its manifest names."""
    manifest = Manifest.read(directory)
    if manifest.architecture == BERT:
        return Ranker.load(directory)
    from handler.backends import MODULES, open_backend

    return open_backend(manifest) if manifest.architecture in MODULES else Ranker.load(directory)


def rank(request: RankRequest, remaining_ms: Callable[[], int] | None = None) -> Ranking:
    """Answer ``request`` within its own deadline and the invocation's. Raises what ``Ranker.rank`` does, and
    ``ModelNotFound`` where names are strict and the request asks for another model.
    """
    if request.models or SEVERAL:
        from handler.cascade import choose

        return choose(request).rank(request, Clock.start(request.deadline_ms, remaining_ms))
    served = ranker()
    if SETTINGS.strict_models and request.model is not None:
        from handler.aliases import check_model

        check_model(request.model, served.model_id.name)
    return served.rank(request, Clock.start(request.deadline_ms, remaining_ms))


class Clock:
    """When a request began and by when it must be answered, in seconds of ``perf_counter``; None means no limit."""

    __slots__ = ("began", "deadline")

    def __init__(self, began: float, deadline: float | None) -> None:
        self.began = began
        self.deadline = deadline

    @classmethod
    def start(cls, deadline_ms: int | None = None, remaining_ms: Callable[[], int] | None = None) -> Clock:
        """A clock running from now, to the earlier of the caller's deadline and the invocation's less a margin."""
        began = perf_counter()
        limits = [] if deadline_ms is None else [deadline_ms]
        if remaining_ms is not None:
            limits.append(max(remaining_ms() - MARGIN_MS, 0))
        return cls(began, began + min(limits) / 1000 if limits else None)

    def expired(self, ahead: float = 0.0) -> bool:
        """Whether the deadline has passed, or will have in ``ahead`` seconds."""
        return self.deadline is not None and perf_counter() + ahead >= self.deadline
