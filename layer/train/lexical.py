"""BM25 over stemmed words, the teacher's view of exact terms (Robertson & Zaragoza 2009; k1, b as in Anserini)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import Stemmer
from numpy.typing import NDArray

from layer.train.tokens import Ids, Tokens

K1, B = 0.9, 0.4
STOPWORDS = frozenset([
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "can", "did", "do", "does", "for", "from", "had", "has",
    "have", "how", "if", "in", "into", "is", "it", "its", "me", "my", "no", "not", "of", "on", "or", "s", "such",
    "t", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "we", "were", "what",
    "when", "where", "which", "who", "whom", "why", "will", "with", "you", "your",
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lexicon:
    """A stemmed vocabulary with the idf of each stem in the training passages."""

    index: dict[str, int]
    idf: NDArray[np.float32]
    average: float


class Words:
    """Token ids to stems, stop words left out."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.stem = Stemmer.Stemmer("english")

    def of(self, ids: Ids) -> list[str]:
        """Return the stems of a text."""
        return self.stem.stemWords([word for word in self.tokens.words(ids) if word not in STOPWORDS])


def stems(tokens: Tokens) -> NDArray[np.int64]:
    """Return for each piece of a vocabulary the first piece that has the same stem: for most, itself."""
    stem = Stemmer.Stemmer("english").stemWord
    first: dict[str, int] = {}
    return np.array([first.setdefault(stem(piece), i) for i, piece in enumerate(tokens.pieces)])


def learn(words: list[list[str]]) -> Lexicon:
    """Collect the stems of a collection and their idf, ln(1 + (N - df + 0.5) / (df + 0.5))."""
    frequency: dict[str, int] = {}
    for text in words:
        for word in set(text):
            frequency[word] = frequency.get(word, 0) + 1
    index = {word: i for i, word in enumerate(frequency)}
    counts = np.fromiter(frequency.values(), np.float64)
    idf = np.log1p((len(words) - counts + 0.5) / (counts + 0.5)).astype(np.float32)
    return Lexicon(index, idf, sum(map(len, words)) / len(words))


def _matrix(rows: list[dict[int, float]], columns: int) -> sp.csr_matrix:
    starts = np.cumsum([0, *map(len, rows)])
    places = np.fromiter((i for row in rows for i in row), np.int32, starts[-1])
    values = np.fromiter((v for row in rows for v in row.values()), np.float32, starts[-1])
    return sp.csr_matrix((values, places, starts), shape=(len(rows), columns))


def passage_matrix(words: list[list[str]], lexicon: Lexicon) -> sp.csr_matrix:
    """Return BM25 weights [passages, stems] without idf: tf (k1 + 1) / (tf + k1 (1 - b + b length / average))."""
    rows = []
    for text in words:
        counts: dict[int, float] = {}
        for word in text:
            if (i := lexicon.index.get(word)) is not None:
                counts[i] = counts.get(i, 0.0) + 1.0
        norm = K1 * (1 - B + B * len(text) / lexicon.average)
        rows.append({i: tf * (K1 + 1) / (tf + norm) for i, tf in counts.items()})
    return _matrix(rows, len(lexicon.idf))


def query_matrix(words: list[list[str]], lexicon: Lexicon) -> sp.csr_matrix:
    """Return idf weights [queries, stems], each row summing to at most 1: the share of the query that a stem carries.

    A stem that the lexicon does not hold counts in the sum with the highest idf there is, so that a passage which
    matches only the common words of a query with an unknown name does not look like a full match.
    """
    rows = []
    unknown = float(np.max(lexicon.idf))
    for text in words:
        weights: dict[int, float] = {}
        missing = 0.0
        for word in set(text):
            if (i := lexicon.index.get(word)) is None:
                missing += unknown
            else:
                weights[i] = float(lexicon.idf[i])
        total = sum(weights.values()) + missing or 1.0
        rows.append({i: weight / total for i, weight in weights.items()})
    return _matrix(rows, len(lexicon.idf))
