"""The nano cross-encoder: one 128-wide layer, a soft-match head and pooled cosines, scored by two small MLPs.

Input is BERT's pair: ``[CLS] query [SEP] passage [SEP]``. With d = 128, a query token i, a passage token j (special
tokens take part in attention alone, never in matching or pooling)::

    e_t   = E[id_t] / |E[id_t]|                       unit static embedding, 256 wide (4 bits each in the shipped file)
    x_t   = sqrt(256) W e_t + S[segment_t]            S: one vector for query tokens, one for passage tokens
    y     = LN(x + O attention(Q x, K x, V x))        two heads; a token attends to its own segment only, and
                                                      head 0 adds -|t - t'| to its logits (ALiBi with slope 1)
    h     = LN'(y + W2 relu(W1 y))                    LN' has no affine part, so u_t = h_t / sqrt(d) is a unit vector

    static match M_ij = e_i . e_j, contextual match N_ij = u_i . u_j, exact match X_ij = [stem(id_i) = stem(id_j)]
    of each query token:
      f1, f2 = max_j M_ij, max_j N_ij                 (at least 0)
      f3, f4 = log(1 + sum_j relu(M_ij - 1/2)), the same of N
      c      = sum_j X_ij;  f5 = c / (c + k1 (1 - b + b passage_tokens / 128))        (BM25's saturation)
      f6, f7 = min(1, sum_j X_ij X_i+1,j+1), the same of its left neighbour (i - 1, j - 1)
      f8     = min(1, sum_j X_ij e^(-place of j in the passage / 12))                 (a title, a subject)
    weight  r_i = softplus(R[id_i] + a . h_i);  r_i / sum r
    S       = sum_i (r_i / sum r) G(f_i, r_i / sum r)                                   G: MLP 9 -> 16 -> 6
    pools   p_k = sum_t softmax_t(h_t . A_k + A0_k P[id_t]) h_t  (k = 1..8, per segment), p_0 = sum_t P[id_t] e_t
    J(c)    = C c + D relu(B c + b)                   of c = [p_0/|p_0|; p_1..p_8]: the joint vector, 384 wide
    need    N relu(B c + b) of the query, offer O relu(B c + b) of the passage, 32 wide: does it say what was asked
    logit   = F(S, cos(p_0, p_0), cos(J(c), J(c)), need . offer, ln(query tokens), ln(passage tokens))

A token attends to its own segment only, so states of a query and of a passage are computed once and every query of a
training batch can be scored with every passage of it (:meth:`Nano.cross`), which is what makes distillation cheap.
Interaction comes from matching, as in K-NRM (https://arxiv.org/abs/1706.06613) and ColBERT
(https://arxiv.org/abs/2004.12832).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from layer.train.tokens import CLS, SEP

EMBEDDING, WIDTH, HEADS, INNER, POOLS, JOINT, JOINT_INNER, NEED = 256, 128, 2, 512, 8, 384, 256, 32
POOLED = EMBEDDING + POOLS * WIDTH
TERM_FEATURES, TERM_HIDDEN, TERM_OUT, HIDDEN = 9, 16, 6, 32
VERDICT = TERM_OUT + 5  # with two cosines, need times offer, and two lengths
SLOPES = (1.0, 0.0)
SOFT_FLOOR = 0.5
EARLY = 12.0
LENGTH_SCALE = 128.0
ROOT, STATIC_ROOT = math.sqrt(WIDTH), math.sqrt(EMBEDDING)


@dataclass
class Side:
    """Encoded texts of one segment: unit states and static embeddings [n, tokens, d] zeroed outside the text."""

    unit: Tensor
    static: Tensor
    ids: Tensor
    content: Tensor
    pooled: Tensor
    pooled_static: Tensor
    need: Tensor
    offer: Tensor

    @property
    def length(self) -> Tensor:
        """Tokens a text, float [n]."""
        return self.content.sum(1).clamp(min=1)


class Match(torch.autograd.Function):
    """Of every query token and passage: max_j and sum_j relu(. - 1/2) of the products with its tokens.

    The match matrix is computed in bfloat16 and again in the backward pass, rather than kept.
    """

    @staticmethod
    def forward(ctx: Any, queries: Tensor, passages: Tensor) -> tuple[Tensor, Tensor]:
        """Return two float [query tokens, passages] of queries [query tokens, d] and passages [passages, tokens, d]."""
        q, p = queries.bfloat16(), passages.bfloat16()
        match = (q @ p.flatten(0, 1).T).view(len(q), *p.shape[:2])
        best, where = match.max(-1)
        soft = (match - SOFT_FLOOR).relu_().sum(-1)
        ctx.save_for_backward(q, p, where, best)
        return best.float().clamp(min=0), soft.float()

    @staticmethod
    def backward(ctx: Any, grad_best: Tensor, grad_soft: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of both inputs."""
        q, p, where, best = ctx.saved_tensors
        match = (q @ p.flatten(0, 1).T).view(len(q), *p.shape[:2])
        grad = torch.where(match > SOFT_FLOOR, grad_soft.bfloat16()[..., None], 0.0)
        at = where.flatten() + torch.arange(where.numel()) * match.shape[2]
        flat = grad.view(-1)
        flat[at] = flat[at] + (grad_best * (best > 0)).bfloat16().flatten()
        grad = grad.flatten(1)
        return (grad @ p.flatten(0, 1)).float(), (grad.T @ q).float().view(p.shape)


