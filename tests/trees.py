"""Python text as trees, parsed once for all tests that read the package's source."""

import ast
import functools
import gc


@functools.cache
def nodes_of(source: str) -> list[ast.AST]:
    """Return the nodes of the tree of Python text."""
    gc.disable()  # it would go through all trees each time that some have been made
    try:
        return [*ast.walk(ast.parse(source))]
    finally:
        gc.enable()
