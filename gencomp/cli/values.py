"""Values of the command line, read without typer's reader: it imports pydantic, a third of a short command's time.

:class:`Command` and :class:`Group` are typer's, except that they read plainly correct values themselves: text, whole
and decimal numbers within their bounds, choices spelled exactly, and what an option's own parser accepts. All other
values, and so all wrong ones, go to typer, which says what is wrong with them.

A :class:`Reader` stands in for what a parameter's ``get_runtime_param`` returns. Should typer rename that, it reads all
values itself.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args, get_origin

from typer.core import TyperCommand, TyperGroup

_NUMBERS = {int: re.compile("-?[0-9]{1,15}"), float: re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?(e-?[0-9]{1,2})?")}


class Command(TyperCommand):
    """A command that reads plain values itself."""

    def get_params(self, ctx: Any) -> list[Any]:
        return quick(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands that reads plain values itself."""

    def get_params(self, ctx: Any) -> list[Any]:
        return quick(super().get_params(ctx))


def quick(parameters: Sequence[Any]) -> list[Any]:
    """Make the parameters read plain values themselves, and return them."""
    for parameter in parameters:
        if "get_runtime_param" not in vars(parameter):
            try:
                parameter.get_runtime_param = Reader(parameter).itself
            except AttributeError:  # of another version of typer, or of something else
                continue
    return list(parameters)


class _NotPlainError(Exception):
    """The value is left for typer to read."""


class Reader:
    """Reads the values of one parameter."""

    def __init__(self, parameter: Any) -> None:
        self._typers: Callable[[], Any] = parameter.get_runtime_param
        kind, self._about = parameter.type_descriptor.annotation, parameter.type_descriptor.parameter_info
        self._is_list = get_origin(kind) is list
        self._read = self._reader_of(get_args(kind)[0] if self._is_list else kind)

    def itself(self) -> "Reader":
        return self

    def coerce(self, value: Any, **where: Any) -> Any:
        """Return what the command gets for ``value``, or raise what typer raises for it."""
        try:
            if not self._is_list:
                return None if value is None else self._read(value)
            if value is None:
                return ()
            if isinstance(value, list | tuple):
                return [self._read(one) for one in value]
        except _NotPlainError:
            pass
        return self._typers().coerce(value, **where)

    def __getattr__(self, name: str) -> Any:  # whatever else typer asks for
        return getattr(self._typers(), name)

    def _reader_of(self, kind: Any) -> Callable[[Any], Any]:
        if self._about.parser is not None:
            return self._parsed
        if get_origin(kind) is Literal:
            return _one_of(get_args(kind))
        if kind in _NUMBERS:
            return _number(kind, self._about.min, self._about.max)
        return _itself(kind if kind in (str, bool) else None)

    def _parsed(self, value: Any) -> Any:
        try:
            return self._about.parser(value)
        except (ValueError, AssertionError):
            raise _NotPlainError from None


def _one_of(choices: tuple[Any, ...]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is str and value in choices:
            return value
        raise _NotPlainError

    return read


def _number(kind: Any, low: float | None, high: float | None) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is str and _NUMBERS[kind].fullmatch(value):
            value = kind(value)
        if type(value) is kind and (low is None or value >= low) and (high is None or value <= high):
            return value
        raise _NotPlainError

    return read


def _itself(kind: type | None) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is kind:
            return value
        raise _NotPlainError

    return read
