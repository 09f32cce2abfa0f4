"""The reader's network: a sentence and a world's items in, rule tokens and pointers out.

The sentence goes through a small BERT (all-MiniLM-L6-v2, fine-tuned; Wang et al. 2020), items enter as that model's
own frozen embeddings, both meet in a joint encoder whose attention knows which word looks like which item (relation
biases as in RAT-SQL, Wang et al. 2020), and a decoder writes the rule, choosing at each step a word of the
language, an item or a number of the sentence (pointer networks, Vinyals et al. 2015).

B sentences, L tokens, M items, K numbers, T output tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .codec import WORDS
from .items import TYPES
from .links import CHANNELS
from .numerals import FORMS

NEVER = -1e4    # of a logit; finite in bfloat16
MAX_OUTPUT = 64


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes; `width` is MiniLM's own, `described` is the width of an item's embedding: its label's and its text's."""

    width: int = 384
    heads: int = 6
    joint_layers: int = 2
    joint_hidden: int = 768
    decoder_layers: int = 2
    decoder_hidden: int = 1024
    described: int = 768
    dropout: float = 0.1


@dataclass(frozen=True)
class Question:
    """B sentences beside their worlds, padded.

    `tokens [B, L]` word pieces (0: padding), `items [B, M, described]`, `types [B, M]` (-1: padding), `owners [B, M]`
    (the index of the feature a value belongs to, else its own), `links [B, L, M, CHANNELS]`, `places [B, K]` (the
    token that a number ends at) and `forms [B, K]` (-1: padding).
    """

    tokens: Tensor
    items: Tensor
    types: Tensor
    owners: Tensor
    links: Tensor
    places: Tensor
    forms: Tensor


@dataclass(frozen=True)
class Memory:
    """What the decoder reads: `states [B, L + M, D]`, `usable [B, L + M]`, and what it may point to: `pointers
    [B, M + K, D]`, `pointable [B, M + K]`, `leaning [B, M + K]` towards what the sentence names."""

    states: Tensor
    usable: Tensor
    pointers: Tensor
    pointable: Tensor
    leaning: Tensor


class Network(nn.Module):
    """`read(question) -> Memory`, then `write(memory, ids) -> logits`."""

    def __init__(self, bert: nn.Module, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or NetworkConfig()
        self.bert = bert
        self.describe = nn.Linear(c.described, c.width)
        self.sort = nn.Embedding(TYPES, c.width)
        self.form = nn.Embedding(len(FORMS), c.width)
        self.mention, self.lean = nn.Linear(CHANNELS, c.width, bias=False), nn.Linear(CHANNELS, 1, bias=False)
        self.joint = nn.ModuleList(_Joint(c) for _ in range(c.joint_layers))
        self.joint_norm = nn.LayerNorm(c.width)
        self.word = nn.Embedding(len(WORDS), c.width)
        self.place = nn.Embedding(MAX_OUTPUT, c.width)
        self.pointed = nn.Linear(c.width, c.width)
        layer = nn.TransformerDecoderLayer(c.width, c.heads, c.decoder_hidden, c.dropout, "gelu", batch_first=True,
                                           norm_first=True)
        self.decoder = nn.TransformerDecoder(layer, c.decoder_layers, nn.LayerNorm(c.width))
        self.ask = nn.Linear(c.width, c.width)
        self.answer = nn.Linear(c.width, c.width)
        for embedding in (self.sort, self.form, self.word, self.place):
            nn.init.normal_(embedding.weight, std=0.02)
        nn.init.zeros_(self.mention.weight)
        nn.init.zeros_(self.lean.weight)

    def read(self, q: Question) -> Memory:
        spoken = q.tokens != 0
        heard = self.bert(input_ids=q.tokens, attention_mask=spoken.long()).last_hidden_state
        known = q.types >= 0
        said = q.links.amax(1)    # how much any word looks like the item, [B, M, CHANNELS]
        items = self.describe(q.items) + self.sort(q.types.clamp_min(0)) + self.mention(said)
        x, usable = torch.cat([heard, items], 1), torch.cat([spoken, known], 1)
        relations = _relations(q)
        for layer in self.joint:
            x = layer(x, usable, relations)
        x = self.joint_norm(x)
        length = q.tokens.shape[1]
        at = q.places[..., None].expand(-1, -1, x.shape[-1])
        numbers = x[:, :length].gather(1, at) + self.form(q.forms.clamp_min(0))
        leaning = F.pad(self.lean(said)[..., 0], (0, numbers.shape[1]))
        return Memory(x, usable, torch.cat([x[:, length:], numbers], 1), torch.cat([known, q.forms >= 0], 1), leaning)

    def write(self, memory: Memory, ids: Tensor) -> Tensor:
        """Logits `[B, T, words + M + K]` of what follows each prefix of `ids [B, T]` (which begins with the start)."""
        pointed = ids >= len(WORDS)
        at = (ids - len(WORDS)).clamp_min(0)[..., None].expand(-1, -1, memory.pointers.shape[-1])
        x = torch.where(pointed[..., None], self.pointed(memory.pointers.gather(1, at)),
                        self.word(ids.clamp_max(len(WORDS) - 1)))
        x = x + self.place(torch.arange(ids.shape[1], device=ids.device))
        causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device).triu(1)
        x = self.decoder(x, memory.states, tgt_mask=causal, memory_key_padding_mask=~memory.usable)
        points = self.ask(x) @ self.answer(memory.pointers).transpose(1, 2) / self.config.width**0.5
        points = points + memory.leaning[:, None]
        return torch.cat([x @ self.word.weight.T, points.masked_fill(~memory.pointable[:, None], NEVER)], -1)


