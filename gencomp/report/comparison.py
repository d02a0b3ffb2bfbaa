"""A comparison's rows as what its page shows: findings, sections, and the coder's steps."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

import numpy as np

from gencomp.errors import DatasetError
from gencomp.evaluation import judges_media
from gencomp.evaluation.compare import FORMAT, FORMAT_VERSION, SHUFFLED, TRUTH
from gencomp.evaluation.compare_tasks import step_records
from gencomp.evaluation.explain import explain_paper
from gencomp.labels import byte_label
from gencomp.markup import byte_text, characters, heat_step
from gencomp.modalities.audio import RATE, to_wav
from gencomp.modalities.image import to_png
from gencomp.report import figures
from gencomp.report.artefacts import given_of, parts_of, whole_of
from gencomp.report.page import embedded
from gencomp.report.shapes import Maybe, check_shape

Record = dict[str, Any]
ENDS = (TRUTH, SHUFFLED)
TAIL = 240  # bytes of a prompt that stand before its continuations
# key, heading, digits, modalities or none for all
COLUMNS = (
    ("bits_per_byte", "bits/byte under the judge", 3, ()),
    ("own_bits_per_byte", "bits/byte under itself", 3, ()),
    ("self_bits_per_byte", "bits/byte by itself alone", 3, ()),
    ("entropy", "entropy when generating", 3, ()),
    ("log_loss", "log-loss on the truth", 3, ()),
    ("mean_absolute_error", "pixel error", 1, ("image",)),
    ("psnr", "PSNR, dB", 1, ("image",)),
    ("ssim", "SSIM", 3, ("image",)),
    ("log_spectral_distance", "spectral distance, dB", 2, ("audio",)),
    ("distinct_2", "distinct-2", 3, ()),
    ("distinct_4", "distinct-4", 3, ()),
    ("repetition", "repetition", 3, ()),
    ("copy_rate", "copy rate", 3, ()),
    ("longest_copy", "longest copy", 0, ()),
    ("bytes_per_second", "bytes/s", 0, ()),
)


_SHAPE = {
    "version": str,
    "prompts": [
        {"modality": str, "name": str, "given": [str], "joined": bool, "width": int, "notes": [str], "judge": str}
    ],
    "rows": [
        {"prompt": int, "modality": str, "model": str, "strategy": str, "seed": (int, type(None)), "bytes": int}
        | {"parts": [str], "bits_per_byte": float, "costs": Maybe([float]), "entropy": Maybe(float)}
        | {key: Maybe(float) for key, *_ in COLUMNS if key != "bits_per_byte"}
    ],
    "walk": [
        {
            "model": str,
            "code": str,
            "steps": [{"symbol": int, "start": int, "stop": int, "precision": int, "lengths": [float]}],
        }
    ],
}


def view(document: Record) -> Record:
    """Return the values of the page's template. Raises :class:`DatasetError` on another format."""
    if document.get("format") != FORMAT or document.get("format_version") != FORMAT_VERSION:
        raise DatasetError(
            f"expected {FORMAT} {FORMAT_VERSION}, as `gencomp compare` writes it; "
            f"got {document.get('format')} {document.get('format_version')}"
        )
    check_shape(document, _SHAPE, "the comparison")
    try:
        return _view(document)
    except (ArithmeticError, LookupError, StopIteration, TypeError, ValueError) as error:
        raise DatasetError(f"the comparison's prompts and rows do not fit together: {error!r}") from error


def _view(document: Record) -> Record:
    sections = [_section(document, number) for number in range(len(document["prompts"]))]
    models = list(dict.fromkeys(row["model"] for row in document["rows"] if row["model"] not in ENDS))
    return {
        "title": "Side by side",
        "version": document["version"],
        "models": models,
        "sections": sections,
        "findings": [finding for section in sections for finding in section["findings"]],
        "walks": embedded(_walks(document)),
        "paper": embedded(_paper_walk()),
    }


def _name(row: Record) -> str:
    """Return who a row is of."""
    if row["model"] in ENDS:
        return {TRUTH: "the truth", SHUFFLED: "the truth, shuffled"}[row["model"]]
    return row["model"] if row["strategy"] == "bytes" else f"{row['model']}, {row['strategy']}"


