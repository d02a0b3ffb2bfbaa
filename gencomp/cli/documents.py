"""What `gencomp evaluate` does with documents: each has a context of its own, instead of chunks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gencomp.cli.console import note, progress_bar
from gencomp.cli.options import usage
from gencomp.cli.results import check_folder, show_text

if TYPE_CHECKING:
    from gencomp.measure.documents import Setting
    from gencomp.modalities.documents import Document

PRESETS = ("block-1900", "fresh-documents")  # of gencomp.measure.documents, which is heavier to import
FILES = {"markdown": "table.md", "latex": "table.tex", "csv": "documents.csv", "json": "documents.json"}
_JOURNAL = "lengths.jsonl"


@dataclass(frozen=True)
class DocumentOptions:
    """The options of `gencomp evaluate` that are about documents."""

    json: list[str]
    parquet: list[str]
    lines: list[str]
    separator: str | None
    text: list[str]
    window: int | None
    stride: int | None

    @property
    def named(self) -> bool:
        """Whether documents are meant at all."""
        return bool(self.json or self.parquet or self.lines or self.separator is not None)

    def read(self) -> "list[tuple[str, list[Document]]]":
        """Return each dataset's name and documents; empty ones are left out, with a note."""
        from gencomp.modalities.documents import read, split_field, without_empty

        found = []
        for kind, wheres in (("json", self.json), ("parquet", self.parquet)):
            for where in wheres:
                try:
                    path, field = split_field(where)
                except ValueError as error:
                    raise usage(f"--{kind}: {error}") from None
                found.append((where, read("json" if kind == "json" else "parquet", path, field=field)))
        found += [(where, read("lines", where)) for where in self.lines]
        if self.separator is not None:
            if not self.separator:
                raise usage("--separator must have at least 1 byte")
            if not self.text:
                raise usage("--separator splits a text: name it with --text")
            found += [(where, read("separated", where, separator=self.separator)) for where in self.text]
        else:
            found += [(where, read("files", where)) for where in self.text]
        kept = []
        for where, documents in found:
            full, lines = without_empty(documents, where)
            for line in lines:
                note(f"note: {line}")
            kept.append((Path(where).name, full))
        return kept

    def setting(self, preset: str | None) -> "Setting":
        """Return how documents are read."""
        from gencomp.measure.documents import PRESETS, Setting

        if preset is not None:
            if self.window is not None or self.stride is not None:
                raise usage(f"--preset {preset} sets the window and the stride; leave out --window and --stride")
            return PRESETS[preset]
        try:
            return Setting(self.window, self.stride)
        except ValueError as error:
            raise usage(str(error)) from None


def evaluate_documents(
    options: DocumentOptions,
    preset: str | None,
    models: list[str],
    limit: int | None,
    output: str | None,
    format_: str,
    *,
    force: bool,
    quiet: bool,
) -> None:
    """Measure documents, print the rows and write them; results that the folder holds are not measured again."""
    from gencomp.files import new_file, write_fully
    from gencomp.measure import document_tables as tables
    from gencomp.measure.documents import compare, measure
    from gencomp.measure.kept import Kept

    setting = options.setting(preset)
    datasets = [(name, documents[:limit]) for name, documents in options.read()]
    if not datasets:
        raise usage("no documents: name them with --json, --parquet, --lines, or --text and --separator")
    folder = Path(output if output is not None else f"results-{preset or 'documents'}")
    check_folder(folder, _JOURNAL, FILES.values(), force=force)
    folder.mkdir(parents=True, exist_ok=True)
    kept = Kept(folder / _JOURNAL)
    rows = []
    total = len(models) * sum(len(documents) for _, documents in datasets)
    with progress_bar("documents", total, quiet=quiet) as advance:
        for name, documents in datasets:
            rows += measure(name, models, documents, setting, kept=kept, report=advance)
    comparisons = compare(rows)
    writers: dict[str, Callable[..., str]] = {
        "markdown": tables.to_markdown,
        "latex": tables.to_latex,
        "csv": tables.to_csv,
        "json": tables.to_json,
    }
    texts = {name: writer(rows, comparisons) for name, writer in writers.items()}
    for name, file_name in FILES.items():
        with new_file(folder / file_name, overwrite=True) as file:
            write_fully(file, texts[name].encode("utf-8", "backslashreplace"))
    show_text(texts[format_], as_data=format_ != "markdown")  # last, since nobody may be reading
