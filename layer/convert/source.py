"""What a folder says of the model in it: which architecture, how its input is written, how its score is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from layer.catalogue import Entry

ENCODERS = ("xlm-roberta", "roberta", "deberta-v2", "bert")  # read as pairs; anything else with a tokenizer too
OFFSET_POSITIONS = ("xlm-roberta", "roberta")  # their first two positions stand for padding
LONGEST_WINDOW = 512  # unless the catalogue says otherwise: what goes past it is scored in chunks
PROMPT = "Query: {query} Document: {passage} Relevant:"  # monoT5, Nogueira et al. 2020
LABELS = ("▁false", "▁true")
MARKERS = ("[unused0]", "[unused1]")  # ColBERT's [Q] and [D]
METADATA = "artifact.metadata"
POOLING = "1_Pooling"  # where sentence-transformers keeps how tokens become one embedding


class UnsupportedSource(ValueError):
    """The folder holds no reranker that can be converted; the message says what is missing or different."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder with a reranker. ``labels`` are the ids of "not relevant" and "relevant" in a T5 ranker's vocabulary."""

    folder: Path
    config: dict[str, Any]
    architecture: str
    window: int
    lowercase: bool
    options: dict[str, Any]
    labels: tuple[int, int] | None = None

    @property
    def start(self) -> int:
        """The token that a decoder starts from."""
        return int(self.config.get("decoder_start_token_id") or 0)


def read(folder: Path, entry: Entry | None = None) -> Source:
    """Describe the reranker in ``folder``, with what the catalogue says of it. Raises ``UnsupportedSource``."""
    config = _json(folder / "config.json")
    if not config:
        raise UnsupportedSource("config.json is missing or cannot be read")
    kind = str(config.get("model_type", "unknown"))
    lowercase = bool(_json(folder / "tokenizer_config.json").get("do_lower_case", True))
    tokenizer = _tokenizer(folder)
    labels = None
    if _is_colbert(folder, config):
        architecture, options = "colbert", _late_interaction(folder, tokenizer)
    elif (folder / POOLING).exists() or config.get("architectures") == ["BertModel"]:
        architecture, options = "colbert", _embedding(tokenizer)
    elif kind == "t5" and (folder / "tokenizer.json").exists() and not _flashrank(folder):
        architecture, options = (
            kind,
            _prompt(tokenizer, (entry and entry.prompt) or PROMPT, int(config["eos_token_id"])),
        )
        labels = _labels(tokenizer, (entry and entry.labels) or LABELS)
    else:
        architecture, options = (kind if kind in (*ENCODERS, "t5") else "pairs"), _pairs(tokenizer)
    options["pad"] = int(config.get("pad_token_id") or 0)
    return Source(folder, config, architecture, _window(config, kind, entry), lowercase, options, labels)


def graph(folder: Path) -> Path | None:
    """The published ONNX graph to take: one in full precision where there is one."""
    found = [*folder.glob("*.onnx"), *folder.glob("onnx/*.onnx")]
    plain = [path for path in found if path.stem in {"model", "vespa_colbert"}]
    return min(plain or found, key=lambda path: -_with_data(path), default=None)


def _with_data(path: Path) -> int:
    return sum(near.stat().st_size for near in path.parent.glob(f"{path.name}*"))


def _json(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _tokenizer(folder: Path) -> Tokenizer:
    if (folder / "tokenizer.json").exists():
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
    if (folder / "vocab.txt").exists():
        from tokenizers import BertWordPieceTokenizer

        wordpiece: Tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"))._tokenizer  # noqa: SLF001
        return wordpiece
    raise UnsupportedSource("it has neither tokenizer.json nor vocab.txt (a slow tokenizer alone cannot be used)")


def _is_colbert(folder: Path, config: dict[str, Any]) -> bool:
    return (folder / METADATA).exists() or any(
        "colbert" in str(name).lower() for name in config.get("architectures") or ()
    )


def _flashrank(folder: Path) -> bool:
    """Whether a T5 ranker comes as FlashRank publishes it: one graph that reads the tokenizer's own pairs."""
    return any(path.name.startswith("flashrank") for path in folder.glob("*.onnx"))


def _pairs(tokenizer: Tokenizer) -> dict[str, Any]:
    """Read from the tokenizer's post-processor what it puts around a pair, and the second text's segment."""
    encoding = tokenizer.encode("a", "b")
    places = encoding.sequence_ids
    if 0 not in places or 1 not in places:
        raise UnsupportedSource("its tokenizer does not say how a pair of texts is joined")
    begin, middle = places.index(0), len(places) - places[::-1].index(0)
    end, last = places.index(1), len(places) - places[::-1].index(1)
    return {
        "prefix": encoding.ids[:begin],
        "joiner": encoding.ids[middle:end],
        "suffix": encoding.ids[last:],
        "segments": bool(encoding.type_ids[end]),
    }


def _prompt(tokenizer: Tokenizer, prompt: str, end: int) -> dict[str, Any]:
    before, _, rest = prompt.partition("{query}")
    between, _, after = rest.partition("{passage}")
    parts = (tokenizer.encode(text, add_special_tokens=False).ids for text in (before, between, after))
    prefix, joiner, suffix = parts
    return {"prefix": prefix, "joiner": joiner, "suffix": [*suffix, end], "segments": False}


def _labels(tokenizer: Tokenizer, labels: tuple[str, str]) -> tuple[int, int]:
    no, yes = (tokenizer.token_to_id(label) for label in labels)
    if no is None or yes is None:
        raise UnsupportedSource(f"its vocabulary has no {labels[0] if no is None else labels[1]}")
    return no, yes


def _embedding(tokenizer: Tokenizer) -> dict[str, Any]:
    """A bi-encoder is late interaction with one embedding a text."""
    around = tokenizer.encode("").ids
    mask = tokenizer.token_to_id("[MASK]")
    if len(around) != 2 or mask is None:
        raise UnsupportedSource("its tokenizer does not put one token before a text and one after it")
    return {
        "query_prefix": around[:1],
        "passage_prefix": around[:1],
        "suffix": around[1:],
        "mask": mask,
        "pooled": True,
    }


def _late_interaction(folder: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    said = _json(folder / METADATA)
    names = {
        "query": said.get("query_token_id", MARKERS[0]),
        "passage": said.get("doc_token_id", MARKERS[1]),
        "first": "[CLS]",
        "last": "[SEP]",
        "mask": "[MASK]",
    }
    ids = {what: tokenizer.token_to_id(name) for what, name in names.items()}
    if missing := [name for what, name in names.items() if ids[what] is None]:
        raise UnsupportedSource(f"its vocabulary has no {missing[0]}")
    return {
        "query_prefix": [ids["first"], ids["query"]],
        "passage_prefix": [ids["first"], ids["passage"]],
        "suffix": [ids["last"]],
        "mask": ids["mask"],
    }


def _window(config: dict[str, Any], kind: str, entry: Entry | None) -> int:
    if entry is not None:
        return entry.window
    known = config.get("max_position_embeddings") or LONGEST_WINDOW
    return min(int(known) - (2 if kind in OFFSET_POSITIONS else 0), LONGEST_WINDOW)
