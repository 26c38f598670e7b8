"""What one execution environment holds: its settings, its ranker, and the clock of each request."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING

from handler.ranker import Ranker
from handler.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = Settings.from_environment(os.environ)

# Kept back from the invocation's remaining time for rendering and sending the answer.
MARGIN_MS = 150


@cache
def ranker() -> Ranker:
    """The ranker over this deployment's model, loaded once. Raises ``ModelError``."""
    return Ranker.load(SETTINGS.model_dir)


@dataclass(frozen=True, slots=True)
class Clock:
    """When a request began and by when it must be answered, in seconds of ``perf_counter``; None means no limit."""

    began: float
    deadline: float | None

    @classmethod
    def start(cls, deadline_ms: int | None = None, remaining_ms: Callable[[], int] | None = None) -> Clock:
        """A clock running from now, to the earlier of the caller's deadline and the invocation's less a margin."""
        began = perf_counter()
        limits = [] if deadline_ms is None else [deadline_ms]
        if remaining_ms is not None:
            limits.append(max(remaining_ms() - MARGIN_MS, 0))
        return cls(began, began + min(limits) / 1000 if limits else None)

    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and perf_counter() >= self.deadline
