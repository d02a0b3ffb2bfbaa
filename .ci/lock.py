"""Write constraints.txt: all releases in this environment that gencomp[dev] needs, with the date.

Run it with the Python of an environment in which the whole suite has passed: .venv/bin/python .ci/lock.py
"""

import datetime
import platform
import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
_TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PROJECT = [*_TABLE["dependencies"], *(one for extra in _TABLE["optional-dependencies"].values() for one in extra)]
# tools that install packages are not what the tests run with
TOOLS = {"gencomp", "pip"}


def canonical(name: str) -> str:
    """Return the canonical spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> None:
    """Add to ``seen`` everything that an installed distribution needs, with these extras, on this machine."""
    if (canonical(name), extras) in seen:
        return
    seen.add((canonical(name), extras))
    for text in PROJECT if canonical(name) == "gencomp" else metadata.requires(name) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if requirement.name == "gencomp":  # its extras are all among its requirements
            continue
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
            continue
        try:
            metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            raise SystemExit(f"{name} needs {requirement.name}, which is not installed") from None
        needed(requirement.name, frozenset(requirement.extras), seen)


def main() -> None:
    """Write the file."""
    seen: set[tuple[str, frozenset[str]]] = set()
    needed("gencomp", frozenset(), seen)
    names = sorted({name for name, _ in seen} - TOOLS)
    # the public part of a version: torch's +cpu says how it was built, not which release it is
    pins = [f"{name}=={metadata.version(name).partition('+')[0]}" for name in names]
    header = (
        f"# What the tests ran with on {datetime.date.today()}, by Python {platform.python_version()} on "
        f"{platform.system()} {platform.machine()}.\n"
        "# Written by .ci/lock.py. A torch of this version may be a CPU build where the index has one.\n"
    )
    (ROOT / "constraints.txt").write_text(header + "\n".join(pins) + "\n")
    print(f"constraints.txt: {len(pins)} releases")


if __name__ == "__main__":
    main()
