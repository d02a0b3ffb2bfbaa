"""Three ways to run a kernel, one result; libraries, caches and sources that are missing, damaged or out of date."""

import concurrent.futures
import importlib.machinery
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gencomp
from gencomp import compiled
from gencomp.compiled import build, library, signatures, sources
from gencomp.errors import GencompWarning
from tests.conftest import ROOT

needs_library = pytest.mark.skipif(compiled.way != "library", reason=f"no library of kernels: {compiled.why}")

# what a short text becomes with predictors and codecs, as one line of hexadecimal digits
WORK = """
import hashlib, sys, gencomp
data = b"one text, another text, one more text; " * 2
whole = hashlib.sha256()
predictors, codecs = (words.split() for words in sys.argv[1:])
for name in predictors:
    whole.update(gencomp.compress(data, name))
for name in codecs:
    whole.update(str([round(65536 * bits) for bits in gencomp.costs(name, data)]).encode())
print(whole.hexdigest())
"""
ALL = "counts:2 lz78 ctw:2 mix:1", "gzip lzma?preset=1 zstd?level=1 brotli?quality=1"
SLOWEST = "mix:9", "zstd?level=19"  # in plain Python
FEW = "uniform", ""  # kernels that numba compiles in two seconds
MORE = "counts:2 lz78", ""
# numba as in a read-only installation, without a home that can be written
NOWHERE = (
    "import numba.core.caching as caching; caching.CacheImpl._locator_classes = []\n"
    "import sys; from gencomp.cli.main import main; sys.argv = ['gencomp', *sys.argv[1:]]; main()\n"
)


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    whole = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **environment}
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, env=whole, check=False)


@pytest.mark.parametrize(
    ("way", "names"),
    [
        pytest.param("library", ALL, marks=needs_library),
        pytest.param("library", SLOWEST, marks=[needs_library, pytest.mark.thorough]),
        pytest.param("numba", FEW, marks=pytest.mark.thorough),
        pytest.param("numba", MORE, marks=pytest.mark.thorough),
    ],
)
def test_each_way_gives_what_plain_python_gives(way: str, names: tuple[str, str]) -> None:
    expected, result = (python(WORK, *names, GENCOMP_KERNELS=each) for each in ("python", way))
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout == expected.stdout
    assert len(result.stdout) == 65


@needs_library
@pytest.mark.thorough
def test_the_library_needs_no_numba() -> None:
    hidden = "import sys; sys.modules['numba'] = sys.modules['llvmlite'] = sys.modules['scipy'] = None\n"
    result = python(hidden + WORK, *ALL, GENCOMP_KERNELS="library")
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.thorough
def test_an_unknown_way_is_refused() -> None:
    result = python("from gencomp.cli.main import main; main()", "list", GENCOMP_KERNELS="fast")
    assert result.returncode == 1
    assert result.stderr == b"gencomp: GENCOMP_KERNELS: expected library, numba, python, found 'fast'\n"


