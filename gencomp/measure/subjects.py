"""What else than gencomp's models an audit can be given: a program that answers lines, or a table of probabilities.

The line protocol: the program is started once for each run and knows nothing of earlier ones. It is sent lines, and
answers each with one line of 256 probabilities, decimal numbers separated by blanks, that of byte 0 first:

    begin       the data begins: answer with the distribution of its first byte
    byte 104    the byte that came, 0 to 255: answer with the distribution of the next one

It ends when its standard input ends. If it fails, the last line of its standard error is shown.
"""

import math
import os
import selectors
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from gencomp.arguments import as_context, as_symbol
from gencomp.errors import GencompError
from gencomp.protocols import FloatArray

ALPHABET_SIZE = 256
MAX_LINE = 1 << 16  # bytes of an answer
TIME_LIMIT = 30.0  # seconds for an answer


class SubjectError(GencompError):
    """What was to predict failed at ``position``: it died, hung, or answered what is not a distribution."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def checked_row(values: Sequence[float], position: int, who: str) -> FloatArray:
    """Return 256 probabilities as code lengths in bits, float64 (256,), infinite for 0.

    Raises :class:`SubjectError` on another number of values, on NaN, and on values outside [0, 1].
    """
    if len(values) != ALPHABET_SIZE:
        raise SubjectError(f"{who} gave {len(values)} probabilities at position {position}; expected 256", position)
    row = np.asarray(values, dtype=np.float64)
    wrong = np.flatnonzero(~((row >= 0) & (row <= 1)))
    if len(wrong):
        value = row[wrong[0]]
        raise SubjectError(f"{who} gave byte {wrong[0]} the probability {value:g} at position {position}", position)
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log2(row))


@dataclass(frozen=True)
class CommandPredictor:
    """A program that speaks the line protocol, as a predictor: each state is a process of its own.

    ``time_limit`` is how many seconds an answer may take. A missing or bad answer raises :class:`SubjectError`.
    """

    command: str
    time_limit: float = TIME_LIMIT

    @property
    def alphabet_size(self) -> int:
        return ALPHABET_SIZE

    def begin(self, context: Sequence[int] = ()) -> "CommandState":
        return CommandState(self, bytes(as_context(context)))


class CommandState:
    """A running program that has read a context. :meth:`close` ends it."""

    def __init__(self, predictor: CommandPredictor, context: bytes) -> None:
        self._predictor = predictor
        self._context = b""
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._pending = b""
        words = shlex.split(predictor.command)
        if not words:
            raise SubjectError("the command is empty; expected a program and its arguments", 0)
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._told, bufsize=0
            )
        except OSError as error:
            self._told.close()
            raise SubjectError(f"{words[0]} cannot be started: {error.strerror}", 0) from error
        self._lengths = self._ask("begin")
        for symbol in context:
            self.update(symbol)

    def code_lengths(self) -> FloatArray:
        return self._lengths

    def update(self, symbol: int) -> None:
        symbol = as_symbol(symbol)
        self._context += bytes([symbol])
        self._lengths = self._ask(f"byte {symbol}")

    def copy(self) -> Self:
        return type(self)(self._predictor, self._context)

    def close(self) -> None:
        """Close the program's input and wait for it to end; kill it if that takes over a second."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._told.close()

    def _ask(self, line: str) -> FloatArray:
        """Send a line and return the answer as code lengths; on any failure, end the process."""
        position = len(self._context)
        try:
            answer = self._answer(line, position)
            try:
                values = [float(word) for word in answer.split()]
            except ValueError:
                shown = answer[:60].decode("utf-8", "replace")
                raise SubjectError(f"the command answered {shown!r} at position {position}; expected 256 probabilities",
                                   position) from None  # fmt: skip
            return checked_row(values, position, "the command")
        except BaseException:
            self._process.kill()
            self.close()
            raise

    def _answer(self, line: str, position: int) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line.encode("ascii") + b"\n")
        except OSError:  # nobody reads the pipe any more
            raise self._died(position) from None
        deadline = time.monotonic() + self._predictor.time_limit
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if len(self._pending) > MAX_LINE:
                    raise SubjectError(f"the command's answer at position {position} has no end of line", position)
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    limit = self._predictor.time_limit
                    raise SubjectError(
                        f"the command gave no answer within {limit:g} s at position {position}", position
                    )
                part = os.read(self._process.stdout.fileno(), MAX_LINE)
                if not part:
                    raise self._died(position)
                self._pending += part
        answer, _, self._pending = self._pending.partition(b"\n")
        return answer

    def _died(self, position: int) -> SubjectError:
        try:
            code = self._process.wait(timeout=1.0)
            how = f"ended with code {code}" if code >= 0 else f"was ended by signal {-code}"
        except subprocess.TimeoutExpired:
            how = "closed its output"
        self._told.seek(0)
        said = self._told.read().decode("utf-8", "replace").strip().splitlines()
        return SubjectError(f"the command {how} at position {position}{': ' + said[-1] if said else ''}", position)


