"""What a model folder may ask of transformers beyond weights and numbers, and is refused.

Anybody may have made a folder. Its JSON files can name code of its own, kernels to be fetched and run, adapters of
another model, or weights in another folder. Each is refused before a library sees it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gencomp.errors import GencompError
from gencomp.places import open_regular

MAX_JSON = 1 << 25  # bytes: room for a large vocabulary
# implementations of attention and experts within transformers; any other name is a kernel from the hub
_COMPUTED_BY = ("eager", "sdpa")
_KERNELS = ("attn_implementation", "experts_implementation")
_SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json", "model.safetensors.index.json")


class ModelFolderError(GencompError):
    """A model folder is missing or incomplete, or would run code or unpickle data."""

    exit_code = 4


def read_json(path: Path) -> Any:
    """Return the content of a JSON file of a model folder. Raises ``FileNotFoundError``, :class:`ModelFolderError`."""
    with open_regular(path, MAX_JSON, ModelFolderError, f"{path.name} of a model folder") as file:
        text = file.read()
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFolderError(f"{path} is not JSON: {error}") from None


def check_hazards(folder: Path) -> None:
    """Raise :class:`ModelFolderError` if a folder asks for what is refused."""
    if (folder / "adapter_config.json").exists():
        raise ModelFolderError(f"{folder} is an adapter of another model; merge it into one and save that")
    for name in _SETTINGS:
        try:
            settings = read_json(folder / name)
        except FileNotFoundError:
            continue
        for key, value in _pairs(settings):
            if key == "auto_map":
                raise ModelFolderError(
                    f"{folder} asks in {name} for code of its own (auto_map, trust_remote_code), which gencomp does "
                    "not run; use a model whose architecture transformers has"
                )
            if key.lstrip("_").startswith(_KERNELS) and not _is_plain(value):
                raise ModelFolderError(
                    f"{folder} asks in {name} for the kernel {value!r}, which would be fetched and run; "
                    f"remove the option {key}, or make it {' or '.join(_COMPUTED_BY)}"
                )
        if name.endswith(".index.json"):
            _check_index(folder / name, settings)


def _is_plain(value: object) -> bool:
    """Return whether a setting, for all of the model or for its parts, names no kernel of the hub."""
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    return value is None or value in _COMPUTED_BY


def _check_index(path: Path, index: Any) -> None:
    files = index.get("weight_map") if isinstance(index, Mapping) else None
    names = set(files.values()) if isinstance(files, Mapping) and all(map(_is_text, files.values())) else {""}
    for name in names:
        if not name.endswith(".safetensors") or Path(name).name != name:
            raise ModelFolderError(f"{path} names the weights {name!r}, expected a .safetensors file beside it")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of all objects in ``value``, at any depth."""
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    if isinstance(value, Mapping):
        yield from value.items()
    for part in inside:
        yield from _pairs(part)
