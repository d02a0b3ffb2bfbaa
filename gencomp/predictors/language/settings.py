"""What floating-point results depend on besides the weights: recorded in archives, and fixed while a model runs."""

import os
import platform
import re
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

# environment variables by which torch's libraries choose among their kernels
_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
)
# instruction sets that such kernels are written for, by LLVM's names
_INSTRUCTIONS = re.compile(r"sse4\.2|avx.*|fma4?|f16c|amx-.*|neon|sve.*|sme.*|bf16|i8mm|dotprod|fullfp16|vsx|zvfh?")


def processor() -> dict[str, str]:
    """Return the processor's name, and the instruction sets by which math libraries choose their kernels."""
    from llvmlite import binding

    try:
        features = binding.get_host_cpu_features()
        kept = sorted(name for name, there in features.items() if there and _INSTRUCTIONS.fullmatch(name))
        return {"processor": binding.get_host_cpu_name(), "instructions": " ".join(kept)}
    except (AttributeError, RuntimeError):  # LLVM does not know the processor
        return {"processor": platform.processor() or "unknown"}


def math_libraries(build: str) -> str:
    """Return the libraries that torch multiplies with, found in the description of its ``build``."""
    patterns = {
        "MKL": r"Math Kernel Library Version (\S+)",
        "oneDNN": r"MKL-DNN v(\S+)|oneDNN v(\S+)",
        "BLAS": r"BLAS_INFO=(\w+)",
        "OpenMP": r"OpenMP (\d+)",
    }
    found = {name: re.search(pattern, build) for name, pattern in patterns.items()}
    return ", ".join(
        f"{name} {match.group(match.lastindex)}" for name, match in found.items() if match and match.lastindex
    )


class DeviceError(GencompError):
    """A device that this machine, or this build of torch, does not have."""

    exit_code = 4


@dataclass(frozen=True)
class Settings:
    """Where and how a model computes. ``dtype`` auto is float32 on a CPU and bfloat16 on a GPU.

    A matrix product on a CPU runs on ``threads`` threads: results depend on their number, not on the machine's cores.
    """

    device: Device
    dtype: DType
    threads: int

    def resolved_dtype(self) -> str:
        if self.dtype != "auto":
            return self.dtype
        return "bfloat16" if self.device == "cuda" else "float32"

    def check(self) -> None:
        """Raise :class:`DeviceError` if the device is not available."""
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            raise DeviceError("device cuda is not available here; use cpu, or a torch and a machine with CUDA")

    def environment(self) -> Mapping[str, str]:
        """Return names and versions of what results depend on: libraries, the processor, and their settings."""
        import torch
        import transformers

        found = {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "dtype": self.resolved_dtype(),
        }
        if self.device == "cuda":
            found["device"] = torch.cuda.get_device_name()
            found["cuda"] = f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        else:
            found["device"] = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
            found |= processor()
        found["math"] = math_libraries(torch.__config__.show())
        variables = [f"{name}={os.environ[name][:40]}" for name in _VARIABLES if name in os.environ]
        found["variables"] = ", ".join(variables) or "none"
        return found

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the context, use these threads and deterministic kernels, without TF32 and gradients.

        Several threads may be inside at once: the first saves the process's flags, and the last restores them.
        """
        import torch

        if self.device == "cuda":  # cuBLAS reads the variable when it is first used
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
