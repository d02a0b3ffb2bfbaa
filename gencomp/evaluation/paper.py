"""Figures of Delétang et al. 2024 ("Language Modeling Is Compression", arXiv 2309.10668v2), to stand beside ours."""

from gencomp.evaluation.rows import WHOLE, Row

_DATASETS = ("enwik", "imagenet", "librispeech", "random")
# Table 1: compressed / raw size in percent, for 10^9 bytes of each dataset; LZMA2 is Python's lzma, a whole .xz file
_TABLE_1 = {
    ("gzip", WHOLE): (32.3, 70.7, 36.4, 100.0),
    ("xz", WHOLE): (23.0, 57.9, 29.9, 100.0),
    ("png", WHOLE): (42.9, 58.5, 32.2, 100.0),
    ("flac", WHOLE): (89.5, 61.9, 30.9, 107.8),
    ("gzip", 2048): (48.1, 68.6, 38.5, 100.1),
    ("xz", 2048): (50.0, 62.4, 38.2, 100.0),
    ("png", 2048): (80.6, 61.7, 37.6, 103.2),
    ("flac", 2048): (88.9, 60.9, 30.3, 107.2),
}
# Table 1's models at 2048 bytes, to compare with any of ours
TABLE_1_MODELS = {
    "Transformer 200K": (30.9, 194.0, 146.6, 195.5),
    "Transformer 800K": (21.7, 185.1, 131.1, 200.1),
    "Transformer 3.2M": (17.0, 215.8, 228.2, 224.0),
    "Llama 2 7B": (8.9, 53.4, 23.1, 103.2),
    "Chinchilla 1B": (11.3, 62.2, 24.9, 108.8),
    "Chinchilla 7B": (10.2, 54.7, 23.6, 101.6),
    "Chinchilla 70B": (8.3, 48.0, 21.0, 100.8),
}


def _place(dataset: str) -> int | None:
    """Return the column of Table 1 that a dataset's name stands for."""
    return next((place for place, name in enumerate(_DATASETS) if dataset.lower().startswith(name)), None)


def table_1_rate(row: Row) -> float | None:
    """Return Table 1's raw rate for a row's codec, chunk size and dataset, or None if it has none."""
    place = _place(row.dataset)
    rates = _TABLE_1.get((row.model.partition("?")[0], row.chunk_size)) if row.length is None else None
    return None if place is None or rates is None else round(rates[place] / 100, 3)


def table_1_models(dataset: str) -> dict[str, float]:
    """Return the raw rates at 2048 bytes of Table 1's models in the column that a dataset's name stands for."""
    place = _place(dataset)
    return {} if place is None else {model: round(rates[place] / 100, 3) for model, rates in TABLE_1_MODELS.items()}
