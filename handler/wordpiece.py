"""BERT's tokenizer for one word, in Python: what lets a function answer before it has loaded the tokenizers library.

A word here is what stands between two spaces. Words of Latin script and its punctuation are cut by this module, whose
results equal the library's (a property test holds it to that); all others, and words that hold a special token, go to
the library, which is imported when the first of them comes.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from handler.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokenizers import Tokenizer

SPECIAL_TOKENS = ("[UNK]", "[SEP]", "[CLS]", "[PAD]", "[MASK]")
LONGEST_WORD = 100  # characters; WordPiece's own max_input_chars_per_word
CONTINUED = "##"

# Basic Latin to Latin Extended-B, general punctuation, € and ™. Within them BERT's clean-up, accent stripping and
# lower-casing each depend on one character alone, and Unicode no longer changes.
_ALL_LATIN = re.compile("[\\x00-\u024f\u2000-\u2064\u2066-\u206f\u20ac\u2122]*").fullmatch
_HOLDS_SPECIAL_TOKEN = re.compile("|".join(map(re.escape, SPECIAL_TOKENS))).search
_ASCII_PARTS = re.compile(r"[A-Za-z0-9]+|[!-/:-@\[-`{-~]").findall


class WordPiece:
    """Cuts words into pieces of ``vocabulary`` (piece -> id); ``library`` gives the same tokenizer of the library."""

    def __init__(self, vocabulary: dict[str, int], library: Callable[[], Tokenizer], *, lowercase: bool) -> None:
        self._ids = vocabulary
        self._unknown = vocabulary["[UNK]"]
        self._library = library
        self._lowercase = lowercase
        self._latin = _Latin(lowercase=lowercase)

    def __call__(self, word: str) -> list[int]:
        """Return the ids of the pieces of ``word``."""
        if "[" in word and _HOLDS_SPECIAL_TOKEN(word):
            return self._by_library(word)
        if word.isascii() and word.isprintable():
            parts = _ASCII_PARTS(word.lower() if self._lowercase else word)
        elif _ALL_LATIN(word):
            parts = word.translate(self._latin).split()
        else:
            return self._by_library(word)
        ids: list[int] = []
        for part in parts:
            whole = self._ids.get(part)
            if whole is not None and len(part) <= LONGEST_WORD:
                ids.append(whole)
            else:
                ids += self._pieces(part)
        return ids

    def _pieces(self, word: str) -> list[int]:
        """Cut ``word`` greedily, longest piece first; a word of which any part is unknown is unknown as a whole."""
        if len(word) > LONGEST_WORD:
            return [self._unknown]
        ids: list[int] = []
        start, prefix = 0, ""
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = self._ids.get(prefix + word[start:end])
                if piece is not None:
                    ids.append(piece)
                    start, prefix = end, CONTINUED
                    break
            else:
                return [self._unknown]
        return ids

    def _by_library(self, word: str) -> list[int]:
        ids: list[int] = self._library().encode(word, add_special_tokens=False).ids
        return ids


class _Latin(dict[int, str]):
    """What BERT makes of each Latin character, found out when it first comes; punctuation stands between spaces."""

    def __init__(self, *, lowercase: bool) -> None:
        super().__init__()
        self._lowercase = lowercase

    def __missing__(self, code: int) -> str:
        from unicodedata import category, normalize

        character = chr(code)
        kind = category(character)
        if character in "\t\n\r" or kind in {"Zs", "Zl", "Zp"}:
            made = " "
        elif kind[0] == "C":
            made = ""
        elif kind[0] == "P" or (character.isascii() and not character.isalnum()):
            made = f" {character} "
        elif self._lowercase:
            made = "".join(c for c in normalize("NFD", character) if category(c) != "Mn").lower()
        else:
            made = character
        self[code] = made
        return made


class Tokens:
    """The tokenizer of a model directory: ``vocab.txt`` through :class:`WordPiece`, or else ``tokenizer.json``."""

    def __init__(self, directory: Path, *, lowercase: bool) -> None:
        self._directory = directory
        self._lowercase = lowercase
        path = directory / "vocab.txt"
        self._vocabulary = _read(path) if path.exists() else None
        self.word_ids: Callable[[str], list[int]] = (
            WordPiece(self._vocabulary, lambda: self.library, lowercase=lowercase)
            if self._vocabulary
            else self._library_ids
        )

    @cached_property
    def library(self) -> Tokenizer:
        """The tokenizers library's tokenizer, imported and loaded at the first use."""
        from tokenizers import BertWordPieceTokenizer, Tokenizer

        if self._vocabulary:
            path = str(self._directory / "vocab.txt")
            tokenizer: Tokenizer = BertWordPieceTokenizer(path, lowercase=self._lowercase)._tokenizer  # noqa: SLF001
            return tokenizer
        tokenizer = Tokenizer.from_file(str(self._directory / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def special_id(self, token: str) -> int:
        """Look up the id of a special token; ``ModelError`` where the vocabulary has none."""
        known = self._vocabulary.get(token) if self._vocabulary else self.library.token_to_id(token)
        if known is None:
            raise ModelError(f"The model's vocabulary has no {token} token.")
        return known

    def _library_ids(self, text: str) -> list[int]:
        ids: list[int] = self.library.encode(text, add_special_tokens=False).ids
        return ids


def _read(path: Path) -> dict[str, int]:
    # Bytes, since reading as text looks for line ends one by one, which takes longer than the rest.
    pieces = path.read_bytes().decode().replace("\r\n", "\n").removesuffix("\n").split("\n")
    return dict(zip(pieces, range(len(pieces)), strict=True))
