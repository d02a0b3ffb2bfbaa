"""gencomp demo: both directions on a real text, in a minute or two."""

import time
from typing import Annotated

import typer

from gencomp.cli.console import note, printable, show, shown_as
from gencomp.cli.options import at_least
from gencomp.registry import DEFAULT_MODEL

PROMPT_BYTES = 8192
SAMPLE_BYTES = 160
# those that compress a book within seconds
MODELS = ("gzip", "bz2", "lzma", "zstd", "brotli", "ppmd", "uniform", "counts", "mix")


def demo(
    seed: Annotated[int, typer.Option(callback=at_least("--seed", 0), help="Seed of the two continuations.")] = 1,
) -> None:
    """Show both directions on a real text: "Alice's Adventures in Wonderland", which comes with the package."""
    import gencomp
    from gencomp import compiled
    from gencomp.data import alice
    from gencomp.errors import MissingExtraError, VerificationError
    from gencomp.sampling.generate import seen_alphabet

    if compiled.way == "numba":
        note("(The first run compiles the models' loops, in a minute or two; later runs find them in a cache.)")
    book = alice()
    prompt = book[:PROMPT_BYTES]
    show(f"Compressors become generators. The book's first {PROMPT_BYTES:,} bytes end with")
    show(f"  {_one_line(prompt[-70:])}")
    for model in ("gzip", DEFAULT_MODEL):
        gencomp.sample(model, length=1)  # not to time the loading and compiling of kernels
        start = time.perf_counter()
        text = gencomp.sample(model, length=SAMPLE_BYTES, prompt=prompt, alphabet=seen_alphabet(prompt), seed=seed)
        seconds = time.perf_counter() - start
        show(f"and {model} continues ({len(text) / seconds:,.0f} bytes/s):")
        show(f"  {_one_line(text)}")

    sentence = "The history of the city begins in the "
    text = gencomp.sample("rnn", length=SAMPLE_BYTES, prompt=sentence.encode(), temperature=0.7, seed=seed)
    show("rnn, a network trained on other texts, continues a sentence:")
    show(f"  {sentence}{_one_line(text)}")

    show()
    show(f"Predictors become compressors. The whole book, {len(book):,} bytes, headers counted:")
    for model in MODELS:
        try:
            size = len(gencomp.as_compressor(model).compress(book))
        except MissingExtraError:
            continue
        bar = "#" * round(size / len(book) * 50)
        show(f"  {model:<8} {size:>9,} bytes  {8 * size / len(book):5.3f} bits/byte  {bar}")

    start = time.perf_counter()
    archive = gencomp.compress(book)
    middle = time.perf_counter()
    if gencomp.decompress(archive) != book:
        raise VerificationError("the round trip of the demo's text failed; please report it")
    end = time.perf_counter()
    show()
    show(
        f"The round trip, as an archive: {len(book):,} -> {len(archive):,} bytes in {middle - start:.2f} s, "
        f"back in {end - middle:.2f} s, identical."
    )


def _one_line(text: bytes) -> str:
    return printable(text).replace("\n", shown_as("⏎", "\\n")).replace("\t", " ")
