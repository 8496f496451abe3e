"""The network in PyTorch: what `steelyard.contestants.embedded.model` computes in NumPy, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from steelyard.contestants.embedded.shape import Shape


def rotary(length: int, head: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (length, head / 2)."""
    freq = 10_000.0 ** (-torch.arange(0, head, 2, dtype=torch.float32) / head)
    angle = torch.arange(length, dtype=torch.float32)[:, None] * freq[None, :]
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def norm(x: Tensor) -> Tensor:
    return functional.rms_norm(x, (x.shape[-1],), eps=1e-6)


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.width
        self.heads, self.head = shape.heads, shape.head
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.out = nn.Linear(d, d, bias=False)
        self.up = nn.Linear(d, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, d, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(norm(x)).view(b, t, 3, self.heads, self.head).permute(2, 0, 3, 1, 4)
        # attention in float32: PyTorch's bfloat16 kernel for it is ten times slower backwards
        q, k = rotate(norm(q.float()), cos, sin), rotate(norm(k.float()), cos, sin)
        with torch.amp.autocast("cpu", enabled=False):
            mixed = functional.scaled_dot_product_attention(q, k, v.float(), is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, t, d))
        return x + self.down(functional.relu(self.up(norm(x))).square())


class Net(nn.Module):
    """Decoder-only transformer: tied embedding, RMS norm without gain, rotary positions, squared ReLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocab, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        nn.init.normal_(self.embed.weight, std=0.02)
        for block in self.blocks:
            for name in ("qkv", "up"):
                nn.init.normal_(getattr(block, name).weight, std=shape.width**-0.5)
            nn.init.zeros_(block.out.weight)
            nn.init.zeros_(block.down.weight)
        cos, sin = rotary(shape.context, shape.head)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, ids: Tensor, learn: Tensor) -> Tensor:
        """Logits (n, vocab) at the positions where `learn` (batch, time) is true."""
        t = ids.shape[1]
        x = norm(self.embed(ids))
        for block in self.blocks:
            x = block(x, self.cos[:t], self.sin[:t])
        return norm(x)[learn] @ self.embed.weight.T.to(x.dtype)
