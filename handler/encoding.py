"""Query and passages become token sequences; truncation is decided here.

Token ids are kept as packed native int32 (``bytes``): joining and cutting them is a copy of memory, equal sequences
compare equal, and numpy reads them in place.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from handler.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer

    from handler.model import Model

ID_BYTES = array("i").itemsize
CACHED_WORDS = 32_768  # about 5 MB when full
CACHED_WORD_CHARACTERS = 32  # longer "words" are addresses and text without spaces: they seldom come again


class EncodedQuery(NamedTuple):
    """``[CLS] query [SEP]`` as packed int32; ``tokens`` is the length of the whole query, before any cut."""

    ids: bytes
    tokens: int
    truncated: bool


class Chunk(NamedTuple):
    """A passage, or a part of one, joined to the query: the packed int32 ids of the sequence that the model reads.

    ``start`` and ``end`` are the passage's tokens that it covers, ``tokens`` is how many the whole passage has and
    ``truncated`` says that some were left out altogether.
    """

    passage: int
    ids: bytes
    start: int
    end: int
    tokens: int
    truncated: bool

    @property
    def length(self) -> int:
        """The length of the sequence in tokens, special tokens included."""
        return len(self.ids) // ID_BYTES


class EncodedPassages(NamedTuple):
    """``chunks`` of the distinct passages; ``first[i]`` is the first passage with the same text as passage ``i``."""

    chunks: list[Chunk]
    first: list[int]


class WordCache(dict[str, bytes]):
    """Token ids by space-delimited word, exact for any text that a BERT tokenizer reads.

    A BERT tokenizer treats a space as a boundary in every one of its steps (cleaning, accents, case, punctuation,
    word pieces), so the ids of a text are the ids of its space-delimited parts, one after the other. A part seen for
    the first time goes through the library, whatever it holds.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._encode = tokenizer.encode

    def __missing__(self, word: str) -> bytes:
        ids = _packed(self._encode(word, add_special_tokens=False).ids)
        if len(word) <= CACHED_WORD_CHARACTERS and len(self) < CACHED_WORDS:
            self[word] = ids
        return ids

    def ids(self, text: str) -> bytes:
        """Tokenise ``text``: its packed int32 ids, without special tokens."""
        return b"".join(map(self.__getitem__, text.replace("\n", " ").split(" ")))


class Encoder:
    """Turns a query and its passages into chunks for one model."""

    def __init__(self, model: Model) -> None:
        manifest, tokenizer = model.manifest, model.tokenizer
        self._ids = WordCache(tokenizer).ids
        self._cls, self._sep = (_packed([special_id(tokenizer, token)]) for token in ("[CLS]", "[SEP]"))
        self._window = manifest.window
        self._max_query_tokens = manifest.max_query_tokens

    def encode_query(self, text: str) -> EncodedQuery:
        """Tokenise the query once; it is cut to the model's ``max_query_tokens``."""
        ids = self._ids(text)
        tokens = len(ids) // ID_BYTES
        kept = ids[: self._max_query_tokens * ID_BYTES]
        return EncodedQuery(self._cls + kept + self._sep, tokens, tokens > self._max_query_tokens)

    def encode_passages(self, query: EncodedQuery, texts: Sequence[str]) -> EncodedPassages:
        """One chunk per distinct passage, cut to what the query leaves of the model's window."""
        room = self._window - len(query.ids) // ID_BYTES - 1
        chunks: list[Chunk] = []
        first: list[int] = []
        seen: dict[str, int] = {}
        for index, text in enumerate(texts):
            original = seen.setdefault(text, index)
            first.append(original)
            if original == index:
                ids = self._ids(text)
                tokens = len(ids) // ID_BYTES
                kept = min(tokens, room)
                sequence = query.ids + ids[: kept * ID_BYTES] + self._sep
                chunks.append(Chunk(index, sequence, 0, kept, tokens, tokens > room))
        return EncodedPassages(chunks, first)


def special_id(tokenizer: Tokenizer, token: str) -> int:
    """Look up the id of a special token; ``ModelError`` where the vocabulary has none."""
    known: int | None = tokenizer.token_to_id(token)
    if known is None:
        raise ModelError(f"The model's vocabulary has no {token} token.")
    return known


def _packed(ids: list[int]) -> bytes:
    return array("i", ids).tobytes()
