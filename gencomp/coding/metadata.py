"""A header's metadata in the fewest bytes: DEFLATE (RFC 1951) with a dictionary of what archives usually say.

Only small members pack theirs. The dictionary is a part of the format: another one makes other archives unreadable.
"""

import re
import zlib

from gencomp.errors import ArchiveError

MAX_METADATA_BYTES = 1 << 16

_DIGEST = re.compile(rb"[0-9a-f]{16}")
_MARK = b"\x80"  # stands before the 8 bytes of a digest; it is no byte of ASCII
_DIGEST_BYTES = 8
_RAW_DEFLATE = -zlib.MAX_WBITS  # without zlib's header and checksum
_STRONGEST = 9

# What is most usual stands last, where distances are short. `docs/FORMAT.md` has the same lines.
DICTIONARY = b"".join(
    [
        b'{"model":{"canary":"\x80","environment":{"cuda":"","device":"x86_64 AVX2","dtype":"float32","math":"",',
        b'"tokenizers":"0.","torch":"2.","transformers":"5.","variables":"none","weights":"\x80"},"lanes":[1,16],',
        b'"numeric":"environment","spec":"transformer?hf:digest-\x80?device=cpu&dtype=auto&batch=16&context=2048&stride=1024"}}',
        b'{"model":{"canary":"\x80","environment":{"zlib":"1.3.1"},"numeric":"environment","object":""}}',
        b'{"model":null}',
        b'"lookahead:ensemble:gzip?level=9,lzma?preset=6,zstd?level=19&checksum=false,brotli?quality=11',
        b'{"model":{"numeric":"integer","revision":1,"spec":"ctw:6?alpha=2&memory=256"}}',
        b'{"model":{"numeric":"integer","revision":[1,2],"spec":"lz78:2"}}',
        b'{"model":{"numeric":"integer","revision":1,"spec":"counts:6"}}',
        b'{"model":{"environment":{"weights":"\x80"},"numeric":"integer","revision":1,"spec":"rnn"}}',
        b'{"model":{"environment":{"weights":"\x80"},"numeric":"integer","revision":1,',
        b'"spec":"hf:digest-\x80?device=cpu&dtype=auto&batch=16&context=2048&stride=1024&threads=1',
        b'&lane=8192&arithmetic=exact"}}',
        b'{"model":{"environment":{"weights":"\x80"},"numeric":"integer","revision":1,',
        b'"spec":"gguf:digest-\x80?batch=16&context=4096&stride=2048&threads=1&lane=8192"}}',
        b'{"model":{"numeric":"integer","revision":4,"spec":"mix:9?expert=counts:2&freeze=false&prime=none"}}',
        b'{"model":{"numeric":"integer","revision":4,"spec":"mix:5?freeze=false&prime=none"}}',
        b'{"model":{"environment":{"weights":"\x80"},"numeric":"integer","revision":2,"spec":"best:5?freeze=false"}}',
    ]
)


def packed(text: bytes) -> bytes:
    """Return ``text``, canonical JSON in ASCII, with 8 bytes for each digest of 16 hexadecimal digits, deflated."""
    short = _DIGEST.sub(lambda found: _MARK + bytes.fromhex(found[0].decode("ascii")), text)
    deflater = zlib.compressobj(_STRONGEST, zlib.DEFLATED, _RAW_DEFLATE, zdict=DICTIONARY)
    return deflater.compress(short) + deflater.flush()


def unpacked(data: bytes) -> bytes:
    """Return what :func:`packed` packed, at most MAX_METADATA_BYTES. Raises :class:`~gencomp.errors.ArchiveError`."""
    inflater = zlib.decompressobj(_RAW_DEFLATE, zdict=DICTIONARY)
    try:
        short = inflater.decompress(data, MAX_METADATA_BYTES)
    except zlib.error as error:
        raise ArchiveError("the archive is invalid: its metadata is no deflate stream") from error
    if not inflater.eof or inflater.unused_data:
        raise ArchiveError(
            f"the archive is invalid: its metadata does not end with its {len(data)} bytes or is longer than "
            f"{MAX_METADATA_BYTES}"
        )
    text = bytearray()
    at = 0
    while (mark := short.find(_MARK, at)) >= 0:
        digest = short[mark + 1 : mark + 1 + _DIGEST_BYTES]
        if len(digest) < _DIGEST_BYTES:
            raise ArchiveError("the archive is invalid: its metadata ends within a digest")
        text += short[at:mark] + digest.hex().encode("ascii")
        at = mark + 1 + _DIGEST_BYTES
    text += short[at:]
    if len(text) > MAX_METADATA_BYTES:
        raise ArchiveError(f"the archive is invalid: metadata of {len(text)} bytes, at most {MAX_METADATA_BYTES}")
    return bytes(text)