@dataclass(frozen=True)
class TablePredictor:
    """Rows of probabilities, one for each byte of one text, returned whatever the bytes are."""

    rows: FloatArray = field(repr=False)  # float64 (n, 256)

    @property
    def alphabet_size(self) -> int:
        return ALPHABET_SIZE

    def begin(self, context: Sequence[int] = ()) -> "TableState":
        return TableState(self.rows, len(as_context(context)))


class TableState:
    """A position in the table."""

    def __init__(self, rows: FloatArray, position: int) -> None:
        self._rows = rows
        self._position = position

    def code_lengths(self) -> FloatArray:
        if self._position >= len(self._rows):
            message = f"the table has {len(self._rows)} rows, none for position {self._position}"
            raise SubjectError(message, self._position)
        return checked_row(self._rows[self._position].tolist(), self._position, "the table")

    def update(self, symbol: int) -> None:
        as_symbol(symbol)
        self._position += 1

    def copy(self) -> Self:
        return type(self)(self._rows, self._position)


def _read_npy(path: Path) -> FloatArray:
    """Return the rows of a .npy file. Its type, shape and size are checked before memory is taken for them."""
    with path.open("rb") as file:
        try:
            if np.lib.format.read_magic(file) == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            else:
                shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        except Exception as error:  # of many kinds, since numpy parses a Python literal
            raise SubjectError(f"{path} is not a .npy file: {' '.join(str(error).split())[:200]}", 0) from error
        if len(shape) != 2 or shape[1] != ALPHABET_SIZE or dtype.kind not in "fiu":
            raise SubjectError(f"{path} is {dtype}{list(shape)}; expected a row of 256 numbers for each byte", 0)
        start = file.tell()
        size, found = dtype.itemsize * math.prod(shape), file.seek(0, 2) - start
        if size != found:
            raise SubjectError(f"{path} has {found:,} bytes of numbers but claims {size:,}; write it again", 0)
        file.seek(0)
        return np.asarray(np.load(file, allow_pickle=False), dtype=np.float64)


def read_table(path: Path) -> TablePredictor:
    """Return the rows of a .npy file, (n, 256), or of a text file, a line for each byte, 256 numbers a line.

    In a text, blanks or commas separate numbers. Raises :class:`SubjectError` on another shape, and on what is not a
    number.
    """
    if path.suffix == ".npy":
        return TablePredictor(_read_npy(path))
    rows: list[list[float]] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            words = line.replace(",", " ").split()
            if len(words) != ALPHABET_SIZE:
                hint = "; one probability says nothing of the other 255" if len(words) == 1 else ""
                raise SubjectError(f"{path}, line {number}: {len(words)} numbers, expected 256{hint}", len(rows))
            try:
                rows.append([float(word) for word in words])
            except ValueError as error:
                raise SubjectError(f"{path}, line {number}: {error}", len(rows)) from None
    return TablePredictor(np.array(rows, dtype=np.float64).reshape(-1, ALPHABET_SIZE))
