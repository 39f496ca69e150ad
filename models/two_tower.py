"""Two towers that meet in a dot product: what a user will turn to next lies near the user.

The user tower is a causal transformer over the recent items (SASRec, Kang and McAuley, ICDM 2018) that begins with a
token made of the user's id and profile; every position predicts the item after it. A position knows how long the user
waited after its item: the next turn within a second is another one than the first after a month. Heads look back over
different spans by fixed linear biases (ALiBi, Press et al., ICLR 2022). The item tower sums an embedding of the id
with embeddings of the content: genres, creators, years and title words. Both sides are L2-normalised, so logits are
cosines over a temperature (Yi et al., RecSys 2019).

Two tastes of one user have a mean that is near neither. With K interests a user is K vectors, each of which may be
drawn to another part of the history, and the nearest speaks for an item, in the loss as in the score (ComiRec, Cen et
al., KDD 2020).

B users, L history items, P profile fields, I items, D width, H heads, K interests. Indices are those of
models/tower_inputs.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.item_content import ItemContent
from models.tower_inputs import WAITS, TowerInputs
from models.user import HISTORY_LENGTH


@dataclass(frozen=True, slots=True)
class TwoTowerConfig:
    """The shape of both towers."""

    width: int = 64
    """Length of all vectors."""
    blocks: int = 2
    """Transformer blocks over the history."""
    heads: int = 2
    """Attention heads; divides width."""
    dropout: float = 0.1
    """Share of activations dropped while fitting."""
    item_dropout: float = 0.02
    """Share of items whose id is hidden in a step, so that content alone learns to place an item."""
    user_dropout: float = 0.5
    """Share of users whose id is hidden in a step, so that a stranger's profile alone says something."""

    request_time: bool = True
    """Whether a position knows the wait after its item; else only the one before it, as if nobody knew when a user is
    asked for."""
    interests: int = 1
    """Vectors that stand for a user; an item is as near to the user as to the nearest of them."""

    def __post_init__(self) -> None:
        if self.interests < 1:
            raise ValueError(f"A user needs one interest at least, not {self.interests}.")
        if self.blocks < 1:
            raise ValueError("The user tower needs a block at least.")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}.")


