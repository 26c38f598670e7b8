"""BERT-uncased WordPiece ids, and the words they make up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import BertWordPieceTokenizer

Ids = NDArray[np.int32]
PAD, CLS, SEP, VOCABULARY_SIZE = 0, 101, 102, 30522


class Tokens:
    """Texts to token ids, without special tokens."""

    def __init__(self, vocabulary: Path) -> None:
        self.tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        self.pieces = vocabulary.read_text(encoding="utf-8").split("\n")[:VOCABULARY_SIZE]
        self.continues = np.array([piece.startswith("##") for piece in self.pieces])

    def encode(self, texts: list[str]) -> list[Ids]:
        """Return one int32 array of ids a text."""
        encodings = self.tokenizer._tokenizer.encode_batch_fast(texts, add_special_tokens=False)  # noqa: SLF001 - the wrapper has no fast batch
        return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]

    def words(self, ids: Ids) -> list[str]:
        """Return the words of one text, pieces joined; punctuation is left out."""
        words: list[str] = []
        for i in ids:
            piece = self.pieces[i]
            if piece.startswith("##") and words:
                words[-1] += piece[2:]
            else:
                words.append(piece)
        return [word for word in words if word[0].isalnum()]