def perceptron(inner: int, hidden: int, out: int) -> nn.Sequential:
    """Return a one-hidden-layer ReLU network."""
    return nn.Sequential(nn.Linear(inner, hidden), nn.ReLU(), nn.Linear(hidden, out))


class Nano(nn.Module):
    """The student. ``embeddings`` [vocabulary, 256] start it; ``idf`` [vocabulary] starts its term weights.

    ``stems`` int64 [vocabulary] gives pieces of one stem one number.
    """

    stems: Tensor

    def __init__(self, embeddings: Tensor, idf: Tensor, stems: Tensor) -> None:
        super().__init__()
        self.register_buffer("stems", stems)
        self.embedding = nn.Embedding(*embeddings.shape, _weight=F.normalize(embeddings, dim=-1))
        self.term = nn.Embedding(len(idf), 2, _weight=torch.stack([idf / 2, idf / 2 - 1], 1))  # R, P
        self.segment = nn.Parameter(torch.zeros(2, WIDTH))
        self.inward = nn.Linear(EMBEDDING, WIDTH, bias=False)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.up = nn.Linear(WIDTH, INNER)
        self.down = nn.Linear(INNER, WIDTH)
        self.importance = nn.Linear(WIDTH, 1)
        self.pools = nn.Linear(WIDTH, POOLS)
        self.pools_static = nn.Parameter(torch.full((POOLS,), 0.5))
        self.joint = nn.Linear(POOLED, JOINT, bias=False)
        self.joint_up = nn.Linear(POOLED, JOINT_INNER)
        self.joint_down = nn.Linear(JOINT_INNER, JOINT, bias=False)
        self.saturation = nn.Parameter(torch.tensor([0.4, 0.0]))  # softplus -> k1, sigmoid -> b
        self.per_term = perceptron(TERM_FEATURES, TERM_HIDDEN, TERM_OUT)
        self.need = nn.Linear(JOINT_INNER, NEED, bias=False)
        self.offer = nn.Linear(JOINT_INNER, NEED, bias=False)
        self.score = perceptron(VERDICT, HIDDEN, 1)
        self.linear = nn.Linear(VERDICT, 1)
        with torch.no_grad():
            self.inward.weight.copy_(torch.eye(EMBEDDING)[-WIDTH:])
            self.qkv.weight.mul_(0.5)
            self.qkv.weight[:WIDTH] += 0.5 * torch.eye(WIDTH)
            self.qkv.weight[WIDTH : 2 * WIDTH] += 0.5 * torch.eye(WIDTH)
            self.out.weight.mul_(0.3)
            self.down.weight.mul_(0.3)
            self.joint_down.weight.zero_()
            self.offer.weight.zero_()
            self.importance.weight.zero_()
            self.pools.weight.mul_(0.3)
            self.linear.weight.zero_()
            self.linear.weight[0, TERM_OUT] = 2.0
            self.linear.weight[0, TERM_OUT + 1] = 12.0
            self.linear.weight[0, TERM_OUT + 2] = 1.0

    def layer(self, static: Tensor, segment: Tensor, bias: Tensor) -> Tensor:
        """Return states with unit norm, [n, tokens, d], of static embeddings and the segments' vectors.

        ``bias`` is added to attention logits [n or 1, heads, tokens, tokens].
        """
        x = self.inward(static) * STATIC_ROOT + segment
        rows, tokens, _ = x.shape
        q, k, v = self.qkv(x).view(rows, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        share = (q @ k.transpose(2, 3) * (WIDTH // HEADS) ** -0.5 + bias.to(q.dtype)).softmax(-1).to(v.dtype)
        mixed = (share @ v).transpose(1, 2).reshape(rows, tokens, WIDTH)
        y = self.norm((x + self.out(mixed)).float())
        return F.layer_norm((y + self.down(F.relu(self.up(y)))).float(), (WIDTH,), eps=1e-6) / ROOT

    def pool(self, unit: Tensor, static: Tensor, ids: Tensor, content: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return each text's joint and static unit vector, [n, 384] and [n, d], its need and its offer, [n, 32]."""
        both, flat = self.pools_of(unit, static, ids, content)
        inner = F.relu(self.joint_up(both))
        joint = self.joint(both) + self.joint_down(inner)
        return F.normalize(joint.float(), dim=-1), flat, self.need(inner).float(), self.offer(inner).float()

    def pools_of(self, unit: Tensor, static: Tensor, ids: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the joint vector is made of, [n, 9 d], and the static unit vector, [n, d]."""
        weight = self.term.weight[:, 1][ids]
        logits = F.linear(unit * ROOT, self.pools.weight, self.pools.bias) + weight[..., None] * self.pools_static
        share = logits.float().masked_fill(~content[..., None], -1e4).softmax(1) * content[..., None]
        pooled = (share.transpose(1, 2) @ unit).flatten(1) * ROOT
        flat = F.normalize(((F.softplus(weight) * content)[:, None] @ static)[:, 0], dim=-1)
        return torch.cat([flat * ROOT, pooled], 1), flat

    def static_of(self, ids: Tensor) -> Tensor:
        """Return unit static embeddings."""
        return F.normalize(self.embedding(ids), dim=-1)

    def states(self, ids: Tensor, mask: Tensor, segment: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return unit states and static embeddings [n, tokens, d], zero outside the text, and where the text is."""
        static = self.static_of(ids)
        unit = self.layer(static, self.segment[segment], alibi(ids.shape[1], mask))
        content = mask & (ids != CLS) & (ids != SEP)
        return unit * content[..., None], static * content[..., None], content

    def encode(self, ids: Tensor, mask: Tensor, segment: int) -> Side:
        """Encode texts of one segment alone: ``[CLS] text [SEP]`` for queries (0), ``text [SEP]`` for passages (1)."""
        unit, static, content = self.states(ids, mask, segment)
        return Side(unit, static, ids, content, *self.pool(unit, static, ids, content))

    def weights(self, side: Side) -> Tensor:
        """Return each query token's share of the query, [n, tokens]."""
        raw = (
            F.softplus(self.term.weight[:, 0][side.ids] + self.importance(side.unit * ROOT).squeeze(-1).float())
            * side.content
        )
        return raw / raw.sum(1, keepdim=True).clamp(min=1e-6)

    def saturate(self, counts: Tensor, passage_length: Tensor) -> Tensor:
        """Return BM25's saturation of exact match counts."""
        k1, b = F.softplus(self.saturation[0]), torch.sigmoid(self.saturation[1])
        return counts / (counts + k1 * (1 - b + b * passage_length / LENGTH_SCALE))

    def verdict(self, terms: Tensor, products: Tensor, lengths: Tensor) -> Tensor:
        """Return logits [...] of summed term features [..., 6], products [..., 3] and lengths in tokens [..., 2]."""
        whole = torch.cat([terms, products, lengths.log() / 4], -1)
        return (self.score(whole) + self.linear(whole)).squeeze(-1)

    def cross(self, queries: Side, passages: Side, counts: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Score every query with every passage.

        ``counts`` [k, m] and ``places`` [3, k, m] are of the stems of the k content tokens of all queries, one query
        after the other.
        Returns logits [n, m] and cosines [n, m, 2] (static, joint).
        """
        n, m = len(queries.unit), len(passages.unit)
        owner, _ = where = queries.content.nonzero(as_tuple=True)
        best, soft = zip(
            *(Match.apply(q[where], p) for q, p in ((queries.static, passages.static), (queries.unit, passages.unit))),
            strict=True,
        )
        share = self.weights(queries)[where][:, None]
        exact = self.saturate(counts, passages.length)
        features = [*best, *(x.log1p() for x in soft), exact, *places, share.expand(-1, m)]
        terms = self.per_term(torch.stack(features, -1)).float() * share[..., None]
        terms = torch.zeros(n, m, TERM_OUT).index_add(0, owner, terms)
        products = torch.stack([one @ other.T for one, other in vectors(queries, passages)], -1)
        lengths = torch.stack([queries.length[:, None].expand(n, m), passages.length[None].expand(n, m)], -1)
        return self.verdict(terms, products, lengths), products[..., :2]

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Return logits [batch, 1] of BERT-shaped pairs, as the shipped graph does."""
        mask = attention_mask.bool()
        second = (token_type_ids == 1) & mask
        content = mask & (input_ids != CLS) & (input_ids != SEP)
        tokens = int((mask & ~second).sum(1).max())
        static = self.static_of(input_ids)
        same = (second[:, :, None] == second[:, None, :]) & mask[:, None, :]
        bias = torch.where(same[:, None], 0.0, -1e4) + distance(input_ids.shape[1])
        unit = self.layer(static, self.segment[token_type_ids], bias)
        sides = []
        for keep, upto in ((content & ~second, tokens), (content & second, input_ids.shape[1])):
            u, s, i = (
                unit[:, :upto] * keep[:, :upto, None],
                static[:, :upto] * keep[:, :upto, None],
                input_ids[:, :upto],
            )
            sides.append(Side(u, s, i, keep[:, :upto], *self.pool(u, s, i, keep[:, :upto])))
        query, passage = sides
        matches = [query.static @ passage.static.transpose(1, 2), query.unit @ passage.unit.transpose(1, 2)]
        best = torch.stack([match.amax(-1).clamp(min=0) for match in matches])
        soft = torch.stack([(match - SOFT_FLOOR).relu().sum(-1) for match in matches])
        exact = (
            (self.stems[query.ids][:, :, None] == self.stems[passage.ids][:, None, :])
            & query.content[:, :, None]
            & passage.content[:, None, :]
        ).float()
        right = F.pad((exact[:, :-1, :-1] * exact[:, 1:, 1:]).sum(-1).clamp(max=1), (0, 1))
        place = passage.content.float().cumsum(1) - 1
        early = (exact * (-place / EARLY).exp()[:, None]).sum(-1).clamp(max=1)
        places = torch.stack([right, F.pad(right, (1, 0))[:, :-1], early])
        products = torch.stack([(one * other).sum(-1) for one, other in vectors(query, passage)], -1)
        lengths = torch.stack([query.length, passage.length], -1)
        share = self.weights(query)
        saturated = self.saturate(exact.sum(-1), lengths[:, 1:])
        features = torch.stack([*best, *soft.log1p(), saturated, *places, share], -1)
        return self.verdict((self.per_term(features) * share[..., None]).sum(-2), products, lengths)[:, None]


def vectors(query: Side, passage: Side) -> list[tuple[Tensor, Tensor]]:
    """Return which vectors of a query and of a passage are multiplied: static, joint, need and offer."""
    return [
        (query.pooled_static, passage.pooled_static),
        (query.pooled, passage.pooled),
        (query.need, passage.offer),
    ]


def distance(tokens: int) -> Tensor:
    """Return ALiBi's bias [1, heads, tokens, tokens], minus slope times distance (https://arxiv.org/abs/2108.12409)."""
    place = torch.arange(tokens)
    return -torch.tensor(SLOPES)[None, :, None, None] * (place[:, None] - place[None]).abs()


def alibi(tokens: int, mask: Tensor) -> Tensor:
    """Return the attention bias of texts encoded alone, [n, heads, tokens, tokens]."""
    return distance(tokens) + torch.where(mask, 0.0, -1e4)[:, None, None, :]
