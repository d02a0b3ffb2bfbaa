"""The gated recurrence on a GPU, in Triton, which comes with torch for CUDA: a thread for each channel of each row.

Triton reads the kernels' sources, so they have no annotations but Triton's, and repeat the limits of ``scan_rows.py``
as numbers, 64 and 16.
"""

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]

_BLOCK = 128


@triton.jit
def _squash(x):
    t = tl.minimum(1.0, tl.maximum(-1.0, x * 0.25))
    return 0.5 + 0.5 * t * (2.0 - tl.abs(t))


@triton.jit
def _slope(x):
    t = tl.minimum(1.0, tl.maximum(-1.0, x * 0.25))
    return 0.25 * (1.0 - tl.abs(t))


@triton.jit
def _forward(
    gates, start, y, states, steps: tl.constexpr, rows: tl.constexpr, width: tl.constexpr, block: tl.constexpr
):
    place = tl.program_id(0) * block + tl.arange(0, block)
    inside = place < rows * width
    base = gates + (place // width) * 3 * width + place % width
    h = tl.load(start + place, mask=inside, other=0.0)
    for t in range(steps):
        at = base + t * rows * 3 * width
        z = tl.load(at, mask=inside, other=0.0).to(tl.float32)
        f = _squash(tl.load(at + width, mask=inside, other=0.0).to(tl.float32))
        o = _squash(tl.load(at + 2 * width, mask=inside, other=0.0).to(tl.float32))
        z = tl.minimum(64.0, tl.maximum(-64.0, z))
        h = z + f * (h - z)
        out = t * rows * width + place
        tl.store(states + out, h, mask=inside)
        tl.store(y + out, tl.minimum(16.0, tl.maximum(-16.0, h * o)), mask=inside)


@triton.jit
def _backward(
    gates,
    start,
    states,
    grad_y,
    grad_gates,
    steps: tl.constexpr,
    rows: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
):
    place = tl.program_id(0) * block + tl.arange(0, block)
    inside = place < rows * width
    row, channel = place // width, place % width
    carry = tl.zeros((block,), tl.float32)
    now = tl.load(states + (steps - 1) * rows * width + place, mask=inside, other=0.0)
    for back in range(steps):
        t = steps - 1 - back
        at = t * rows * 3 * width + row * 3 * width + channel
        if t > 0:
            before = tl.load(states + (t - 1) * rows * width + place, mask=inside, other=0.0)
        else:
            before = tl.load(start + place, mask=inside, other=0.0)
        raw_z = tl.load(gates + at, mask=inside, other=0.0).to(tl.float32)
        raw_f = tl.load(gates + at + width, mask=inside, other=0.0).to(tl.float32)
        raw_o = tl.load(gates + at + 2 * width, mask=inside, other=0.0).to(tl.float32)
        g = tl.load(grad_y + t * rows * width + place, mask=inside, other=0.0).to(tl.float32)
        z = tl.minimum(64.0, tl.maximum(-64.0, raw_z))
        f, o = _squash(raw_f), _squash(raw_o)
        g = tl.where(tl.abs(now * o) < 16.0, g, 0.0)
        grad_h = g * o + carry
        tl.store(grad_gates + at + 2 * width, g * now * _slope(raw_o), mask=inside)
        tl.store(grad_gates + at + width, grad_h * (before - z) * _slope(raw_f), mask=inside)
        tl.store(grad_gates + at, tl.where(tl.abs(raw_z) < 64.0, grad_h * (1.0 - f), 0.0), mask=inside)
        carry = grad_h * f
        now = before


def scan_forward(gates: torch.Tensor, start: torch.Tensor, y: torch.Tensor, states: torch.Tensor) -> None:
    """Write y and states, (T, B, H) each, from gates (T, B, 3H) and start (B, H)."""
    steps, rows, width = y.shape
    _forward[(triton.cdiv(rows * width, _BLOCK),)](gates, start, y, states, steps, rows, width, block=_BLOCK)


def scan_backward(
    gates: torch.Tensor, start: torch.Tensor, states: torch.Tensor, grad_y: torch.Tensor, grad_gates: torch.Tensor
) -> None:
    """Write grad_gates (T, B, 3H) from the forward pass's arrays and grad_y (T, B, H)."""
    steps, rows, width = grad_y.shape
    grid = (triton.cdiv(rows * width, _BLOCK),)
    _backward[grid](gates, start, states, grad_y, grad_gates, steps, rows, width, block=_BLOCK)
