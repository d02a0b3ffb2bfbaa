"""Where an archive was made and where it is read: what differs, and what would help."""

import re
from collections.abc import Iterator, Mapping

# environment entries that are the versions of packages, by the package's name
_PACKAGES = ("brotli", "pillow", "pyppmd", "soundfile", "tokenizers", "torch", "transformers")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.!]*")  # a version's public part: the rest says how it was built
# an archive may have made up what it says: characters of a name or value, of all of them, and levels of nesting
_LONGEST, _LONGEST_IN_ALL, _DEEPEST = 60, 2000, 8

TRY_ANYWAY = "--try-anyway"


def _flat(environment: object, before: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    for name, value in sorted(environment.items()) if isinstance(environment, Mapping) and depth < _DEEPEST else ():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name[:_LONGEST]} ", depth + 1)
        else:
            text = str(value)
            yield before + str(name)[:_LONGEST], text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def difference(there: object, here: object) -> str:
    """Return in words how the environment of an archive, ``there``, differs from the one that is found here."""
    made, found = dict(_flat(there)), dict(_flat(here))
    if not made:
        return "made with an unnamed environment"
    other = [name for name in made if made[name] != found.get(name)]
    unknown = [name for name in found if name not in made]
    words = []
    if other:
        words.append("made with " + ", ".join(f"{name} {made[name]}" for name in other))
        words.append("found " + ", ".join(f"{name} {found.get(name, 'none')}" for name in other))
    else:
        words.append(
            "made with what is found here, as far as the archive says: " + ", ".join(map(" ".join, made.items()))
        )
    if unknown:
        words.append(f"it does not say its {', '.join(unknown)}")
    text = ", ".join(words)
    return text if len(text) <= _LONGEST_IN_ALL else text[:_LONGEST_IN_ALL] + "..."


def install_line(there: object, here: object) -> str | None:
    """Return the pip command that brings the versions an archive was made with, None where none would."""
    made, found = dict(_flat(there)), dict(_flat(here))
    wanted = {}
    for name, version in made.items():
        package = name.rpartition(" ")[2]
        public = _VERSION.match(version)
        if package in _PACKAGES and public and version != found.get(name):
            wanted[package] = public.group()
    if not wanted:
        return None
    return "pip install " + " ".join(f"{package}=={version}" for package, version in sorted(wanted.items()))


def advice(there: object, here: object) -> str:
    """Return what to do about archives that were made elsewhere."""
    line = install_line(there, here)
    first = f"run: {line}" if line else "decode it where it was made"
    return f"{first}; or let {TRY_ANYWAY} decode, with the check of every block as the judge"
