"""How many threads a fit uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Entries of the stream below which an operation takes less time than waking threads for it.
_SMALL = 1_000_000


@contextmanager
def suitable_threads(n_entries: int) -> Iterator[None]:
    """Let PyTorch use one thread inside, if the training rows have few stream entries in all; else as many as before.

    Small operations gain nothing from more, and lose much where other processes keep the cores busy: every thread then
    waits for the last one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if n_entries < _SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
