"""The environment an archive was made in and the one here: what differs, and what would help."""

import re
from collections.abc import Iterator, Mapping

# packages whose names are those of environment entries with their versions
_PACKAGES = ("brotli", "pillow", "pyppmd", "soundfile", "tokenizers", "torch", "transformers")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.!]{0,15}")  # a version's public part: the rest says how it was built
# limits on what is shown, which an archive may have made up: characters of a name or value, and of a list of them, and
# levels of nesting
_LONGEST, _LONGEST_LIST, _DEEPEST = 60, 170, 8

TRY_ANYWAY = "try_anyway=True"


def _flat(environment: object, before: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    for name, value in sorted(environment.items()) if isinstance(environment, Mapping) and depth < _DEEPEST else ():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{_short(before + str(name))} ", depth + 1)
        else:
            yield _short(before + str(name)), str(value)


def _short(text: str) -> str:
    """Return the start of ``text``, without characters that cannot be printed on one line."""
    start = "".join(char if char.isprintable() else "?" for char in text[:_LONGEST])
    return start if len(text) <= _LONGEST else start + "..."


def _listed(items: list[str]) -> str:
    """Return a list of the first items that fits a message, and how many more there are."""
    length = 0
    for count, item in enumerate(items):
        length += len(item) + 2
        if length > _LONGEST_LIST and count:
            return f"{', '.join(items[:count])} and {len(items) - count:,} more"
    return ", ".join(items)


def difference(there: object, here: object) -> str:
    """Return in words how the environment of an archive, ``there``, differs from the one ``here``."""
    made, found = dict(_flat(there)), dict(_flat(here))
    if not made:
        return "made with an unnamed environment"
    other = [name for name in made if made[name] != found.get(name)]
    unknown = [name for name in found if name not in made]
    words = []
    if other:
        words.append("made with " + _listed([f"{name} {_short(made[name])}" for name in other]))
        words.append("found " + _listed([f"{name} {_short(found.get(name, 'none'))}" for name in other]))
    else:
        words.append(
            "made with what is found here, as far as the archive says: "
            + _listed([f"{name} {_short(value)}" for name, value in made.items()])
        )
    if unknown:
        words.append(f"it does not say its {_listed(unknown)}")
    return ", ".join(words)


def install_line(there: object, here: object) -> str | None:
    """Return the pip command that installs the versions an archive was made with; None if none would help."""
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
    """Return what to do about an archive that was made elsewhere."""
    line = install_line(there, here)
    first = f"run: {line}" if line else "decode it where it was made"
    return f"{first}; or let {TRY_ANYWAY} decode, with the check of every block as the judge"
