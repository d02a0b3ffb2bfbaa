"""The one door to numba: a decorator that keeps its type and compiles on first call.

Kernels are integer-only wherever an archive depends on them, cached on disk beside the source, and release the GIL, so
that blocks are coded on all cores by plain threads. Each stays reachable as plain Python through ``.py_func``, which
the tests compare it with; ``NUMBA_DISABLE_JIT=1`` runs everything that way.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

# a Python int or a numpy integer: what a kernel's scalar is depends on who calls it
Integer = Any

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile ``function`` on its first call; same signature, same results."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def fragment(function: F) -> F:
    """Compile ``function`` into each kernel that calls it: for steps whose call would cost as much as their work."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(function))
