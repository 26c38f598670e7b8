"""Step 1: every training set as token ids, long passages cut, queries of many shapes added.

The questions of ``train/`` are mostly whole English questions. A reranker also meets keywords, claims and noun
phrases, so :func:`written_queries` writes such queries from the passages themselves; only the teacher labels them.
"""

from __future__ import annotations

import math
import pickle
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from layer.train import own
from layer.train.beir import read_set
from layer.train.tokens import Ids, Tokens

PASSAGE_TOKENS = 240
CHUNKS_A_PASSAGE = 3
QUERY_TOKENS = 48
SENTENCE_ENDS = (1012, 1029, 999)  # . ? !
TEMPLATES = (
    "what is {a}", "what is {a}", "what causes {a}", "how does {a} work", "definition of {a}", "{a} definition",
    "effect of {a} on {b}", "effects of {a}", "{a} and {b}", "{a} versus {b}", "does {a} affect {b}",
    "how to use {a} with {b}", "{a} in {b}", "role of {a} in {b}", "difference between {a} and {b}",
    "is {a} related to {b}", "who is {a}", "where is {a}", "when was {a}", "why {a}", "examples of {a}",
    "how much {a}", "{a} {b} {c}", "types of {a}", "meaning of {a}", "{a} treatment", "what are the {a} of {b}",
    "how is {a} measured", "theory of {a}", "methods for {a} and {b}", "{a} increases {b}",
    "{a} is associated with {b}", "what factors influence the {a} of {b} in {c}", "can {a} be predicted from {b}",
    "how are {a} and {b} of {c} related", "what methods are available for {a} of {b} with {c}",
    "studies of {a} in {b} and {c}", "what happens to {a} when {b} changes", "does {a} of {b} depend on {c}",
    "is there evidence that {a} causes {b} in {c}", "should i use {a} or {b} for {c}", "which {a} has the most {b}",
    "problems of {a} with {b} under {c}", "how long does {a} take", "best {a} for {b}", "{a} not {b}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """All training text.

    ``origin`` names the set of each passage; the first ``whole`` passages are those of the sets, crops of them follow.
    ``source`` names the set of each query, or how it was made; ``about`` is the passage that it is about, and
    ``positives`` are those labelled relevant.
    """

    passages: list[Ids]
    origin: list[str]
    whole: int
    queries: list[Ids]
    source: list[str]
    about: list[int]
    positives: list[list[int]]

    def labelled_queries(self) -> list[Ids]:
        """Return the queries of the sets themselves."""
        return [query for query, relevant in zip(self.queries, self.positives, strict=True) if relevant]


def chunks(ids: Ids, limit: int = PASSAGE_TOKENS) -> list[Ids]:
    """Cut a text into pieces of at most ``limit`` tokens, where one can at a sentence end past half of it."""
    out: list[Ids] = []
    while len(ids) > limit:
        ends = np.flatnonzero(np.isin(ids[limit // 2 : limit], SENTENCE_ENDS))
        cut = limit // 2 + int(ends[-1]) + 1 if len(ends) else limit
        out.append(ids[:cut])
        ids = ids[cut:]
    return [*out, ids]


def sentences(ids: Ids) -> list[Ids]:
    """Split token ids after each ``.``, ``?`` or ``!``."""
    return [part for part in np.split(ids, np.flatnonzero(np.isin(ids, SENTENCE_ENDS)) + 1) if len(part) > 4]


def crop(ids: Ids, rng: random.Random) -> Ids | None:
    """Return one to three neighbouring sentences of a passage, or None where it has too few."""
    parts = sentences(ids)
    if len(parts) < 2:
        return None
    count = rng.choice((1, 1, 2, 3))
    start = rng.randrange(max(1, len(parts) - count + 1))
    return np.concatenate(parts[start : start + count])[:PASSAGE_TOKENS]


def document_frequency(tokens: Tokens, passages: list[Ids]) -> Counter[str]:
    """Count the passages that hold each word."""
    counts: Counter[str] = Counter()
    for ids in passages:
        counts.update(set(tokens.words(ids)))
    return counts


def written_queries(words: list[str], rarity: dict[str, float], rng: random.Random) -> list[str]:
    """Write two queries from a passage's words: a keyword string, and a template filled with its rarer phrases."""
    if len(words) < 8:
        return []
    weight = [max(0.0, rarity.get(word, 0.0) - 3.0) ** 2 * (len(word) > 2) for word in words]
    if sum(weight) <= 0:
        return []

    def phrase() -> str:
        start = rng.choices(range(len(words)), weight)[0]
        return " ".join(words[max(0, start - rng.choice((0, 0, 1))) : start + 1 + rng.choice((0, 0, 0, 1))])

    keywords = [
        words[i] for i in sorted(set(rng.choices(range(len(words)), weight, k=rng.choice((1, 2, 2, 3, 4, 6, 10)))))
    ]
    if rng.random() < 0.3:
        rng.shuffle(keywords)
    template = rng.choice(TEMPLATES).format(a=phrase(), b=phrase(), c=phrase())
    return [" ".join(dict.fromkeys(keywords)), template]


def prepare(folders: list[Path], tokens: Tokens, seed: int) -> World:
    """Read the sets, and our own, and return all that training learns from.

    Raises:
        DataError: a set is missing a file or is malformed.
    """
    passages: list[Ids] = []
    origin: list[str] = []
    queries: list[Ids] = []
    source: list[str] = []
    about: list[int] = []
    positives: list[list[int]] = []
    for data in tqdm([*map(read_set, folders), own.read()], desc="reading"):
        place: dict[str, list[int]] = {}
        for key, ids in zip(data.corpus, tokens.encode(list(data.corpus.values())), strict=True):
            cut = [chunk for chunk in chunks(ids)[:CHUNKS_A_PASSAGE] if len(chunk) > 3]
            place[key] = list(range(len(passages), len(passages) + len(cut)))
            passages += cut
            origin += [data.name] * len(cut)
        for key, ids in zip(data.queries, tokens.encode(list(data.queries.values())), strict=True):
            relevant = [
                i for passage, grade in data.qrels.get(key, {}).items() if grade > 0 for i in place.get(passage, [])
            ]
            if len(ids) > 1 and relevant:
                queries.append(ids[:QUERY_TOKENS])
                source.append(data.name)
                about.append(relevant[0])
                positives.append(relevant)
    counts = document_frequency(tokens, passages)
    rarity = {word: math.log(len(passages) / count) for word, count in counts.items()}
    written: list[tuple[str, int]] = []
    for index in range(len(passages)):
        rng = random.Random(f"{seed} {index}")  # of its own: a further set changes nothing for the others
        written += [(text, index) for text in written_queries(tokens.words(passages[index]), rarity, rng)]
        parts = sentences(passages[index])
        if parts:
            queries.append(rng.choice(parts)[:QUERY_TOKENS])
            source.append("sentence")
            about.append(index)
            positives.append([])
    for (_, index), ids in zip(written, tokens.encode([text for text, _ in written]), strict=True):
        queries.append(ids[:QUERY_TOKENS])
        source.append("written")
        about.append(index)
        positives.append([])
    whole = len(passages)
    for index in range(whole):
        part = crop(passages[index], random.Random(f"{seed} crop {index}"))
        if part is not None:
            passages.append(part)
            origin.append(origin[index])
    return World(passages, origin, whole, queries, source, about, positives)


def token_frequency(passages: list[Ids], size: int) -> NDArray[np.float64]:
    """Count the passages that hold each token id, float64 [size]."""
    counts = np.zeros(size)
    for ids in passages:
        counts[np.unique(ids)] += 1
    return counts


def idf(frequency: NDArray[np.float64], passages: int) -> NDArray[np.float32]:
    """Return ln(1 + (N - df + 0.5) / (df + 0.5)) (Robertson & Zaragoza 2009)."""
    return np.log1p((passages - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)


def save(world: World, path: Path) -> None:
    """Write a world for the later steps."""
    path.write_bytes(pickle.dumps(world))


def load(path: Path) -> World:
    """Read what :func:`save` wrote in this work folder."""
    world = pickle.loads(path.read_bytes())  # noqa: S301 - written by this program, in its own work folder
    if not isinstance(world, World):
        raise TypeError(f"{path}: not a world")
    return world
