"""Small randomly initialised rerankers of the real architectures, with their real tokenizers, and their own scores.

transformers makes the models and tokenizers (the vocabularies are trained here, on the calibration texts) and scores
cross-encoders; ``rerankers`` scores T5 rankers and ColBERT as the cards of such models tell their users to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from layer.optimize.make import PAIRS, read_pairs

ROOT = Path(__file__).resolve().parent.parent.parent
VOCABULARY = ROOT / "layer" / "nano" / "vocab.txt"
PIECES = 600
Scores = NDArray[np.float64]
Score = Callable[[Path, str, list[str]], Scores]


@dataclass(frozen=True, slots=True)
class Family:
    """An architecture: how a small one is made, who scores it, and whether that one gives a probability."""

    make: Callable[[Path], None]
    score: Score
    library: str
    probability: bool = False


def texts() -> list[str]:
    """The texts that vocabularies are trained on, with some in other scripts."""
    seen = [text for pair in read_pairs(PAIRS) for text in pair]
    return [
        *seen,
        "Où pleut-il le plus, et pourquoi ?",
        "雨はなぜ丘の上に降るのか。",
        "لماذا تمطر فوق التلال؟",
        "weiß – naïve №5 ﬁn",
    ]


def unigram(special: Iterable[str]) -> list[tuple[str, float]]:
    """A vocabulary of SentencePiece's kind: ``special`` first, each piece with its log probability."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    first = list(special)
    trainer = trainers.UnigramTrainer(
        vocab_size=PIECES, special_tokens=first, unk_token="<unk>" if "<unk>" in first else "[UNK]", show_progress=False
    )
    tokenizer.train_from_iterator(texts(), trainer)
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    return [(piece, float(score)) for piece, score in vocabulary]


def shape(**more: Any) -> dict[str, Any]:
    """A small encoder with weights wide enough apart for the scores to differ."""
    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
    return {**sizes, "max_position_embeddings": 194, "initializer_range": 0.2, **more}


def save(folder: Path, model: Any, tokenizer: Any) -> None:
    """Save as the hub has it."""
    tokenizer.save_pretrained(folder)
    model.eval().save_pretrained(folder)


def bert(folder: Path, labels: int = 1) -> None:
    """BERT with a pooler, token types, and one logit or two."""
    tokenizer = transformers.BertTokenizer(str(VOCABULARY))
    config = transformers.BertConfig(vocab_size=len(tokenizer), num_labels=labels, pad_token_id=0, **shape())
    save(folder, transformers.BertForSequenceClassification(config), tokenizer)


def bert_of_two_logits(folder: Path) -> None:
    """As FlashRank's multilingual model."""
    bert(folder, labels=2)


def distilbert(folder: Path) -> None:
    """BERT-like without token types."""
    tokenizer = transformers.BertTokenizer(str(VOCABULARY))
    config = transformers.DistilBertConfig(
        vocab_size=len(tokenizer), dim=64, n_layers=3, n_heads=4, hidden_dim=96, max_position_embeddings=194,
        initializer_range=0.2, num_labels=1,
    )  # fmt: skip
    save(folder, transformers.DistilBertForSequenceClassification(config), tokenizer)


def xlm_roberta(folder: Path) -> None:
    """As bge-reranker: SentencePiece, ``<s> a </s></s> b </s>``, positions counted from the padding id 1."""
    tokenizer = transformers.XLMRobertaTokenizer(unigram(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]))
    config = transformers.XLMRobertaConfig(
        vocab_size=len(tokenizer), type_vocab_size=1, pad_token_id=1, num_labels=1, **shape()
    )
    save(folder, transformers.XLMRobertaForSequenceClassification(config), tokenizer)


