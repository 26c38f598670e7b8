"""Query and passages become token sequences; truncation is decided here.

Token ids are kept as packed native int32 (``bytes``): joining and cutting them is a copy of memory, equal sequences
compare equal, and numpy reads them in place.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from handler.errors import UnprocessableRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from handler.chunking import Words
    from handler.contract import Chunking
    from handler.model import Model

ID_BYTES = array("i").itemsize
CACHED_WORDS = 32_768  # about 5 MB when full
CACHED_WORD_CHARACTERS = 32  # longer "words" are addresses and text without spaces: they seldom come again
# What a text without any token is read as. No model was trained on nothing, and some then attend to the padding.
NOTHING = "."


class EncodedQuery(NamedTuple):
    """``[CLS] query [SEP]`` as packed int32; ``tokens`` is the length of the whole query, before any cut."""

    ids: bytes
    tokens: int
    truncated: bool


class Chunk(NamedTuple):
    """A passage, or a part of one, joined to the query: the packed int32 ids of the sequence that the model reads.

    The passage has ``tokens`` tokens, of which its chunks, ``parts`` in number, cover ``used``. ``part`` is this
    one's place among them and ``span`` its code points ``[start, end)`` in the text; None stands for the whole text.
    """

    passage: int
    ids: bytes
    tokens: int
    used: int
    parts: int = 1
    part: int = 0
    span: tuple[int, int] | None = None

    @property
    def length(self) -> int:
        """The length of the sequence in tokens, special tokens included."""
        return len(self.ids) // ID_BYTES


class WordCache(dict[str, bytes]):
    """Token ids by space-delimited word, exact for any text that a BERT tokenizer reads.

    A BERT tokenizer treats a space as a boundary in every one of its steps (cleaning, accents, case, punctuation,
    word pieces), so the ids of a text are the ids of its space-delimited words, one after the other. ``word_ids``
    tokenises a word seen for the first time. Looking up and joining run without a line of Python per word.
    """

    def __init__(self, word_ids: Callable[[str], list[int]]) -> None:
        super().__init__()
        self._word_ids = word_ids

    def __missing__(self, word: str) -> bytes:
        ids = packed(self._word_ids(word))
        if len(word) <= CACHED_WORD_CHARACTERS and len(self) < CACHED_WORDS:
            self[word] = ids
        return ids

    def ids(self, text: str) -> bytes:
        """Tokenise ``text``: its packed int32 ids, without special tokens."""
        return b"".join(map(self.__getitem__, text.replace("\n", " ").split(" ")))


class Encoder:
    """Turns a query and its passages into chunks for one model: for BERT ``[CLS] query [SEP] passage [SEP]``.

    Other architectures (``handler.architectures``) override the methods at the end.
    """

    def __init__(self, model: Model) -> None:
        self._tokens = model.tokens
        self._words = WordCache(model.tokens.word_ids)
        self._prefix, self._joiner, self._suffix = self._template(model)
        self._window = model.manifest.window
        self._max_query_tokens = model.manifest.max_query_tokens

    def encode_query(self, text: str) -> EncodedQuery:
        """Tokenise the query once; it is cut to the model's ``max_query_tokens``."""
        ids = self._ids(text) or self._ids(NOTHING)
        tokens = len(ids) // ID_BYTES
        kept = ids[: self._max_query_tokens * ID_BYTES]
        return EncodedQuery(self._prefix + kept + self._joiner, tokens, tokens > self._max_query_tokens)

    def chunks(
        self, query: EncodedQuery, passages: Iterable[tuple[int, str]], chunking: Chunking, *, whole: bool = False
    ) -> Iterator[Chunk]:
        """Tokenise numbered texts as the chunks are asked for: one chunk each, or several of a long text.

        With ``whole``, raises ``UnprocessableRequest`` naming the passage that the window cannot hold, or of which
        ``max_tokens_per_doc`` would leave something out.
        """
        room = self._room(query, chunking)
        limit = min(room, chunking.max_tokens_per_doc or room)
        for index, text in passages:
            ids = self._ids(text) or self._ids(NOTHING)
            tokens = len(ids) // ID_BYTES
            if tokens <= limit:
                yield Chunk(index, query.ids + ids + self._suffix, tokens, tokens)
            elif whole:
                raise UnprocessableRequest(
                    f"passage {index} has {tokens} tokens and {limit} can be read without truncation or chunking",
                    f"passages[{index}]",
                )
            else:
                yield from self._parts(query, index, text, chunking)

    def _room(self, query: EncodedQuery, chunking: Chunking) -> int:
        """The passage tokens that one chunk holds."""
        room = self._window - (len(query.ids) + len(self._suffix)) // ID_BYTES
        return min(room, chunking.chunk_tokens or room)

    def _parts(self, query: EncodedQuery, index: int, text: str, chunking: Chunking) -> Iterator[Chunk]:
        from handler.chunking import windows

        ids = self._ids(text)
        found = self._found(text)
        tokens = len(ids) // ID_BYTES
        most = 1 if chunking.mode == "first" else chunking.max_chunks_per_doc
        limit = min(tokens, chunking.max_tokens_per_doc or tokens)
        ranges = list(windows(found, self._room(query, chunking), chunking.overlap_tokens, most, limit))
        for part, (first, last) in enumerate(ranges):
            sequence = query.ids + ids[first * ID_BYTES : last * ID_BYTES] + self._suffix
            yield Chunk(index, sequence, tokens, ranges[-1][1], len(ranges), part, found.span(first, last))

    def _template(self, model: Model) -> tuple[bytes, bytes, bytes]:
        """Return what stands before the query, between query and passage, and after the passage: packed ids."""
        first, last = (packed([model.tokens.special_id(token)]) for token in ("[CLS]", "[SEP]"))
        return first, last, last

    def _ids(self, text: str) -> bytes:
        """Tokenise ``text``: its packed ids, without special tokens."""
        return self._words.ids(text)

    def _found(self, text: str) -> Words:
        """Return the words of a text that is to be cut between them."""
        from handler.chunking import words

        return words(text, lambda word: len(self._words[word]) // ID_BYTES, self._tokens.library)


def packed(ids: list[int]) -> bytes:
    """Pack token ids as native int32."""
    return array("i", ids).tobytes()
