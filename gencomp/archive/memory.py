"""Archives in memory, for Python callers."""

import io

from gencomp.archive.reader import read_archive
from gencomp.archive.writer import write_archive
from gencomp.arguments import as_bytes
from gencomp.equivalence.adapt import Model, as_predictor


def compress(
    data: bytes,
    model: Model | None = None,
    *,
    block_size: int | None = None,
    threads: int | None = None,
    verify: bool | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
) -> bytes:
    """Return an archive of ``data`` made with ``model``; see :func:`gencomp.archive.writer.write_archive`.

    ``model`` is a spec or an object; if None, it depends on the data (:func:`gencomp.registry.models_for_size`). Where
    no spec names an object, its archives are decoded with that object.
    """
    sink = io.BytesIO()
    write_archive(
        io.BytesIO(as_bytes(data)),
        sink,
        None if model is None else as_predictor(model),
        block_size=block_size,
        threads=threads,
        verify=verify,
        max_memory=max_memory,
        max_work=max_work,
    )
    return sink.getvalue()


def decompress(
    archive: bytes,
    *,
    model: Model | None = None,
    threads: int | None = None,
    max_output: int | None = None,
    max_memory: int | None = None,
    max_work: float | None = None,
    try_anyway: bool = False,
) -> bytes:
    """Return the content of an archive, all of it checked; see :func:`gencomp.archive.reader.read_archive`."""
    content = io.BytesIO()
    read_archive(
        io.BytesIO(as_bytes(archive, "the archive")),
        content.write,
        model=model,
        threads=threads,
        max_output=max_output,
        max_memory=max_memory,
        max_work=max_work,
        try_anyway=try_anyway,
    )
    return content.getvalue()