class _Joint(nn.Module):
    """A transformer layer (norm first) whose attention adds a learned bias for each kind of relation, a head."""

    def __init__(self, c: NetworkConfig) -> None:
        super().__init__()
        self.heads, self.dropout = c.heads, c.dropout
        self.norm, self.norm2 = nn.LayerNorm(c.width), nn.LayerNorm(c.width)
        self.qkv, self.out = nn.Linear(c.width, 3 * c.width), nn.Linear(c.width, c.width)
        self.relation = nn.Linear(2 * CHANNELS + 1, c.heads, bias=False)
        self.hidden = nn.Sequential(nn.Linear(c.width, c.joint_hidden), nn.GELU(), nn.Dropout(c.dropout),
                                    nn.Linear(c.joint_hidden, c.width))

    def forward(self, x: Tensor, usable: Tensor, relations: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm(x)).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.relation(relations.to(self.relation.weight.dtype)).permute(0, 3, 1, 2)
        bias = bias.masked_fill(~usable[:, None, None], NEVER).to(q.dtype)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=self.dropout if self.training else 0.0)
        x = x + F.dropout(self.out(seen.transpose(1, 2).reshape(b, n, d)), self.dropout, self.training)
        return x + F.dropout(self.hidden(self.norm2(x)), self.dropout, self.training)


def _relations(q: Question) -> Tensor:
    """`[B, L + M, L + M, 2 CHANNELS + 1]`: word to item, item to word, and items of one feature."""
    b, length, m, c = q.links.shape
    out = q.links.new_zeros(b, length + m, length + m, 2 * c + 1)
    out[:, :length, length:, :c] = q.links
    out[:, length:, :length, c : 2 * c] = q.links.transpose(1, 2)
    out[:, length:, length:, -1] = (q.owners[:, :, None] == q.owners[:, None]).to(out.dtype)
    return out


def parameters(network: Network) -> dict[str, Any]:
    """What is trained and saved: everything but MiniLM's word embeddings, which come with its own package."""
    return {k: v for k, v in network.state_dict().items() if not k.startswith("bert.embeddings.word_embeddings")}
