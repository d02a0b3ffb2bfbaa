"""Files of integer weights: made from a float network by rounding, and read with every claim checked.

A file is safetensors (huggingface.co/docs/safetensors) with the tensors of :func:`expected`. Its metadata have one key,
``gencomp``: the network's :class:`~gencomp.inference.recurrent.Shape` as JSON. Its digest is the start of its SHA-256.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gencomp.errors import GencompError
from gencomp.files import new_file
from gencomp.inference.arithmetic import (
    BIAS_LIMIT,
    LOGIT_BITS,
    MIX_BITS,
    MULTIPLIER_SHIFT,
    NORM_BITS,
    OUTPUT_BITS,
    SQUARE_BITS,
    STREAM_BITS,
    round_to,
)
from gencomp.inference.recurrent import (
    NODES,
    SCALE_STEPS,
    SCALES,
    TOP_SCALE_BITS,
    Network,
    Shape,
    has_bias,
    new_network,
)
from gencomp.places import open_regular
from gencomp.specs import brief

Arrays = dict[str, npt.NDArray[Any]]

FORMAT = 1
MAX_FILE_BYTES = 1 << 28
MAX_HEADER_BYTES = 1 << 20  # 32 layers, the most, take some 40 KB
_REASON = 400  # characters shown of why a file is refused, which may repeat what it says
LARGEST_NUMBER = 7  # that is written into a table: -7 to 7
_INT32_LIMIT = (1 << 31) - 1
_TYPES = {"I8": np.int8, "U8": np.uint8, "I16": np.int16, "I32": np.int32, "U64": np.uint64}


class WeightsError(GencompError):
    """A file of weights is missing, damaged, or of another kind."""

    exit_code = 4


@dataclasses.dataclass(frozen=True)
class Weights:
    """A network from a file, and 16 hexadecimal digits of the file's SHA-256."""

    shape: Shape
    network: Network
    digest: str

    @property
    def parameter_count(self) -> int:
        """How many numbers tables, matrices, biases and token shifts have."""
        shape = self.shape
        matrices = shape.matrices()
        biases = sum(outputs for name, (outputs, _) in matrices.items() if has_bias(name))
        dense = sum(outputs * inputs for outputs, inputs in matrices.values())
        return shape.rows * shape.embedding + dense + biases + 2 * shape.layers * shape.width


