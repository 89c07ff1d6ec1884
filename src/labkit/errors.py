"""What can go wrong, named after the border where it was noticed.

Every error carries what happened and where (`message`), what to do about it (`hint`), and the exit code of the
process. `labkit.cli` prints the two in one box; nothing else catches these except to add where they happened.
"""

from __future__ import annotations


class LabkitError(Exception):
    """A failure the user can act on. `hint` is a sentence or a command; it may be empty only when `message` says all."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[LabkitError], tuple[str, str]]:
        """Keep both parts when a worker process sends the error home."""
        return type(self), (self.message, self.hint)


class CheckFailed(LabkitError):
    """The work was done and the answer is no (drift found, items failed)."""

    exit_code = 1


class ConfigError(LabkitError):
    """A key, value or flag of a config is wrong."""


class InputError(LabkitError):
    """A file the user named (prompts, data, a model folder) cannot be used."""


class RecordError(LabkitError):
    """A run folder is damaged, in use, of a newer schema, or does not fit what is asked of it."""


class MachineError(LabkitError):
    """This machine cannot do it: no such device, out of memory, disk full, an extra that is not installed."""

    exit_code = 3