# ---- libraries that cannot be used


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the library that nothing has loaded."""
    for name in ("FILE", "DESCRIPTION"):
        place = getattr(library, name)
        if place.exists():
            shutil.copy(place, tmp_path)
        monkeypatch.setattr(library, name, tmp_path / place.name)
    monkeypatch.setattr(library, "_module", None)
    return tmp_path


def describe(**changed: Any) -> None:
    known = json.loads(library.DESCRIPTION.read_text())
    library.DESCRIPTION.write_text(json.dumps(known | changed))


def flip() -> None:
    data = bytearray(library.FILE.read_bytes())
    data[len(data) // 2] ^= 1
    library.FILE.write_bytes(data)


def something_else() -> None:
    data = b"no library"
    library.FILE.write_bytes(data)
    describe(checksum=zlib.crc32(data))


def of_another_processor() -> None:
    build.link([], build.table_of([], [("pdp-11", "0")]), library.FILE)
    describe(checksum=zlib.crc32(library.FILE.read_bytes()), variants=["pdp-11"])


DAMAGED_TOO = "is damaged: .*_library.json is not what was written"
NOT_WRITTEN: list[dict[str, object]] = [
    {"checksum": None},
    {"checksum": 1.5},
    {"numba": None},
    {"variants": None},
    {"variants": [5]},
    {"modules": []},
    {"modules": {"gencomp.coding.lanes": 5}},
    {"modules": {"gencomp.coding.lanes": [["gencomp/errors.py"]]}},
    {"modules": {"gencomp.coding.lanes": ["gencomp/nowhere.py"]}},
    {"files": []},
    {"files": {}},
    {"files": {"gencomp/errors.py": 5}},
]


@needs_library
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda: (library.FILE.unlink(), library.DESCRIPTION.unlink()), "no library of kernels was built"),
        (lambda: library.FILE.unlink(), "is damaged: .*_library.abi3.so is missing"),
        (lambda: library.DESCRIPTION.unlink(), "is damaged: .*_library.json is missing"),
        (lambda: library.DESCRIPTION.write_text("{"), "cannot be read"),
        (lambda: library.DESCRIPTION.write_text("[" * 100_000), "cannot be read"),
        (lambda: library.DESCRIPTION.write_bytes(b"\xff{}"), "cannot be read"),
        (lambda: library.DESCRIPTION.write_text("[]"), "built by another version"),
        (lambda: describe(format=0), "built by another version"),
        (lambda: library.DESCRIPTION.write_text(json.dumps({"format": library.FORMAT})), DAMAGED_TOO),
        *((lambda changed=changed: describe(**changed), DAMAGED_TOO) for changed in NOT_WRITTEN),
        (flip, "is damaged"),
        (something_else, "cannot be loaded"),
        (of_another_processor, "built for other processors: pdp-11"),
    ],
)
def test_a_library_that_cannot_be_used_is_told(damage: Any, reason: str, elsewhere: Path) -> None:
    damage()
    assert re.search(reason, library.open_library())
    assert "\n" not in library.open_library()


@needs_library
@pytest.mark.skipif(
    not Path("/proc/cpuinfo").exists() or platform.machine() != "x86_64", reason="it is for x86-64 Linux"
)
@pytest.mark.thorough
def test_the_kind_of_processor_is_found_by_any_compiler(elsewhere: Path) -> None:
    """GCC before 12 does not know the levels of x86-64 by name."""
    table = build.table_of([], build.VARIANTS["x86_64"])
    assert "__builtin_cpu" not in table
    build.link([], table, library.FILE)
    describe(checksum=zlib.crc32(library.FILE.read_bytes()), variants=[name for name, _ in build.VARIANTS["x86_64"]])
    assert library.open_library() == ""
    flags = set(re.findall(r"(?m)^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text())[0].split())
    has_v3 = {"avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"} <= flags
    assert library.description()["variant"] == ("x86-64-v3" if has_v3 else "x86-64-v2")


@needs_library
def test_a_python_of_another_abi_loads_no_library(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A free-threaded Python lays out objects differently, and would crash."""
    monkeypatch.setattr(importlib.machinery, "EXTENSION_SUFFIXES", [".cpython-313t-x86_64-linux-gnu.so", ".so"])
    assert "this Python does not have the stable ABI" in library.open_library()


# a command where numba is not installed, or does not work
COMMAND = "import sys; from gencomp.cli.main import main; main()"
WITHOUT_NUMBA = f"import sys; sys.modules['numba'] = None; {COMMAND}"
BROKEN_NUMBA = f"""
import sys

class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "llvmlite":
            raise OSError("Could not load shared object file: libllvmlite.so")

sys.meta_path.insert(0, Broken())
{COMMAND}
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "gencomp", folder / "gencomp", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def installed(copied: Path) -> Iterator[Path]:
    """The same, whatever a test before did to the library and to a kernel's source."""
    kept = [copied / "gencomp" / name for name in ("compiled/_library.abi3.so", "coding/quantize.py")]
    before = [path.read_bytes() for path in kept]
    yield copied
    for path, content in zip(kept, before, strict=True):
        path.unlink(missing_ok=True)
        path.write_bytes(content)


