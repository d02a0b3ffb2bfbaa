"""Optional packages: looked for where they are needed, and asked for with the pip command that installs them."""

from importlib.util import find_spec

from gencomp.errors import MissingExtraError


def require(extra: str, *packages: str) -> None:
    """Raise :class:`MissingExtraError` unless all ``packages`` of the extra are installed; imports nothing."""
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(f"this needs the package {package}; run: pip install 'gencomp[{extra}]'")
