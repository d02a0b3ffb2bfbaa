"""Forged archives, saved states and searches; exits with 1 unless each is refused or does what it says, within limits.

    python benchmarks/fuzz_archives.py --cases 100000 --states 10000 --searches 1000 --seed 1
    NUMBA_BOUNDSCHECK=1 python benchmarks/fuzz_archives.py ...

An **archive** is made of any spec with random options, models inside models among them; then anything in it is changed
and every check of it computed again (CRC-32, BLAKE2b, the key, SHA-256), so that the change reaches what lies behind.
A **state** is one of ``mix``, ``best`` or ``rnn`` whose arrays, or the .zip around them, are changed and whose checksum
is computed again. A **search** asks for a continuation with sizes of any magnitude.

A case is wrong where

- bytes come out that are not those of the content checks, or a state that was taken codes what it does not decode;
- the process dies, hangs, or raises anything but the library's own errors;
- it takes over a second of processor time, or over 200 MB of memory, beyond the limits that it was run with.

Cases run in a process of their own, which is started again when it dies. A case depends on the seed and its number
alone: ``--only archive:123`` runs one and tells what it is. ``--from`` goes on with a later number. Kernels are
compiled before the first case, which takes a quarter of an hour where they are not in numba's cache (checked ones have
a cache of their own); one that only a case needs is compiled then, outside what the case may take. ``--few`` keeps to
models with few kernels.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numba.core import event

MAX_MEMORY, MAX_WORK = 300 << 20, 0.5  # the limits of a case
MORE_MEMORY, MORE_SECONDS = 200 << 20, 1.0  # and what it may take beside
HANGING = 30.0  # seconds of a processor that no case takes
WAITING = 60.0  # seconds of a clock after which a case without an answer is looked at
COMPILING = 3600.0  # of them, while a kernel is compiled
FEW = ("counts", "uniform", "gzip", "mix", "ensemble", "lookahead")
ADDRESS_SPACE = 16 << 30  # bytes, against a case that would take the machine's memory

# ---------------------------------------------------------------- what the worker does


def data_of(rng: random.Random, most: int) -> bytes:
    from gencomp.data import alice

    size = int(most ** rng.random())
    kind = rng.randrange(5)
    if kind == 0:
        return rng.randbytes(size)
    if kind == 1:
        return bytes([rng.randrange(256)]) * size
    if kind == 2:
        return (rng.randbytes(rng.randint(1, 40)) * size)[:size]
    if kind == 3:
        return bytes(rng.choices(b"acgtACGT\n", k=size))
    start = rng.randrange(10_000)
    return alice()[start : start + size]


class Choice:
    """What there is to choose from."""

    few = False

    @classmethod
    def names(cls) -> list[str]:
        from gencomp.registry import entries

        return [entry.name for entry in entries() if entry.is_own and (not cls.few or entry.name in FEW)]

    @classmethod
    def levels(cls) -> list[int]:
        """Return the levels of mix."""
        return [1] if cls.few else list(range(1, 10))


HUGE = (0, 1, -1, 2, 17, 255, 1 << 16, (1 << 24) - 1, 10**8, (1 << 31) - 1, 1 << 40, 10**30)


def number(rng: random.Random, low: int, high: int) -> int:
    """Return a number in a range, or one that no range has."""
    return rng.randint(low, high) if rng.random() < 0.93 else rng.choice(HUGE)


def options_of(rng: random.Random, name: str, depth: int) -> dict[str, Any]:
    """Return random options of a model, mostly such as it takes."""
    choices: dict[str, Callable[[], Any]] = {}
    if name in ("gzip", "zlib", "bz2"):
        choices = {"level": lambda: number(rng, 1, 9)}
    elif name == "lzma":
        choices = {
            "preset": lambda: number(rng, 0, 9),
            "extreme": lambda: rng.choice(["true", "false"]),
            "lc": lambda: number(rng, 0, 4),
            "dictionary_bits": lambda: rng.choice(["none", 12, 16, 22, 24, 30]),
        }
    elif name == "xz":
        choices = {"preset": lambda: number(rng, 0, 9), "extreme": lambda: rng.choice(["true", "false"])}
    elif name == "zstd":
        choices = {"level": lambda: number(rng, 1, 22), "window_log": lambda: number(rng, 10, 27)}
    elif name == "brotli":
        choices = {"quality": lambda: number(rng, 0, 11), "window_bits": lambda: number(rng, 10, 24)}
    elif name == "ppmd":
        choices = {"order": lambda: number(rng, 2, 64), "memory": lambda: number(rng, 1, 200)}
    elif name == "png":
        choices = {"width": lambda: number(rng, 1, 65535), "level": lambda: number(rng, 1, 9)}
    elif name == "webp":
        choices = {"width": lambda: number(rng, 1, 16383), "effort": lambda: number(rng, 0, 6)}
    elif name == "flac":
        choices = {
            "sample": lambda: rng.choice(["u8", "s8", "s16le", "s16be", "f32"]),
            "level": lambda: number(rng, 0, 8),
        }
    elif name == "uniform":
        choices = {"alphabet_size": lambda: rng.choice([256, 256, 255, 2, 10**6, 10**12])}
    elif name == "counts":
        choices = {"order": lambda: number(rng, 0, 16)}
    elif name == "mix":
        choices = {
            "level": lambda: rng.choice([*Choice.levels() * 3, 1, 0, 10**30]),
            "memory": lambda: rng.choice(["none", 1, 2, 64, 1024, 4096]),
            "width": lambda: rng.choice(["none", 1, 3, 64, 999, (1 << 24) - 1]),
            "sample": lambda: rng.choice(["u8", "s16le:2", "s16be", "s8:8", "s16le:9"]),
            "freeze": lambda: rng.choice(["true", "false"]),
            "prime": lambda: rng.choice(["none", "english"]),
            "expert": lambda: members_of(rng, depth + 1, 1),
            "state": lambda: rng.choice(["none", "/dev/zero", "/etc/passwd", ".", "/nowhere"]),
        }
    elif name == "best":
        choices = {
            "level": lambda: rng.choice([*Choice.levels() * 3, 1, 0, 10**30]),
            "memory": lambda: rng.choice(["none", 1, 2, 64, 4096]),
            "width": lambda: rng.choice(["none", 1, 64, (1 << 24) - 1]),
            "sample": lambda: rng.choice(["u8", "s16le:2", "s16le:9"]),
            "freeze": lambda: rng.choice(["true", "false"]),
            "weights": lambda: rng.choice(["none", "/dev/zero", "/nowhere"]),
            "state": lambda: rng.choice(["none", "/dev/zero", "/nowhere"]),
        }
    elif name == "rnn":
        choices = {
            "weights": lambda: rng.choice(["none", "/dev/zero", "/nowhere"]),
            "state": lambda: rng.choice(["none", "/dev/zero", "/nowhere"]),
        }
    elif name == "ctw":
        choices = {
            "depth": lambda: number(rng, 0, 16),
            "alpha": lambda: number(rng, 1, 128),
            "memory": lambda: number(rng, 1, 256),
        }
    elif name == "lz78":
        choices = {"gamma": lambda: number(rng, 1, 4096)}
    elif name in ("transformer", "hf", "gguf"):
        choices = {
            "model": lambda: rng.choice(["800k", "/dev", "/dev/zero", "gpt2", "../x"]),
            "batch": lambda: number(rng, 1, 4096),
            "context": lambda: number(rng, 2, 2048),
            "stride": lambda: number(rng, 1, 512),
        }
    elif name == "ensemble":
        choices = {
            "members": lambda: members_of(rng, depth + 1, rng.choice([1, 2, 3, 40, 300])),
            "windows": lambda: ",".join(str(number(rng, 1, 300)) for _ in range(rng.choice([1, 2, 9, 300]))),
            "mean": lambda: rng.choice(["arithmetic", "geometric", "product"]),
            "weights": lambda: rng.choice(["uniform", "bayes"]),
            "memory": lambda: rng.choice(["none", 1, 32, (1 << 20) - 1]),
        }
    elif name == "lookahead":
        choices = {
            "model": lambda: members_of(rng, depth + 1, 1),
            "horizon": lambda: number(rng, 1, 64),
            "width": lambda: number(rng, 1, 256),
            "spans": lambda: number(rng, 0, 256),
        }
    if not choices:
        return {}
    wanted = rng.sample(sorted(choices), min(len(choices), rng.choice([0, 1, 1, 2, 3])))
    return {key: choices[key]() for key in wanted}


def members_of(rng: random.Random, depth: int, count: int) -> str:
    from gencomp.specs import joined

    few = [spec_of(rng, depth) for _ in range(min(count, 3))]
    return joined([rng.choice(few) for _ in range(count)])


def spec_of(rng: random.Random, depth: int = 0) -> str:
    """Return a random spec; the deeper, the rarer."""
    from gencomp.registry import Spec

    names = Choice.names()
    simple = ["counts", "mix", "gzip", "uniform"]
    nested = ["ensemble", "lookahead", "mix"]
    pick = rng.random()
    name = rng.choice(simple) if pick < 0.4 or depth > 3 else rng.choice(nested) if pick < 0.7 else rng.choice(names)
    options = {key: str(value) for key, value in options_of(rng, name, depth).items()}
    if name == "mix" and Choice.few and "state" not in options:
        options.setdefault("level", "1")
    return str(Spec(name, None, options))


def scrawled(rng: random.Random, text: str) -> str:
    """Return a text with something in it that does not belong there."""
    at = rng.randint(0, len(text))
    pieces = [
        "?",
        "&",
        "=",
        "+",
        ",",
        "[",
        "]",
        ":",
        "%",
        "%00",
        "\0",
        "\x1b[2J",
        "é",
        "9" * 50,
        "mix:",
        "lookahead:" * 60,
    ]
    inside = text[:at] + rng.choice([*pieces, "lookahead:" * 60]) + text[at:]
    return rng.choice([inside, inside, text[:at], text * 2, text[at:]])


def junk(rng: random.Random, depth: int = 0) -> Any:
    """Return a random JSON value."""
    if depth < 3 and rng.random() < 0.3:
        items = [junk(rng, depth + 1) for _ in range(rng.randrange(4))]
        return items if rng.random() < 0.5 else {str(index): item for index, item in enumerate(items)}
    return rng.choice([None, True, 0, -1, 10**40, 1.5, "", "x" * 300, "\x1b]0;x\x07", "integer", "mix:5"])


def names_places(spec: str) -> bool:
    """Return whether a spec names anything on disk: where it is the user's own, that is opened."""
    from gencomp.registry import tree_of

    return any(tree.places for tree in tree_of(spec).walk())


