"""Build the library of kernels: ``python -m gencomp.compiled.build``.

numba types each kernel for the arguments that ``signatures.txt`` lists, and writes its LLVM IR. For each module of
gencomp the kernels' IR is linked into one LLVM module, optimised once, and compiled to an object for each kind of
processor. The C compiler links the objects with ``calls.c``. Objects whose sources did not change are reused.

This replaces the part of numba that makes code ready to run in this process. That part is private to numba and may
change, so the library is tried before it is kept. Where it fails, nothing is built, and kernels are compiled as they
are used.
"""

import argparse
import concurrent.futures
import gc
import hashlib
import importlib
import json
import multiprocessing
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

from gencomp import compiled
from gencomp.compiled import library, signatures, sources
from gencomp.cores import usable_cores
from gencomp.executors import end_with_parent

HERE = Path(__file__).parent
OBJECTS = Path(os.environ.get("GENCOMP_BUILD_CACHE") or HERE.parent / "__pycache__" / "objects")
# kinds of processors by machine, the most capable first: LLVM's name, and the test for it in C
VARIANTS = {
    "x86_64": [
        ("x86-64-v3", "x86_64_level() >= 3"),
        ("x86-64-v2", "x86_64_level() >= 2"),
    ],
    "aarch64": [("generic", "1")],
}


class BuildError(Exception):
    """Why the library cannot be built, in one line."""


def variants() -> list[tuple[str, str]]:
    """Return the kinds of processors that code is made for on this machine."""
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    if machine not in VARIANTS or sys.platform != "linux":
        raise BuildError(
            f"no library is built for {machine} with {sys.platform}: kernels are compiled as they are used"
        )
    return VARIANTS[machine]


