"""The loops of the gated recurrence on a CPU, forward and backward; the formulas are in ``scan.py``.

They have a module of their own so that they can be compiled when the package is built, where there is no torch.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gencomp.compiled import kernel

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
    """Run rows [first, last) of the batch: read gates (T, B, 3H) and start (B, H), write y and states (T, B, H)."""
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
    """Write the gradients of the gates, (T, B, 3H), for rows [first, last) of the batch."""
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