def compressed(package: Path, code: str, **environment: str) -> tuple[bytes, list[str]]:
    """Return an archive that the command line of the copied ``package`` makes, and the lines on stderr."""
    whole = {name: value for name, value in os.environ.items() if name not in ("GENCOMP_KERNELS", "PYTHONWARNINGS")}
    whole |= {"PYTHONPATH": os.pathsep.join([str(package), *sys.path[1:]]), **environment}
    result = subprocess.run(
        [sys.executable, "-P", "-c", code, "compress", "-q", "-m", "uniform"],
        input=b"one text, another text",
        capture_output=True,
        env=whole,
        cwd=package,
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout, result.stderr.decode().splitlines()


def damage_library(package: Path) -> None:
    path = package / "gencomp/compiled/_library.abi3.so"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def change_source(package: Path) -> None:
    with (package / "gencomp/coding/quantize.py").open("a") as file:
        file.write("# a change\n")


@needs_library
@pytest.mark.parametrize(
    ("damage", "code", "said"),
    [
        pytest.param(
            damage_library,
            COMMAND,
            "is damaged: .* is not what was built; kernels are compiled as .*: reinstall gencomp",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            damage_library,
            WITHOUT_NUMBA,
            r"is damaged: .* numba is not installed; .*: reinstall gencomp, or pip install 'gencomp\[jit\]'",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            damage_library,
            BROKEN_NUMBA,
            r"numba cannot be imported: .*libllvmlite.so; kernels run as plain Python, .*: reinstall gencomp",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            change_source,
            COMMAND,
            "kernels whose sources changed .* are compiled as they are used, .*: reinstall gencomp",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            change_source,
            WITHOUT_NUMBA,
            "kernels whose sources changed .* run as plain Python, .*: reinstall gencomp",
            marks=pytest.mark.thorough,
        ),
        (change_source, BROKEN_NUMBA, "kernels whose sources changed .* run as plain Python, .*libllvmlite.so"),
    ],
)
def test_commands_take_the_next_way_and_say_so_once(damage: Any, code: str, said: str, installed: Path) -> None:
    expected, lines = compressed(installed, COMMAND)
    assert lines == []
    damage(installed)
    found, lines = compressed(installed, code)
    assert found == expected
    assert len(lines) == 1
    assert re.match(f"note: .*{said}", lines[0])


@needs_library
@pytest.mark.thorough
def test_nothing_is_compiled_where_numba_may_not(installed: Path) -> None:
    expected, _ = compressed(installed, COMMAND)
    change_source(installed)
    archive, lines = compressed(installed, COMMAND, GENCOMP_KERNELS="library", NUMBA_DISABLE_JIT="1")
    assert archive == expected
    assert len(lines) == 1
    assert re.search(r"run as plain Python, .* \(numba's DISABLE_JIT is set\)", lines[0])


@needs_library
@pytest.mark.thorough
def test_settings_for_numba_mean_nothing_without_it(installed: Path) -> None:
    archive, lines = compressed(installed, WITHOUT_NUMBA, NUMBA_CPU_NAME="generic")
    assert (archive, lines) == compressed(installed, COMMAND)
    assert lines == []


@pytest.mark.parametrize(
    ("environment", "code", "said"),
    [
        ({"GENCOMP_KERNELS": "build"}, COMMAND, "GENCOMP_KERNELS: expected library, numba, python, found 'build'"),
        pytest.param(
            {"GENCOMP_KERNELS": "build:1"},
            COMMAND,
            "GENCOMP_KERNELS: expected library, numba, python, found 'build:1'",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            {"GENCOMP_KERNELS": "numba", "NUMBA_DISABLE_JIT": "1"},
            COMMAND,
            "NUMBA_DISABLE_JIT is set",
            marks=pytest.mark.thorough,
        ),
        ({"GENCOMP_KERNELS": "numba"}, WITHOUT_NUMBA, "GENCOMP_KERNELS=numba: numba is not installed: pip install"),
        pytest.param(
            {"GENCOMP_KERNELS": "numba"},
            BROKEN_NUMBA,
            "GENCOMP_KERNELS=numba: numba cannot be imported: .*libllvmlite",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line(environment: dict[str, str], code: str, said: str) -> None:
    result = python(code, "compress", "-q", str(ROOT / "LICENSE"), "-m", "counts", "-o", os.devnull, **environment)
    assert result.returncode == 1
    assert re.fullmatch(f"gencomp: .*{said}.*\n", result.stderr.decode())


@needs_library
def test_where_it_cannot_be_used_the_next_way_is_taken(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flip()
    monkeypatch.delenv("GENCOMP_KERNELS", raising=False)
    way, why = compiled._chosen()
    assert way == "numba"
    assert "is damaged" in why


@pytest.mark.parametrize("name", ["NUMBA_BOUNDSCHECK", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"])
def test_who_sets_what_numba_makes_gets_what_numba_makes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENCOMP_KERNELS", raising=False)
    monkeypatch.setenv(name, "1")
    assert compiled._chosen() == ("numba", f"{name} is set")


@needs_library
def test_kernels_whose_sources_changed_are_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from gencomp.coding import quantize

    digests = {**library._description["files"], "gencomp/coding/quantize.py": "another"}
    monkeypatch.setattr(library, "_fresh", {})
    monkeypatch.setitem(library._description, "files", digests)
    told: list[str] = []
    fresh = library.kernel(quantize._total_weight.py_func, {"lean": True})
    monkeypatch.setattr(compiled, "_told", set())
    with compiled.watching(lambda name, done: told.append(name)), pytest.warns(GencompWarning, match="sources changed"):
        assert fresh(np.array([1, 2, 3], dtype=np.int64)) == quantize._total_weight(np.array([1, 2, 3], dtype=np.int64))
    assert library.stale() == ["gencomp.coding.quantize"]
    assert library._module.Kernel is type(fresh)


# ---- calls


def add(row: Any, number: Any, times: Any = 1) -> Any:
    row[0] += number * times
    return row[0]


@needs_library
def test_other_types_go_to_numba_or_to_plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = library.kernel(add, {"lean": True})
    row = np.array([1.5], dtype=np.float32)
    assert kernel(row, 2) == 3.5
    assert kernel(row=row, number=2, times=2) == 7.5

    def missing(self: object) -> None:
        raise ImportError("numba")

    monkeypatch.setattr(library._Otherwise, "dispatcher", property(missing))
    monkeypatch.setattr(compiled, "_told", set())
    plain = library.kernel(add, {"lean": True})
    with pytest.warns(GencompWarning, match=r"runs as plain Python, which is slow: pip install 'gencomp\[jit\]'"):
        assert plain(row, 1) == 8.5
    assert plain(row, 1) == 9.5


@needs_library
def test_what_may_not_be_written_is_not_written() -> None:
    from gencomp.coding.range_coder import encode_end

    out = np.frombuffer(bytes(16), dtype=np.uint8)
    with pytest.raises(Exception, match=r"(?i)readonly|read-only"):
        encode_end(1 << 40, 1 << 50, out, 0)
    assert not out.any()


@needs_library
def test_arguments_that_do_not_fit_are_told_as_python_tells_them() -> None:
    from gencomp.coding.range_coder import tail_of

    with pytest.raises(TypeError):
        tail_of(1)
    with pytest.raises(TypeError):
        tail_of(1, 2, 3)


@needs_library
def test_a_kernel_that_returns_none_counts_it() -> None:
    """A library may be built with the headers of Python 3.12, where None needs no count, and run in Python 3.11."""
    from gencomp.inference.recurrent import step
    from gencomp.predictors.recurrent import Recurrent

    recurrent = Recurrent()
    network, memory = recurrent.loaded.network, recurrent.begin()._memory
    before = sys.getrefcount(None)
    for _ in range(1000):
        assert step(network, memory, 97) is None
    assert abs(sys.getrefcount(None) - before) < 500


@needs_library
def test_strides_and_shapes_arrive() -> None:
    from gencomp.coding.quantize import fill_cdf

    wide = np.arange(1, 33, dtype=np.int64).reshape(4, 8)
    plain, strided = np.zeros(9, dtype=np.int64), np.zeros(9, dtype=np.int64)
    for row in (wide[2], wide[:, ::2][2], np.asfortranarray(wide)[2]):
        size = len(row)
        fill_cdf(row, 20, strided[: size + 1])
        fill_cdf.py_func(row, 20, plain[: size + 1])
        assert strided.tolist() == plain.tolist()


@needs_library
def test_threads_call_side_by_side(book: bytes) -> None:
    from gencomp import compress, decompress

    pieces = [book[start : start + 400] for start in range(0, 4000, 400)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        archives = list(pool.map(lambda piece: compress(piece, "counts:2"), pieces))
    assert [decompress(archive) for archive in archives] == pieces


# ---- signatures


def test_signatures_name_kernels_that_exist() -> None:
    lines = signatures.FILE.read_text().splitlines()
    assert lines == sorted(set(lines)), "sorted, each once"
    for signature in signatures.read():
        function = signature.kernel()
        assert callable(function)
        assert function.py_func.__code__.co_argcount == len(signature.arguments), signature.line


@pytest.mark.thorough
def test_kernels_are_imported_by_who_builds_them() -> None:
    """A package is built with numpy, numba and zstandard alone, as pyproject.toml says."""
    hidden = {"torch", "transformers", "tokenizers", "safetensors", "typer", "brotli", "matplotlib", "PIL", "soundfile"}
    modules = sorted({signature.module for signature in signatures.read()})
    code = f"import importlib, sys; sys.modules.update(dict.fromkeys({sorted(hidden)}))\n"
    result = python(
        code + f"for name in {modules}: importlib.import_module(name)", GENCOMP_KERNELS=f"build:{os.getpid()}"
    )
    assert result.returncode == 0, result.stderr.decode()


def test_a_signature_is_read_as_it_is_spelled() -> None:
    for signature in signatures.read():
        function = signature.kernel().py_func
        assert signatures.spell(function, signature.numba_types()) == signature.line.replace("!", "")


@pytest.mark.parametrize(
    ("compiler", "headers", "said"),
    [
        ("no-such-compiler -O2", "", "no C compiler is found: no-such-compiler"),
        (" ", "", "no C compiler is found: CC is blank"),
        ("true", "/nowhere", "no Python.h is in /nowhere: install the headers of this Python"),
    ],
)
def test_what_a_build_lacks_is_told_before_it_compiles(
    compiler: str, headers: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", compiler)
    if headers:
        monkeypatch.setattr(build.sysconfig, "get_paths", lambda: {"include": headers})
    monkeypatch.setattr(build, "_compile", None)
    monkeypatch.setattr(signatures, "read", None)
    with pytest.raises(build.BuildError, match=said):
        build.build([("x86-64-v2", "1")], 1)


def full(*_: object) -> str:
    raise OSError(28, "No space left on device", "/nowhere")


def without_numba(*_: object) -> str:
    raise ModuleNotFoundError("No module named 'llvmlite'", name="llvmlite")


@pytest.mark.parametrize(("failure", "said"), [(full, "No space left"), (without_numba, "pip install 'gencomp")])
def test_a_build_that_fails_says_so_in_one_line(failure: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "build", failure)
    monkeypatch.setattr(sys, "argv", ["build"])
    with pytest.raises(SystemExit, match=f"^error: .*{said}[^\n]*$"):
        build.main()


def test_an_interrupted_build_leaves_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "coding.lanes-0.json"
    build._write(path, b"first")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build._write(path, b"second")
    assert [(file, file.read_bytes()) for file in tmp_path.iterdir()] == [(path, b"first")]


# ---- sources


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package of its own, which sources are looked for in."""
    for name, text in {
        "gencomp/__init__.py": "",
        "gencomp/outer.py": "from gencomp.inner import (\n    ONE,\n    add,\n)\n",
        "gencomp/inner.py": "from gencomp import constants\nfrom gencomp.compiled import kernel\nONE = constants.ONE\n",
        "gencomp/constants.py": "ONE = 1\n",
        "gencomp/words.py": 'made = compiled(plain, "gencomp.word_instructions:made")\n',
        "gencomp/word_instructions.py": "",
        "gencomp/stranger.py": "import gencomp.outer\n",
        "gencomp/compiled/__init__.py": "from gencomp import stranger\n",
        "gencomp/compiled/llvm.py": "",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for function in (sources.digest_of_file, sources._imported, sources.files, sources.digest):
        function.cache_clear()


def test_a_kernel_is_made_from_all_that_its_module_imports(package: Path) -> None:
    assert [file.name for file in sources.files("gencomp.outer")] == [
        "__init__.py", "llvm.py", "constants.py", "inner.py", "outer.py",
    ]  # fmt: skip
    assert "word_instructions.py" in [file.name for file in sources.files("gencomp.words")]


@pytest.mark.parametrize(
    ("changed", "differs"),
    [("outer", True), ("inner", True), ("constants", True), ("compiled/llvm", True), ("stranger", False)],
)
def test_a_change_of_an_inner_module_is_seen(package: Path, changed: str, differs: bool) -> None:
    before = sources.digest("gencomp.outer")
    with (package / f"gencomp/{changed}.py").open("a") as file:
        file.write("# a change\n")
    forget()
    assert (sources.digest("gencomp.outer") != before) is differs


# ---- numba's cache


@pytest.mark.thorough  # most of it is compilation; the next test covers what is said
def test_commands_work_without_a_cache_and_say_so_once(tmp_path: Path) -> None:
    out, archive = tmp_path / "out", tmp_path / "archive.gcz"
    archive.write_bytes(gencomp.compress(b"some text, some more text", "uniform"))
    result = python(NOWHERE, "sample", "-q", "-n", "3", "-m", "uniform", "-o", str(out), GENCOMP_KERNELS="numba")
    assert (result.returncode, result.stdout) == (0, b"")
    line = result.stderr.decode()
    assert line.startswith("note: compiled code cannot be cached, so each run compiles anew")
    assert "NUMBA_CACHE_DIR" in line
    assert line.count("\n") == 1
    assert out.stat().st_size == 3
    result = python(NOWHERE, "info", str(archive), GENCOMP_KERNELS="numba")
    assert result.returncode == 0
    assert b"cannot be cached" not in result.stderr, "nothing is compiled for it"


def test_kernels_without_a_folder_compile_uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core.caching import CacheImpl

    from gencomp.compiled import just_in_time

    monkeypatch.setattr(compiled, "_told", set())
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    kernels = [
        just_in_time.compiled(double, options) for options in ({}, {"lean": True}, {"lean": True, "forced": True})
    ]
    with pytest.warns(GencompWarning, match="compiled code cannot be cached") as warned:
        assert [kernel(4) for kernel in kernels] == [8, 8, 8]
    assert len(warned) == 1


def double(number: int) -> int:
    return 2 * number


def broken(*_: object) -> None:
    raise OSError(28, "No space left on device")


def cut_short(*_: object) -> None:
    raise EOFError("Ran out of input")


@pytest.mark.parametrize("failure", [broken, cut_short])
@pytest.mark.parametrize("step", ["load_overload", "save_overload"])
def test_a_cache_that_fails_later_costs_time_alone(step: str, failure: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core.caching import FunctionCache

    from gencomp.compiled import just_in_time

    monkeypatch.setattr(compiled, "_told", set())
    monkeypatch.setattr(FunctionCache, "load_overload", lambda *_: None)  # it may know the function from before
    monkeypatch.setattr(FunctionCache, step, failure)
    kernel = just_in_time.compiled(double, {})
    with pytest.warns(GencompWarning, match="cannot be cached"):
        assert kernel(21) == 42


@pytest.mark.parametrize(
    ("module", "instructions"),
    [
        ("inference.team", "team_instructions.py"),
        ("inference.products", "product_instructions.py"),
        ("inference.recurrent", "product_instructions.py"),
        ("inference.transformer", "team_instructions.py"),
        ("predictors.mix.vectors", "vector_instructions.py"),
    ],
)
def test_kernels_are_made_from_instructions_however_these_are_named(module: str, instructions: str) -> None:
    assert instructions in [file.name for file in sources.files(f"gencomp.{module}")]


@pytest.mark.parametrize("module", ["bitstreams.deflate", "equivalence.ensemble", "predictors.mix.model"])
def test_kernels_are_not_made_from_what_they_do_not_name(module: str) -> None:
    """The package and the registry name all modules in strings; a change of an archive's reader touches no kernel."""
    files = {file.relative_to(ROOT / "gencomp").as_posix() for file in sources.files(f"gencomp.{module}")}
    assert not {file for file in files if file.startswith(("archive/", "cli/", "compressors/"))}


def test_modules_of_instructions_are_named_so() -> None:
    """What ``compiled`` is given in a string, a module of instructions and a function, is found by that name."""
    named = re.compile(r"\"(gencomp[\w.]+):[a-z_]+\"")
    modules = {name for path in (ROOT / "gencomp").rglob("*.py") for name in named.findall(path.read_text("utf-8"))}
    assert {name for name in modules if not name.endswith("_instructions")} == {"gencomp.compiled.llvm"}


def test_what_older_sources_left_in_the_cache_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gencomp.compiled import just_in_time

    old, other = tmp_path / f"coding.lanes-{'0' * 16}", tmp_path / f"coding.lanes.more-{'0' * 16}"
    for folder in (old, other):
        folder.mkdir()
    monkeypatch.setattr(just_in_time, "_default_folder", lambda: tmp_path)
    just_in_time._folder_of.cache_clear()
    kept = just_in_time._folder_of("gencomp.coding.lanes", "")
    just_in_time._folder_of.cache_clear()
    assert kept == tmp_path / f"coding.lanes-{sources.digest('gencomp.coding.lanes')[:16]}"
    assert (old.exists(), other.exists()) == (False, True)


def test_a_user_without_a_home_caches_beside_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs with a number for a user."""
    import pwd

    from gencomp.compiled import just_in_time

    def unknown(number: int) -> object:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(just_in_time, "_FOLDER", tmp_path / "__pycache__")
    just_in_time._default_folder.cache_clear()
    assert just_in_time._default_folder() == tmp_path / "__pycache__"
    monkeypatch.setattr(just_in_time, "_FOLDER", Path("/dev/null/__pycache__"))
    just_in_time._default_folder.cache_clear()
    assert just_in_time._default_folder() is None
    just_in_time._default_folder.cache_clear()


@pytest.mark.thorough
def test_workers_leave_it_to_their_parent_to_say() -> None:
    from gencomp.executors import LocalPool

    pool = LocalPool(1)
    try:
        assert pool.submit(shown_warnings, 1).result(120) == 0
    finally:
        pool.close()


def shown_warnings(count: int) -> int:
    with warnings.catch_warnings(record=True) as caught:
        for _ in range(count):
            warnings.warn("slow", GencompWarning, stacklevel=1)
    return len(caught)
