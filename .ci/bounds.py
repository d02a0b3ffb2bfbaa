"""Print pins of the lowest releases that pyproject.toml allows, one per line, for pip's -c; arguments are left out."""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
BOUND = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*>=\s*([0-9][0-9A-Za-z.]*)")


def main(left_out: set[str]) -> None:
    """Print the pins of all packages except those left out."""
    requirements = [
        *PROJECT["dependencies"],
        *(one for extra in PROJECT["optional-dependencies"].values() for one in extra),
    ]
    bounds = (BOUND.match(requirement) for requirement in requirements)
    print("\n".join(sorted({f"{bound[1]}=={bound[2]}" for bound in bounds if bound and bound[1] not in left_out})))


if __name__ == "__main__":
    main(set(sys.argv[1:]))