def _grouped(rows: Sequence[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = {}
    for row in rows:
        groups.setdefault(_name(row), []).append(row)
    return groups


def _section(document: Record, number: int) -> Record:
    prompt = document["prompts"][number]
    rows = [row for row in document["rows"] if row["prompt"] == number]
    groups = _grouped(rows)
    ends = {_name(row): row["bits_per_byte"] for row in rows if row["model"] in ENDS}
    generated = {name: rows for name, rows in groups.items() if name not in ends}
    label = f"{prompt['modality']} {number + 1}, {prompt['name']}"
    plots = [
        {
            "svg": figures.dots(
                f"Code lengths, {label}",
                f"bits/byte under {prompt['judge']}",
                {name: [row["bits_per_byte"] for row in rows] for name, rows in generated.items()},
                ends,
            ),
            "caption": f"What {prompt['judge']} charges for each continuation; a bar is the mean. "
            "Well below the truth is as suspect as well above: what repeats or copies is cheap.",
        },
        {
            "svg": figures.bars(
                f"Calibration, {label}",
                "bits/byte",
                {
                    name: {
                        "entropy when generating": mean(row["entropy"] for row in rows),
                        "log-loss on the truth": mean(row["log_loss"] for row in rows),
                    }
                    for name, rows in generated.items()
                },
            ),
            "caption": "How sure each model is of its own continuation, and how wrong on the real one. "
            "A calibrated model has two equal bars.",
        },
    ]
    if prompt["modality"] == "text":
        plots.append(
            {
                "svg": figures.curves(
                    f"Bits along the text, {label}",
                    ("generated bytes", f"bits so far under {prompt['judge']}"),
                    {name: _mean_running_cost(rows) for name, rows in groups.items()},
                ),
                "caption": "What the judge has charged so far, the mean over seeds.",
            }
        )
    return {
        "id": f"prompt-{number + 1}",
        "modality": prompt["modality"],
        "title": {"text": "Text", "image": "Image", "audio": "Sound"}[prompt["modality"]] + f": {prompt['name']}",
        "facts": _facts(prompt, rows),
        "notes": prompt["notes"],
        "judge": prompt["judge"],
        "columns": [head for _, head, _, kinds in COLUMNS if not kinds or prompt["modality"] in kinds],
        "table": [_table_row(name, rows, prompt["modality"]) for name, rows in groups.items()],
        "plots": plots,
        "items": [_item(prompt, row) for row in rows],
        "tail": _spans(given_of(prompt)[-1][-TAIL:], None) if prompt["modality"] == "text" else [],
        "findings": _findings(prompt, generated, ends),
    }


def _mean_running_cost(rows: Sequence[Record]) -> list[tuple[float, float]]:
    bits = np.cumsum(np.mean([row["costs"] for row in rows], axis=0))
    return [(number + 1.0, float(value)) for number, value in enumerate(bits)]


def _facts(prompt: Record, rows: Sequence[Record]) -> str:
    given, generated = sum(map(len, given_of(prompt))), rows[0]["bytes"]
    if prompt["modality"] == "image":
        how = "in the context of the rows above" if prompt["joined"] else "each row on its own"
        height = len(prompt["given"])
        return f"{prompt['width']} x {height} pixels in grey; each row's first {given // height} are given, {how}"
    if prompt["modality"] == "audio":
        lengths = [f"{size:,} samples ({1000 * size / RATE:.0f} ms)" for size in (given, generated)]
        return f"16 kHz, 8 bits: {lengths[0]} given, {lengths[1]} generated"
    return f"{given:,} bytes given, {generated:,} generated"


def _table_row(name: str, rows: Sequence[Record], modality: str) -> Record:
    cells = []
    for key, _, digits, kinds in COLUMNS:
        if kinds and modality not in kinds:
            continue
        values = [row[key] for row in rows if row.get(key) is not None]
        cells.append((mean(values) if values else None, digits))
    return {"name": name, "end": rows[0]["model"] in ENDS, "words": [len(rows)], "cells": cells}


def _findings(prompt: Record, generated: dict[str, list[Record]], ends: dict[str, float]) -> list[str]:
    """Return sentences with the figures that the section comes down to."""
    means = {name: mean(row["bits_per_byte"] for row in rows) for name, rows in generated.items()}
    truth, noise = (ends[name] for name in ends)
    closest = min(means, key=lambda name: abs(means[name] - truth))
    sentences = [
        f"{prompt['name']}: {prompt['judge']} charges {truth:.2f} bits/byte for the truth and {noise:.2f} for the same "
        f"bytes shuffled. Closest to the truth comes {closest}, with {means[closest]:.2f}."
    ]
    for name, rows in generated.items():
        model, strategy = rows[0]["model"], rows[0]["strategy"]
        if strategy == "bytes" or model not in generated:
            continue
        sentences.append(_against_one_byte(prompt, name, rows, generated[model]))
    return sentences


def _against_one_byte(prompt: Record, name: str, rows: Sequence[Record], plain: Sequence[Record]) -> str:
    """Return how a strategy's best continuation compares with the best that is drawn byte by byte."""
    model = rows[0]["model"]
    words = []
    for key, judge in (("own_bits_per_byte", f"{model}'s own code"), ("bits_per_byte", prompt["judge"])):
        best, rival = (min(row[key] for row in some) for some in (rows, plain))
        gain = rival - best
        verb = "shorter" if gain > 0 else "longer" if gain < 0 else "the same"
        words.append(f"{best:.2f} against {rival:.2f} bits/byte in {judge} ({abs(gain):.2f} {verb})")
    return (
        f"{prompt['name']}: the best of {len(rows)} continuations by {name}, beside the best of {len(plain)} "
        f"drawn byte by byte: {'; '.join(words)}."
    )


def _item(prompt: Record, row: Record) -> Record:
    """Return one continuation to look at or listen to."""
    item = {
        "name": _name(row),
        "end": row["model"] in ENDS,
        "seed": row["seed"],
        "bits_per_byte": row["bits_per_byte"],
        "row": dict.fromkeys(key for key, *_ in COLUMNS) | row,
    }
    data = whole_of(prompt, row)
    if prompt["modality"] == "text":
        item["spans"] = _spans(b"".join(parts_of(row)), row["costs"])
    elif prompt["modality"] == "image":
        height = len(prompt["given"])
        item["png"] = figures.data_uri("image/png", to_png(data, prompt["width"], height))
        item["width"], item["height"] = prompt["width"], height
        item["given_share"] = 100 * len(given_of(prompt)[0]) / prompt["width"]
    else:
        item["wav"] = figures.data_uri("audio/wav", to_wav(data))
        power = judges_media.power_spectrogram(judges_media.waveform(data), hop=judges_media.HOP // 2)
        decibels = 10 * np.log10(np.maximum(power, judges_media.SILENCE))
        label = f"Spectrogram of {prompt['name']}, {_name(row)}, seed {row['seed']}"
        given = sum(map(len, given_of(prompt)))
        item["svg"] = figures.spectrogram(label, decibels, RATE, judges_media.HOP // 2, judges_media.FRAME, given)
    return item


def _spans(data: bytes, costs: Sequence[float] | None) -> list[Record]:
    """Return characters with their cost in bits and its step of the heat scale, 0 to 8."""
    spans = []
    for start, stop, text in characters(data):
        bits = sum(costs[start:stop]) if costs is not None else 0.0
        look = byte_text(data[start:stop]) if text in ("", "\t") else "↵" if text == "\n" else text
        spans.append({"text": look, "bits": bits, "heat": heat_step(bits), "line": text == "\n"})
    return spans


def _walks(document: Record) -> list[Record]:
    if not document["walk"]:
        return []
    prompt = next(prompt for prompt in document["prompts"] if prompt["modality"] == "text")
    return [
        {
            "title": f"{prompt['name']}, as it really goes on",
            "before": given_of(prompt)[-1][-40:].decode("utf-8", "replace"),
            "labels": [byte_label(symbol) for symbol in range(256)],
            "models": document["walk"],
        }
    ]


def _paper_walk() -> Record:
    explanation = explain_paper()
    return {
        "title": "AIXI, the paper's Figure 1",
        "before": "",
        "labels": list(explanation.labels),
        "models": [{"model": "the paper's", "steps": step_records(explanation), "code": explanation.code}],
    }