class Forgery:
    """An archive in parts, to be changed; ``packed`` computes every check again."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.members = [self._member() for _ in range(rng.choice([1, 1, 1, 1, 2, 3]))]

    def _member(self) -> dict[str, Any]:
        from gencomp.archive.models import canary_cost, describe
        from gencomp.budget import Cost
        from gencomp.coding.container import BlockType
        from gencomp.equivalence.adapt import as_predictor
        from gencomp.equivalence.capabilities import block_cost, encode_block, revision_of
        from gencomp.errors import GencompError

        rng = self.rng
        spec = spec_of(rng)
        contents = [data_of(rng, 1500) or b"x" for _ in range(rng.choice([1, 1, 2, 5]))]
        description: Any = {"spec": spec, "numeric": "environment", "environment": {}, "canary": "00" * 8}
        model = None
        with contextlib.suppress(GencompError):
            model = None if names_places(spec) else as_predictor(spec)
        if model is not None:
            cost = Cost() if revision_of(model) is not None else canary_cost({}, model)
            if cost.work < 0.2 and cost.memory < MAX_MEMORY and model.alphabet_size == 256:
                description = describe(model)
        blocks = []
        for content in contents:
            kind, payload = BlockType.MODEL, rng.randbytes(rng.randint(0, len(content)))
            if model is not None and model.alphabet_size == 256:
                cost = block_cost(model, len(content), len(content))
                if cost.work < 0.2 and cost.memory < MAX_MEMORY:
                    payload = encode_block(model, content)
            pick = rng.random()
            if pick < 0.1 or len(payload) >= len(content):
                kind, payload = BlockType.STORED, content
            elif pick < 0.2:
                kind, payload = BlockType.DEFLATE, zlib.compress(content, 9, -15)
            blocks.append({"type": int(kind), "payload": payload, "content": content, "raw": len(content)})
        member = {"model": description, "blocks": blocks, "block_size": rng.choice([1 << 20, 1 << 24, 1024, 1500])}
        return member | {"small": rng.random() < 0.5}

    def change(self) -> None:
        rng = self.rng
        member = rng.choice(self.members)
        block = rng.choice(member["blocks"]) if member["blocks"] else None
        model = member["model"]
        kind = rng.randrange(17)
        if kind == 0 and isinstance(model, dict):
            model["spec"] = spec_of(rng)
        elif kind == 1 and isinstance(model, dict):
            model["spec"] = scrawled(rng, str(model.get("spec", "")))
        elif kind == 2 and isinstance(model, dict):
            model[rng.choice(["spec", "numeric", "revision", "environment", "canary", "more"])] = junk(rng)
        elif kind == 3:
            member["model"] = junk(rng)
        elif kind == 4 and isinstance(model, dict):
            member["model"] = {"spec": model.get("spec"), "numeric": "integer", "revision": rng.choice([1, 4, 1004])}
        elif kind == 5:
            member["block_size"] = rng.choice([0, 1, 100, 1 << 24, (1 << 24) + 1, (1 << 32) - 1])
        elif kind == 6:
            member["extra"] = {rng.choice(["a", "model ", "\x1b"]): junk(rng)}
        elif block is None:
            member["blocks"].append({"type": 1, "payload": b"x", "content": b"x", "raw": 1})
        elif kind == 7:
            block["type"] = rng.choice([0, 1, 2, 3, 4, 255])
        elif kind == 8:
            block["raw"] = rng.choice(
                [0, 1, block["raw"] - 1, block["raw"] + 1, 1 << 14, 1 << 20, 1 << 24, (1 << 32) - 1]
            )
            block["raw"] = max(0, block["raw"])
        elif kind == 9:
            block["raw"] = min(1 << 24, 65536 * (len(block["payload"]) + 36))
        elif kind == 10:
            block["payload"] = self._damaged(block["payload"])
        elif kind == 11:
            block["content"] = self._damaged(block["content"])
        elif kind == 12:
            block["coded"] = rng.choice([0, 1, len(block["payload"]) + 1, (1 << 32) - 1])
        elif kind == 13:
            block["number"] = rng.choice([0, 1, 1 << 40])
        elif kind == 14:
            member["trailer"] = {rng.choice(["raw", "size", "count"]): rng.choice([0, 1, 1 << 40, (1 << 63) - 1])}
        elif kind == 15:
            member["blocks"] = [block] * rng.choice([0, 2, 300])
        elif kind == 16:
            self.members = [member] * rng.choice([2, 40])

    def _damaged(self, data: bytes) -> bytes:
        rng = self.rng
        at = rng.randint(0, len(data))
        damaged = bytearray(data)
        if damaged:
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        choices = [bytes(damaged), data[:at], data + rng.randbytes(9), rng.randbytes(len(data)), bytes(len(data)), b""]
        return rng.choice([*choices, b"\xff" * len(data), data[:at] + data[at + 1 :]])

    def packed(self) -> bytes:
        return b"".join(map(self._packed, self.members))

    def _packed(self, member: dict[str, Any]) -> bytes:
        """Return a member whose checks are all right, whatever it says."""
        from gencomp.coding import container

        metadata = {"model": member["model"], **member.get("extra", {})}
        text = json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode()
        if member.get("small") and len(member["blocks"]) <= 1:
            return self._packed_small(text, *member["blocks"])
        fixed = struct.pack("<8sBBHHHII", container.MAGIC, 1, 0, 0, 0, 0, len(text), member["block_size"] % (1 << 32))
        fixed += struct.pack("<I", zlib.crc32(fixed))
        key = container._blake2b(fixed, text)
        parts = [fixed, text, key]
        for place, block in enumerate(member["blocks"]):
            number, payload = block.get("number", place), block["payload"]
            sizes = [size % (1 << 32) for size in (block["raw"], block.get("coded", len(payload)))]
            head = struct.pack("<4sBBHII", container.BLOCK_SYNC, block["type"], 0, 0, *sizes)
            head += struct.pack("<I", container._block_crc(key, number, head))
            check = container.content_check(key, number, block["content"])
            parts += [head, payload, check, container.written_check(key, number, payload, check)]
        raw = b"".join(block["content"] for block in member["blocks"])
        claims = {
            "raw": len(raw),
            "size": sum(map(len, parts)) + container.TRAILER_BYTES,
            "count": len(member["blocks"]),
        }
        claims |= member.get("trailer", {})
        sha = hashlib.sha256(raw).digest()
        body = struct.pack(
            "<4sQQI32s", container.TRAILER_SYNC, claims["raw"], claims["size"], claims["count"] % 2**32, sha
        )
        body += struct.pack("<I", zlib.crc32(body, zlib.crc32(key))) + container.END_MAGIC
        return b"".join([*parts, body])

    def _packed_small(self, text: bytes, block: dict[str, Any] | None = None) -> bytes:
        """Return a small member whose check is right, whatever it says."""
        from gencomp.coding import container, small
        from gencomp.coding.metadata import packed
        from gencomp.coding.varint import varint

        block = block or {"type": 0, "raw": 0, "payload": b"", "content": b""}
        metadata, payload = packed(text), block["payload"]
        form = bytes([0x80 | (block["type"] & 0x7F)])
        lengths = b"".join(map(varint, (len(metadata), block["raw"], block.get("coded", len(payload)))))
        check = small.short_check(block["content"])
        body = b"".join([container.MAGIC[:4], form, lengths, metadata, payload, check])
        return body + struct.pack("<I", zlib.crc32(body))

    @property
    def content(self) -> bytes:
        return b"".join(block["content"] for member in self.members for block in member["blocks"])


def archive_case(rng: random.Random) -> tuple[str, str | None]:
    """Read a forged archive; return (how it ended, what is wrong)."""
    from gencomp.archive.memory import decompress
    from gencomp.archive.reader import summarize_members
    from gencomp.errors import GencompError

    forgery = Forgery(rng)
    changes = rng.choice([0, 1, 1, 1, 2, 3])
    for _ in range(changes):
        forgery.change()
    blob = forgery.packed()
    if rng.random() < 0.05:
        blob = forgery._damaged(blob)
    chosen = None
    if rng.random() < 0.2:
        member = rng.choice(forgery.members)
        chosen = (
            str(member["model"]["spec"]) if isinstance(member["model"], dict) and "spec" in member["model"] else "mix"
        )

    def run() -> tuple[str, str | None]:
        with contextlib.suppress(GencompError):
            for _ in summarize_members(io.BytesIO(blob)):
                pass
        try:
            found = decompress(blob, model=chosen, threads=1, max_memory=MAX_MEMORY, max_work=MAX_WORK)
        except GencompError as error:
            return type(error).__name__, one_line(error)
        return "read", None if found == forgery.content else f"wrong bytes: {len(found)} of {len(forgery.content)}"

    return watched(run, lambda: f"{forgery.members!r:.1500}, -m {chosen}")


def one_line(error: Exception) -> str | None:
    """Return what is wrong with a message, if anything is."""
    text = str(error)
    if "\n" in text or len(text) > 1500:
        return f"a message of {len(text)} characters and {text.count(chr(10))} line ends"
    return None if text else "an empty message"


def search_case(rng: random.Random) -> tuple[str, str | None]:
    """Draw with a search of any size."""
    from gencomp.errors import GencompError
    from gencomp.sampling.generate import sample

    spec, prompt = spec_of(rng), data_of(rng, 400)
    strategy: Any = rng.choice(["bytes", "lookahead", "beam", "particles"])
    sizes = (
        {} if strategy == "bytes" else {"width": rng.choice([1, 4, 10**3, 10**8]), "horizon": rng.choice([1, 3, 10**9])}
    )
    length, window = rng.choice([0, 1, 3, 10**3, 10**9]), rng.choice([None, 0, 5, 10**9])

    def run() -> tuple[str, str | None]:
        try:
            if names_places(spec):
                return "left out", None
            found = sample(
                spec,
                length=length,
                prompt=prompt,
                strategy=strategy,
                own_window=window,
                max_memory=MAX_MEMORY,
                max_work=MAX_WORK,
                **sizes,
            )
        except (GencompError, ValueError) as error:
            return type(error).__name__, one_line(error)
        return "drawn", None if len(found) == length else f"{len(found)} bytes, not {length}"

    return watched(run, lambda: f"{spec} {strategy} {sizes} {length} bytes after {len(prompt)}, own window {window}")


EXTREMES = (
    0,
    1,
    -1,
    2,
    255,
    65535,
    1 << 20,
    (1 << 31) - 1,
    -(1 << 31),
    1 << 40,
    (1 << 56) - 1,
    (1 << 63) - 1,
    -(1 << 63),
)


def changed_array(rng: random.Random, array: np.ndarray) -> np.ndarray:
    """Return an array with other numbers, another shape or another type."""
    pick = rng.random()
    if pick < 0.75 and array.size and array.dtype.kind in "iu":
        twin = array.copy().reshape(-1)
        info = np.iinfo(array.dtype)
        for _ in range(rng.choice([1, 1, 3, 30])):
            value = rng.choice([*EXTREMES, int(twin[rng.randrange(twin.size)]), rng.getrandbits(32)])
            twin[rng.randrange(twin.size)] = min(max(value, info.min), info.max)
        return twin.reshape(array.shape)
    changes: list[Callable[[], np.ndarray]] = [
        lambda: array[..., :-1] if array.ndim and array.size else array.reshape(-1),
        lambda: np.concatenate([array.reshape(-1), array.reshape(-1)]),
        lambda: array.reshape(1, -1),
        lambda: array.astype(">i8") if array.dtype.kind in "iu" else array,
        lambda: array.astype(np.float64) if array.dtype.kind in "iu" else array,
        lambda: np.zeros(0, array.dtype),
        lambda: np.array([None, "x"], dtype=object),
        lambda: np.zeros(array.shape, array.dtype),
    ]
    return rng.choice(changes)()


def state_blob(rng: random.Random, arrays: dict[str, np.ndarray]) -> bytes:
    """Return a saved state with these arrays and a right checksum; sometimes the .zip itself is changed."""
    buffer = io.BytesIO()
    if any(part.dtype.hasobject for part in arrays.values()):
        np.savez(buffer, allow_pickle=True, **arrays)  # type: ignore[arg-type]
    else:
        (np.savez_compressed if rng.random() < 0.3 else np.savez)(buffer, **arrays)  # type: ignore[arg-type]
    body = buffer.getvalue()
    pick = rng.randrange(12)
    if pick == 0:
        at = rng.randrange(len(body))
        body = body[:at] + rng.randbytes(1) + body[at + 1 :]
    elif pick == 1:  # in the list of arrays and its end: sizes, names, methods, flags
        at = len(body) - 1 - int(900 ** rng.random())
        body = body[:at] + rng.choice([b"\xff\xff\xff\x7f", b"\0\0\0\0", rng.randbytes(4)]) + body[at + 4 :]
    elif pick == 2:
        body = body[: rng.randrange(len(body))]
    elif pick == 3:
        with (
            warnings.catch_warnings(action="ignore"),  # of names that are there twice
            zipfile.ZipFile(io.BytesIO(body)) as old,
            zipfile.ZipFile(again := io.BytesIO(), "w") as new,
        ):
            for info in old.infolist():
                small = info.file_size < 1 << 16
                methods = [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA] if small else []
                method = rng.choice([zipfile.ZIP_STORED, *methods])
                name = rng.choice([info.filename] * 9 + ["x.npy", "../x.npy", "version.npy"])
                piece = old.read(info)
                if rng.random() < 0.1:
                    piece = piece[: rng.randrange(len(piece))] + rng.choice([b"", bytes(1 << 20), rng.randbytes(3)])
                if rng.random() < 0.05:
                    piece = piece.replace(b"'shape': (", b"'shape': (9999999,", 1)
                new.writestr(name, piece, method)
        body = again.getvalue()
    elif pick == 4:
        body += rng.choice([b"PK\x06\x07" + bytes(16), b"comment", body[-22:]])
    blob = hashlib.sha256(body).digest() + body
    return blob if rng.random() < 0.97 else blob[: rng.randrange(60)]


def network_state_blob(rng: random.Random, path: Path) -> bytes:
    """Return a saved state of ``rnn``, in ``path``, changed: its numbers, or the safetensors around them."""
    from safetensors.numpy import load, save

    body = path.read_bytes()[32:]
    size = int.from_bytes(body[:8], "little")
    header = json.loads(body[8 : 8 + size])
    about = header["__metadata__"]
    tensors = load(body)
    for _ in range(rng.choice([0, 1, 1, 2])):
        name = rng.choice([*tensors])
        changed = changed_array(rng, tensors[name])
        if not changed.dtype.hasobject and changed.dtype.isnative:
            tensors[name] = np.ascontiguousarray(changed)
    if rng.random() < 0.1:
        about = rng.choice([{}, {"gencomp state": json.dumps(junk(rng))}, {"gencomp state": "[" * 3000}])
    if rng.random() < 0.05:
        tensors.pop(rng.choice([*tensors]))
    body = save(tensors, about)
    pick = rng.randrange(12)
    size = int.from_bytes(body[:8], "little")
    if pick == 0:
        at = rng.randrange(len(body))
        body = body[:at] + rng.randbytes(1) + body[at + 1 :]
    elif pick == 1:
        body = rng.choice([0, 1, size - 1, size + 1, (1 << 31) - 1, (1 << 64) - 1]).to_bytes(8, "little") + body[8:]
    elif pick == 2:
        body = body[: rng.randrange(len(body))] + rng.choice([b"", bytes(9)])
    elif pick == 3:  # in the list of tensors: types, shapes, places
        header = json.loads(body[8 : 8 + size])
        entry = header[rng.choice([*tensors])] if tensors else header
        entry[rng.choice(["dtype", "shape", "data_offsets"])] = rng.choice(
            [junk(rng), "F64", "I8", [1 << 40, 1 << 40], [-1], [0, 1 << 62], [8, 0]]
        )
        text = json.dumps(header).encode()
        body = len(text).to_bytes(8, "little") + text + body[8 + size :]
    blob = hashlib.sha256(body).digest() + body
    return blob if rng.random() < 0.97 else blob[: rng.randrange(60)]


def arrays_of(state: Any, path: Path) -> dict[str, np.ndarray]:
    """Return what a state is saved as; where it is compressed costs more than all else here."""
    compressed = np.savez_compressed
    np.savez_compressed = np.savez
    try:
        state.save(path)
    finally:
        np.savez_compressed = compressed
    with np.load(io.BytesIO(path.read_bytes()[32:])) as file:
        return dict(file)


def mixer_state_blob(rng: random.Random, state: Any, path: Path) -> bytes:
    """Return a saved state of ``mix`` or ``best``, changed; ``path`` is a place to save it at."""
    arrays = arrays_of(state, path)
    for _ in range(rng.choice([0, 1, 1, 2])):
        name = rng.choice([*arrays, "registers", "registers", "registers", "positions", "network_hidden"])
        if name == "spec":
            arrays["spec"] = np.array(
                rng.choice([spec_of(rng), scrawled(rng, str(arrays["spec"])), "mix", "mix:9", "best:1"])
            )
        elif name in arrays:
            arrays[name] = changed_array(rng, arrays[name])
    if rng.random() < 0.05:
        arrays.pop(rng.choice([*arrays]))
    if rng.random() < 0.05:
        arrays["settings"] = np.array([rng.choice([*EXTREMES, 4096, 1 << 16]) & (1 << 62) - 1, rng.choice([0, 1, 7])])
    return state_blob(rng, arrays)


def state_case(rng: random.Random) -> tuple[str, str | None]:
    """Read a forged state and go on with it; return (how it ended, what is wrong)."""
    from gencomp.errors import CorruptDataError, GencompError
    from gencomp.predictors.mix.best import Best
    from gencomp.predictors.mix.predictor import Mix
    from gencomp.predictors.recurrent.predictor import Recurrent

    family: Any = Mix if Choice.few else rng.choices([Mix, Best, Recurrent], [6, 3, 1])[0]
    levels = Choice.levels()
    level = rng.choice([*levels[:1] * 3, *levels[:3], *levels])  # mostly small ones: tables are what takes time
    options: dict[str, Any] = {"level": level, "memory": 1, "freeze": rng.random() < 0.2}
    more = [{}, {}, {"width": 64}, {"sample": "s16le:2"}]
    options |= rng.choice(more if family is Best else [*more, {"prime": "english"}, {"expert": "counts:2"}])
    if family is Recurrent:
        options = {}
    read = data_of(rng, 3000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        if family is Recurrent:
            family().begin(read[:300]).save(path)
            path.write_bytes(network_state_blob(rng, path))
        else:
            path.write_bytes(mixer_state_blob(rng, family(**options).begin(read), path))
        data, noise = data_of(rng, 300), rng.randbytes(30)

        def run() -> tuple[str, str | None]:
            try:
                model = family(state=str(path))
                state = model.load_state(path)
            except GencompError as error:
                return type(error).__name__, one_line(error)
            twin = state.copy()
            for symbol in data[:20]:
                if not (state.cdf() == twin.cdf()).all():
                    return "taken", "a copy predicts otherwise"
                state.update(symbol)
                twin.update(symbol)
            frozen = state.freeze() if hasattr(state, "freeze") else twin
            for symbol in data[:20]:
                frozen.update(symbol)
                frozen.cdf()
            if model.decode_block(model.encode_block(data), len(data)) != data:
                return "taken", "wrong bytes"
            with contextlib.suppress(CorruptDataError):
                model.decode_block(noise, len(data))
            return "taken", None

        return watched(run, lambda: f"{family.__name__} {options}, {len(read)} bytes read")


class Compiling(event.Listener):
    """The processor time that numba has spent on kernels, compiled or read from its cache, which is not a case's."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.told: Callable[[bool], object] = lambda begun: None  # called when it begins and when it ends
        self._depth = 0  # of all threads
        self._lock = threading.Lock()

    def on_start(self, event: Any) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._started = time.process_time()
                self.told(True)

    def on_end(self, event: Any) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self.seconds += time.process_time() - self._started
                self.told(False)


