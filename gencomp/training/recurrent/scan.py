"""The gated recurrence over a whole sequence, forward and backward, as one operation of torch.

    f = q(a_f);  z = clamp(a_z, -64, 64);  h = z + f (h' - z);  y = clamp(h q(a_o), -16, 16)

h' is h one step earlier and q a piecewise quadratic sigmoid. Gates depend on the input alone (minGRU, Feng et al.
2024), so all products come before this loop. On a CPU the loop is compiled, its batch split over threads; on a GPU it
is a Triton kernel. The clamps are those of the integer kernel that runs the trained network.
"""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gencomp.compiled import kernel
from gencomp.training.recurrent.streams import over_rows

Floats = npt.NDArray[np.float32]

CANDIDATE_LIMIT = 64.0
OUTPUT_LIMIT = 16.0


@kernel
def _sigmoid(x: Any) -> Any:
    t = min(np.float32(1), max(np.float32(-1), x * np.float32(0.25)))
    return np.float32(0.5) + np.float32(0.5) * t * (np.float32(2) - abs(t))


@kernel
def _slope(x: Any) -> Any:
    """Return the derivative of the sigmoid."""
    t = min(np.float32(1), max(np.float32(-1), x * np.float32(0.25)))
    return np.float32(0.25) * (np.float32(1) - abs(t))


@kernel
def forward_rows(gates: Floats, start: Floats, y: Floats, states: Floats, first: int, last: int) -> None:
    """Run the rows first to last - 1 of the batch: gates (T, B, 3H) in, y and states (T, B, H) out."""
    steps, _, width = y.shape
    for t in range(steps):
        for b in range(first, last):
            a, out, now = gates[t, b], y[t, b], states[t, b]
            before = start[b] if t == 0 else states[t - 1, b]
            for j in range(width):
                z = min(np.float32(CANDIDATE_LIMIT), max(np.float32(-CANDIDATE_LIMIT), a[j]))
                h = z + _sigmoid(a[width + j]) * (before[j] - z)
                now[j] = h
                v = h * _sigmoid(a[2 * width + j])
                out[j] = min(np.float32(OUTPUT_LIMIT), max(np.float32(-OUTPUT_LIMIT), v))


@kernel
def backward_rows(
    gates: Floats, start: Floats, states: Floats, grad_y: Floats, grad_gates: Floats, first: int, last: int
) -> None:
    """Write the gradient of the gates, (T, B, 3H), of the rows first to last - 1."""
    steps, _, width = grad_y.shape
    carried = np.zeros((last - first, width), np.float32)
    for t in range(steps - 1, -1, -1):
        for b in range(first, last):
            a, now, g, out = gates[t, b], states[t, b], grad_y[t, b], grad_gates[t, b]
            before = start[b] if t == 0 else states[t - 1, b]
            carry = carried[b - first]
            for j in range(width):
                o = _sigmoid(a[2 * width + j])
                f = _sigmoid(a[width + j])
                z = min(np.float32(CANDIDATE_LIMIT), max(np.float32(-CANDIDATE_LIMIT), a[j]))
                through = g[j] if abs(now[j] * o) < np.float32(OUTPUT_LIMIT) else np.float32(0)
                out[2 * width + j] = through * now[j] * _slope(a[2 * width + j])
                grad_h = through * o + carry[j]
                out[width + j] = grad_h * (before[j] - z) * _slope(a[width + j])
                out[j] = grad_h * (np.float32(1) - f) if abs(a[j]) < np.float32(CANDIDATE_LIMIT) else np.float32(0)
                carry[j] = grad_h * f


@torch.library.custom_op("gencomp::gated_scan", mutates_args=())
def _scan(gates: torch.Tensor, start: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    steps, rows, width = gates.shape[0], gates.shape[1], gates.shape[2] // 3
    y = torch.empty(steps, rows, width, dtype=gates.dtype, device=gates.device)
    states = torch.empty(steps, rows, width, dtype=torch.float32, device=gates.device)
    gates, start = gates.contiguous(), start.contiguous()
    if gates.is_cuda:
        from gencomp.training.recurrent.scan_cuda import scan_forward

        scan_forward(gates, start, y, states)
    else:
        arrays = (tensor.numpy() for tensor in (gates, start, y, states))
        over_rows(partial(forward_rows, *arrays), rows, torch.get_num_threads())
    return y, states


@torch.library.custom_op("gencomp::gated_scan_backward", mutates_args=())
def _scan_backward(
    gates: torch.Tensor, start: torch.Tensor, states: torch.Tensor, grad_y: torch.Tensor
) -> torch.Tensor:
    grad_gates = torch.empty_like(gates, memory_format=torch.contiguous_format)
    gates, start, states, grad_y = (tensor.contiguous() for tensor in (gates, start, states, grad_y))
    if gates.is_cuda:
        from gencomp.training.recurrent.scan_cuda import scan_backward

        scan_backward(gates, start, states, grad_y, grad_gates)
    else:
        arrays = (tensor.numpy() for tensor in (gates, start, states, grad_y, grad_gates))
        over_rows(partial(backward_rows, *arrays), gates.shape[1], torch.get_num_threads())
    return grad_gates


@_scan.register_fake
def _(gates: torch.Tensor, start: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (*gates.shape[:2], gates.shape[2] // 3)
    return gates.new_empty(shape), gates.new_empty(shape, dtype=torch.float32)


@_scan_backward.register_fake
def _(gates: torch.Tensor, start: torch.Tensor, states: torch.Tensor, grad_y: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(gates, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    ctx.save_for_backward(*inputs, output[1])


def _gradient(ctx: Any, grad_y: torch.Tensor, grad_states: torch.Tensor | None) -> tuple[torch.Tensor, None]:
    gates, start, states = ctx.saved_tensors
    return _scan_backward(gates, start, states, grad_y), None


_scan.register_autograd(_gradient, setup_context=_keep)


def gated_scan(gates: torch.Tensor, start: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the outputs y (T, B, H), and h after the last step, (B, H) float32.

    ``gates`` is (T, B, 3H): candidates, forget gates and output gates before their squashing; ``start`` is (B, H)
    float32. Nothing flows back into ``start``: a sequence is learnt from piece by piece (truncated backpropagation
    through time, Williams and Peng 1990).
    """
    y, states = _scan(gates, start)
    return y, states[-1].detach()
