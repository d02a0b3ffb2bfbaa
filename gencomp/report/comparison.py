"""From a comparison's rows to what its page shows: findings, sections, and the coder's steps."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

import numpy as np

from gencomp.comparison import judges_media
from gencomp.comparison.compare import FORMAT, FORMAT_VERSION, SHUFFLED, TRUTH
from gencomp.equivalence.explain import explain_paper, step_records
from gencomp.errors import DatasetError
from gencomp.labels import byte_label
from gencomp.markup import byte_text, characters, heat_step
from gencomp.modalities.audio import RATE, to_wav
from gencomp.modalities.image import to_png
from gencomp.report import figures
from gencomp.report.artefacts import given_of, parts_of, whole_of
from gencomp.report.made import MADE_SHAPE, made_of
from gencomp.report.page import embedded, render
from gencomp.report.shapes import Maybe, check_shape
from gencomp.sampling.copies import Copied, find_copies

Record = dict[str, Any]
ENDS = (TRUTH, SHUFFLED)
COPYING = 0.3  # share of copied bytes from which a continuation is called cheap because copied
NEARLY_EVEN = 4.0  # bits of entropy from which drawing byte by byte is said to be near noise
TAIL = 240  # bytes of a prompt that are shown before its continuations
# (key, heading, digits, modalities; all if empty)
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
    "made": Maybe(MADE_SHAPE),
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
        "title": f"Side by side: {_listed([prompt['name'] for prompt in document['prompts']])}",
        "made": made_of(document.get("made")),
        "version": document["version"],
        "models": models,
        "sections": sections,
        "findings": [finding for section in sections for finding in section["findings"]],
        "walks": embedded(_walks(document)),
        "paper": embedded(_paper_walk()),
    }


def _name(row: Record) -> str:
    """Return the name of a row's contender, or of an end of the scale."""
    if row["model"] in ENDS:
        return {TRUTH: "the truth", SHUFFLED: "the truth, shuffled"}[row["model"]]
    if row["strategy"] == "bytes":
        return str(row["model"])
    return f"{row['model']}, {row['strategy']}"


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
            "caption": f"What {prompt['judge']} charges for each continuation; the bar is the mean. "
            "Well below the truth is as suspect as well above it, since repeating and copying are cheap.",
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
            "caption": "How sure each model is of its own continuation, and how wrong about the real one. "
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
                "caption": "What the judge has charged so far, averaged over seeds.",
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
        "items": [_item(prompt, row) for row in sorted(rows, key=_place)],
        "tail": _spans(given_of(prompt)[-1][-TAIL:], None) if prompt["modality"] == "text" else [],
        "findings": _findings(prompt, generated, ends),
    }


def _place(row: Record) -> tuple[bool, int]:
    """Return the sort key of continuations: the ends first, then seed by seed, so that models stand side by side."""
    return (row["model"] not in ENDS, row["seed"] or 0)


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


_UNITS = {"text": "letters", "image": "pixels", "audio": "samples"}


def _findings(prompt: Record, generated: dict[str, list[Record]], ends: dict[str, float]) -> list[str]:
    """Return sentences with the section's main figures and what they mean."""
    means = {name: mean(row["bits_per_byte"] for row in rows) for name, rows in generated.items()}
    truth, noise = (ends[name] for name in ends)
    judge = prompt["judge"]
    own = [name for name, rows in generated.items() if _is_judge(prompt, rows[0])]
    sentences = [
        f"{prompt['name']}: {judge} is the judge. It charges {truth:.2f} bits/byte for the truth and {noise:.2f} for "
        f"the same bytes shuffled, which is noise with the right {_UNITS[prompt['modality']]}."
    ]
    if own:
        sentences[0] += f" {_listed(own)} takes part itself; a judge favours its own choices, so do not rank it."
    others = {name: value for name, value in means.items() if name not in own}
    noisy = {name: value for name, value in others.items() if value >= noise}
    better = {name: value for name, value in others.items() if value < noise}
    if better:
        closest = min(better, key=lambda name: abs(better[name] - truth))
        words = f"{closest} comes closest to the truth, with {better[closest]:.2f} bits/byte"
        copied = mean(row["copy_rate"] for row in generated[closest])
        sentences.append(f"{words}; {100 * copied:.0f} % of its bytes are copied from the prompt.")
    if noisy:
        names = _listed([f"{name} ({value:.2f})" for name, value in noisy.items()])
        share = "" if better else "Nothing here is better than noise to the judge: "
        sentences.append(f"{share}{names}: no better than the shuffled truth.")
        sentences += _why_noise(generated, list(noisy))
    copying = [
        f"{name} ({100 * rate:.0f} %)"
        for name, rows in generated.items()
        if (rate := mean(row["copy_rate"] for row in rows)) >= COPYING
    ]
    if copying and prompt["modality"] == "text":
        sentences.append(
            f"Cheap because copied: {_listed(copying)} of the bytes are from the prompt; they are underlined below."
        )
    for name, rows in generated.items():
        model, strategy = rows[0]["model"], rows[0]["strategy"]
        if strategy.partition("?")[0] == "bytes":
            continue
        plain = next((some for some in generated.values() if _draws_bytes(some[0]) and some[0]["model"] == model), None)
        if plain is not None:
            sentences.append(_against_one_byte(prompt, name, rows, plain))
    return sentences


