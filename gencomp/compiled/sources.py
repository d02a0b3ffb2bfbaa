"""What a kernel is made from: the files that its module imports, and a digest of them all."""

import functools
import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]  # where the package ``gencomp`` lies

_IMPORT = re.compile(r"^(?:from|import) (gencomp[\w.]*)(?: import \(?([^)]*?)\)?(?:$|#))?", re.MULTILINE)
_DOOR = "gencomp.compiled"  # kernels take nothing of it but the steps in LLVM's terms
_NAMED = re.compile(r"\"(gencomp[\w.]+_instructions)(?::\w+)?\"")  # a module of instructions named in a string


def file_of(module: str) -> Path | None:
    """Return the file of a module of gencomp, or None if there is no such module."""
    path = ROOT.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


@functools.cache
def digest_of_file(file: Path) -> str:
    """Return a digest of the file as it was when this process first asked."""
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


@functools.cache
def _imported(module: str) -> frozenset[str]:
    """Return the modules that ``module`` names in strings, or in imports that are not indented, and their packages."""
    if module == _DOOR:
        return frozenset({f"{_DOOR}.llvm"})
    file = file_of(module)
    if file is None:
        return frozenset()
    text = file.read_text(encoding="utf-8")
    found = set(_NAMED.findall(text))
    for source, names in _IMPORT.findall(text):
        found.add(source)
        found.update(f"{source}.{name.split()[0]}" for name in names.replace("\n", " ").split(",") if name.strip())
    parents = {".".join(name.split(".")[:depth]) for name in found for depth in range(1, name.count(".") + 1)}
    return frozenset(name for name in found | parents if file_of(name) is not None)


@functools.cache
def files(module: str) -> tuple[Path, ...]:
    """Return the files of gencomp that ``module`` is made from, its own among them, sorted.

    Imports inside functions do not count: a kernel cannot import.
    """
    seen, waiting = {module}, [module]
    while waiting:
        for name in _imported(waiting.pop()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return tuple(sorted(file for name in seen - {_DOOR} if (file := file_of(name)) is not None))


@functools.cache
def digest(module: str) -> str:
    """Return a digest, in hexadecimal, of all files that ``module`` is made from."""
    whole = hashlib.blake2b(digest_size=16)
    for file in files(module):
        whole.update(f"{file.relative_to(ROOT).as_posix()} {digest_of_file(file)}\n".encode())
    return whole.hexdigest()
