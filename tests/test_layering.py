"""Imports point one way, and compressors and predictors do not know each other."""

import ast
import functools
from pathlib import Path

import pytest

import gencomp
from gencomp import protocols
from tests.trees import nodes_of

PACKAGE = Path(gencomp.__file__).parent

# lower layers first; a module may import from its own layer and from those before it
LAYERS = [
    {"units", "errors", "extras", "arguments", "cores", "labels", "compiled", "files", "places", "data", "packed"}
    | {"contract", "executors", "journal", "markup"}
    | {"progress", "specs", "budget", "protocols", "phrases"},
    {"registry"},
    {"coding", "bitstreams", "inference", "modalities"},
    {"equivalence"},
    {"predictors", "compressors"},
    {"archive", "sampling", "training"},
    {"evaluation", "comparison", "hf", "harness"},
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
    ("evaluation", "comparison"),
    ("comparison", "evaluation"),
}


@functools.cache
def imported(source: str) -> tuple[set[str], set[str]]:
    """Return what Python text imports of gencomp, anywhere in it: the parts, and the names of the façade.

    A name of the façade is an import of the part where it is at home; the whole package is the name ``*``.
    """
    parts, facade = set(), set()
    for node in nodes_of(source):
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
        ("def f():\n    from gencomp import score", {"equivalence"}, {"score"}),
        (
            "from gencomp import *",
            {"archive", "sampling", "equivalence", "errors", "registry", "phrases", "predictors", "protocols"},
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


# what a model may be asked beside the two protocols: one function each, in gencomp.equivalence.capabilities
CAPABILITIES = {
    name
    for name, kind in vars(protocols).items()
    if getattr(kind, "_is_protocol", False) and name not in ("Protocol", "Predictor", "Compressor")
}
# these choose the pass over a text, and try each thing that an object claims
MAY_ASK = {"equivalence/capabilities.py", "equivalence/conditional.py", "equivalence/costs.py", "measure/audit.py"}


def test_callers_do_not_ask_what_an_object_can_do() -> None:
    asking = set()
    for path in PACKAGE.rglob("*.py"):
        for node in nodes_of(path.read_text(encoding="utf-8")):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                kinds = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
                if kinds & CAPABILITIES:
                    asking.add(path.relative_to(PACKAGE).as_posix())
    assert asking == MAY_ASK


def test_modules_do_not_import_one_another_in_a_circle() -> None:
    """Not by any path, what a function imports when it is called included."""
    inside: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(["gencomp", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        inside[name] = set()
        for node in nodes_of(path.read_text(encoding="utf-8")):
            if isinstance(node, ast.Import):
                inside[name] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "gencomp":
                inside[name] |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    inside["gencomp"] = set()  # the façade
    inside["gencomp.cli.main"].discard(
        "gencomp.cli.app"
    )  # the process's beginning, which calls what the commands raise in
    for name in [name for name in inside if name.startswith("gencomp.compiled")]:
        inside[name].discard("gencomp.compiled")  # the door, which what stands behind it asks which way was chosen
    done: set[str] = set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name in done or name not in inside:
            return
        for other in sorted(inside[name]):
            follow(other, (*way, name))
        done.add(name)

    for name in sorted(inside):
        follow(name, ())
    assert len(done) > 200
