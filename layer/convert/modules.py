"""The torch modules that :mod:`layer.convert.export` traces, one for each way of reading a score."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from layer.convert.source import UnsupportedSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from layer.convert.source import Source

PLAIN = {"local_files_only": True, "trust_remote_code": False, "dtype": torch.float32}


class Pair(nn.Module):  # type: ignore[misc] # torch is in another environment
    """A classifier over a pair, with one logit or two: ``[rows, labels]``."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Compute the logits."""
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask, **segments).logits
        return logits


class FirstStep(nn.Module):  # type: ignore[misc] # torch is in another environment
    """An encoder-decoder's first step: the logit of "relevant" less that of "not relevant", ``[rows, 1]``."""

    def __init__(self, model: Any, labels: tuple[int, int], start: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.start = model.get_encoder(), model.get_decoder(), start
        rows = model.get_output_embeddings().weight.detach()
        # transformers 5 says so by a setting of its own, older ones by the output layer being the embedding's.
        scaled = getattr(model.config, "scale_decoder_outputs", model.config.tie_word_embeddings)
        scale = model.config.d_model**-0.5 if scaled else 1.0
        self.register_buffer("direction", ((rows[labels[1]] - rows[labels[0]]) * scale)[:, None])

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Compute the logits."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        step = self.decoder(
            input_ids=torch.zeros_like(input_ids[:, :1]) + self.start,
            encoder_hidden_states=states,
            encoder_attention_mask=attention_mask,
            use_cache=False,
        ).last_hidden_state[:, 0]
        logits: Tensor = step @ self.direction
        return logits


class TokenEmbeddings(nn.Module):  # type: ignore[misc] # torch is in another environment
    """An encoder with a linear projection: ``[rows, tokens, width]``."""

    def __init__(self, encoder: nn.Module, projection: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("projection", projection.T.contiguous())

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Compute the embeddings."""
        states: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states @ self.projection


class MeanEmbedding(nn.Module):  # type: ignore[misc] # torch is in another environment
    """The mean of an encoder's states over the tokens that count, ``[rows, 1, width]``."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Compute the embeddings."""
        states: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask[:, None, :].to(states.dtype)
        return weights @ states / weights.sum(-1, keepdim=True)


def pair(source: Source) -> nn.Module:
    """The module of a cross-encoder."""
    return Pair(AutoModelForSequenceClassification.from_pretrained(source.folder, attn_implementation="eager", **PLAIN))


def t5(source: Source) -> nn.Module:
    """The module of a T5 ranker."""
    if source.labels is None:
        raise UnsupportedSource("its labels are not known")
    model = AutoModelForSeq2SeqLM.from_pretrained(source.folder, attn_implementation="eager", **PLAIN)
    return FirstStep(model, source.labels, source.start)


def colbert(source: Source) -> nn.Module:
    """The module of a late-interaction encoder, whose projection is the weight ``linear``, or of a bi-encoder."""
    from safetensors import safe_open

    encoder = AutoModel.from_pretrained(source.folder, attn_implementation="eager", add_pooling_layer=False, **PLAIN)
    if source.options.get("pooled"):
        return MeanEmbedding(encoder)
    for path in sorted(source.folder.glob("*.safetensors")):
        with safe_open(path, "pt") as weights:
            if "linear.weight" in weights.keys():  # noqa: SIM118 - it is no mapping
                return TokenEmbeddings(encoder, weights.get_tensor("linear.weight").float())
    raise UnsupportedSource(f"no weight linear.weight ({json.dumps(source.config.get('architectures'))})")


BUILDERS: dict[str, Callable[[Source], nn.Module]] = {"t5": t5, "colbert": colbert}
