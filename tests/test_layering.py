"""Imports point one way, and compressors and predictors do not know each other."""

import ast
from pathlib import Path

import gencomp

PACKAGE = Path(gencomp.__file__).parent

# lower layers first; a module may import from its own layer and from those before it
LAYERS = [
    {"units", "errors", "extras", "arguments", "cores", "labels", "compiled", "vectors", "files", "data", "progress"}
    | {"protocols"},
    {"registry"},
    {"coding", "bitstreams", "modalities"},
    {"predictors", "compressors"},
    {"equivalence", "training"},
    {"archive", "sampling"},
    {"evaluation", "hf", "harness"},
    {"report"},
    {"cli", "__main__"},
]
STRANGERS = {
    ("predictors", "compressors"),
    ("compressors", "predictors"),
    ("archive", "sampling"),
    ("sampling", "archive"),
}


def imports(path: Path) -> set[str]:
    """Return the parts of gencomp that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = (
                [f"gencomp.{alias.name}" for alias in node.names] if node.module == "gencomp" else [node.module or ""]
            )
        found |= {name.split(".")[1] for name in names if name.startswith("gencomp.")}
    return found


def test_imports_point_one_way() -> None:
    level = {part: number for number, parts in enumerate(LAYERS) for part in parts}
    exports = set(gencomp.__all__) | {"__version__"}
    seen = 0
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue  # the façade: every name in it is loaded on demand
        for other in imports(path) - exports:
            seen += 1
            assert level[other] <= level[part], f"{path} imports {other}, a higher layer"
            assert (part, other) not in STRANGERS, f"{path} imports {other}"
    assert seen > 100


def test_only_the_command_line_uses_the_facade() -> None:
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0]
        if part not in ("cli", "__init__.py"):
            assert "import gencomp\n" not in path.read_text().replace(">>> import gencomp\n", "")