def roberta(folder: Path) -> None:
    """Byte-level BPE, as jina-reranker-v1 has it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts(),
        trainers.BpeTrainer(vocab_size=PIECES, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    said = json.loads(tokenizer.to_str())["model"]
    made = transformers.RobertaTokenizer(said["vocab"], [tuple(pair) for pair in said["merges"]])
    config = transformers.RobertaConfig(
        vocab_size=len(made), type_vocab_size=1, pad_token_id=1, num_labels=1, **shape()
    )
    save(folder, transformers.RobertaForSequenceClassification(config), made)


def deberta(folder: Path) -> None:
    """As mxbai-rerank-xsmall: disentangled attention with position buckets, no token types."""
    tokenizer = transformers.DebertaV2Tokenizer(unigram(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]), unk_id=3)
    config = transformers.DebertaV2Config(
        vocab_size=len(tokenizer), type_vocab_size=0, pad_token_id=0, num_labels=1, relative_attention=True,
        position_buckets=32, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
        position_biased_input=False, **shape(),
    )  # fmt: skip
    save(folder, transformers.DebertaV2ForSequenceClassification(config), tokenizer)


def t5(folder: Path) -> None:
    """As monoT5 on Flan-T5: gated GELU, an output layer of its own, the labels ▁false and ▁true."""
    vocabulary = unigram(["<pad>", "</s>", "<unk>"])
    known = {piece for piece, _ in vocabulary}
    vocabulary += [(piece, -12.0) for piece in ("▁false", "▁true") if piece not in known]
    tokenizer = transformers.T5Tokenizer(vocabulary, extra_ids=0)
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=64, d_kv=16, d_ff=96, num_layers=3, num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    model = transformers.T5ForConditionalGeneration(config)
    for name, weight in model.decoder.named_parameters():
        if "EncDecAttention" in name:
            weight.data *= 4  # at its start a decoder hardly looks at what the encoder read
    save(folder, model, tokenizer)


def colbert(folder: Path) -> None:
    """As answerai-colbert: BERT, a linear projection to 128, markers [unused0] and [unused1]."""
    vocabulary = folder / "vocab.txt"
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.write_text(VOCABULARY.read_text(encoding="utf-8") + "[unused0]\n[unused1]\n", encoding="utf-8")
    tokenizer = transformers.BertTokenizer(str(vocabulary))
    config = transformers.BertConfig(vocab_size=len(tokenizer), pad_token_id=0, architectures=["HF_ColBERT"], **shape())
    model = _colbert().ColBERTModel(config, verbose=0)
    save(folder, model, tokenizer)
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, "architectures": ["HF_ColBERT"]}))


def bi_encoder(folder: Path) -> None:
    """A sentence embedding model: BERT without a head, its tokens to be averaged."""
    tokenizer = transformers.BertTokenizer(str(VOCABULARY))
    config = transformers.BertConfig(vocab_size=len(tokenizer), pad_token_id=0, **shape())
    save(folder, transformers.BertModel(config), tokenizer)


@torch.no_grad()
def by_mean_pooling(folder: Path, query: str, passages: list[str]) -> Scores:
    """Cosines of mean embeddings, as such models' cards have it."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), transformers.AutoModel.from_pretrained(folder).eval()
    rows = tokenizer([query, *passages], padding=True, return_tensors="pt")
    mask = rows["attention_mask"][:, :, None]
    means = (model(**rows).last_hidden_state * mask).sum(1) / mask.sum(1)
    unit = torch.nn.functional.normalize(means, dim=-1)
    scores: Scores = (unit[1:] @ unit[0]).double().numpy()
    return scores


@torch.no_grad()
def by_transformers(folder: Path, query: str, passages: list[str]) -> Scores:
    """Logits of a cross-encoder over padded pairs: the one, or the second less the first."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = tokenizer(
        [query] * len(passages), passages, padding=True, truncation="only_second", max_length=192, return_tensors="pt"
    )
    logits = model(**rows).logits.double().numpy()
    scores: Scores = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
    return scores


def by_rerankers_t5(folder: Path, query: str, passages: list[str]) -> Scores:
    """Probabilities of a T5 ranker."""
    from rerankers.models.t5ranker import T5Ranker

    ranker = T5Ranker(str(folder), dtype="fp32", device="cpu", verbose=0, token_false="▁false", token_true="▁true")
    return np.array(ranker._get_scores(query, passages, max_length=512))


def by_rerankers_colbert(folder: Path, query: str, passages: list[str]) -> Scores:
    """MaxSim of ColBERT."""
    ranker = _colbert().ColBERTRanker(str(folder), dtype="fp32", device="cpu", verbose=0)
    return np.array(ranker._colbert_rank(query, passages))


def _colbert() -> Any:
    """The reference's module; its model lacks what transformers 5 expects of every model without tied weights."""
    from rerankers.models import colbert_ranker

    colbert_ranker.ColBERTModel.all_tied_weights_keys = {}
    return colbert_ranker


FAMILIES = {
    "bert": Family(bert, by_transformers, "transformers"),
    "bert-two-logits": Family(bert_of_two_logits, by_transformers, "transformers"),
    "distilbert": Family(distilbert, by_transformers, "transformers"),
    "xlm-roberta": Family(xlm_roberta, by_transformers, "transformers"),
    "roberta": Family(roberta, by_transformers, "transformers"),
    "deberta-v2": Family(deberta, by_transformers, "transformers"),
    "t5": Family(t5, by_rerankers_t5, "rerankers (T5Ranker)", probability=True),
    "bi-encoder": Family(bi_encoder, by_mean_pooling, "transformers"),
    "colbert": Family(colbert, by_rerankers_colbert, "rerankers (ColBERTRanker)"),
}