def expected(shape: Shape) -> dict[str, tuple[type, tuple[int, ...], int, int]]:
    """Return each tensor's type, shape, and smallest and largest number, by its name.

    ``tables`` hold two numbers a byte, 8 added to each; the first half of a row's E numbers are the low nibbles.
    ``scales`` are codes (:data:`~gencomp.inference.recurrent.SCALES`). A sum of inputs times ``weight``, times
    ``multiplier`` / 2^32, is in the fixed point of the output. ``bits`` are each layer's fractional bits of a scan's
    outputs and of squares.
    """
    tensors: dict[str, tuple[type, tuple[int, ...], int, int]] = {
        "tables": (np.uint8, (shape.rows, shape.embedding // 2), 0, 255),
        "scales": (np.uint8, (shape.rows,), 0, 255),
        "bits": (np.uint8, (shape.layers, 2), 0, 255),
    }
    for name, (outputs, inputs) in shape.matrices().items():
        tensors[f"{name}.weight"] = (np.int8, (outputs, inputs), -128, 127)
        tensors[f"{name}.multiplier"] = (np.int32, (outputs,), 0, _INT32_LIMIT)
        if has_bias(name):
            tensors[f"{name}.bias"] = (np.int32, (outputs,), -BIAS_LIMIT, BIAS_LIMIT)
    for layer in range(shape.layers):
        for name in ("gates_shift", "up_shift"):
            tensors[f"layers.{layer}.{name}"] = (np.int16, (shape.width,), -(1 << MIX_BITS), 1 << MIX_BITS)
    return tensors


def quantise(
    parameters: Mapping[str, npt.NDArray[np.float32]],
    shape: Shape,
    *,
    output_bits: Sequence[int] | None = None,
    square_bits: Sequence[int] | None = None,
) -> Arrays:
    """Return the integer tensors nearest to a float network's ``parameters``.

    Those are ``tables`` (R, E); for each matrix of ``shape`` its ``.weight`` (outputs, inputs), and ``.bias``
    (outputs,) if it has one; ``layers.N.gates_shift`` and ``.up_shift`` (D,). ``output_bits`` and ``square_bits`` are
    each layer's fractional bits of a scan's outputs and of squares. The defaults, 11 and 8, bound these to 16 and 128;
    a layer whose numbers are smaller is more exact with more bits.

    Raises ``ValueError`` on a parameter that is missing, of another shape, not finite, or beyond the kernel's range.
    """
    outputs, squares = (
        tuple(bits) if bits is not None else (default,) * shape.layers
        for bits, default in ((output_bits, NORM_BITS), (square_bits, SQUARE_BITS[0]))
    )
    _check_bits(outputs, squares)
    arrays: Arrays = {"bits": np.array([outputs, squares], dtype=np.uint8).T}
    tables = _finite(parameters, "tables", (shape.rows, shape.embedding))
    arrays["tables"], arrays["scales"], unit_bits = _quantised_tables(tables)
    for name, size in shape.matrices().items():
        matrix = _finite(parameters, f"{name}.weight", size)
        layer = int(name.split(".")[1]) if name.startswith("layers.") else 0
        bits: float = NORM_BITS
        if name == "input":
            bits = unit_bits
        elif name.endswith(".out"):
            bits = outputs[layer]
        elif name.endswith(".down"):
            bits = squares[layer]
        out_bits = LOGIT_BITS if name == "head" else STREAM_BITS
        if name == "head":
            matrix = np.where(np.arange(NODES)[:, None] == 0, 0.0, matrix)
        weight, multiplier = _quantised_matrix(name, matrix, out_bits - bits)
        arrays[f"{name}.weight"], arrays[f"{name}.multiplier"] = weight, multiplier
        if has_bias(name):
            bias = round_to(_finite(parameters, f"{name}.bias", size[:1]), out_bits)
            arrays[f"{name}.bias"] = bias.astype(np.int32) if np.abs(bias).max() <= BIAS_LIMIT else bias
    for layer in range(shape.layers):
        for part in ("gates_shift", "up_shift"):
            name = f"layers.{layer}.{part}"
            share = np.clip(_finite(parameters, name, (shape.width,)), -1.0, 1.0)
            arrays[name] = round_to(share, MIX_BITS).astype(np.int16)
    unknown = sorted(set(parameters) - set(expected(shape)))
    if unknown:
        raise ValueError(f"a network of {shape} has no parameter {unknown[0]!r}")
    check(shape, arrays)
    return arrays


def check(shape: Shape, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raise ``ValueError`` unless ``arrays`` are the tensors of a network of ``shape``, every number in its range."""
    tensors = expected(shape)
    for name in sorted(set(arrays) | set(tensors)):
        if name not in arrays:
            raise ValueError(f"the tensor {name!r} is missing")
        if name not in tensors:
            raise ValueError(f"a network of {shape} has no tensor {name[:80]!r}")
        kind, size, low, high = tensors[name]
        array = arrays[name]
        if array.dtype != kind or array.shape != size:
            found = f"{array.dtype}{list(array.shape)}"
            raise ValueError(f"{name} is {found}, expected {np.dtype(kind)}{list(size)}")
        if array.min() < low or array.max() > high:
            raise ValueError(f"{name} has numbers from {array.min()} to {array.max()}, expected {low} to {high}")
    _check_bits(*arrays["bits"].T.tolist())


def _check_bits(outputs: Sequence[int], squares: Sequence[int]) -> None:
    for name, found, allowed in (("output", outputs, OUTPUT_BITS), ("square", squares, SQUARE_BITS)):
        for bits in found:
            if bits not in allowed:
                raise ValueError(f"{name} bits must be from {allowed[0]} to {allowed[-1]}, got {bits}")


def save_weights(path: str | PathLike[str], shape: Shape, arrays: Arrays, *, overwrite: bool = False) -> str:
    """Write the tensors of :func:`quantise` to a file, the same bytes for the same tensors; return its digest."""
    from safetensors.numpy import save

    check(shape, arrays)
    about = json.dumps({"format": FORMAT, **dataclasses.asdict(shape)}, sort_keys=True)
    blob: bytes = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"gencomp": about})
    with new_file(Path(path), overwrite=overwrite) as file:
        file.write(blob)
    return _digest(blob)


def load_weights(path: str | PathLike[str]) -> Weights:
    """Return the network of a file. Raises :class:`WeightsError`, of one line, on any other file."""
    path = Path(path)
    try:
        with open_regular(path, MAX_FILE_BYTES, WeightsError, "a file of weights") as file:
            blob = file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise WeightsError(f"the weights {path} cannot be read: {error.strerror}") from None
    try:
        arrays, metadata = read_tensors(blob)
        shape = _shape(metadata.get("gencomp"))
        check(shape, arrays)
        return Weights(shape, new_network(shape, arrays), _digest(blob))
    except ValueError as error:
        why = brief(str(error), _REASON)
        raise WeightsError(f"{path} is not a file of a recurrent network's weights: {why}") from None


def read_tensors(blob: bytes) -> tuple[Arrays, dict[str, str]]:
    """Return a safetensors file's tensors and metadata; raise ``ValueError`` on any other file, and on other types."""
    from safetensors import SafetensorError, deserialize

    length = int.from_bytes(blob[:8], "little")
    if MAX_HEADER_BYTES < length <= len(blob):
        raise ValueError(f"its header has {length:,} bytes, expected at most {MAX_HEADER_BYTES:,}")
    try:
        # deserialize checks that names, sizes and places agree with each other and with the file
        tensors = deserialize(blob)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None
    arrays: Arrays = {}
    for name, tensor in tensors:
        if tensor["dtype"] not in _TYPES:
            raise ValueError(f"{name[:80]!r} is of type {tensor['dtype']}, expected one of {', '.join(_TYPES)}")
        kind = np.dtype(_TYPES[tensor["dtype"]]).newbyteorder("<")
        arrays[name] = np.frombuffer(tensor["data"], dtype=kind).reshape(tensor["shape"]).astype(kind.newbyteorder("="))
    header = json.loads(blob[8 : 8 + length], object_pairs_hook=_without_twins)
    return arrays, header.get("__metadata__") or {}  # null is allowed there


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict; raise ``ValueError`` on a name that occurs twice: readers may take either."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"its header has the name {name[:80]!r} twice")
        found[name] = value
    return found


def _shape(about: str | None) -> Shape:
    """Return the shape that the metadata give as JSON."""
    if about is None:
        raise ValueError("its metadata have no key 'gencomp'")
    try:
        told = json.loads(about)
    except (ValueError, RecursionError):
        raise ValueError("its metadata are not JSON") from None
    names = {field.name for field in dataclasses.fields(Shape)}
    if not isinstance(told, dict) or told.keys() != names | {"format"}:
        raise ValueError(f"its metadata must have the keys {', '.join(sorted(names | {'format'}))}")
    version = told.pop("format")
    if type(version) is not int or version != FORMAT:
        raise ValueError(f"its format is not {FORMAT}, the one that this version reads")
    tables = told.pop("tables")
    pairs = isinstance(tables, list) and all(isinstance(table, list) and len(table) == 2 for table in tables)
    sizes = [*told.values(), *(rows for _, rows in tables)] if pairs else [None]
    if any(type(size) is not int for size in sizes) or not all(isinstance(kind, str) for kind, _ in tables):
        raise ValueError("its sizes must be integers, and its tables pairs of a kind and a number of rows")
    return Shape(**told, tables=tuple((kind, rows) for kind, rows in tables))


def _digest(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()[:16]


def _finite(
    parameters: Mapping[str, npt.NDArray[np.float32]], name: str, size: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    if name not in parameters:
        raise ValueError(f"the parameter {name!r} is missing")
    array = np.asarray(parameters[name], dtype=np.float64)
    if array.shape != size:
        raise ValueError(f"the parameter {name} is {list(array.shape)}, expected {list(size)}")
    if not np.isfinite(array).all():
        raise ValueError(
            f"the parameter {name} has {np.count_nonzero(~np.isfinite(array))} numbers that are not finite"
        )
    return array


def _quantised_tables(
    tables: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], float]:
    """Return packed numbers, codes of scales, and the fractional bits of a number times its scale.

    A row's scale is the least power of 2^(1/8) that makes its largest number at most 7; the largest scale of all gets
    the last code. Rows some 12 powers of two below that become zeros.
    """
    peaks = np.abs(tables).max(axis=1)
    if not peaks.any():
        raise ValueError("the parameter tables has no number but 0")
    with np.errstate(divide="ignore"):
        powers = np.ceil(SCALE_STEPS * np.log2(peaks / LARGEST_NUMBER) - 1e-9)
    codes = np.clip(powers - powers.max() + 255, 0, 255).astype(np.uint8)
    unit_bits = TOP_SCALE_BITS - float(powers.max()) / SCALE_STEPS
    scales = SCALES[codes] * 2.0**-unit_bits
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = np.where(scales[:, None] > 0, np.rint(tables / scales[:, None]), 0.0)
    numbers = (np.clip(numbers, -LARGEST_NUMBER, LARGEST_NUMBER) + 8).astype(np.uint8)
    half = tables.shape[1] // 2
    return numbers[:, :half] | (numbers[:, half:] << 4), codes, unit_bits


def _quantised_matrix(
    name: str, matrix: npt.NDArray[np.float64], more_bits: float
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
    """Return int8 weights and the multipliers that bring their sums to ``more_bits`` more fractional bits."""
    peaks = np.abs(matrix).max(axis=1)
    scales = np.where(peaks > 0, peaks, 1.0) / 127
    weights = np.rint(matrix / scales[:, None]).astype(np.int8)
    multipliers = np.where(peaks > 0, np.rint(scales * 2.0 ** (more_bits + MULTIPLIER_SHIFT)), 0.0)
    if multipliers.max() > _INT32_LIMIT:
        limit = 127 * _INT32_LIMIT / 2.0 ** (more_bits + MULTIPLIER_SHIFT)
        raise ValueError(
            f"{name}.weight reaches {peaks.max():.3g} at output {int(peaks.argmax())}; the kernel takes at most "
            f"{limit:.3g} there: bound the weights in training"
        )
    return weights, multipliers.astype(np.int32)
