"""What happens when memory runs out on a device: rows are done in halves, down to a single one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from labkit.errors import MachineError

RowT = TypeVar("RowT")
DoneT = TypeVar("DoneT")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch means that memory ran out, on whatever device."""
    text = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        words in text for words in ("out of memory", "not enough memory", "can't allocate memory")
    )


def in_halves(
    rows: Sequence[RowT],
    do: Callable[[Sequence[RowT]], list[DoneT]],
    too_large: Callable[[RowT], MachineError],
) -> list[DoneT]:
    """`do(rows)`, in halves where memory runs out.

    Args:
        do: gives something for each row
        too_large: the error for a row that does not fit alone

    Raises:
        MachineError: as `too_large` says it.
    """
    try:
        return do(rows)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Outside of the handler: there the traceback would keep the failed batch's tensors alive.
    torch.cuda.empty_cache()  # does nothing where there is none
    if len(rows) == 1:
        raise too_large(rows[0])
    half = len(rows) // 2
    return [*in_halves(rows[:half], do, too_large), *in_halves(rows[half:], do, too_large)]
