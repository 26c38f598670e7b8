"""What an adapter of a client is: the one line that names the service, and a call that ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Hit:
    """One result as the client gives it; ``text`` is None where it gives no document."""

    index: int
    score: float
    text: str | None = None


Rank = Callable[[str, list[str], "int | None", bool], list[Hit]]


@dataclass(frozen=True)
class Client:
    """A client and how it behaves: what it raises, and how it gives documents back.

    ``connect`` takes the service's URL and a key, and gives a function from a query, documents, a limit and whether
    documents shall come back, to hits. ``bad_request`` and ``unauthorized`` are what the client's users catch.
    ``documents`` is ``asked`` where the service returns them on request, ``own`` where the client returns the
    caller's own objects, ``never`` where its API has none.
    """

    name: str
    package: str
    connect: Callable[[str, str], Rank]
    bad_request: type[Exception] | tuple[type[Exception], ...]
    unauthorized: type[Exception] | tuple[type[Exception], ...]
    documents: str = "asked"
    says_why: bool = True
