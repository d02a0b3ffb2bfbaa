"""Model folders: found, checked before anything in them is used, and identified by a digest."""

import functools
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gencomp.files import expanded
from gencomp.places import open_regular
from gencomp.predictors.language.hazards import ModelFolderError as ModelFolderError
from gencomp.predictors.language.hazards import check_hazards, read_json

if TYPE_CHECKING:
    from gencomp.predictors.language.forward import Forward

_PIECE = 1 << 20  # bytes read at a time
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt")


_MAX_FILE = 1 << 50  # bytes, more than any file of weights has


def find_folder(name: str) -> Path:
    """Return the folder of a model, by its path or by the id of a model in the local hub cache.

    Nothing is downloaded. Raises :class:`ModelFolderError`, which says what to do.
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
            f"there is no folder {name!r}, and no model with that id in the local hub cache; gencomp never downloads: "
            f"run `hf download {name}` where there is a network, or name a folder"
        ) from None


def check_folder(folder: Path) -> dict[str, Any]:
    """Return the folder's configuration; raise :class:`ModelFolderError` on pickled weights and on foreign code."""
    try:
        config = read_json(folder / "config.json")
    except FileNotFoundError:
        raise ModelFolderError(f"{folder} has no config.json; it is not a model folder of transformers") from None
    if not isinstance(config, dict):
        raise ModelFolderError(f"{folder / 'config.json'} is not a JSON object")
    check_hazards(folder)
    if not weight_files(folder):
        pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        found = f"only {', '.join(pickled)}, which loading would unpickle" if pickled else "no weights"
        raise ModelFolderError(f"{folder} has no *.safetensors, {found}; save it with safetensors first")
    return config


def weight_files(folder: Path) -> list[Path]:
    """Return the folder's files of weights, sorted by name."""
    return sorted(folder.glob("*.safetensors"))


@functools.lru_cache(maxsize=8)
def digest(folder: Path) -> str:
    """Return 16 hexadecimal digits of the configuration, the weights and the tokenizer: BLAKE2b-64 of their bytes."""
    hasher = hashlib.blake2b(digest_size=8)
    for path in [folder / "config.json", *weight_files(folder), *(folder / name for name in TOKENIZER_FILES)]:
        try:
            file = open_regular(path, _MAX_FILE, ModelFolderError, "a file of a model folder")
        except FileNotFoundError:
            continue
        with file:
            hasher.update(path.name.encode() + os.fstat(file.fileno()).st_size.to_bytes(8, "little"))
            while piece := file.read(_PIECE):
                hasher.update(piece)
    return hasher.hexdigest()


@functools.lru_cache(maxsize=2)
def load_model(folder: Path, device: str, dtype: str) -> "Forward":
    """Return the folder's causal language model on ``device``, in evaluation mode; the last two are cached.

    Raises :class:`ModelFolderError` if transformers cannot load it as one.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from gencomp.predictors.language.forward import Forward

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
        if missing:  # transformers makes them up at random
            raise ValueError(f"{len(missing)} of its weights are missing, {missing[0]} among them")
        model.config.return_dict = True  # whatever the folder says
        return Forward(model.to(device).eval())
    except Exception as error:  # with a damaged folder, libraries may raise anything
        raise ModelFolderError(f"{folder} cannot be loaded as a causal language model: {error}") from error
