"""Imports point one way, and compressors and predictors do not know each other."""

import ast
from pathlib import Path

import pytest

import gencomp

PACKAGE = Path(gencomp.__file__).parent

# lower layers first; a module may import from its own layer and from those before it
LAYERS = [
    {"units", "errors", "extras", "arguments", "cores", "labels", "compiled", "vectors", "files", "places", "data"}
    | {"markup"}
    | {"progress", "specs", "budget", "protocols", "phrases"},
    {"registry"},
    {"coding", "bitstreams", "inference", "modalities"},
    {"equivalence"},
    {"predictors", "compressors"},
    {"archive", "sampling", "training"},
    {"evaluation", "hf", "harness"},
    {"measure"},
    {"report", "sklearn"},
    {"play"},
    {"cli", "__main__"},
]
STRANGERS = {
    ("predictors", "compressors"),
    ("compressors", "predictors"),
    ("archive", "sampling"),
    ("sampling", "archive"),
}


def imported(source: str) -> tuple[set[str], set[str]]:
    """Return what Python text imports of gencomp, anywhere in it: the parts, and the names of the façade.

    A name of the façade is an import of the part where it is at home; the whole package is the name ``*``.
    """
    parts, facade = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package, _, rest = alias.name.partition(".")
                if package == "gencomp" and rest:
                    parts.add(rest.split(".")[0])
                if package == "gencomp" and (not rest or alias.asname is None):
                    facade.add("*")  # ``import gencomp.files`` binds the package
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            package, _, rest = (node.module or "").partition(".")
            if package != "gencomp":
                continue
            if rest:
                parts.add(rest.split(".")[0])
                continue
            for alias in node.names:
                if alias.name in gencomp._HOMES or alias.name == "*":
                    facade.add(alias.name)
                    homes = gencomp._HOMES.values() if alias.name == "*" else [gencomp._HOMES[alias.name]]
                    parts |= {home.split(".")[1] for home in homes}
                elif alias.name != "__version__":
                    parts.add(alias.name)
    return parts, facade


@pytest.mark.parametrize(
    ("source", "parts", "facade"),
    [
        ("from gencomp.archive.reader import read_archive", {"archive"}, set()),
        ("from gencomp import registry, cores", {"registry", "cores"}, set()),
        ("from gencomp import sample", {"sampling"}, {"sample"}),
        ("from gencomp import compress as pack, __version__", {"archive"}, {"compress"}),
        ("def f():\n    from gencomp import score", {"evaluation"}, {"score"}),
        (
            "from gencomp import *",
            {"archive", "sampling", "evaluation", "equivalence", "errors", "registry", "phrases"},
            {"*"},
        ),
        ("import gencomp", set(), {"*"}),
        ("import os, gencomp as g", set(), {"*"}),
        ("if True: import gencomp", set(), {"*"}),
        ("import gencomp.files", {"files"}, {"*"}),
        ("import gencomp.files as files", {"files"}, set()),
        ("import gencompressor; from gencompressor import x", set(), set()),
    ],
)
def test_every_way_to_import_is_seen(source: str, parts: set[str], facade: set[str]) -> None:
    assert imported(source) == (parts, facade)


def test_imports_point_one_way() -> None:
    level = {part: number for number, parts in enumerate(LAYERS) for part in parts}
    seen = 0
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue  # the façade: every name in it is loaded on demand
        for other in imported(path.read_text(encoding="utf-8"))[0]:
            seen += 1
            assert level[other] <= level[part], f"{path} imports {other}, a higher layer"
            assert (part, other) not in STRANGERS, f"{path} imports {other}"
    assert seen > 100


def test_only_the_command_line_uses_the_facade() -> None:
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0]
        if part not in ("cli", "__init__.py"):
            assert not imported(path.read_text(encoding="utf-8"))[1], f"{path} imports the façade"
