"""What floating-point results depend on besides the weights: said, recorded, and fixed while a model runs."""

import os
import platform
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from gencomp.errors import GencompError

Device = Literal["cpu", "cuda"]
DType = Literal["auto", "float32", "bfloat16", "float16"]


_flags = threading.Lock()
_users = 0  # how many threads are inside ``applied``: torch's flags belong to the process
_saved: tuple[int, bool, str] = (1, False, "highest")


class DeviceError(GencompError):
    """A device that this machine, or this torch, does not have."""

    exit_code = 4


@dataclass(frozen=True)
class Settings:
    """Where and how a model computes. ``dtype`` auto is float32 on a CPU and bfloat16 on a GPU.

    ``threads`` are those of one matrix product on a CPU; results depend on their number, not on the machine's cores.
    """

    device: Device
    dtype: DType
    threads: int

    def resolved_dtype(self) -> str:
        if self.dtype != "auto":
            return self.dtype
        return "bfloat16" if self.device == "cuda" else "float32"

    def check(self) -> None:
        """Raise :class:`DeviceError` where the device is not there."""
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            raise DeviceError("device cuda is not available here; use cpu, or a torch and a machine with CUDA")

    def environment(self) -> Mapping[str, str]:
        """Return names and versions of what results depend on."""
        import torch
        import transformers

        found = {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "dtype": self.resolved_dtype(),
        }
        if self.device == "cuda":
            found["device"] = torch.cuda.get_device_name()
        else:
            found["device"] = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
        return found

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Run what stands inside with these threads, deterministic kernels, no TF32 and no gradients.

        The first of several threads inside saves the process's flags, and the last restores them.
        """
        import torch

        if self.device == "cuda":  # cuBLAS reads it when it is first used
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        _enter()
        try:
            torch.set_num_threads(self.threads)
            with torch.inference_mode():
                yield
        finally:
            _leave()


def _enter() -> None:
    import torch

    global _users, _saved
    with _flags:
        if not _users:
            _saved = (
                torch.get_num_threads(),
                torch.are_deterministic_algorithms_enabled(),
                torch.get_float32_matmul_precision(),
            )
        _users += 1
        torch.use_deterministic_algorithms(True)
        torch.set_float32_matmul_precision("highest")


def _leave() -> None:
    import torch

    global _users
    with _flags:
        _users -= 1
        if not _users:
            threads, deterministic, precision = _saved
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
            torch.set_float32_matmul_precision(precision)
