"""How a codec parsed a text: its literals and copies, with the bits of each, and the blocks that they are in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_SHOWN = 40  # phrases that a notebook shows


@dataclass(frozen=True)
class Phrase:
    """A literal, or a copy of ``length`` bytes from ``distance`` bytes back.

    It writes the bytes from ``position`` on. ``distance`` is 0 for literals; each literal is a phrase of its own.
    ``bits`` is what it takes in the code, extra bits included. ``repeated`` says that the code only refers to one of
    the last distances used (LZMA keeps four of them, zstd three, deflate none).
    """

    position: int
    length: int
    distance: int
    bits: float
    repeated: bool = False

    @property
    def is_literal(self) -> bool:
        return self.distance == 0

    @property
    def source(self) -> int:
        """Where a copy starts to read; it may run on into the bytes that it writes."""
        return self.position - self.distance


@dataclass(frozen=True)
class Block:
    """A part of the code with codes of its own: it writes the bytes from ``start`` to ``stop``.

    ``kind`` is ``stored``, ``fixed`` or ``dynamic`` for deflate, ``raw``, ``repeated`` or ``compressed`` for zstd,
    ``stream`` for a code in one piece. ``overhead`` is its bits besides the phrases: header, tables, end mark.
    ``codes`` has the prefix code of each literal and length symbol as a string of 0 and 1, ``distance_codes`` those of
    the distance symbols (RFC 1951, section 3.2.5); both are empty where the block has none, and for zstd.
    """

    kind: str
    start: int
    stop: int
    overhead: float
    codes: Mapping[int, str] = field(default_factory=dict)
    distance_codes: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parse:
    """All phrases of a text in order, and the blocks; ``framing_bits`` is the container around them.

    The bits of the phrases, the overhead of the blocks and the framing add up to the code length.
    """

    phrases: Sequence[Phrase]
    blocks: Sequence[Block]
    framing_bits: float

    @property
    def code_length(self) -> float:
        """The length of the whole code in bits."""
        inside = sum(phrase.bits for phrase in self.phrases) + sum(block.overhead for block in self.blocks)
        return inside + self.framing_bits

    def record(self) -> dict[str, Any]:
        """Return the parse as JSON takes it; a phrase is [position, length, distance, bits, repeated]."""
        return {
            "framing": self.framing_bits,
            "bits": self.code_length,
            "phrases": [
                [phrase.position, phrase.length, phrase.distance, round(phrase.bits, 3), int(phrase.repeated)]
                for phrase in self.phrases
            ],
            "blocks": [
                {
                    "kind": block.kind,
                    "start": block.start,
                    "stop": block.stop,
                    "overhead": round(block.overhead, 3),
                    "codes": [[symbol, word] for symbol, word in sorted(block.codes.items())],
                    "distances": [[symbol, word] for symbol, word in sorted(block.distance_codes.items())],
                }
                for block in self.blocks
            ],
        }

    def _repr_html_(self) -> str:
        """Return the first phrases as a table for a notebook, and what the code is made of."""
        from gencomp import markup

        rows: list[list[str | int | float]] = [
            [phrase.position, "literal" if phrase.is_literal else "copy", phrase.length, phrase.distance, phrase.bits]
            for phrase in self.phrases[:_SHOWN]
        ]
        copies = sum(not phrase.is_literal for phrase in self.phrases)
        caption = f"{len(self.phrases) - copies:,} literals and {copies:,} copies"
        if len(self.phrases) > _SHOWN:
            caption += f"; the first {_SHOWN} of these phrases"
        literals = sum(phrase.bits for phrase in self.phrases if phrase.is_literal)
        parts: list[list[str | int | float]] = [
            ["literals", literals],
            ["copies", sum(phrase.bits for phrase in self.phrases) - literals],
            ["blocks: headers, tables, end marks", sum(block.overhead for block in self.blocks)],
            ["framing", self.framing_bits],
            ["in all", self.code_length],
        ]
        heads = ("position", "what", "bytes", "bytes back", "bits")
        return markup.piece(markup.table(caption, heads, rows), markup.table("", ("what", "bits"), parts))