def _draws_bytes(row: Record) -> bool:
    return bool(row["strategy"].partition("?")[0] == "bytes")


def _is_judge(prompt: Record, row: Record) -> bool:
    """Return whether the judge and the model that generated ``row`` are the same, options aside."""
    judge, model = (spec.partition("?")[0].partition(":")[0] for spec in (prompt["judge"], row["model"]))
    return bool(judge == model)


def _why_noise(generated: dict[str, list[Record]], noisy: Sequence[str]) -> list[str]:
    """Return why codecs that are sampled byte by byte give noise, with their own figures."""
    drawn = [
        f"{name} {mean(row['entropy'] for row in generated[name]):.1f}"
        for name in noisy
        if _draws_bytes(generated[name][0]) and mean(row["entropy"] for row in generated[name]) > NEARLY_EVEN
    ]
    if not drawn:
        return []
    return [
        "Why: one more byte changes a code's length by a few bits at most, and by the same for many bytes, so "
        "the distribution to draw from is nearly even. Its entropy, of 8 bits at most: "
        f"{', '.join(drawn)}. "
        "What a codec knows shows over several bytes, with lookahead, beam or particles."
    ]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _against_one_byte(prompt: Record, name: str, rows: Sequence[Record], plain: Sequence[Record]) -> str:
    """Return how a strategy's best continuation compares with the best one drawn byte by byte."""
    model = rows[0]["model"]
    words = []
    for key, judge in (("own_bits_per_byte", f"{model}'s own code"), ("bits_per_byte", prompt["judge"])):
        best, rival = (min(row[key] for row in some) for some in (rows, plain))
        gain = rival - best
        verb = "shorter" if gain > 0 else "longer" if gain < 0 else "the same"
        words.append(f"{best:.2f} against {rival:.2f} bits/byte in {judge} ({abs(gain):.2f} {verb})")
    return (
        f"{prompt['name']}: the best of {len(rows)} continuations by {name}, against the best of {len(plain)} "
        f"drawn byte by byte: {'; '.join(words)}."
    )


def _item(prompt: Record, row: Record) -> Record:
    """Return one continuation to look at or listen to."""
    item = {
        "name": _name(row),
        "end": row["model"] in ENDS,
        "judge": _is_judge(prompt, row),
        "seed": row["seed"],
        "bits_per_byte": row["bits_per_byte"],
        "row": dict.fromkeys(key for key, *_ in COLUMNS) | row,
    }
    data = whole_of(prompt, row)
    if prompt["modality"] == "text":
        drawn = b"".join(parts_of(row))
        copies = find_copies(b"".join(given_of(prompt)), drawn) if row["model"] not in ENDS else []
        item["spans"] = _spans(drawn, row["costs"], copies)
        item["copied"] = row["copy_rate"] if copies else None
    elif prompt["modality"] == "image":
        height = len(prompt["given"])
        item["png"] = figures.data_uri("image/png", to_png(data, prompt["width"], height))
        item["width"], item["height"] = prompt["width"], height
        item["given_share"] = 100 * len(given_of(prompt)[0]) / prompt["width"]
    else:
        item["wav"] = figures.data_uri("audio/wav", to_wav(data))
        power = judges_media.power_spectrogram(judges_media.waveform(data), hop=judges_media.HOP // 2)
        decibels = 10 * np.log10(np.maximum(power, judges_media.SILENCE))
        label = f"Spectrogram of {prompt['name']}, {_name(row)}"
        if row["seed"] is not None:
            label += f", seed {row['seed']}"
        given = sum(map(len, given_of(prompt)))
        item["svg"] = figures.spectrogram(label, decibels, RATE, judges_media.HOP // 2, judges_media.FRAME, given)
    return item


def _spans(data: bytes, costs: Sequence[float] | None, copies: Sequence[Copied] = ()) -> list[Record]:
    """Return characters with their cost in bits, its step on the heat scale from 0 to 8, and a copy's source."""
    source = dict[int, int]()
    for copy in copies:
        source |= {place: copy.source + place - copy.start for place in range(copy.start, copy.stop)}
    spans = []
    for start, stop, text in characters(data):
        bits = sum(costs[start:stop]) if costs is not None else 0.0
        look = byte_text(data[start:stop]) if text in ("", "\t") else "↵" if text == "\n" else text
        span = {"text": look, "bits": bits, "heat": heat_step(bits), "line": text == "\n"}
        spans.append(span | {"source": source.get(start)})
    return spans


def _walks(document: Record) -> list[Record]:
    if not document["walk"]:
        return []
    prompt = next(prompt for prompt in document["prompts"] if prompt["modality"] == "text")
    return [
        {
            "title": f"{prompt['name']}, as it really continues",
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


def page(document: Record) -> str:
    """Return the page of a comparison, from what :func:`gencomp.comparison.compare.compare` returned.

    Raises :class:`~gencomp.errors.DatasetError` if that has another shape.
    """
    return render("comparison.html.j2", **view(document))
