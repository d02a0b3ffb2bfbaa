"""Fetch packages by name and version with the registries' ordinary clients, and read the files inside.

`pip download` and `apt-get download` do not need root. Nothing is installed; the archives are read in memory.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BIGGEST_MEMBER = 8_000_000
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip", ".whl", ".jar", ".tar.zst")


class FetchError(Exception):
    """A package could not be fetched, or is not the one that was pinned."""


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Request:
    """An archive to fetch: a package ("debian:NAME" or "pypi:NAME"), its form (deb, wheel or sdist) and version.

    An empty version means the newest that the client knows.
    """

    package: str
    form: str
    version: str

    @property
    def name(self) -> str:
        """The package's name at its registry."""
        return self.package.split(":", 1)[1]

    def key(self) -> str:
        """Return the archive's key in the lock."""
        return " ".join(part for part in (self.package, self.form, self.version) if part)

    def folder(self, cache: Path) -> Path:
        """Return the folder of `cache` for archives of this package and form."""
        return cache / re.sub(r"[^\w.+-]", "_", f"{self.package}-{self.form}")

    def lies_in(self, cache: Path) -> Path | None:
        """Return the archive's path if it is in the cache; without a version, any version will do."""
        folder = self.folder(cache)
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        return next((path for path in files if self.version in ("", file_name_and_version(path)[1])), None)


def file_name_and_version(path: Path) -> tuple[str, str]:
    """Return the package's normalised name and its version, from an archive's file name."""
    name = path.name
    if name.endswith(".deb"):
        package, version, _ = name.split("_")
        return package, version.replace("%3a", ":")
    if name.endswith(".whl"):
        package, version = name.split("-")[:2]
    else:
        package, _, version = re.sub(r"\.(tar\.\w+|tgz|zip)$", "", name).rpartition("-")
    return re.sub(r"[-_.]+", "-", package).lower(), version


def fetch_all(requests: list[Request], cache: Path) -> list[str]:
    """Fetch what is not in `cache` yet; return what went wrong, one line for each archive.

    A client is asked for packages of one form together, then for each that this did not fetch on its own.
    """
    cache.mkdir(parents=True, exist_ok=True)
    faults = []
    for forms in (("deb",), ("wheel",), ("sdist",)):
        missing = [request for request in requests if request.form in forms and not request.lies_in(cache)]
        # pip refuses two versions of one package in one call
        rounds: list[list[Request]] = []
        for request in missing:
            for group in rounds:
                if all(other.name != request.name for other in group):
                    group.append(request)
                    break
            else:
                rounds.append([request])
        for group in rounds:
            if forms != ("sdist",):
                _fetch_group(group, cache)
            for request in group:
                if not request.lies_in(cache):
                    message = _fetch_group([request], cache)
                    if not request.lies_in(cache):
                        faults.append(f"{request.key()}: {message or 'nothing came'}")
    return faults


def _fetch_group(group: list[Request], cache: Path) -> str:
    """Ask one client for a group of archives of one form; return its last error line if it failed."""
    with tempfile.TemporaryDirectory(dir=cache) as name:
        folder = Path(name)
        if group[0].form == "deb":
            wanted = [f"{one.name}={one.version}" if one.version else one.name for one in group]
            message = _run(["apt-get", "-q", "download", *wanted], folder)
        else:
            wanted = [f"{one.name}=={one.version}" if one.version else one.name for one in group]
            kind = ["--only-binary" if group[0].form == "wheel" else "--no-binary", ":all:"]
            if group[0].form == "sdist":
                # pip runs a source archive's build tools for its metadata; those may come as wheels
                kind = [word for one in group for word in ("--no-binary", one.name)]
            pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "-d", "."]
            message = _run([*pip, *kind, *wanted], folder)
        came = {}
        for path in folder.iterdir():
            package, _ = file_name_and_version(path)
            came[package] = path
        for one in group:
            path = came.get(one.name if one.form == "deb" else re.sub(r"[-_.]+", "-", one.name).lower())
            if path:
                one.folder(cache).mkdir(parents=True, exist_ok=True)
                path.rename(one.folder(cache) / path.name)
        return message


def _run(command: list[str], folder: Path) -> str:
    """Run a client in `folder`; return its last error line, or "" if it succeeded."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if not done.returncode:
        return ""
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return next(
        (line for line in reversed(lines) if line.startswith(("E:", "ERROR"))), lines[-1] if lines else "no message"
    )


def _deb_payload(raw: bytes) -> tuple[str, bytes]:
    """Return the name and bytes of data.tar.* inside a .deb, an `ar` archive of 60-byte headers."""
    if raw[:8] != b"!<arch>\n":
        raise FetchError("not a Debian package: no ar magic")
    at = 8
    while at + 60 <= len(raw):
        name = raw[at : at + 16].decode("ascii").strip().rstrip("/")
        size = int(raw[at + 48 : at + 58])
        if name.startswith("data.tar"):
            return name, raw[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    raise FetchError("not a Debian package: no data.tar")


def _unpack(name: str, raw: bytes) -> bytes:
    if name.endswith((".gz", ".tgz", ".dz")):
        return gzip.decompress(raw)
    if name.endswith(".bz2"):
        return bz2.decompress(raw)
    if name.endswith(".xz"):
        return lzma.decompress(raw)
    if name.endswith(".zst"):
        done = subprocess.run(["zstd", "-dcq"], input=raw, capture_output=True, check=False)
        if done.returncode:
            raise FetchError(f"{name}: zstd failed")
        return done.stdout
    return raw


def members(name: str, raw: bytes, wanted, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of the files in an archive for which `wanted(path)` holds; archives inside it are opened too.

    A member that is itself compressed (`.gz`, as in Debian's documentation) is yielded unpacked, without the suffix.
    """
    if name.endswith(".deb"):
        name, raw = _deb_payload(raw)
    if name.endswith((".zip", ".whl", ".jar")):
        with zipfile.ZipFile(io.BytesIO(raw)) as opened:
            for info in sorted(opened.infolist(), key=lambda info: info.filename):
                if not info.is_dir():
                    yield from _member(
                        info.filename, info.file_size, lambda info=info: opened.read(info), wanted, depth
                    )
    else:
        with tarfile.open(fileobj=io.BytesIO(_unpack(name, raw))) as opened:
            for item in sorted((item for item in opened if item.isfile()), key=lambda item: item.name):
                yield from _member(
                    item.name.removeprefix("./"),
                    item.size,
                    lambda item=item: opened.extractfile(item).read(),
                    wanted,
                    depth,
                )


def _member(path: str, size: int, read, wanted, depth: int) -> Iterator[tuple[str, bytes]]:
    if path.endswith(ARCHIVES) and depth == 0 and wanted(path + "!"):
        yield from ((f"{path}!{inner}", data) for inner, data in members(path, read(), wanted, depth + 1))
        return
    plain = path.removesuffix(".gz").removesuffix(".dz").removesuffix(".bz2").removesuffix(".xz")
    if wanted(plain) and size <= BIGGEST_MEMBER:
        try:
            yield plain, read() if plain == path else _unpack(path, read())
        except (OSError, EOFError, lzma.LZMAError) as error:
            print(f"  {path}: unreadable ({error})", file=sys.stderr)
