"""The recurrent network in torch, as it is trained: the float twin of the integer network, with the same clamps.

For each byte, rows of embedding tables for the last bytes and words are concatenated and projected to ``width``. Each
of ``layers`` layers adds a gated recurrence and a feed-forward part with squared ReLU (So et al. 2021) to the residual
stream; both read it through an RMS norm (Zhang and Sennrich 2019) and a token shift (RWKV, Peng et al. 2023). The head
makes 255 binary decisions: the nodes of the tree over a byte's bits, most significant first.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from gencomp.inference.recurrent import NODES, Shape
from gencomp.training.recurrent.scan import gated_scan

SHIFTED_LIMIT = 16.0 - 2.0**-11  # the most that the integer kernel's int16 holds, in Q11
UP_LIMIT = 128.0**0.5  # of a feed-forward unit before it is squared
TABLE_LIMIT = 7.5  # of a table's numbers
LEVELS = 7  # a table's number is an integer from -7 to 7 times its row's scale
SCALE_STEPS = 8  # scales are powers of 2^(1/8)
LEAST_SCALE = 2.0**-12
NORM_EPSILON = 1e-5

State = list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
"""For each layer: h (B, H), and the normed inputs (B, D) of its two parts at the byte before."""


class Network(nn.Module):
    """The network; initial weights are drawn from ``seed``."""

    def __init__(self, shape: Shape, *, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        width, hidden, inner = shape.width, shape.hidden, shape.feed_forward
        generator = torch.Generator().manual_seed(seed)

        def drawn(rows: int, columns: int, deviation: float) -> nn.Parameter:
            return nn.Parameter(torch.empty(rows, columns).normal_(0.0, deviation, generator=generator))

        self.tables = drawn(shape.rows, shape.embedding, 0.05)
        self.input = drawn(width, shape.inputs, 1 / math.sqrt(shape.embedding))
        self.gates = nn.ParameterList(drawn(3 * hidden, width, 1 / math.sqrt(width)) for _ in range(shape.layers))
        self.gates_bias = nn.ParameterList(nn.Parameter(torch.zeros(3 * hidden)) for _ in range(shape.layers))
        self.gates_shift = nn.ParameterList(nn.Parameter(torch.linspace(0, 0.5, width)) for _ in range(shape.layers))
        into = 0.5 / math.sqrt(hidden * shape.layers)
        self.out = nn.ParameterList(drawn(width, hidden, into) for _ in range(shape.layers))
        self.up = nn.ParameterList(drawn(inner, width, 1 / math.sqrt(width)) for _ in range(shape.layers))
        self.up_bias = nn.ParameterList(nn.Parameter(torch.zeros(inner)) for _ in range(shape.layers))
        self.up_shift = nn.ParameterList(nn.Parameter(torch.linspace(0, 0.5, width)) for _ in range(shape.layers))
        into = 0.3 / math.sqrt(inner * shape.layers)
        self.down = nn.ParameterList(drawn(width, inner, into) for _ in range(shape.layers))
        self.head = drawn(NODES, width, 0.02)
        self.head_bias = nn.Parameter(torch.zeros(NODES))
        with torch.no_grad():
            for bias in self.gates_bias:  # forget gates from fast to slow
                bias[hidden : 2 * hidden] = torch.linspace(-1.5, 3.2, hidden)

    def dense(self) -> list[nn.Parameter]:
        """Return all parameters but the tables."""
        return [weight for name, weight in self.named_parameters() if name != "tables"]

    def parameters_by_name(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the parameters under the names that :func:`gencomp.inference.weights.quantise` takes."""
        found = {}
        for name, weight in self.named_parameters():
            part, _, layer = name.partition(".")
            whole = f"layers.{layer}.{part}" if layer else part
            if whole.endswith("_bias"):
                whole = whole.removesuffix("_bias") + ".bias"
            elif whole != "tables" and not whole.endswith("_shift"):
                whole += ".weight"
            value = weight.detach().float().cpu()
            found[whole] = (value.clamp(-TABLE_LIMIT, TABLE_LIMIT) if part == "tables" else value).numpy()
        return found

    def begin(self, rows: int) -> State:
        """Return the state of ``rows`` empty texts."""
        shape, device = self.shape, self.tables.device
        return [
            (
                torch.zeros(rows, shape.hidden, device=device),
                torch.zeros(rows, shape.width, device=device),
                torch.zeros(rows, shape.width, device=device),
            )
            for _ in range(shape.layers)
        ]

    def forward(self, rows: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Return the logits of a 1 at each node, (T, B, 256), and the state after the table rows ``rows`` (T, B, K)."""
        steps, batch, _ = rows.shape
        embedded = functional.embedding(rows, quantised(self.tables)).view(steps, batch, -1)
        x = functional.linear(embedded, self.input).float()
        after: State = []
        for layer, (h, before_gates, before_up) in enumerate(state):
            normed = _norm(x)
            shifted = _shift(normed, before_gates, self.gates_shift[layer])
            y, h = gated_scan(functional.linear(shifted, self.gates[layer], self.gates_bias[layer]), h)
            x = x + functional.linear(y, self.out[layer])
            normed_up = _norm(x)
            shifted = _shift(normed_up, before_up, self.up_shift[layer])
            inner = functional.linear(shifted, self.up[layer], self.up_bias[layer]).clamp(0.0, UP_LIMIT)
            x = x + functional.linear(inner * inner, self.down[layer])
            after.append((h, normed[-1].detach(), normed_up[-1].detach()))
        return functional.linear(_norm(x), self.head, self.head_bias), after


def quantised(tables: torch.Tensor) -> torch.Tensor:
    """Return the tables rounded to four bits a number and a scale a row; gradients pass straight through."""
    with torch.no_grad():
        inside = tables.clamp(-TABLE_LIMIT, TABLE_LIMIT)
        peak = inside.abs().amax(1, keepdim=True).clamp_min(LEVELS * LEAST_SCALE)
        scale = torch.exp2(torch.ceil(SCALE_STEPS * torch.log2(peak / LEVELS)) / SCALE_STEPS)
        rounded = torch.round(inside / scale) * scale
    return tables + (rounded - tables).detach()


def tree_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean of -ln p of ``targets`` (n,) under the binary decisions of ``logits`` (n, 256), in nats."""
    marked = targets.long() | 256
    depths = torch.arange(8, 0, -1, device=targets.device)
    nodes = marked[:, None] >> depths
    bits = (marked[:, None] >> (depths - 1)) & 1
    chosen = logits.gather(1, nodes).float()
    return functional.binary_cross_entropy_with_logits(chosen, bits.float(), reduction="none").sum(1).mean()


def _norm(x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + NORM_EPSILON)


def _shift(now: torch.Tensor, before: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    earlier = torch.cat([before[None].to(now.dtype), now[:-1]])
    mixed = now + share.clamp(-1.0, 1.0) * (earlier - now)
    return mixed.clamp(-SHIFTED_LIMIT, SHIFTED_LIMIT)
