"""Experiments by name: the paper's (Delétang et al. 2024) on any data, and sources of known entropy."""

from dataclasses import dataclass, replace
from pathlib import Path

from gencomp.evaluation.experiment import Experiment
from gencomp.evaluation.rows import WHOLE
from gencomp.modalities.dataset import CHUNK_SIZE, Dataset

# what stands for the paper's enwik9, ImageNet and LibriSpeech in a folder of public data
TEXT, IMAGES, SOUND = "text/enwik8-first-3145728.xz", "images/imagenet", "audio/librispeech"
OTHER_TEXT = "text/wikipedia-en-2015-100m.xz"  # shares no article with TEXT
RANDOM_CHUNKS = 2048
SOURCE_LENGTHS = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)
SOURCES = (
    "bernoulli:p=0.1",
    "markov:order=1&seed=1",
    "markov:order=2&seed=1",
    "markov:order=4&seed=1",
    "hidden:seed=1",
    "grammar:seed=1",
)
IN_CONTEXT_LENGTHS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class Preset:
    """An experiment without its data, which are of these ``modalities``."""

    name: str
    summary: str
    models: tuple[str, ...]
    modalities: tuple[str, ...]
    chunk_sizes: tuple[int | str, ...] = (CHUNK_SIZE,)
    lengths: tuple[int, ...] = ()
    data_sizes: tuple[int, ...] = ()
    limit: int | None = None
    per_file: int | None = None
    vocabularies: tuple[int, ...] = ()
    paper_figures: bool = False
    sources: tuple[str, ...] = ()

    def experiment(self, datasets: tuple[Dataset, ...]) -> Experiment:
        """Return the experiment on ``datasets``, and on each of them in tokens of each of the vocabularies."""
        tokenized = tuple(
            replace(dataset, name=f"{dataset.name}, {vocabulary:,} tokens", vocabulary=vocabulary)
            for dataset in datasets
            for vocabulary in self.vocabularies
        )
        datasets = (*datasets, *tokenized)
        return Experiment(
            name=self.name,
            datasets=datasets,
            models=self.models,
            chunk_sizes=self.chunk_sizes,
            lengths=self.lengths,
            data_sizes=self.data_sizes,
            paper_figures=self.paper_figures,
        )

    def datasets(self, folder: Path) -> tuple[Dataset, ...]:
        """Return the datasets that the preset needs, from a folder of public data."""
        if self.sources:
            return tuple(
                Dataset(source, "source", source=source, limit=self.limit, chunk_size=max(self.lengths))
                for source in self.sources
            )
        every = (
            Dataset("enwik8", "text", str(folder / TEXT), vocabulary_from=str(folder / OTHER_TEXT)),
            Dataset("imagenet", "image", str(folder / IMAGES)),
            Dataset("librispeech", "audio", str(folder / SOUND)),
            Dataset("random", "random", limit=RANDOM_CHUNKS),
        )
        chosen = (dataset for dataset in every if dataset.modality in self.modalities)
        return tuple(replace(dataset, limit=self.limit or dataset.limit, per_file=self.per_file) for dataset in chosen)


_CLASSICAL = ("gzip", "xz", "lzma", "zstd", "bz2", "png", "flac")
_ALL = (
    Preset(
        "paper-table1",
        "Table 1: rates of chunks of 2048 bytes and of whole data, beside the paper's",
        (*_CLASSICAL, "mix"),
        ("text", "image", "audio", "random"),
        (CHUNK_SIZE, WHOLE),
        paper_figures=True,
    ),
    Preset(
        "in-context",
        "Figure 4: the rate of the first 8 to 2048 bytes of chunks",
        ("gzip", "lzma", "counts", "mix"),
        ("text", "image", "audio"),
        lengths=IN_CONTEXT_LENGTHS,
        limit=500,
        per_file=6,
    ),
    Preset(
        "model-size",
        "Figure 2: the adjusted rate against parameters, shared by 10^7, 10^8 and 10^9 bytes; for models of your own",
        ("gzip", "lzma", "mix"),
        ("text",),
        data_sizes=(10**7, 10**8, 10**9),
    ),
    Preset(
        "tokenization",
        "Table 2's question: text as bytes against tokens of 1,000 to 20,000 kinds",
        ("gzip", "xz", "counts:1", "counts:3", "counts:6", "mix"),
        ("text",),
        (CHUNK_SIZE, WHOLE),
        vocabularies=(1000, 2000, 5000, 10_000, 20_000),
    ),
    Preset(
        "known-entropy",
        "sources of known entropy: how close each model gets, by the bytes that it has seen",
        ("gzip", "lzma", "lz78", "counts", "ctw:4", "mix"),
        ("source",),
        (max(SOURCE_LENGTHS),),
        lengths=SOURCE_LENGTHS,
        limit=4,
        sources=SOURCES,
    ),
)
PRESETS = {preset.name: preset for preset in _ALL}
