"""The gated recurrence over a whole sequence, forward and backward, as one operation of torch.

    f = q(a_f);  z = clamp(a_z, -64, 64);  h = z + f (h' - z);  y = clamp(h q(a_o), -16, 16)

h' is h one step earlier, and q a piecewise quadratic sigmoid. The gates depend on the input alone (minGRU, Feng et al.
2024), so all matrix products come before this loop. On a CPU the loop is compiled, and threads share the batch; on a
GPU it is a Triton kernel. The clamps are those of the integer kernel that runs the trained network.
"""

from functools import partial
from typing import Any

import torch

from gencomp.training.recurrent.scan_rows import backward_rows, forward_rows
from gencomp.training.recurrent.streams import over_rows


@torch.library.custom_op("gencomp::gated_scan", mutates_args=())
def _scan(gates: torch.Tensor, start: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    steps, rows, width = gates.shape[0], gates.shape[1], gates.shape[2] // 3
    kind = gates.dtype
    if not gates.is_cuda:
        gates = gates.float()  # numpy, which carries the loop on a CPU, has no bfloat16
    y = torch.empty(steps, rows, width, dtype=gates.dtype, device=gates.device)
    states = torch.empty(steps, rows, width, dtype=torch.float32, device=gates.device)
    gates, start = gates.contiguous(), start.contiguous()
    if gates.is_cuda:
        from gencomp.training.recurrent.scan_cuda import scan_forward

        scan_forward(gates, start, y, states)
    else:
        arrays = (tensor.numpy() for tensor in (gates, start, y, states))
        over_rows(partial(forward_rows, *arrays), rows, torch.get_num_threads())
    return y.to(kind), states


@torch.library.custom_op("gencomp::gated_scan_backward", mutates_args=())
def _scan_backward(
    gates: torch.Tensor, start: torch.Tensor, states: torch.Tensor, grad_y: torch.Tensor
) -> torch.Tensor:
    kind = gates.dtype
    if not gates.is_cuda:
        gates, grad_y = gates.float(), grad_y.float()
    grad_gates = torch.empty_like(gates, memory_format=torch.contiguous_format)
    gates, start, states, grad_y = (tensor.contiguous() for tensor in (gates, start, states, grad_y))
    if gates.is_cuda:
        from gencomp.training.recurrent.scan_cuda import scan_backward

        scan_backward(gates, start, states, grad_y, grad_gates)
    else:
        arrays = (tensor.numpy() for tensor in (gates, start, states, grad_y, grad_gates))
        over_rows(partial(backward_rows, *arrays), gates.shape[1], torch.get_num_threads())
    return grad_gates.to(kind)


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
    """Return the outputs y (T, B, H), and h after the last step, float32 (B, H).

    ``gates`` (T, B, 3H) are candidates, forget gates and output gates before clamp and sigmoid; ``start`` is float32
    (B, H). No gradient flows into ``start``: sequences are learnt piece by piece (truncated backpropagation through
    time, Williams and Peng 1990).
    """
    y, states = _scan(gates, start)
    return y, states[-1].detach()
