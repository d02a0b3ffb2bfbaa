"""Packages that take seconds to import, and modules that import them: loaded when a test first uses them.

Every worker collects all tests, and one of them runs those of language models.
"""

from importlib import import_module
from typing import Any


class WhenUsed:
    """Stands for a module, which is imported when one of its names is asked for. To set one, name the module itself."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", "_pytest", "_mock")):  # pytest asks all that it collects
            raise AttributeError(name)
        return getattr(import_module(self._name), name)


torch = WhenUsed("torch")
transformers = WhenUsed("transformers")
safetensors = WhenUsed("safetensors.torch")
hf = WhenUsed("gencomp.hf")
