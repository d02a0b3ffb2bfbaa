"""Model folders: found, checked before anything in them is believed, and named by a digest of their weights."""

import functools
import hashlib
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gencomp.errors import GencompError
from gencomp.files import expanded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_PIECE = 1 << 20
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt")


class ModelFolderError(GencompError):
    """A model folder that is missing, incomplete, or would run code or unpickle data."""

    exit_code = 4


def find_folder(name: str) -> Path:
    """Return the folder of a model: a path, or a hub id that transformers has downloaded before.

    Nothing is downloaded. Raises :class:`ModelFolderError` with what to do.
    """
    try:
        folder = expanded(name)
    except OSError as error:
        raise ModelFolderError(f"there is no folder {name!r}: {error.strerror}") from None
    if folder.is_dir():
        return folder
    if name.count("/") > 1 or name.startswith((".", "~", "/")):
        raise ModelFolderError(f"there is no folder {name!r}; name a model folder or a hub id such as gpt2")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        raise ModelFolderError(
            f"there is no folder {name!r}, and no model of that id in the local hub cache; gencomp never downloads: "
            f"run `hf download {name}` where there is a network, or name a folder"
        ) from None


def check_folder(folder: Path) -> dict[str, Any]:
    """Return the folder's configuration; raise :class:`ModelFolderError` on pickled weights and on remote code."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError:
        raise ModelFolderError(f"{folder} has no config.json; it is no model folder of transformers") from None
    except ValueError as error:
        raise ModelFolderError(f"{folder / 'config.json'} is no JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelFolderError(f"{folder / 'config.json'} is no JSON object")
    if "auto_map" in config:
        raise ModelFolderError(
            f"{folder} asks for code of its own (auto_map, trust_remote_code), which gencomp does not run; "
            "use a model whose architecture transformers has"
        )
    if not weight_files(folder):
        pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        found = f"only {', '.join(pickled)}, which loading would unpickle" if pickled else "no weights"
        raise ModelFolderError(f"{folder} has no *.safetensors, {found}; save it with safetensors first")
    return config


def weight_files(folder: Path) -> list[Path]:
    """Return the folder's weights, by name."""
    return sorted(folder.glob("*.safetensors"))


@functools.lru_cache(maxsize=8)
def digest(folder: Path) -> str:
    """Return 16 hexadecimal digits of the configuration, the weights and the tokenizer: BLAKE2b-64 of their bytes."""
    hasher = hashlib.blake2b(digest_size=8)
    for path in [folder / "config.json", *weight_files(folder), *(folder / name for name in TOKENIZER_FILES)]:
        if not path.exists():
            continue
        hasher.update(path.name.encode() + path.stat().st_size.to_bytes(8, "little"))
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                hasher.update(piece)
    return hasher.hexdigest()


@functools.lru_cache(maxsize=2)
def load_model(folder: Path, device: str, dtype: str) -> "PreTrainedModel":
    """Return the folder's causal language model, in evaluation mode, on ``device``; the last two are kept.

    Raises :class:`ModelFolderError` where transformers cannot make one of it.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    check_folder(folder)
    logging.disable_progress_bar()
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
        missing = sorted(found["missing_keys"])
        if missing:  # transformers would draw them at random
            raise ValueError(f"{len(missing)} of its weights are missing, {missing[0]} among them")
        if "past_key_values" not in inspect.signature(model.forward).parameters:  # it would forget between steps
            raise ValueError(f"{type(model).__name__} keeps no key-value cache; gencomp needs an attention model")
        return model.to(device).eval()
    except Exception as error:  # what a damaged folder raises is the libraries' own, and of many kinds
        raise ModelFolderError(f"{folder} cannot be loaded as a causal language model: {error}") from error
