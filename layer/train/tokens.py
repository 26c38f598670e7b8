"""WordPiece ids of lower-cased text, the words they make up, and the student's own vocabulary.

All training text is kept as ids of the teacher's vocabulary. The student has a vocabulary of its own, learnt from the
training text; both cut text into words in the same way, so ids are translated word by word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import BertWordPieceTokenizer

Ids = NDArray[np.int32]
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNK, CLS, SEP, MASK = range(len(SPECIAL_TOKENS))
VOCABULARY_SIZE = 27_000
RAREST_PIECE, RAREST_CHARACTER = 4, 50


class Tokens:
    """Texts to token ids of one vocabulary, without special tokens."""

    def __init__(self, vocabulary: Path) -> None:
        self.tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        self.pieces = vocabulary.read_text(encoding="utf-8").removesuffix("\n").split("\n")

    def encode(self, texts: list[str]) -> list[Ids]:
        """Return one int32 array of ids a text."""
        encodings = self.tokenizer._tokenizer.encode_batch_fast(texts, add_special_tokens=False)  # noqa: SLF001 - the wrapper has no fast batch
        return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]

    def piece(self, piece: str) -> Ids:
        """Return the ids of one piece of another vocabulary: its own id where it has one."""
        known = self.tokenizer.token_to_id(piece)
        return self.encode([piece.removeprefix("##")])[0] if known is None else np.array([known], np.int32)

    def join(self, ids: Ids) -> list[str]:
        """Return the words and punctuation marks of one text, pieces joined."""
        words: list[str] = []
        for i in ids:
            piece = self.pieces[i]
            if piece.startswith("##") and words:
                words[-1] += piece[2:]
            else:
                words.append(piece)
        return words

    def words(self, ids: Ids) -> list[str]:
        """Return the words of one text, pieces joined; punctuation is left out."""
        return [word for word in self.join(ids) if word[0].isalnum()]


class Translation:
    """Token ids of one vocabulary to those of another."""

    def __init__(self, source: Tokens, target: Tokens) -> None:
        self.source, self.target = source, target
        self.known: dict[str, Ids] = {"[UNK]": np.array([UNK], np.int32)}

    def __call__(self, texts: list[Ids]) -> list[Ids]:
        """Return each text in ids of the target vocabulary."""
        joined = [self.source.join(ids) for ids in texts]
        new = list({word: None for words in joined for word in words if word not in self.known})
        self.known.update(zip(new, self.target.encode(new), strict=True))
        empty = np.zeros(0, np.int32)
        return [np.concatenate([empty, *map(self.known.__getitem__, words)]) for words in joined]


def learn_vocabulary(words: Iterable[str], path: Path, size: int = VOCABULARY_SIZE) -> None:
    """Learn WordPiece pieces of lower-cased words and write them to ``path``, one a line, special tokens first."""
    counts = Counter(words)
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        characters.update(dict.fromkeys(set(word), count))
    alphabet = sorted(character for character, count in characters.items() if count >= RAREST_CHARACTER)
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(
        (" ".join([word] * count) for word, count in sorted(counts.items()) if set(word).issubset(alphabet)),
        vocab_size=size,
        min_frequency=RAREST_PIECE,
        # Given ids beforehand, or they get them in the order of a hash table, and ties are broken by chance.
        special_tokens=[*SPECIAL_TOKENS, *alphabet, *(f"##{character}" for character in alphabet)],
        show_progress=False,
    )
    ids = tokenizer.get_vocab()
    path.write_text("".join(f"{piece}\n" for piece in sorted(ids, key=ids.__getitem__)), encoding="utf-8")
