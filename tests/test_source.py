"""How the source is written: nothing in it has to be known by heart, and the library speaks in its own terms."""

import ast
import re
from collections.abc import Iterator
from keyword import kwlist
from pathlib import Path

import pytest

import gencomp
from gencomp.cli.console import FLAGS, in_flags
from tests.trees import nodes_of

PACKAGE = Path(gencomp.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
BITS = (ast.LShift, ast.RShift, ast.BitAnd, ast.BitOr, ast.BitXor)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.fixture(scope="module")
def trees() -> dict[Path, list[ast.AST]]:
    """Return the nodes of each module's tree."""
    return {path: nodes_of(path.read_text(encoding="utf-8")) for path in SOURCES}


def riddles(source: str) -> Iterator[str]:
    """Yield what stands beside an operator of another kind without parentheses, where one of the two is of bits."""
    text = source.encode()
    starts = [0]
    for line in text.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)

    def in_parentheses(part: ast.expr) -> bool:
        assert part.end_lineno is not None
        assert part.end_col_offset is not None
        before = text[max(0, (at := starts[part.lineno - 1] + part.col_offset) - 200) : at].rstrip()
        after = text[starts[part.end_lineno - 1] + part.end_col_offset :].lstrip()
        called = re.search(r"(\w+|[\])])\s*\($", before.decode(errors="replace"))
        is_call = called is not None and called[1] not in kwlist
        return before.endswith(b"(") and after.startswith(b")") and not is_call

    for node in nodes_of(source):
        parts: list[ast.expr] = []
        if isinstance(node, ast.BinOp):
            inner = [part for part in (node.left, node.right) if isinstance(part, ast.BinOp)]
            inner = [part for part in inner if type(part.op) is not type(node.op)]
            parts = [part for part in inner if isinstance(node.op, BITS) or isinstance(part.op, BITS)]
        for part in parts:
            if not in_parentheses(part):
                yield ast.unparse(node)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a << b + c", 1),
        ("a << (b + c)", 0),
        ("a & b - 1", 1),
        ("f(a >> 3) & 7", 0),
        ("f(a) >> 3 & 7", 1),
        ("a | b | c", 0),
    ],
)
def test_every_riddle_is_seen(source: str, found: int) -> None:
    assert len(list(riddles(source))) == found


def test_operators_of_bits_stand_in_parentheses_beside_others() -> None:
    found = {f"{name_of(path)}: {riddle}" for path in SOURCES for riddle in riddles(path.read_text(encoding="utf-8"))}
    assert not found


LONG = 60  # lines


def test_a_long_kernel_says_why_it_is_one(trees: dict[Path, list[ast.AST]]) -> None:
    long = []
    for path, nodes in trees.items():
        lines = path.read_text(encoding="utf-8").split("\n")
        for node in nodes:
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                decorators = {part.id for part in node.decorator_list if isinstance(part, ast.Name)}
                body = lines[node.lineno - 1 : node.end_lineno]
                if decorators & {"kernel", "lean_kernel", "fragment", "step", "part"} and len(body) > LONG:
                    long.append((name_of(path), node.name, any("# In one piece: " in line for line in body)))
    assert long
    assert all(why for *_, why in long), [where for *where, why in long if not why]


# these are command lines of their own, or write one
HAVE_OPTIONS = re.compile(r"cli/|__main__\.py|harness\.py|compiled/build\.py|report/figures\.py")
FLAG = re.compile(r"(?<![\w\[])--?[a-z][a-z-]*\b(?!\.)")


def texts_of_errors(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the texts in what is raised, warned of or returned as an error."""
    for node in nodes:
        called = node.exc if isinstance(node, ast.Raise) else node if isinstance(node, ast.Call) else None
        name = ast.unparse(called.func) if isinstance(called, ast.Call) else ""
        if isinstance(node, ast.Raise) or name.endswith(("Error", "Warning", "warn_once", "warn")):
            for part in ast.walk(called or node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def test_messages_of_the_library_name_no_flags(trees: dict[Path, list[ast.AST]]) -> None:
    seen, found = 0, set()
    for path, nodes in trees.items():
        if not HAVE_OPTIONS.search(name_of(path)):
            for text in texts_of_errors(nodes):
                seen += 1
                found |= {f"{name_of(path)}: {text}" for flag in FLAG.finditer(text) if " " + flag[0] in " " + text}
    assert seen > 500
    assert not found


def test_the_command_line_puts_its_flags_in_their_place() -> None:
    reference = (PACKAGE.parent / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, flag in FLAGS.items():
        assert re.search(rf"(?m)^ +{flag}\b|, {flag}\b|{flag} ", reference), name
        assert in_flags(f"allow it with {name}=7") == f"allow it with {flag} 7"
        assert in_flags(f"named by {name}=") == f"named by {flag}"
        assert in_flags(f"it is {name}=True.") == f"it is {flag}."
    assert in_flags("use 'hf?model=7' or my_model=7") == "use 'hf?model=7' or my_model=7"


def of_newer_llvmlite(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the calls with arguments that only newer llvmlite has, whose pointers do not say what they point at."""
    for node in nodes:
        if isinstance(node, ast.Call) and {"typ", "source_etype"} & {keyword.arg for keyword in node.keywords}:
            yield ast.unparse(node)


def test_arguments_of_newer_llvmlite_are_found() -> None:
    assert list(of_newer_llvmlite([*ast.walk(ast.parse("b.load(p, typ=t); b.load(p)"))])) == ["b.load(p, typ=t)"]


def test_one_module_knows_which_llvmlite_there_is(trees: dict[Path, list[ast.AST]]) -> None:
    """Pointers of llvmlite 0.42 say what they point at, those of newer ones do not, and loads are called otherwise."""
    # the build has a bound of its own, at whose releases no pointer says it
    knowing = {name_of(path): calls for path, nodes in trees.items() if (calls := list(of_newer_llvmlite(nodes)))}
    assert knowing.keys() <= {"compiled/llvm.py", "compiled/build.py"}, knowing


def test_collecting_tests_imports_neither_torch_nor_transformers() -> None:
    """Each process that runs tests would take five seconds more: tests/heavy.py has what stands for them."""
    heavy = {"torch", "transformers", "safetensors.torch", "gencomp.hf"}
    for path in Path(__file__).parent.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not heavy & {part for name in names for part in (name, name.partition(".")[0])}, path
