"""What a wire format is: four functions and the paths it answers on, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handler.errors import RerankError, http_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from handler.contract import Ranking, RankRequest


def superset_error(error: RerankError, request_id: str) -> dict[str, object]:
    """One error body that every client reads: Cohere ``message``, Jina and Voyage ``detail``, TEI ``error``."""
    return {
        "message": error.message,
        "detail": error.message,
        "error": error.message,
        "error_type": http_answer(error).error_type,
        "id": request_id,
    }


@dataclass(frozen=True, slots=True)
class Dialect:
    """A wire format.

    ``parse`` takes the decoded JSON body and raises ``InvalidRequest``; ``render`` gives the JSON body of the answer.
    """

    name: str
    paths: tuple[str, ...]
    parse: Callable[[object], RankRequest]
    render: Callable[[Ranking, RankRequest], object]
    render_error: Callable[[RerankError, str], object] = superset_error
