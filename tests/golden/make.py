"""What the golden archives are made of; ``python -m tests.golden.make`` adds missing ones and changes none."""

import struct
import zlib
from pathlib import Path

import gencomp
from gencomp.archive.models import describe
from gencomp.coding.container import BlockHeader, BlockType, Trailer, pack_block, pack_header, pack_trailer
from gencomp.data import alice
from gencomp.equivalence.adapt import as_predictor

FOLDER = Path(__file__).parent
TEXT = alice()[:3000]
MIXED = TEXT[:900] + bytes(range(256))


def machine_code(calls: int, *, functions: int = 20) -> bytes:
    """Return bytes like x86 machine code: calls of a few functions from many places, others between them."""
    state = 1
    code = bytearray()
    for _ in range(calls):
        state = state * 1_103_515_245 + 12_345 & 0x7FFFFFFF  # a generator of the C standard's
        code += bytes([0x48, 0x89, 0xC0 + (state >> 9 & 7), 0x31, 0xC0, 0x90, 0x5B][state >> 20 & 3 :])
        target = (state >> 12) % functions * 0x130 + 0x40
        code += b"\xe8" + (target - len(code) - 5).to_bytes(4, "little", signed=True)
    return bytes(code)


# archive -> (content, model, block size); without one, small members
GOOD: dict[str, tuple[bytes, str, int | None]] = {
    "good-empty.gcz": (b"", "counts:6", 1 << 20),
    "good-stored.gcz": (bytes(range(256)), "counts:6", 1 << 20),
    "good-uniform.gcz": (b"\x00\xff" * 3, "uniform", 1 << 20),
    "good-counts.gcz": (TEXT, "counts:6", 1 << 20),
    "good-counts-order-0.gcz": (TEXT, "counts:0", 1 << 20),
    "good-mix.gcz": (TEXT, "mix:5", 1 << 20),
    "good-mix-fast.gcz": (TEXT, "mix:1", 1 << 20),
    "good-mix-width-1.gcz": (TEXT, "mix?width=1", 1 << 20),
    "good-lz78.gcz": (TEXT, "lz78:2", 1 << 20),
    "good-ctw.gcz": (TEXT, "ctw:6", 1 << 20),
    "good-counts-blocks.gcz": (TEXT, "counts:2", 1 << 10),
    "good-ensemble-revisions.gcz": (TEXT, "ensemble:counts:1,counts:3", 1 << 20),
    "good-mix-expert-revisions.gcz": (TEXT, "mix:1?expert=counts:2", 1 << 20),
    "good-rnn.gcz": (MIXED, "rnn", 1 << 10),
    "good-best.gcz": (MIXED, "best:5", 1 << 20),
    "good-mix-calls.gcz": (machine_code(400), "mix:1", 1 << 12),
    "good-best-small.gcz": (TEXT[:200], "best:9", 1 << 20),
    "good-small-empty.gcz": (b"", "counts:6", None),
    "good-small-stored.gcz": (bytes(range(256)), "counts:6", None),
    "good-small-deflate.gcz": (b"to be or not to be, " * 30, "uniform", None),
    "good-small-counts.gcz": (TEXT, "counts:6", None),
    "good-small-mix.gcz": (TEXT, "mix:5", None),
    "good-small-best.gcz": (TEXT[:200], "best:5", None),
    "good-small-calls.gcz": (machine_code(400), "mix:1", None),
}

# archives as they were made once: revisions of models made of models were one number each
FORMER = {
    "good-ensemble.gcz": GOOD["good-ensemble-revisions.gcz"],
    "good-mix-expert.gcz": GOOD["good-mix-expert-revisions.gcz"],
}


def bad() -> dict[str, bytes]:
    """Return the archives that must be refused."""
    archive = gencomp.compress(TEXT, "counts:6", block_size=1 << 20)
    small = gencomp.compress(TEXT, "counts:6")
    form = small[:4] + bytes([small[4] | 0x40]) + small[5:-4]
    newer = bytearray(archive)
    newer[8] = 2
    newer[24:28] = struct.pack("<I", zlib.crc32(newer[:24]))
    flipped = bytearray(archive)
    flipped[400] ^= 1
    start, key = pack_header({"model": {"spec": "counts:6", "numeric": "integer", "revision": 999}}, 1 << 20)
    block = pack_block(key, BlockHeader(0, BlockType.STORED, False, 1, 1), b"x", b"x")
    start_of_code, code_key = pack_header({"model": describe(as_predictor("counts:2"))}, 1 << 20)
    unknown = BlockHeader(0, BlockType.MODEL, False, 100, 50, 7)  # type: ignore[arg-type]
    end = pack_trailer(key, Trailer(1, len(start + block) + 64, 1, bytes(32)))
    return {
        "bad-flipped-bit.gcz": bytes(flipped),
        "bad-truncated.gcz": archive[:-40],
        "bad-trailing-bytes.gcz": archive + b"trailing",
        "bad-text-mode.gcz": archive.replace(b"\r\n", b"\n"),
        "bad-checksum.gcz": pack_header({"model": None}, 1024)[0] + archive[-64:],
        "bad-not-an-archive.gcz": TEXT[:100],
        "bad-small-flipped-bit.gcz": small[:400] + bytes([small[400] ^ 1]) + small[401:],
        "bad-small-truncated.gcz": small[:-1],
        "bad-small-trailing-bytes.gcz": small + b"trailing",
        "unsupported-small-form.gcz": form + zlib.crc32(form).to_bytes(4, "little"),
        "unsupported-major-version.gcz": bytes(newer),
        "unsupported-transform.gcz": start_of_code + pack_block(code_key, unknown, bytes(50), bytes(100)),
        "model-of-another-revision.gcz": start + block + end,
    }


def main() -> None:
    made = {name: gencomp.compress(data, model, block_size=size) for name, (data, model, size) in GOOD.items()}
    for name, archive in (made | bad()).items():
        if not (FOLDER / name).exists():
            (FOLDER / name).write_bytes(archive)


if __name__ == "__main__":
    main()
