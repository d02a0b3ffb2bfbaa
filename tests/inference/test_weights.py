"""Files of weights: what was written comes back, and everything else is refused with one line."""

import json
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from gencomp.inference.weights import MAX_FILE_BYTES, WeightsError, load_weights, quantise, save_weights
from tests.networks import SMALL_SHAPE, random_parameters

Arrays = dict[str, np.ndarray]


@pytest.fixture
def arrays() -> Arrays:
    return quantise(random_parameters(SMALL_SHAPE), SMALL_SHAPE)


TWO_BYTES = '{"dtype": "I8", "shape": [2], "data_offsets": [0, 2]}'


def file_of(header: object, data: bytes = b"") -> bytes:
    return with_header(json.dumps(header).encode(), data)


def with_header(text: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text + data


def about(**changes: object) -> dict[str, str]:
    shape = {"format": 1, "width": 32, "hidden": 32, "feed_forward": 64, "layers": 2, "embedding": 6}
    tables = [["order1", 256], ["order2", 100], ["order6", 33], ["words", 50]]
    return {"gencomp": json.dumps(shape | {"tables": tables} | changes)}


def refusal(path: Path, blob: bytes) -> str:
    path.write_bytes(blob)
    with pytest.raises(WeightsError) as caught:
        load_weights(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    assert str(path) in message
    return message


def test_what_is_written_comes_back(tmp_path: Path, arrays: Arrays) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    digest = save_weights(first, SMALL_SHAPE, arrays)
    assert save_weights(second, SMALL_SHAPE, dict(reversed(arrays.items()))) == digest
    assert first.read_bytes() == second.read_bytes()
    loaded = load_weights(first)
    assert (loaded.shape, loaded.digest) == (SMALL_SHAPE, digest)
    numbers = sum(size.size for name, size in random_parameters(SMALL_SHAPE).items())
    assert loaded.parameter_count == numbers
    with pytest.raises(FileExistsError):
        save_weights(first, SMALL_SHAPE, arrays)


@pytest.mark.parametrize(
    ("blob", "complaint"),
    [
        (b"", "header too small"),
        (b"GIF89a" * 20, "header too large"),
        (struct.pack("<Q", 1 << 62) + b"{}", "header too large"),
        (struct.pack("<Q", 4) + b"[[[[", "invalid JSON"),
        (b"\x00" * 64, "invalid JSON"),
        (file_of({}), "no key 'gencomp'"),
        (file_of({"__metadata__": {"gencomp": "{"}}), "not JSON"),
        (file_of({"__metadata__": {"gencomp": "[" * 100_000}}), "not JSON"),
        (file_of({"__metadata__": {"gencomp": "7"}}), "must have the keys embedding, feed_forward, format"),
        (file_of({"a": {"dtype": "I8", "shape": [4], "data_offsets": [0, 2]}}, b"ab"), "invalid shape"),
        (file_of({"a": {"dtype": "I8", "shape": [-1], "data_offsets": [0, 2]}}, b"ab"), "invalid JSON"),
        (file_of({"a": {"dtype": "I8", "shape": [2], "data_offsets": [0, 2]}}, b"abc"), "not fully covered"),
        (file_of({"a": {"dtype": "I8", "shape": [1 << 40] * 2, "data_offsets": [0, 2]}}, b"ab"), "overflow"),
        (file_of({"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, b"ab"), "'a' is of type BF16"),
        (file_of({"a\nb" * 99: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"abcd"), "is of type F32"),
        (
            file_of({"__metadata__": about(), "a\nb" * 99: {"dtype": "I8", "shape": [0], "data_offsets": [0, 0]}}),
            "has no tensor",
        ),
        (file_of({"__metadata__": None}), "no key 'gencomp'"),
        (with_header(f'{{"a": {TWO_BYTES}, "a": {TWO_BYTES}}}'.encode(), b"ab"), "its header has the name 'a' twice"),
        (with_header(f'{{"a": {TWO_BYTES[:-1]}, "x": 1, "x": 1}}}}'.encode(), b"ab"), "the name 'x' twice"),
        (with_header(b"{" + b" " * (1 << 20) + b"}"), "its header has 1,048,578 bytes, expected at most 1,048,576"),
    ],
)
def test_files_of_other_things_are_refused(tmp_path: Path, blob: bytes, complaint: str) -> None:
    assert complaint in refusal(tmp_path / "x.safetensors", blob)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": 2}, "its format is not 1"),
        ({"format": True}, "its format is not 1"),
        ({"format": 1.0}, "its format is not 1"),
        ({"width": int("9" * 4000)}, "width must be a multiple of 32, at most 224, got 999"),
        ({"tables": [["x\n" * 9999, 256]]}, "kind must be one of order1"),
        ({"width": 256}, "width must be a multiple of 32, at most 224, got 256"),
        ({"width": -32}, "width must be"),
        ({"hidden": 33}, "hidden must be a multiple of 32"),
        ({"feed_forward": 1 << 70}, "feed_forward must be"),
        ({"layers": 0}, "layers must be from 1 to 32, got 0"),
        ({"layers": 10**9}, "layers must be from 1 to 32"),
        ({"layers": True}, "sizes must be integers"),
        ({"layers": 2.0}, "sizes must be integers"),
        ({"embedding": 7}, "embedding must be even"),
        ({"embedding": 130}, "embedding must be even, and at most 512 over all tables"),
        ({"tables": 4}, "pairs of a kind"),
        ({"tables": [["order1", 256, 3]]}, "pairs of a kind"),
        ({"tables": [[1, 256]]}, "pairs of a kind"),
        ({"tables": [["order1", "256"]]}, "sizes must be integers"),
        ({"tables": []}, "0 tables"),
        ({"tables": [["order1", 256], ["word", 1 << 60]]}, "expected from 1 to"),
        ({"tables": [["order7", 256]]}, "kind must be one of order1"),
        ({"more": 1}, "must have the keys"),
        ({"layers": 3}, "bits is uint8[2, 2], expected uint8[3, 2]"),
    ],
)
def test_shapes_that_are_none_are_refused(
    tmp_path: Path, arrays: Arrays, changes: dict[str, object], complaint: str
) -> None:
    assert complaint in refusal(tmp_path / "x.safetensors", save(arrays, about(**changes)))


def larger(array: np.ndarray) -> np.ndarray:
    return np.concatenate([array, array])


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("tables", larger, "tables is uint8[878, 3], expected uint8[439, 3]"),
        ("scales", lambda array: array.astype(np.int8), "scales is int8[439], expected uint8[439]"),
        ("bits", lambda array: array + np.uint8(9), "output bits must be from 9 to 14, got 20"),
        ("bits", lambda array: array * np.array([1, 0], np.uint8), "square bits must be from 8 to 12, got 0"),
        ("input.weight", lambda array: array.astype(np.int16), "input.weight is int16[32, 24], expected int8[32, 24]"),
        ("input.weight", np.transpose, "input.weight is int8[24, 32], expected int8[32, 24]"),
        ("input.multiplier", np.negative, "input.multiplier has numbers from -"),
        ("head.bias", lambda array: array * 0 + (1 << 30), "head.bias has numbers from 1073741824 to 1073741824"),
        ("layers.1.gates_shift", lambda array: array * 2, "layers.1.gates_shift has numbers from"),
        ("layers.0.up.bias", lambda array: None, "the tensor 'layers.0.up.bias' is missing"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: Arrays, name: str, change: Callable[[np.ndarray], np.ndarray | None], complaint: str
) -> None:
    changed = change(arrays.pop(name))
    if changed is not None:
        arrays[name] = np.ascontiguousarray(changed)
    assert complaint in refusal(tmp_path / "x.safetensors", save(arrays, about()))


def test_a_tensor_too_many_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    message = refusal(tmp_path / "x.safetensors", save(arrays | {"extra": np.zeros(3, np.int8)}, about()))
    assert "has no tensor 'extra'" in message


def test_a_cut_or_changed_file_is_refused_or_another_network(tmp_path: Path, arrays: Arrays) -> None:
    """Any bytes are a network or an error, and another network has another digest."""
    path, rng = tmp_path / "x.safetensors", np.random.default_rng(0)
    digest = save_weights(path, SMALL_SHAPE, arrays)
    blob = path.read_bytes()
    refused = 0
    for _ in range(200):
        damaged = bytearray(blob if rng.random() < 0.7 else blob[: rng.integers(len(blob))])
        for _ in range(3):
            if damaged:
                damaged[rng.integers(min(len(damaged), 3000))] = rng.integers(256)
        path.write_bytes(damaged)
        with suppress(WeightsError):
            refused += 1
            assert bytes(damaged) == blob or load_weights(path).digest != digest
            refused -= 1
    assert refused > 100


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        load_weights(tmp_path / "missing.safetensors")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path, kind in ((tmp_path, "a folder"), ("/dev/zero", "a device"), (tmp_path / "link", "a pipe")):
        with pytest.raises(WeightsError, match=f"{path} is {kind}, expected a file of weights: a regular file"):
            load_weights(path)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(WeightsError, match="has 268,435,457 bytes, a file of weights has at most"):
        load_weights(tmp_path / "large")


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("tables", lambda array: array * np.nan, "the parameter tables has 2634 numbers that are not finite"),
        ("tables", lambda array: array * 0, "tables has no number but 0"),
        ("head.weight", lambda array: array * np.float32(np.inf), "head.weight has .* not finite"),
        ("input.weight", np.transpose, r"input.weight is \[24, 32\], expected \[32, 24\]"),
        ("layers.0.down.weight", lambda array: array * 100, "layers.0.down.weight reaches .* at most 3.97"),
        ("layers.1.out.weight", lambda array: array * np.float32(1e30), "layers.1.out.weight reaches"),
        ("layers.1.up.bias", lambda array: array + np.float32(1e9), "layers.1.up.bias"),
        ("layers.1.up.bias", lambda array: None, "the parameter 'layers.1.up.bias' is missing"),
    ],
)
def test_parameters_that_the_kernel_cannot_have_are_refused(
    name: str, change: Callable[[np.ndarray], np.ndarray | None], complaint: str
) -> None:
    parameters = random_parameters(SMALL_SHAPE)
    changed = change(parameters.pop(name))
    if changed is not None:
        parameters[name] = changed
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=complaint):
        quantise(parameters, SMALL_SHAPE)


def test_fractional_bits_are_checked() -> None:
    parameters = random_parameters(SMALL_SHAPE)
    with pytest.raises(ValueError, match="output bits must be from 9 to 14, got 15"):
        quantise(parameters, SMALL_SHAPE, output_bits=(11, 15))
    with pytest.raises(ValueError, match="has no parameter 'more'"):
        quantise(parameters | {"more": np.zeros(1, np.float32)}, SMALL_SHAPE)
    finer = quantise(parameters, SMALL_SHAPE, output_bits=(12, 11), square_bits=(8, 9))
    assert finer["bits"].tolist() == [[12, 8], [11, 9]]


def test_a_row_of_zeros_and_a_row_far_below_the_others() -> None:
    parameters = random_parameters(SMALL_SHAPE)
    parameters["tables"][0], parameters["tables"][1] = 0, 1e-9
    parameters["head.weight"][5] = 0
    arrays = quantise(parameters, SMALL_SHAPE)
    assert (arrays["tables"][:2] == 0x88).all()
    assert arrays["head.multiplier"][5] == 0
    assert not arrays["head.weight"][5].any()
