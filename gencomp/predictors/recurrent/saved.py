"""Saved states: a SHA-256, then a small .safetensors file; checked before compiled code uses them."""

import hashlib
import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy.typing as npt

from gencomp.errors import CorruptDataError, ModelMismatchError
from gencomp.files import new_file
from gencomp.inference.arithmetic import INT16_LIMIT, STATE_LIMIT
from gencomp.inference.recurrent import Memory
from gencomp.inference.weights import read_tensors
from gencomp.places import open_regular
from gencomp.specs import brief

FORMAT = 1
KEPT = ("context", "hidden", "before", "normed")  # of a memory; the rest is scratch
_MAX_BYTES = 1 << 20
_DIGEST_BYTES = 32


def write_state(path: str | PathLike[str], revision: int, weights: str, memory: Memory) -> None:
    """Write ``memory``, with the digest of the weights that it was made with."""
    from safetensors.numpy import save

    about = json.dumps({"format": FORMAT, "revision": revision, "weights": weights}, sort_keys=True)
    body: bytes = save({name: getattr(memory, name) for name in KEPT}, {"gencomp state": about})
    with new_file(Path(path), overwrite=True) as file:
        file.write(hashlib.sha256(body).digest() + body)


def digest_of(path: str | PathLike[str]) -> str:
    """Return the first 16 hexadecimal digits of a saved state's checksum; raise CorruptDataError if it has none."""
    return _read(path)[0].hex()[:16]


def read_state(path: str | PathLike[str], revision: int, weights: str, memory: Memory) -> None:
    """Put a saved state into ``memory``, a new one of the network whose weights have the digest ``weights``.

    Raises :class:`CorruptDataError` on damage and on numbers that no state has, :class:`ModelMismatchError` on a state
    of another network or revision.
    """
    digest, body = _read(path)
    if hashlib.sha256(body).digest() != digest:
        raise CorruptDataError(f"{path} is not a saved rnn state, or is damaged: its checksum does not match")
    try:
        tensors, metadata = read_tensors(body)
        about = json.loads(metadata.get("gencomp state", "null"))
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        if (about.get("revision"), about.get("weights")) != (revision, weights):
            raise ModelMismatchError(
                f"{path} was made with rnn's revision {brief(str(about.get('revision')))} and the weights "
                f"{brief(str(about.get('weights')))}; "
                f"here are revision {revision} and {weights}: prime the model again"
            )
        check_kept(tensors, memory)
    except (ValueError, RecursionError) as error:
        raise CorruptDataError(f"{path} is not a saved rnn state: {brief(str(error), 400)}") from None
    for name in KEPT:
        getattr(memory, name)[...] = tensors[name]


def check_kept(tensors: Mapping[str, npt.NDArray[Any]], memory: Memory) -> None:
    """Raise ``ValueError`` unless ``tensors`` are what ``memory`` may hold: its types and shapes, numbers in range."""
    if tensors.keys() != set(KEPT):
        raise ValueError(f"it has the tensors {', '.join(sorted(tensors))}, expected {', '.join(sorted(KEPT))}")
    for name, array in tensors.items():
        own = getattr(memory, name)
        if array.dtype != own.dtype or array.shape != own.shape:
            found, wanted = (f"{one.dtype}{list(one.shape)}" for one in (array, own))
            raise ValueError(f"{name} is {found}, expected {wanted}")
    limits = {"hidden": STATE_LIMIT, "before": INT16_LIMIT, "normed": INT16_LIMIT}
    for name, limit in limits.items():
        if not -limit <= int(tensors[name].min()) <= int(tensors[name].max()) <= limit:
            raise ValueError(f"{name} has numbers beyond {limit}")
    _, word, previous, inside = (int(number) for number in tensors["context"])
    if max(word, previous) >> 32 or inside > 1:
        raise ValueError("its context is out of bounds")


def _read(path: str | PathLike[str]) -> tuple[bytes, bytes]:
    """Return a file's checksum, as it is written there, and what follows it."""
    with open_regular(path, _MAX_BYTES, CorruptDataError, "a saved rnn state") as file:
        blob = file.read(_MAX_BYTES)
    if len(blob) <= _DIGEST_BYTES:
        raise CorruptDataError(f"{path} is not a saved rnn state: it has {len(blob)} bytes")
    return blob[:_DIGEST_BYTES], blob[_DIGEST_BYTES:]
