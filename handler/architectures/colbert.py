"""Late interaction (ColBERT, Khattab & Zaharia, SIGIR 2020): query and passage are embedded apart, token by token.

A passage's logit is the mean over the query's tokens of each one's best cosine among the passage's tokens (MaxSim). The
query is ``[CLS] [Q] query [SEP] [MASK]…``: the mask tokens, which nothing attends to, are embedded too and stand for
words that the query could have had. The passage is ``[CLS] [D] passage [SEP]``. How many masks there are, and the mean
instead of the sum, follow the implementation that the models' cards name first (``rerankers``).

A bi-encoder is the case of one embedding a text: its graph pools the tokens (``pooled``), and the score is the cosine.

Encoder and model pass on one sequence as for every architecture: the query's, then the passage's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handler import encoding, model
from handler.encoding import ID_BYTES, EncodedQuery, packed

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

    from handler.batching import MicroBatch
    from handler.contract import Chunking
    from handler.wordpiece import Tokens

EXPANSION_STEP = 16
LEAST_EXPANSION = 8


class Encoder(encoding.Encoder):
    """Puts the markers in; a passage has the whole window for itself."""

    def __init__(self, model: model.Model) -> None:
        super().__init__(model)
        self._mask = packed([model.manifest.options["mask"]])
        self._pooled = bool(model.manifest.options.get("pooled"))
        self._passage_prefix = packed(model.manifest.options["passage_prefix"])

    def encode_query(self, text: str) -> EncodedQuery:
        """Tokenise the query once; it is cut to the model's ``max_query_tokens``."""
        ids, tokens, truncated = super().encode_query(text)
        if not self._pooled:
            ids += self._mask * expansion(len(ids) // ID_BYTES)
        return EncodedQuery(ids + self._passage_prefix, tokens, truncated)

    def _template(self, model: model.Model) -> tuple[bytes, bytes, bytes]:
        options = model.manifest.options
        return packed(options["query_prefix"]), packed(options["suffix"]), packed(options["suffix"])

    def _room(self, query: EncodedQuery, chunking: Chunking) -> int:  # noqa: ARG002 - it takes no room from a passage
        room = self._window - (len(self._passage_prefix) + len(self._suffix)) // ID_BYTES
        return min(room, chunking.chunk_tokens or room)


class Model(model.Model):
    """A session that gives unit embeddings ``[rows, tokens, width]``, and the interaction after it."""

    def __init__(self, manifest: model.Manifest, tokens: Tokens, session: onnxruntime.InferenceSession) -> None:
        super().__init__(manifest, tokens, session)
        self._query: tuple[bytes, NDArray[np.float32]] = (b"", np.empty((0, 0), np.float32))

    def logits(self, batch: MicroBatch) -> NDArray[np.float32]:
        """Score ``batch``: float32 logits ``[rows]``. The logit of a row does not depend on the other rows."""
        options = self.manifest.options
        # The longest row comes last and has no padding, so that its segments tell where its passage begins.
        begin = int(batch.token_type_ids[-1].argmax()) - len(options["passage_prefix"])
        asked = self._embedded(batch.input_ids[0, :begin])
        passages, mask = (np.ascontiguousarray(x[:, begin:]) for x in (batch.input_ids, batch.attention_mask))
        if not options["alone"]:
            return _max_sim(asked, self._run(passages, mask), mask)
        lengths = mask.sum(axis=1)
        rows = [(passages[i : i + 1, :length], mask[i : i + 1, :length]) for i, length in enumerate(lengths)]
        return np.concatenate([_max_sim(asked, self._run(ids, seen), seen) for ids, seen in rows])

    def encoder(self) -> Encoder:
        """Make the encoder that writes this model's inputs."""
        return Encoder(self)

    def _embedded(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embed the query's tokens ``[tokens, width]``, divided by their number; the last query's are kept."""
        key = ids.tobytes()
        if self._query[0] != key:
            options = self.manifest.options
            attended = int(np.flatnonzero(ids != options["mask"])[-1]) + 1
            mask = (np.arange(len(ids)) < attended).astype(np.int64)
            embedded = self._run(ids[None].copy(), mask[None])[0]
            self._query = key, embedded if options.get("pooled") else embedded / np.float32(attended)
        return self._query[1]

    def _run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        output: NDArray[np.float32]
        (output,) = self._session.run(self._outputs, {name: feed[name] for name in self._inputs})
        return output


def expansion(tokens: int) -> int:
    """Return how many mask tokens follow a query sequence of ``tokens`` tokens."""
    past = tokens % EXPANSION_STEP
    return LEAST_EXPANSION if past <= LEAST_EXPANSION else EXPANSION_STEP - past


def _max_sim(query: NDArray[np.float32], passages: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    similar = np.where(mask[:, :, None] == 0, np.float32(-1e4), passages @ query.T)
    best: NDArray[np.float32] = similar.max(axis=1).sum(axis=1)
    return best
