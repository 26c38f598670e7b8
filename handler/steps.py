"""The steps of the batch state machine (``infra/batch.asl.yaml``), by name. Loaded with the first of its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handler.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable


def take(event: dict[str, Any], remaining_ms: Callable[[], int]) -> dict[str, Any]:
    """Join, plan, rank a batch of items, or finish, as ``event`` asks. Raises what ``handler.errors`` names."""
    step = event.get("step")
    if step is None:
        from handler.batch import rank_items

        return rank_items(event, remaining_ms)
    if step == "finish":
        from handler.plan import finish

        return finish(event)
    settings = event.get("settings")
    if not isinstance(settings, dict) or not isinstance(settings.get("input"), dict):
        raise InvalidRequest("settings must be an object with an object named input", "settings")
    if step == "join":
        from handler.join import join

        return join(event, remaining_ms)
    from handler.plan import plan

    return plan(event)
