"""The tree of authors: distances between pieces of books, verse, reference works and programs, as a picture.

    python benchmarks/authors.py [--model counts] [--form ncd] [--bytes 24000] [-o FOLDER]

The pieces come from one to three places in each author's text in ``$GENCOMP_DATA``, with line ends made alike. FOLDER
gets what ``gencomp distance -o`` writes: report.html, distances.png, CSV and JSON. It prints the pieces whose nearest
neighbour is by somebody else.
"""

import argparse
import lzma
import os
import time
from pathlib import Path

from gencomp.cli.distance import write
from gencomp.measure.distance import FORMS, distances
from gencomp.measure.kept import Kept
from gencomp.modalities.documents import Document

# author -> (file, first bytes of the pieces)
PIECES = {
    "Dickens": ("silesia/dickens.xz", (500_000, 3_000_000, 7_000_000)),
    "Bible": ("text/bible.txt.xz", (200_000, 1_500_000, 3_500_000)),
    "Shakespeare": ("text/tinyshakespeare.txt", (100_000, 900_000)),
    "AsYouLikeIt": ("canterbury/asyoulik.txt", (20_000, 80_000)),
    "Milton": ("canterbury/plrabn12.txt", (50_000, 300_000)),
    "Carroll": ("canterbury/alice29.txt", (10_000, 90_000)),
    "Hardy": ("calgary/book1", (100_000, 500_000)),
    "FactBook": ("text/world192.txt.xz", (300_000, 1_500_000)),
    "Wikipedia": ("text/wikipedia-en-2015-100m.xz", (5_000_000, 40_000_000)),
    "C": ("calgary/progc", (2000,)),
    "Pascal": ("calgary/progp", (2000,)),
    "Lisp": ("calgary/progl", (2000, 40_000)),
}


def pieces(root: Path, size: int) -> list[Document]:
    found = []
    for author, (name, starts) in PIECES.items():
        opener = lzma.open if name.endswith(".xz") else open
        with opener(root / name, "rb") as file:
            text = bytes(file.read())
        for number, start in enumerate(starts, 1):
            found.append(Document(f"{author}-{number}", text[start : start + size].replace(b"\r\n", b"\n")))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", default=["counts"])
    parser.add_argument("--form", choices=FORMS, default="ncd")
    parser.add_argument("--bytes", type=int, default=24_000)
    parser.add_argument("-o", "--output", type=Path, default=Path("authors"))
    arguments = parser.parse_args()
    root = Path(os.environ.get("GENCOMP_DATA", ""))
    if not (root / "silesia/dickens.xz").is_file():
        raise SystemExit("set GENCOMP_DATA to a folder of public data that has silesia/dickens.xz and the others")
    arguments.output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    found = distances(
        arguments.model,
        pieces(root, arguments.bytes),
        arguments.form,
        kept=Kept(arguments.output / "journal.jsonl"),
    )
    for line in found.warnings:
        print(f"note: {line}")
    write(found, arguments.output, quiet=False)
    both = (found.matrix + found.matrix.T) / 2
    for place, name in enumerate(found.names):
        order = [other for other in both[place].argsort().tolist() if other != place]
        nearest, author = found.names[order[0]], name.partition("-")[0]
        alone = sum(other.startswith(author + "-") for other in found.names) == 1
        if not alone and nearest.partition("-")[0] != author:
            print(f"{name} is nearest to {nearest} ({both[place, order[0]]:.3f})")
    print(f"{len(found.names)} pieces, {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