compiling = Compiling()
event.register("numba:compiler_lock", compiling)  # which is held for both


def watched(run: Callable[[], tuple[str, str | None]], describe: Callable[[], str]) -> tuple[str, str | None]:
    """Run a case; return what it returns, or what is wrong with the time and memory that it took."""
    before = reset_peak()
    started, compiled = time.process_time(), compiling.seconds
    try:
        ended, wrong = run()
    except BaseException as error:
        ended, wrong = "failed", f"{type(error).__name__}: {error}"
        if isinstance(error, SystemExit | KeyboardInterrupt):
            raise
    compiled = compiling.seconds - compiled
    seconds = time.process_time() - started - compiled
    memory = peak() - before
    if wrong is None and seconds > MAX_WORK + MORE_SECONDS:
        wrong = f"{seconds:.2f} s of processor time"
    if wrong is None and memory > MAX_MEMORY + MORE_MEMORY and not compiled:
        wrong = f"{memory >> 20} MiB"
    return ended, None if wrong is None else f"{ended}: {wrong[:600]}; {describe()}"


def status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) << 10
    return 0


def reset_peak() -> int:
    """Let the peak of the process's memory begin anew; return what it has now, in bytes."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak()
    return status("VmRSS")


def peak() -> int:
    if Path("/proc/self/status").exists():
        return status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


KINDS = {"archive": archive_case, "state": state_case, "search": search_case}


def case(kind: str, seed: int, number: int) -> tuple[str, str | None]:
    return KINDS[kind](random.Random(f"{kind} {seed} {number}"))


def warm_up() -> None:
    """Compile, or load, the kernels that cases use; say how long each model's took where that is long."""
    text = b"the cat sat on the mat, the dog sat on the log; " * 3
    for name, warm in warming(text):
        started = time.perf_counter()
        warm()
        seconds = time.perf_counter() - started
        if seconds > 5.0:
            print(f"compiled for {name}: {seconds:.0f} s", file=sys.stderr, flush=True)


