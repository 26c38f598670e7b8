"""Every wire format served over HTTP. Loaded with the first HTTP event: a direct invoke needs the native one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handler.dialects import native

if TYPE_CHECKING:
    from handler.dialects.protocol import Dialect

DIALECTS: tuple[Dialect, ...] = (native.DIALECT,)
