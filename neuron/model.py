"""One BERT backbone, two heads: whether a pair of listings is one product, and which department a query is for.

Written with what torch 1.13 has, the last torch that Inferentia 1's compiler takes. The backbone is all-MiniLM-L6-v2
(Wang 2020, Reimers 2019), or one of BERT-base's size (Devlin 2019) with random weights, which answers nothing and costs
as much as a real one.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY, POSITIONS, EPSILON = 30_522, 512, 1e-12
MASKED = -30_000.0  # what bfloat16 holds, and float16 too; exp of it is 0


class Size(NamedTuple):
    """Width of a token, layers, heads of attention, width between the two products of a layer."""

    width: int
    layers: int
    heads: int
    inner: int


BACKBONES = {"minilm": Size(384, 6, 12, 1536), "base": Size(768, 12, 12, 3072)}


def backbone_size(backbone: str) -> Size:
    """Return the size of a backbone.

    Raises:
        KeyError: there is no such backbone.
    """
    if backbone not in BACKBONES:
        raise KeyError(f"backbone: there is no {backbone!r}; write one of {', '.join(BACKBONES)}")
    return BACKBONES[backbone]


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, scale: float) -> Tensor:
    """Scaled dot-product attention (Vaswani 2017), in the operators that every compiler here knows."""
    return torch.softmax(query @ key.transpose(-1, -2) * scale + bias, -1) @ value


class Layer(nn.Module):
    """One layer of the encoder; query, key and value come from one product."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads, self.scale = size.heads, 1 / math.sqrt(size.width // size.heads)
        self.query_key_value = nn.Linear(size.width, 3 * size.width)
        self.mix = nn.Linear(size.width, size.width)
        self.norm_attention = nn.LayerNorm(size.width, EPSILON)
        self.widen = nn.Linear(size.width, size.inner)
        self.narrow = nn.Linear(size.inner, size.width)
        self.norm_output = nn.LayerNorm(size.width, EPSILON)

    def forward(self, tokens: Tensor, bias: Tensor, attend: Callable[..., Tensor]) -> Tensor:
        """Take and return (batch, sequence, width)."""
        batch, sequence, width = tokens.shape
        split = self.query_key_value(tokens).view(batch, sequence, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = attend(query, key, value, bias, self.scale).transpose(1, 2).reshape(batch, sequence, width)
        tokens = self.norm_attention(tokens + self.mix(mixed))
        return self.norm_output(tokens + self.narrow(functional.gelu(self.widen(tokens))))


class TwoHeaded(nn.Module):
    """The model. `slots` is how many texts a row may hold; with one, outputs have no axis for it.

    Packing (Krell 2021): tokens of one text see each other and nothing else of their row, and each text counts its
    positions from 0, so that what it answers is what it would answer alone.
    """

    def __init__(self, size: Size, departments: int, slots: int = 1) -> None:
        super().__init__()
        self.size, self.slots = size, slots
        self.words = nn.Embedding(VOCABULARY, size.width)
        self.positions = nn.Embedding(POSITIONS, size.width)
        self.types = nn.Embedding(2, size.width)
        self.norm = nn.LayerNorm(size.width, EPSILON)
        self.layers = nn.ModuleList([Layer(size) for _ in range(size.layers)])
        self.duplicate = nn.Linear(size.width, 1)
        self.intent = nn.Linear(size.width, departments)
        self.attend = attention

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return duplicate (probability), intent (logits) and embedding; see `backends.protocol.Outputs`."""
        tokens = self.words(input_ids) + self.types(token_type_ids)
        if self.slots == 1:
            tokens = tokens + self.positions.weight[: input_ids.shape[1]]
            own = (attention_mask != 0).to(tokens.dtype)[:, None, :]
            bias = (1.0 - own[:, None]) * MASKED
        else:
            together = (attention_mask[:, :, None] == attention_mask[:, None, :]).to(tokens.dtype)
            before = torch.ones_like(together[0]).tril(-1)
            position = (together * before).sum(-1).to(input_ids.dtype)  # how many of the same text come before
            tokens = tokens + self.positions(position)
            bias = (1.0 - together[:, None]) * MASKED
            slots = torch.arange(1, self.slots + 1, dtype=attention_mask.dtype, device=attention_mask.device)
            own = (attention_mask[:, None, :] == slots[None, :, None]).to(tokens.dtype)
        tokens = self.norm(tokens)
        for layer in self.layers:
            tokens = layer(tokens, bias, self.attend)
        embedding = (own @ tokens) / own.sum(-1, keepdim=True).clamp(min=1.0)
        if self.slots == 1:
            embedding = embedding[:, 0]
        return torch.sigmoid(self.duplicate(embedding))[..., 0], self.intent(embedding), embedding


def operations(size: Size, batch: int, sequence: int) -> int:
    """Return the floating-point operations of one batch, a multiplication and an addition counted as two.

    Matrix products alone: 8 width² + 4 width × inner for each token and layer, and 4 sequence × width for attention.
    """
    each = 8 * size.width**2 + 4 * size.width * size.inner + 4 * sequence * size.width
    return batch * sequence * size.layers * each


def example(batch: int, sequence: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs of one shape to trace a model with: random words, nothing padded."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1000, 30_000, (batch, sequence), generator=generator)
    return ids, torch.ones_like(ids), torch.zeros_like(ids)
