"""Run the notebooks of this folder and save their outputs in them: python examples/notebooks.py [--check] [NAME]...

Jupyter is not needed: a notebook is JSON, and its cells are Python. With --check nothing is written.
"""

import argparse
import ast
import contextlib
import io
import json
import sys
import time
import types
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
_SHOWN = 300  # the most characters of a result shown as plain text


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook with fresh outputs: what each cell prints, and the value of its last expression.

    If a cell raises an exception, a note with the cell's id is added to it.
    """
    module = types.ModuleType("__main__")
    cells = []
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            try:
                outputs = _outputs("".join(cell["source"]), module.__dict__, count)
            except Exception as error:
                error.add_note(f"in cell {cell['id']}")
                raise
            cell = {**cell, "execution_count": count, "outputs": outputs}
        cells.append(cell)
    return {**notebook, "cells": cells}


def _outputs(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append(
            {"name": "stdout", "output_type": "stream", "text": printed.getvalue().splitlines(keepends=True)}
        )
    if value is not None:
        text = repr(value)
        data = {"text/plain": [text if len(text) <= _SHOWN else text[:_SHOWN] + "…"]}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = [value._repr_html_()]
        outputs.append({"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"})
    return outputs


def main() -> None:
    """Run the notebooks that the command line names."""
    parser = argparse.ArgumentParser(description="Run the notebooks of this folder and save their outputs in them.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks to run (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    for path in sorted(FOLDER.glob("*.ipynb")):
        if arguments.names and path.stem not in arguments.names and path.name not in arguments.names:
            continue
        start = time.perf_counter()
        fresh = run(json.loads(path.read_text(encoding="utf-8")))
        print(f"{path.name}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
        if not arguments.check:
            path.write_text(json.dumps(fresh, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
