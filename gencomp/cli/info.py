"""gencomp info: what an archive says of itself."""

import hashlib
from itertools import islice
from typing import Any

from gencomp.cli.batch import for_each, input_names, opened
from gencomp.cli.console import show, show_json
from gencomp.cli.options import FilesArgument, JsonOption
from gencomp.errors import BudgetError

MAX_MEMBERS = 1 << 15


def info(files: FilesArgument = None, json_output: JsonOption = False) -> None:
    """Show an archive's model, sizes, blocks and checksum.

    Only its headers are read; no model is loaded. With --json, one object a line for each file.
    """
    from gencomp.archive.reader import Summary, summarize_members
    from gencomp.coding.container import BLOCK_FRAMING_BYTES, MAJOR
    from gencomp.units import bits_per_byte

    def describe(member: Summary) -> dict[str, Any]:
        trailer = member.trailer
        is_small = len(trailer.sha256) < hashlib.sha256().digest_size
        return {
            "format": f"{MAJOR}.{member.header.minor}",
            "model": member.header.metadata.get("model"),
            "raw_bytes": trailer.raw_total,
            "archive_bytes": trailer.member_size,
            "framing_bytes": trailer.member_size - member.payload,
            "block_framing_bytes": 0 if is_small else BLOCK_FRAMING_BYTES,
            "bits_per_byte": round(bits_per_byte(8.0 * trailer.member_size, trailer.raw_total), 4),
            "block_size": member.header.block_size,
            "blocks": {kind.name.lower(): count for kind, count in member.blocks.items()},
            "verified_blocks": member.verified,
            "transformed_blocks": {kind.name.lower(): count for kind, count in member.transforms.items()},
            "sha256_start" if is_small else "sha256": trailer.sha256.hex(),
        }

    def info_one(name: str) -> None:
        with opened(name) as source:
            members = [describe(member) for member in islice(summarize_members(source), MAX_MEMBERS + 1)]
        if len(members) > MAX_MEMBERS:
            raise BudgetError(
                f"it has more than {MAX_MEMBERS:,} members, which are shown together; `gencomp test` checks them all"
            )
        if json_output:
            show_json({"file": name, "members": members})
            return
        for number, member in enumerate(members, 1):
            show(name if len(members) == 1 else f"{name}, member {number} of {len(members)}")
            for key, value in member.items():
                show(f"  {key:<20}{_shown(value)}")

    for_each(input_names(files), info_one)


def _shown(value: object) -> str:
    if value is None:
        return "none: the blocks need no model"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