def warming(text: bytes) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what to compile for, and what does it."""
    from gencomp.equivalence.adapt import as_predictor
    from gencomp.equivalence.capabilities import decode_block, encode_block, state_cdf
    from gencomp.errors import GencompError
    from gencomp.predictors.mix.best import Best
    from gencomp.predictors.mix.predictor import Mix
    from gencomp.registry import find_entry

    def model_of(name: str) -> None:
        try:
            model = as_predictor(name)
        except GencompError:
            return  # an extra that is not installed
        decode_block(model, encode_block(model, text[:2]), 2)
        state = model.begin(text if not name.startswith("lookahead") else b"a")
        for one in (state, state.copy()):
            state_cdf(one)
            one.code_lengths()
            one.update(97)
            state_cdf(one)

    def mixing(model: Mix | Best) -> None:
        decode_block(model, encode_block(model, text), len(text))
        state = model.begin(text).freeze()
        state.update(97)
        state.cdf()

    for name in Choice.names():
        if name == "transformer" or find_entry(name).extra != "lm":  # which imports torch, for seconds
            yield name, partial(model_of, "mix:1" if name == "mix" else name)
    for level in Choice.levels():
        yield f"mix:{level}", partial(mixing, Mix(level))
        yield f"mix:{level}?expert=", partial(mixing, Mix(level, expert="counts:1"))
        if not Choice.few:
            yield f"best:{level}", partial(mixing, Best(level))
    for name in ("ensemble:counts:1,uniform?mean=product&weights=bayes", "ensemble:gzip,counts:1?mean=geometric"):
        yield name, partial(model_of, name)
    yield "gzip's copies", lambda: [as_predictor("gzip").begin(text * 60).copy().cdf() for _ in range(3)]


def work(seed: int) -> None:
    """Do the cases that stdin names, one a line; answer each with a line of JSON, and tell of kernels compiled."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    answers, sys.stdout = sys.stdout, sys.stderr

    def tell(answer: Any) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    warm_up()
    compiling.told = lambda begun: tell("compiling" if begun else "compiled")
    tell("ready")
    for line in sys.stdin:
        kind, number = line.split(":")
        tell(case(kind, seed, int(number)))


