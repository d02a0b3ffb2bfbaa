"""Groups of options: a dataclass in a command's signature stands for an option per field."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints


def grouped(function: Callable[..., None]) -> Callable[..., None]:
    """Return ``function`` as a command in which each parameter that is a dataclass is split into its fields.

    Each field becomes an option with the field's annotation and default, in the order of the signature; the function
    gets the dataclass. Raises ``TypeError`` if two options have the same name.
    """
    hints = get_type_hints(function, include_extras=True)
    options: dict[str, inspect.Parameter] = {}
    groups: dict[str, type] = {}

    def add(name: str, annotation: Any, default: Any) -> None:
        if name in options:
            raise TypeError(f"{function.__name__} has two options named {name}")
        options[name] = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    for name, parameter in inspect.signature(function).parameters.items():
        if not dataclasses.is_dataclass(hints[name]):
            add(name, hints[name], parameter.default)
            continue
        groups[name] = hints[name]
        fields = get_type_hints(hints[name], include_extras=True)
        for field in dataclasses.fields(hints[name]):
            add(field.name, fields[field.name], field.default)

    @functools.wraps(function)
    def command(**given: Any) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        function(**given, **made)

    command.__signature__ = inspect.Signature(list(options.values()))  # type: ignore[attr-defined]
    command.__annotations__ = {name: option.annotation for name, option in options.items()}
    return command