def _native() -> list[tuple[str, str]]:
    """Return the most capable kind that this processor belongs to, as a list of one."""
    from llvmlite import binding as llvm

    features = llvm.get_host_cpu_features()
    has_v3 = all(features.get(name) for name in ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"))
    return [kind for kind in variants() if kind[0] != "x86-64-v3" or has_v3][:1]


def _key(module: str, lines: list[str]) -> str:
    """Return the digest of all that a module's objects are made from."""
    import llvmlite
    import numba

    parts = [numba.__version__, llvmlite.__version__, sources.digest(module), *lines]
    parts += [
        sources.digest_of_file(HERE / f"{name}.py") for name in ("__init__", "build", "just_in_time", "signatures")
    ]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


# ---- in a worker process, whose numba makes nothing ready to run


def _only_write_instructions() -> None:
    """Make numba's code libraries keep their own functions' unoptimised IR alone, and compile no machine code."""
    from numba.core import codegen

    kind = codegen.CPUCodeLibrary

    def add_module(self: Any, module: Any) -> None:
        module.data_layout = self._codegen._data_layout
        self._final_module.link_in(module)

    def finish(self: Any) -> None:
        self._raise_if_finalized()
        self._final_module.verify()
        self._finalized = True

    kind.add_llvm_module = add_module
    kind.finalize = finish
    kind.add_linking_library = lambda self, other: self._linking_libraries.append(other)
    codegen.JITCodeLibrary.get_pointer_to_function = lambda self, name: 1
    codegen.JITCPUCodegen.set_env = lambda self, name, environment: None


def _entry(name: str, line: str) -> tuple[Any, Any, str]:
    """Return numba's code library of the kernel's entry ``name``, the kernel's own, and the format of the result.

    The entry calls the kernel with arguments from a block of words, which ``calls.c`` describes.
    """
    from llvmlite import ir

    signature = signatures.Signature(line)
    kinds = signature.numba_types()
    dispatcher = signature.kernel()
    dispatcher.compile(kinds)
    made = dispatcher.overloads[kinds]
    context, description = made.target_context, made.fndesc
    own = context.codegen().create_library(name)
    module = own.create_ir_module(name)
    word = ir.IntType(64)
    function = ir.Function(module, ir.FunctionType(ir.IntType(32), [ir.PointerType(word)]), name)
    builder = ir.IRBuilder(function.append_basic_block())
    block = _Words(context, builder, function.args[0])
    arguments = [block.read(kind) for kind in kinds]
    kind = context.call_conv.get_function_type(description.restype, description.argtypes)
    callee = ir.Function(module, kind, description.llvm_func_name)
    status, result = context.call_conv.call_function(
        builder, callee, description.restype, description.argtypes, arguments
    )
    block.used = 0
    with builder.if_then(status.is_ok):
        form = block.write(description.restype, result)
    builder.ret(status.code)
    own.add_ir_module(module)
    return own, made.library, form


class _Words:
    """Emits code that reads or writes a block's words, from the first on."""

    def __init__(self, context: Any, builder: Any, block: Any) -> None:
        self._context = context
        self._builder = builder
        self._block = block
        self.used = 0

    def _next(self) -> Any:
        from llvmlite import ir

        place = self._builder.gep(self._block, [ir.IntType(64)(self.used)], source_etype=ir.IntType(64))
        self.used += 1
        return place

    def _load(self, kind: Any) -> Any:
        return self._builder.load(self._next(), typ=kind)

    def _store(self, value: Any) -> None:
        self._builder.store(value, self._builder.bitcast(self._next(), value.type.as_pointer()))

    def read(self, kind: Any) -> Any:
        """Return the next value of numba's type ``kind``."""
        from llvmlite import ir
        from numba import types
        from numba.np.arrayobj import populate_array

        context, builder = self._context, self._builder
        if isinstance(kind, types.NoneType):
            return context.get_dummy_value()
        if isinstance(kind, types.BaseTuple):
            return context.make_tuple(builder, kind, [self.read(item) for item in kind])
        if not isinstance(kind, types.Array):
            model = context.data_model_manager[kind]
            return model.from_data(builder, self._load(model.get_data_type()))
        array = context.make_array(kind)(context, builder)
        element = context.get_data_type(kind.dtype)
        data = self._load(ir.PointerType(element))
        shape = [self._load(ir.IntType(64)) for _ in range(kind.ndim)]
        strides = [self._load(ir.IntType(64)) for _ in range(kind.ndim)]
        size = context.get_constant(types.intp, context.get_abi_sizeof(element))
        populate_array(array, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
        return array._getvalue()

    def write(self, kind: Any, value: Any) -> str:
        """Write a value of numba's type ``kind``; return its format."""
        from numba import types

        context, builder = self._context, self._builder
        if isinstance(kind, types.NoneType):
            return "n"
        if isinstance(kind, types.BaseTuple):
            parts = [self.write(item, builder.extract_value(value, k)) for k, item in enumerate(kind)]
            return f"({''.join(parts)})"
        if isinstance(kind, types.Array):
            if kind.layout != "C":
                raise BuildError(f"a kernel's result is {kind}: expected a contiguous array")
            array = context.make_array(kind)(context, builder, value)
            for part in (array.meminfo, array.data):
                self._store(part)
            for k in range(kind.ndim):
                self._store(builder.extract_value(array.shape, k))
            return f"[{signatures.LETTERS[signatures.name_of(kind.dtype)]}C{kind.ndim}"
        self._store(context.data_model_manager[kind].as_data(builder, value))
        return signatures.LETTERS[signatures.name_of(kind)]


def _together(libraries: list[Any]) -> Any:
    """Return one LLVM module with the functions of all libraries and of those that they call."""
    from llvmlite import binding as llvm

    whole = llvm.parse_assembly(f'target triple = "{llvm.get_process_triple()}"\n')
    seen: set[int] = set()
    waiting = list(libraries)
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        waiting.extend(one._linking_libraries)
        module = one._final_module.clone()
        for function in module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "weak_odr"
        whole.link_in(module)
    return whole


def _object(whole: Any, entries: set[str], processor: str) -> bytes:
    """Return a module's object file for a kind of processor; it exports only the entries."""
    from llvmlite import binding as llvm

    whole = whole.clone()
    for value in [*whole.functions, *whole.global_variables]:
        if value.is_declaration:
            continue
        value.linkage = "external" if value.name in entries else "internal"
        if value.name in entries:
            value.name = _symbol(value.name, processor)
    target = llvm.Target.from_triple(llvm.get_process_triple())
    machine = target.create_target_machine(cpu=processor, opt=3, reloc="pic", codemodel="default")
    whole.data_layout = str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(whole, builder)
    return bytes(machine.emit_object(whole))


def _symbol(entry: str, processor: str) -> str:
    return f"{entry}_{processor.replace('-', '_')}"


def _build_module(module: str, lines: list[str], processors: list[str], key: str) -> float:
    """Write the objects of a module's kernels, and the list of these kernels; return the seconds taken."""
    start = time.perf_counter()
    gc.disable()  # saves a tenth of the time; the process ends soon
    _only_write_instructions()
    libraries: list[Any] = []
    rows: list[dict[str, str]] = []
    # entry and result by the line without its "!": code for a read-only array is the code for any other
    made: dict[str, tuple[str, str]] = {}
    for line in lines:
        plain = line.replace("!", "")
        if plain not in made:
            name = f"gencomp_{module.replace('.', '_')}_{len(made)}"
            own, callee, form = _entry(name, plain)
            libraries += [own, callee]
            made[plain] = name, form
        rows.append({"line": line, "entry": made[plain][0], "result": made[plain][1]})
    whole = _together(libraries)
    for processor in processors:
        _write(_file(module, key, f"{processor}.o"), _object(whole, {name for name, _ in made.values()}, processor))
    _write(_file(module, key, "json"), json.dumps(rows).encode())
    return time.perf_counter() - start


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there in full or not at all, whoever is interrupted, and whoever else writes or reads it.

    Its unfinished name begins like its own, unlike those of :func:`gencomp.files.new_file`: builds remove all others.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _file(module: str, key: str, kind: str) -> Path:
    return OBJECTS / f"{module}-{key}.{kind}"


# ---- in the main process


def _pool(processes: int) -> concurrent.futures.ProcessPoolExecutor:
    """Return workers that end with this process, also where it is killed."""
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(processes, context, initializer=end_with_parent)


def _compile(tasks: list[tuple[str, list[str], str]], processors: list[str], processes: int) -> None:
    """Build the objects of ``tasks``, in several processes."""
    os.environ["GENCOMP_KERNELS"] = f"{compiled.BUILDING}:{os.getpid()}"
    with _pool(processes) as pool:
        running = {pool.submit(_build_module, module, lines, processors, key): module for module, lines, key in tasks}
        for done in concurrent.futures.as_completed(running):
            module = running[done]
            try:
                print(f"{module}: {done.result():.1f} s", file=sys.stderr, flush=True)
            except BuildError:
                raise
            except Exception as error:  # anything: another release of numba may differ inside
                pool.shutdown(wait=False, cancel_futures=True)
                said = " ".join(str(error).split())[:300]
                raise BuildError(f"{module} cannot be compiled: {type(error).__name__}: {said}") from error


def table_of(rows: list[dict[str, str]], kinds: list[tuple[str, str]]) -> str:
    """Return the C source of the table of kernels."""
    named = []
    for row in rows:
        signature = signatures.Signature(row["line"])
        named.append((f"{signature.module}.{signature.function}", signature, row))
    named.sort(key=lambda item: item[0])
    symbols = sorted({_symbol(row["entry"], name) for row in rows for name, _ in kinds})
    lines = ['#include "calls.h"', *(f"int {symbol}(int64_t *);" for symbol in symbols), "const Row table[] = {"]
    for name, signature, row in named:
        entries = ", ".join(_symbol(row["entry"], processor) for processor, _ in kinds)
        count = len(signature.arguments)
        lines.append(f'    {{"{name}", "{signature.format()}", "{row["result"]}", {count}, {{{entries}}}}},')
    lines += ["};", f"const int table_size = {len(rows)};"]
    names = ", ".join(f'"{name}"' for name, _ in kinds)
    lines.append(f"const char *const variant_names[] = {{{names}}};")
    lines.append(f"const int variant_count = {len(kinds)};")
    tests = " ".join(f"case {k}: return ({test}) != 0;" for k, (_, test) in enumerate(kinds))
    lines.append(f"int variant_runs(int variant) {{ switch (variant) {{ {tests} }} return 0; }}")
    return "\n".join(lines) + "\n"


def c_compiler() -> list[str]:
    """Return the command of the C compiler and where Python's headers are; raise ``BuildError`` if either is missing.

    It is asked before anything is compiled, which takes minutes.
    """
    compiler = shlex.split(os.environ.get("CC") or "cc")
    if not compiler or shutil.which(compiler[0]) is None:
        raise BuildError(f"no C compiler is found: {compiler[0] if compiler else 'CC is blank'} (CC names another)")
    headers = Path(sysconfig.get_paths()["include"])
    if not (headers / "Python.h").is_file():
        raise BuildError(f"no Python.h is in {headers}: install the headers of this Python, such as python3-dev")
    return [*compiler, f"-I{headers}"]


def link(objects: list[Path], table: str, target: Path) -> None:
    """Link the objects with the C source ``table`` into the extension ``target``."""
    source = target.with_suffix(".c")
    source.write_text(table)
    command = [*c_compiler(), f"-I{HERE}", "-shared", "-fPIC", "-O2", "-fvisibility=hidden", "-Wl,-O1,-z,now", "-s"]
    command += ["-o", str(target), str(HERE / "calls.c"), str(source), *map(str, objects), "-lm"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"the library cannot be linked: {' '.join(result.stderr.split())[:500]}")


_TRIAL = """
import hashlib, gencomp
data = b"a trial of what was built, a trial " * 4
whole = hashlib.sha256()
for model in ("counts:2", "mix:1"):
    archive = gencomp.compress(data, model)
    assert gencomp.decompress(archive) == data
    whole.update(archive)
print(whole.hexdigest())
"""


def _try() -> None:
    """Compare the library that was built with plain Python; where they differ, remove it and raise ``BuildError``."""
    results = []
    for way in ("python", "library"):
        path = os.pathsep.join(filter(None, [str(sources.ROOT), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "GENCOMP_KERNELS": way, "PYTHONPATH": path}
        results.append(
            subprocess.run([sys.executable, "-c", _TRIAL], env=environment, capture_output=True, text=True, check=False)
        )
    plain, built = results
    if plain.returncode == 0 and (built.returncode, built.stdout) != (0, plain.stdout):
        library.DESCRIPTION.unlink()
        library.FILE.unlink()
        said = (built.stderr.strip().splitlines() or ["other bytes than plain Python's"])[-1]
        raise BuildError(f"the library that was built does not work here: {said}")


def build(kinds: list[tuple[str, str]], processes: int) -> str:
    """Build the library for ``kinds`` of processors beside this file; return one line about what was done."""
    start = time.perf_counter()
    c_compiler()
    by_module: dict[str, list[str]] = {}
    for signature in signatures.read():
        by_module.setdefault(signature.module, []).append(signature.line)
    names = [name for name, _ in kinds]
    keys = {module: _key(module, lines) for module, lines in by_module.items()}
    kinds_of_files = ["json", *(f"{name}.o" for name in names)]
    tasks = [
        (module, by_module[module], key)
        for module, key in keys.items()
        if not all(_file(module, key, kind).exists() for kind in kinds_of_files)
    ]
    tasks.sort(key=lambda task: -sum(map(len, task[1])))  # the longest first
    if tasks:
        OBJECTS.mkdir(parents=True, exist_ok=True)
        _compile(tasks, names, processes)
    rows = [row for module, key in keys.items() for row in json.loads(_file(module, key, "json").read_text())]
    objects = [_file(module, key, f"{name}.o") for module, key in keys.items() for name in names]
    unfinished = HERE / "__pycache__"  # on the same disk; what a build that is killed leaves there enters no package
    unfinished.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=unfinished) as folder:
        target = Path(folder) / library.FILE.name
        link(objects, table_of(rows, kinds), target)
        needed = {module: sources.files(module) for module in by_module}
        description = {
            "format": library.FORMAT,
            "checksum": zlib.crc32(target.read_bytes()),
            "variants": names,
            "numba": importlib.import_module("numba").__version__,
            "modules": {module: [_relative(file) for file in files] for module, files in needed.items()},
            "files": {_relative(file): sources.digest_of_file(file) for files in needed.values() for file in files},
        }
        written = Path(folder) / library.DESCRIPTION.name
        written.write_text(json.dumps(description, indent=1, sort_keys=True))
        library.DESCRIPTION.unlink(missing_ok=True)  # at no moment does a description lie beside another library
        os.replace(target, library.FILE)
        os.replace(written, library.DESCRIPTION)
    _try()
    for old in OBJECTS.iterdir():
        if not any(old.name.startswith(f"{module}-{key}.") for module, key in keys.items()):
            old.unlink(missing_ok=True)  # another process may build, too
    size = library.FILE.stat().st_size / 1e6
    return (
        f"{len(rows)} kernels for {', '.join(names)}: {size:.1f} MB, {len(tasks)} of {len(keys)} modules compiled, "
        f"{time.perf_counter() - start:.0f} s"
    )


def _relative(file: Path) -> str:
    return file.relative_to(sources.ROOT).as_posix()


def main() -> None:
    """Build the library, or say in one line why it cannot be built."""
    parser = argparse.ArgumentParser("python -m gencomp.compiled.build", description="Build the library of kernels.")
    parser.add_argument("--for", dest="kinds", choices=["here", "all"], default="here", help="the kinds of processors")
    parser.add_argument("--processes", type=int, default=usable_cores(), help="how many compile at a time")
    arguments = parser.parse_args()
    try:
        print(build(_native() if arguments.kinds == "here" else variants(), arguments.processes))
    except (BuildError, OSError) as error:  # OSError: a folder that may not be written, a full disk
        sys.exit(f"error: {' '.join(str(error).split())}")
    except ImportError as error:
        sys.exit(f"error: kernels are compiled by numba, which cannot be imported: {error}; pip install 'gencomp[jit]'")


if __name__ == "__main__":
    main()