# ---------------------------------------------------------------- what watches it


class Worker:
    """The process that does cases, and what is known when it does not come back."""

    def __init__(self, seed: int) -> None:
        command = [sys.executable, __file__, "--worker", "--seed", str(seed), *["--few"] * Choice.few]
        pipe = subprocess.PIPE  # unbuffered: what select does not see must not wait in here
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0)
        if self._answer(None) != "ready":
            raise SystemExit("the worker does not start")

    def _answer(self, seconds: float | None) -> Any:
        """Return the next answer, "died", or None where none comes in time; compiling has a time of its own."""
        assert self._process.stdout is not None
        allowed = seconds
        while True:
            readable, _, _ = select.select([self._process.stdout], [], [], allowed)
            line = self._process.stdout.readline() if readable else b"null"
            answer = json.loads(line) if line else "died"
            if answer not in ("compiling", "compiled"):
                return answer
            allowed = COMPILING if answer == "compiling" else seconds

    def do(self, kind: str, number: int) -> tuple[str, str | None]:
        """Return (how a case ended, what is wrong); the worker is of no use after it has died."""
        assert self._process.stdin is not None
        begun = spent = processor_seconds(self._process.pid)
        self._process.stdin.write(f"{kind}:{number}\n".encode())
        while (answer := self._answer(WAITING)) is None:
            before, spent = spent, processor_seconds(self._process.pid)
            if spent - begun > HANGING or spent == before:  # on a busy machine it may just have had no turn
                self.close()
                return "hung", f"no answer in {spent - begun:.0f} s of processor time"
        if answer == "died":
            code = self._process.wait()
            return "died", f"the process died: {signal.Signals(-code).name if code < 0 else code}"
        return answer[0], answer[1]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has taken; on systems that do not say, 0."""
    path = Path(f"/proc/{process}/stat")
    if not path.exists():
        return 0.0
    user, system = path.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000, help="archives")
    parser.add_argument("--states", type=int, default=10_000)
    parser.add_argument("--searches", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", type=int, default=0, metavar="NUMBER", dest="first", help="of the first case")
    parser.add_argument("--only", metavar="KIND:NUMBER", help="do one case, here, and tell what it is")
    parser.add_argument("--few", action="store_true", help="only models with few kernels")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    Choice.few = options.few
    if options.worker:
        work(options.seed)
        return 0
    if options.only:
        kind, number = options.only.split(":")
        case(kind, options.seed, int(number))  # what it imports and compiles is not the case's
        found = case(kind, options.seed, int(number))
        print(*found)
        return int(found[1] is not None)
    started = time.perf_counter()
    worker = Worker(options.seed)
    wrong = 0
    for kind, count in (("archive", options.cases), ("state", options.states), ("search", options.searches)):
        ends: Counter[str] = Counter()
        for number in range(options.first, options.first + count):
            ended, finding = worker.do(kind, number)
            ends[ended] += 1
            if finding is not None:
                wrong += 1
                print(f"--only {kind}:{number} --seed {options.seed}: {finding}", flush=True)
            if ended in ("died", "hung"):
                worker = Worker(options.seed)
            if ends.total() % 1_000 == 0:
                print(f"{kind}: {ends.total():,} cases, {dict(ends.most_common())}", flush=True)
        print(f"{kind}: {count:,} cases, {dict(ends.most_common())}", flush=True)
    worker.close()
    print(f"{wrong} wrong, {time.perf_counter() - started:.0f} s")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
