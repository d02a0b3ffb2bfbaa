"""What can go wrong with data, archives and models. Each class carries the exit code that the command line gives it.

A wrong argument of a Python call is a plain ``ValueError``.
"""

from typing import ClassVar


class GencompError(Exception):
    """Base of all errors that gencomp raises about data or models; the message is one line for the user."""

    exit_code: ClassVar[int] = 1


class GencompWarning(UserWarning):
    """Something works less well than it could; the message says what to do. The command line shows it as a note."""


class SpecError(GencompError, ValueError):
    """A spec string that names nothing or has a bad option."""

    exit_code = 2


class MissingExtraError(GencompError):
    """A model or codec whose optional dependency is not installed; the message has the pip command."""

    exit_code = 4


class CorruptDataError(GencompError):
    """Coded bytes that no encoder wrote: damaged, cut short, or made with another model."""

    exit_code = 3


class ArchiveError(GencompError):
    """An archive that is damaged, truncated, unsupported, or no archive at all."""

    exit_code = 3


class ModelMismatchError(GencompError):
    """An archive's model is missing here, differs from the one at hand, or computes differently."""

    exit_code = 4


class VerificationError(GencompError):
    """What was just encoded does not decode to the same bytes; nothing was written."""

    exit_code = 5


class BudgetError(GencompError):
    """Something that would take more memory or work than is allowed; the message says how to allow it."""


class OutputLimitError(BudgetError):
    """An archive that holds more content than is allowed."""


class DatasetError(GencompError):
    """Data to measure that cannot be read, or that holds nothing."""

    exit_code = 1


class WorkersLostError(GencompError):
    """Parallel work that could not be finished: workers died again and again, or a cluster does not answer."""

    exit_code = 1
