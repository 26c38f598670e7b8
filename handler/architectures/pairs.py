"""Any encoder that reads query and passage as one sequence and whose tokenizer is not BERT's.

What stands around the two texts comes from the manifest's ``options``, where conversion put what the tokenizer's own
post-processor, or the ranker's prompt, writes there:

- XLM-RoBERTa and RoBERTa: ``<s> query </s></s> passage </s>``, padded with 1 (positions are counted from it);
- DeBERTa: ``[CLS] query [SEP] passage [SEP]``;
- T5 rankers (monoT5, Nogueira et al. 2020): ``Query: query Document: passage Relevant: </s>``; the score is read from
  the first decoder step, which the graph takes itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handler import encoding, model
from handler.encoding import packed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handler.batching import MicroBatch
    from handler.chunking import Words


class Encoder(encoding.Encoder):
    """Tokenises whole texts by the library: what a word's tokens are may depend on the text around it."""

    def __init__(self, model: model.Model) -> None:
        super().__init__(model)
        self._encode = model.tokens.library.encode  # loaded now, for every text will need it

    def _template(self, model: model.Model) -> tuple[bytes, bytes, bytes]:
        options = model.manifest.options
        return packed(options["prefix"]), packed(options["joiner"]), packed(options["suffix"])

    def _ids(self, text: str) -> bytes:
        return packed(self._encode(text, add_special_tokens=False).ids)

    def _found(self, text: str) -> Words:
        from handler.chunking import words_of

        return words_of(self._encode(text, add_special_tokens=False))


class Model(model.Model):
    """A session whose padding and segments are those of the manifest's ``options``.

    With ``alone``, a dynamically quantised graph is run on one sequence at a time: it takes its activation scales over
    all that it is given, and a passage's score must not depend on its company.
    """

    def logits(self, batch: MicroBatch) -> NDArray[np.float32]:
        """Score ``batch``: float32 logits ``[rows]``. The logit of a row does not depend on the other rows."""
        options = self.manifest.options
        if not options["segments"]:
            batch.token_type_ids.fill(0)
        if options["alone"]:
            return np.concatenate([super(Model, self).logits(row) for row in _rows(batch)])
        if options["pad"]:
            batch.input_ids[batch.attention_mask == 0] = options["pad"]
        return super().logits(batch)

    def encoder(self) -> Encoder:
        """Make the encoder that writes this model's inputs."""
        return Encoder(self)


def _rows(batch: MicroBatch) -> list[MicroBatch]:
    """Split a batch into its rows, without their padding."""
    return [
        batch._replace(
            chunks=[chunk],
            input_ids=batch.input_ids[row : row + 1, : chunk.length],
            attention_mask=batch.attention_mask[row : row + 1, : chunk.length],
            token_type_ids=batch.token_type_ids[row : row + 1, : chunk.length],
        )
        for row, chunk in enumerate(batch.chunks)
    ]
