"""Model architectures besides BERT, each a small module that is imported when a manifest names it.

A module has a ``Model`` and an ``Encoder``: what differs from those of ``handler.model`` and ``handler.encoding``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handler.model import Model

# Architecture, as a manifest has it -> module of this package.
MODULES = {
    "deberta-v2": "pairs",
    "roberta": "pairs",
    "xlm-roberta": "pairs",
    "pairs": "pairs",
    "t5": "pairs",
    "colbert": "colbert",
}


def model_class(architecture: str) -> type[Model]:
    """Import the model class of ``architecture``, which is one of ``MODULES``."""
    kind: type[Model] = import_module(f"handler.architectures.{MODULES[architecture]}").Model
    return kind