class ItemTower(nn.Module):
    """The whole catalog -> (I, D), not yet normalised."""

    tokens: Tensor
    offsets: Tensor

    def __init__(self, content: ItemContent, config: TwoTowerConfig) -> None:
        super().__init__()
        width = config.width
        self.ids = nn.Parameter(torch.empty(content.offsets.size, width).normal_(std=width**-0.5))
        self.content = nn.EmbeddingBag(max(len(content.vocabulary), 1), width, mode="sum")
        nn.init.normal_(self.content.weight, std=0.02)
        self.dropout = config.item_dropout
        self.register_buffer("tokens", torch.from_numpy(content.tokens), persistent=False)
        self.register_buffer("offsets", torch.from_numpy(content.offsets), persistent=False)

    def forward(self) -> Tensor:
        ids: Tensor = self.ids
        if self.training and self.dropout:
            ids = ids * (torch.rand(ids.shape[0], 1, device=ids.device) >= self.dropout)
        content: Tensor = self.content(self.tokens, self.offsets)
        return ids + content


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each normalised first and added to its input."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.before_attention = nn.LayerNorm(width)
        self.before_feed = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D); `bias` (H, L, L) is added to what a row attends to."""
        query, key, value = self._split(self.qkv(self.before_attention(states)), 3)
        return self._added(states, query, key, value, bias)

    def newest(self, states: Tensor, bias: Tensor, place: Tensor) -> Tensor:
        """(B, L, D), (H, L, L), (B,) -> (B, 1, D): what `forward` says at one place of each row, for less."""
        width = states.shape[2]
        at = place[:, None, None].expand(-1, 1, width)
        normed, weight, shift = self.before_attention(states), self.qkv.weight, self.qkv.bias
        (query,) = self._split(F.linear(normed.gather(1, at), weight[:width], shift[:width]), 1)
        key, value = self._split(F.linear(normed, weight[width:], shift[width:]), 2)
        return self._added(states.gather(1, at), query, key, value, bias[:, place].transpose(0, 1)[:, :, None])

    def _split(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B, L, parts * D) -> as many of (B, H, L, D / H)."""
        batch, length, _ = projected.shape
        return projected.view(batch, length, parts, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def _added(self, states: Tensor, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """The (B, Q, D) states of Q queries, with what they attend to and the feed-forward layer added."""
        # On a CPU, at these sizes, a fourth of the time of the fused kernel with a bias.
        logits = (query * query.shape[3] ** -0.5) @ key.transpose(2, 3) + bias.to(query.dtype)
        mixed = logits.softmax(dim=3) @ value  # (B, H, Q, D / H)
        states = states + self.dropout(self.out(mixed.transpose(1, 2).reshape(states.shape)))
        added: Tensor = states + self.dropout(self.feed(self.before_feed(states)))
        return added


def attention_bias(heads: int, length: int) -> Tensor:
    """(H, L, L): minus infinity for what comes later; for the rest the distance times a head's slope, from -1/2 by
    quarters, and 0 for the last head."""
    slopes = torch.tensor([*(-0.5 * 0.25**head for head in range(heads - 1)), 0.0])
    place = torch.arange(length)
    distance = place[:, None] - place
    return (slopes[:, None, None] * distance).masked_fill(distance < 0, -torch.inf)


class InterestPooling(nn.Module):
    """K mixtures of a history, each weighted by attention of its own.

    ComiRec's self-attentive method (Cen et al., KDD 2020, section 3.2) but for the query, which is not the same for
    everybody: the state of a place asks, so that an interest can be what is unlike the newest items.
    """

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.before = nn.LayerNorm(config.width)
        self.queries = nn.Linear(config.width, config.interests * config.width)

    def forward(self, asking: Tensor, states: Tensor, bias: Tensor) -> Tensor:
        """(B, Q, D) states that ask, (B, L, D) that are mixed -> (B, Q, K, D); `bias`, which broadcasts to
        (B, K, Q, L), is added to what a query attends to."""
        batch, places, width = asking.shape
        mixed = self.before(states)[:, None]  # (B, 1, L, D)
        query = self.queries(asking).view(batch, places, -1, width).transpose(1, 2)
        logits = (query * width**-0.5) @ mixed.transpose(2, 3) + bias.to(query.dtype)
        pooled: Tensor = logits.softmax(dim=3) @ mixed
        return pooled.transpose(1, 2)


class UserEncoder(nn.Module):
    """A user's id, profile and history -> the user's interests after each item of it."""

    bias: Tensor

    def __init__(self, inputs: TowerInputs, config: TwoTowerConfig) -> None:
        super().__init__()
        width, length = config.width, HISTORY_LENGTH + 1
        self.users = nn.Embedding(inputs.user_ids.size + 1, width)
        nn.init.zeros_(self.users.weight)
        self.profile = nn.Embedding(inputs.profile_size, width)
        nn.init.normal_(self.profile.weight, std=0.02)
        self.waits = nn.Embedding(WAITS, width)
        nn.init.normal_(self.waits.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        nn.init.eye_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.dropout = nn.Dropout(config.dropout)
        self.user_dropout = config.user_dropout
        self.request_time = config.request_time
        self.interests = config.interests
        self.pooling = InterestPooling(config) if config.interests > 1 else None
        self.register_buffer("bias", attention_bias(config.heads, length), persistent=False)

    def forward(self, history: Tensor, waited: Tensor, user: Tensor, profile: Tensor) -> Tensor:
        """(B, L, D) item vectors, (B, L + 1), (B,) and (B, P) indices -> (B, L + 1, K, D), L2-normalised.

        Place t of the answer knows the user, the first t items, and how long it is since the last of them.
        """
        taste, states, bias = self._read(history, waited, user, profile)
        *blocks, last = self.blocks
        for block in blocks:
            states = block(states, bias)
        # The last head's slope is 0: its bias only hides what is later.
        return self._vectors(last(states, bias), states, bias[-1], taste)

    def newest(self, history: Tensor, waited: Tensor, place: Tensor, user: Tensor, profile: Tensor) -> Tensor:
        """The same at one place (B,) of each row -> (B, K, D)."""
        taste, states, bias = self._read(history, waited, user, profile)
        *blocks, last = cast(Iterable[Block], self.blocks)
        for block in blocks:
            states = block(states, bias)
        return self._vectors(last.newest(states, bias, place), states, bias[-1, place][:, None, None], taste).squeeze(1)

    def _read(self, history: Tensor, waited: Tensor, user: Tensor, profile: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 1, D) what the id says, (B, L + 1, D) what goes into the first block, (H, L + 1, L + 1)."""
        if self.training and self.user_dropout:
            user = user * (torch.rand(user.shape[0], device=user.device) >= self.user_dropout)
        if not self.request_time:
            waited = F.pad(waited[:, :-1], (1, 0))
        taste = self.users(user)[:, None]
        states = torch.cat([taste + self.profile(profile).sum(dim=1, keepdim=True), history], dim=1)
        length = states.shape[1]
        return taste, self.dropout(states + self.waits(waited)), self.bias[:, :length, :length]

    def _vectors(self, states: Tensor, below: Tensor, bias: Tensor, taste: Tensor) -> Tensor:
        """(B, Q, K, D) from the states of Q places and those below the last block; `bias` hides from a place what is
        later."""
        normed = self.norm(states)
        vectors = (self.out(normed) + taste)[:, :, None]
        if self.pooling is not None:
            vectors = vectors + self.pooling(normed, below, bias)
        return F.normalize(vectors, dim=3)


class TwoTower(nn.Module):
    """Both towers over one catalog, whose content is described in the order of inputs.item_ids."""

    def __init__(self, inputs: TowerInputs, content: ItemContent, config: TwoTowerConfig) -> None:
        super().__init__()
        self.items = ItemTower(content, config)
        self.user = UserEncoder(inputs, config)

    def forward(self, history: Tensor, waited: Tensor, user: Tensor, profile: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L), (B, L + 1), (B,), (B, P) indices -> (B, L + 1, K, D) user and (I, D) item vectors, L2-normalised."""
        table = self.items()
        # The last row stands for padding, which no earlier position ever attends to.
        read = F.embedding(history, F.pad(table, (0, 0, 0, 1)))
        return self.user(read, waited, user, profile), F.normalize(table, dim=1)


class ServedUser(nn.Module):
    """The user tower over a fixed item table, as it is exported: the interests of a user at one moment."""

    table: Tensor

    def __init__(self, towers: TwoTower) -> None:
        super().__init__()
        self.user = towers.user
        self.register_buffer("table", F.pad(towers.items().detach(), (0, 0, 0, 1)))

    def forward(self, history: Tensor, waited: Tensor, length: Tensor, user: Tensor, profile: Tensor) -> Tensor:
        """(B, L) items padded at the end, (B, L + 1), (B,) how many are real, (B,), (B, P) -> (B, K, D), L2-normalised;
        (B, D) where K is 1."""
        vectors = self.user.newest(F.embedding(history, self.table), waited, length, user, profile)
        return vectors.squeeze(1) if self.user.interests == 1 else vectors
