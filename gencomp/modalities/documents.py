"""Documents: single texts from files, lines, fields of JSON, columns of Parquet, or between separators."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gencomp.errors import DatasetError
from gencomp.extras import require
from gencomp.files import expanded
from gencomp.modalities.source import find_files, read_plain

Kind = Literal["files", "lines", "json", "parquet", "separated"]
KINDS: tuple[Kind, ...] = ("files", "lines", "json", "parquet", "separated")
_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Document:
    """One text as bytes, in UTF-8 if it was read as characters; ``label`` is its class if it has one."""

    name: str
    data: bytes
    label: str | None = None


def files(paths: Iterable[str | Path], *, labelled: bool = False) -> list[Document]:
    """Return each file as a document, those of a folder at any depth, sorted by name.

    With ``labelled``, a folder's subfolders are the classes: the first part of a file's path in it is its label. Raises
    :class:`DatasetError` on a file outside them.
    """
    found = []
    for where in paths:
        root = expanded(where)
        for path in find_files(where):
            inside = path.relative_to(root).as_posix() if root.is_dir() else path.name
            label = None
            if labelled:
                label, slash, _ = inside.partition("/")
                if not slash:
                    raise DatasetError(f"{path}: it lies in no class; expected a folder for each class in {root}")
            found.append(Document(inside, read_plain(path), label))
    return found


def lines(path: str | Path) -> list[Document]:
    """Return each line of a file as a document without its line end, named by its number, from 1."""
    pieces = read_plain(path).splitlines()
    return [Document(str(number), piece) for number, piece in enumerate(pieces, 1)]


def separated(path: str | Path, separator: bytes) -> list[Document]:
    """Return what stands between separators, which belong to no document.

    Raises ``ValueError`` on an empty separator.
    """
    if not separator:
        raise ValueError("a separator must have at least 1 byte")
    pieces = read_plain(path).split(separator)
    if len(pieces) > 1 and not pieces[-1].strip():
        pieces.pop()
    return [Document(str(number), piece) for number, piece in enumerate(pieces, 1)]


def split_field(where: str, what: str = "FILE:FIELD") -> tuple[str, str]:
    """Return the file and the field of ``FILE:FIELD``. Raises ``ValueError``."""
    path, colon, name = where.rpartition(":")
    if not colon or not path or not name:
        raise ValueError(f"expected {what}, such as documents.jsonl:text; got {where!r}")
    return path, name


def json_field(path: str | Path, name: str, label: str | None = None) -> list[Document]:
    """Return a field of each object of a JSON array, or of lines of JSON, as a document.

    ``name`` may reach into nested objects by dots. ``label`` is the field of the class. Raises :class:`DatasetError`,
    with the line or the item, where either field is missing or not a string; a label may be an integer, too.
    """
    return [
        Document(place, _string(item, name, f"{path}, {place}").encode("utf-8", "surrogatepass"),
                 None if label is None else _string(item, label, f"{path}, {place}", numbers=True))
        for place, item in _items(path)
    ]  # fmt: skip


def _items(path: str | Path) -> Iterator[tuple[str, Any]]:
    """Yield (where it stands, parsed value) for each item of a JSON array or each line."""
    text = read_plain(path)
    name = Path(path).name
    by_line = any(suffix in Path(name).suffixes for suffix in _LINES) or text.lstrip()[:1] != b"["
    if not by_line:
        try:
            items = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{path} is not JSON: {error}") from error
        yield from ((f"item {number}", item) for number, item in enumerate(items, 1))
        return
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{path}, line {number}: it is not JSON: {error}") from error
        yield f"line {number}", item


def _string(item: Any, name: str, where: str, *, numbers: bool = False) -> str:
    value = item
    for part in name.split("."):
        if not isinstance(value, dict):
            raise DatasetError(f"{where}: expected an object with the field {name!r}, found {type(value).__name__}")
        if part not in value:
            raise DatasetError(
                f"{where}: there is no field {name!r}; there are {', '.join(map(repr, value)) or 'none'}"
            )
        value = value[part]
    if isinstance(value, str):
        return value
    if numbers and isinstance(value, int):
        return str(value)
    raise DatasetError(f"{where}: the field {name!r} is {_kind_of(value)}, expected a string")


def _kind_of(value: Any) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", list: "an array"}
    return names.get(type(value), "an object")


def parquet_column(path: str | Path, name: str, label: str | None = None) -> list[Document]:
    """Return a column of strings or bytes of a Parquet file, one document a row, named by its number, from 1.

    Raises :class:`DatasetError` on a column that is missing or of another type, and on a null, with its row.
    """
    require("documents", "pyarrow")
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise DatasetError(f"{path} is not a Parquet file: {error}") from error
    names = file.schema_arrow.names
    for wanted in filter(None, (name, label)):
        if wanted not in names:
            raise DatasetError(f"{path}: there is no column {wanted!r}; there are {', '.join(map(repr, names))}")
    kind = file.schema_arrow.field(name).type
    if not any(test(kind) for test in (pyarrow.types.is_string, pyarrow.types.is_large_string,
                                       pyarrow.types.is_binary, pyarrow.types.is_large_binary)):  # fmt: skip
        raise DatasetError(f"{path}: the column {name!r} is of type {kind}, expected strings or bytes")
    found: list[Document] = []
    for batch in file.iter_batches(columns=[name, *([label] if label is not None else [])]):
        labels = batch.column(label).to_pylist() if label is not None else [None] * batch.num_rows
        for value, of_class in zip(batch.column(name).to_pylist(), labels, strict=True):
            number = len(found) + 1
            if value is None:
                raise DatasetError(f"{path}, row {number}: the column {name!r} is null, expected a text")
            data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else bytes(value)
            found.append(Document(f"row {number}", data, None if of_class is None else str(of_class)))
    return found


def read(kind: Kind, where: str, *, field: str | None = None, separator: str | None = None) -> list[Document]:
    """Return the documents of ``where``, read as ``kind`` says. Raises :class:`DatasetError`, ``OSError``."""
    if kind == "files":
        return files([where])
    if kind == "lines":
        return lines(where)
    if kind == "separated":
        return separated(where, _unescaped(separator or ""))
    if field is None:
        raise ValueError(f"documents of {kind} need a field")
    return json_field(where, field) if kind == "json" else parquet_column(where, field)


def _unescaped(text: str) -> bytes:
    r"""Return a separator as bytes; ``\n``, ``\t``, ``\0`` and ``\xNN`` mean what they do in Python."""
    try:
        return text.encode("utf-8").decode("unicode_escape").encode("latin-1")
    except UnicodeError:
        return text.encode("utf-8")


def without_empty(documents: list[Document], where: str) -> tuple[list[Document], list[str]]:
    """Return the documents that are not empty, and a line on those that are, if any.

    Raises :class:`DatasetError` if all are empty.
    """
    kept = [document for document in documents if document.data]
    if not kept:
        raise DatasetError(f"{where}: no document has a byte ({len(documents)} found); there is nothing to measure")
    empty = [document.name for document in documents if not document.data]
    return kept, [f"{where}: {len(empty)} empty documents are left out, the first is {empty[0]}"] if empty else []
