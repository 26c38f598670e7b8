"""SnapStart: what runs before Lambda takes its snapshot, and again after each restore.

Imported only where Lambda says that it will take one (``AWS_LAMBDA_INITIALIZATION_TYPE=snap-start``). Nothing random,
no clock, no connection and no credential is made here, because every restored environment would share it.
"""

from __future__ import annotations

from snapshot_restore_py import register_after_restore, register_before_snapshot

from handler.dialects import native
from handler.runtime import rank

# Short and long, so that every branch of the encoder and both ends of the batch sizes have been through the session.
_WARMING = {"query": "warm", "passages": ["a short passage", "a longer passage " * 60] * 8}


def warm() -> None:
    """Rank a request of no meaning: it allocates arenas, compiles lazily made tables and touches every weight.

    Before the snapshot that work becomes part of it. After a restore the same request pages back in what the first
    real one will touch, while Lambda still counts it as restoring.
    """
    request = native.parse(_WARMING)
    native.render(rank(request), request)


register_before_snapshot(warm)
register_after_restore(warm)
